//! What the instances of a fleet share beside the lock: records and journals.
//!
//! A shelf holds records by their keys, each with a version that grows; a journal holds entries in
//! the order in which they were written. Everything else that a fleet knows (instances, commands,
//! pauses, tasks defined at run time) is text on a shelf or in a journal, written and read in one
//! place each, whatever the store.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};

pub use memory::MemoryFleet;
#[cfg(feature = "redis")]
pub use redis::RedisFleet;

/// The longest value of a record, and the longest entry of a journal, in bytes: 1 MiB.
const LONGEST_VALUE: usize = 1 << 20;
/// The longest key, and the longest name of a shelf or journal, in bytes.
const LONGEST_NAME: usize = 256;

/// What the instances of a fleet share beside the lock.
///
/// Nothing that decides whether a firing runs twice is kept here: that is the lock's. A store that
/// is away delays what people want to see and to do, and never a firing.
///
/// Calls are cancel-safe: one that is dropped was carried out whole or not at all. An error of a
/// kind that [`is_transient`](Error::is_transient) may be asked again.
#[async_trait]
pub trait FleetStore: fmt::Debug + Send + Sync + 'static {
    /// Writes or removes one record, if it is as expected.
    async fn write(&self, write: &Write) -> Result<Written>;

    /// One record.
    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>>;

    /// The records of a shelf that were written after `since`; all of them for
    /// [`Version::default`].
    async fn list(&self, shelf: &str, since: Version) -> Result<Listing>;

    /// The same of several shelves, in their order. Default: asked for one after the other.
    async fn list_all(&self, shelves: &[(&str, Version)]) -> Result<Vec<Listing>> {
        let mut listings = Vec::with_capacity(shelves.len());
        for (shelf, since) in shelves {
            listings.push(self.list(shelf, *since).await?);
        }
        Ok(listings)
    }

    /// Writes to the end of a journal, which keeps the last `keep` entries or a few more. If an
    /// answer is lost on its way they may be written twice: what is counted needs an id of its own.
    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()>;

    /// The first `limit` entries after one, or from the beginning of the journal: oldest first.
    async fn read(&self, journal: &str, after: Option<EntryId>, limit: usize)
    -> Result<Vec<Entry>>;

    /// The last `limit` entries before one, or from the end of the journal: newest first.
    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>>;

    /// Waits until something that [wakes](Write::quietly) may have been written, by any instance,
    /// since the call that answered `seen`; 0 for the first call, which does not wait. Answers also
    /// when a connection was lost and is back, so that whoever rereads at each answer misses
    /// nothing. What was written reaches the others within 50 ms as a rule; somebody who must not
    /// miss it rereads now and then by himself.
    async fn changed(&self, seen: u64) -> u64;
}

/// When a record was written, counted in writes to its shelf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// For stores outside this crate.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number: larger is later.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which record is meant, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// Where it is.
    pub shelf: String,
    /// Its name there.
    pub key: String,
    /// Its new value; `None` to remove it.
    pub value: Option<String>,
    /// What it has to be for that.
    pub expected: Expected,
    /// After how long it is gone by itself, by the store's clock.
    pub ttl: Option<Duration>,
    /// Whether those who wait for changes are woken.
    pub wakes: bool,
}

/// What a record has to be in order to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// Anything, or not there.
    #[default]
    Anything,
    /// Not there.
    Absent,
    /// As it was when it was read.
    At(Version),
}

impl Write {
    /// Writes a record, whatever it was.
    pub fn put(shelf: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::remove(shelf, key)
        }
    }

    /// Removes a record, whatever it was.
    pub fn remove(shelf: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            shelf: shelf.into(),
            key: key.into(),
            value: None,
            expected: Expected::Anything,
            ttl: None,
            wakes: true,
        }
    }

    /// Only if it is as expected.
    #[must_use]
    pub fn only_if(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// For so long, by the store's clock.
    #[must_use]
    pub fn lasting(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Without waking those who wait for changes.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.wakes = false;
        self
    }

    /// For stores: whether names and sizes can be kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] with the name, and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        check_name(&self.shelf)?;
        check_name(&self.key)?;
        check_value(&self.key, self.value.as_deref().unwrap_or_default())
    }
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// It is done; a record has this version now.
    Done(Version),
    /// It was not as expected, but this.
    Refused(Option<Record>),
}

/// A record on a shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its name.
    pub key: String,
    /// When it was written.
    pub version: Version,
    /// What it says.
    pub value: String,
    /// When it is gone by itself, by the store's clock.
    pub expires: Option<DateTime<Utc>>,
}

impl Record {
    /// For stores outside this crate.
    pub fn new(
        key: impl Into<String>,
        version: Version,
        value: impl Into<String>,
        expires: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            key: key.into(),
            version,
            value: value.into(),
            expires,
        }
    }
}

/// What was written to a shelf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Records, in the order of their versions.
    pub records: Vec<Record>,
    /// Records that were removed meanwhile. One that ended by itself is not told of: its
    /// [`expires`](Record::expires) did that.
    pub removed: Vec<String>,
    /// Up to when this is all there is: for the next call.
    pub version: Version,
    /// This is the whole shelf: what is not in it is not there.
    pub is_whole: bool,
}

/// The place of an entry in its journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    ms: u64,
    number: u64,
}

impl EntryId {
    /// For stores outside this crate: when it was written, in milliseconds since 1970, and a number
    /// that tells it from others of that millisecond.
    pub fn new(ms: u64, number: u64) -> Self {
        Self { ms, number }
    }

    /// When it was written, by the store's clock.
    pub fn at(self) -> DateTime<Utc> {
        let ms = i64::try_from(self.ms).unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// `1795255208202-0`.
impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

impl std::str::FromStr for EntryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (ms, number) = text.split_once('-')?;
            Some(Self::new(ms.parse().ok()?, number.parse().ok()?))
        };
        read().ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let text =
                format!("{shown:?} is not the id of a journal's entry, such as 1795255208202-0");
            Error::new(ErrorKind::InvalidConfig, text)
        })
    }
}

/// One entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its place.
    pub id: EntryId,
    /// What it says.
    pub value: String,
}

impl Entry {
    /// For stores outside this crate.
    pub fn new(id: EntryId, value: impl Into<String>) -> Self {
        Self {
            id,
            value: value.into(),
        }
    }
}

/// Names are `[A-Za-z0-9_.:/-]`, so that they mean the same in every store.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c);
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_fit) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let text = format!(
        "{shown:?} is not 1 to {LONGEST_NAME} characters of [A-Za-z0-9_.:/-], as the names of what a \
         fleet shares have to be"
    );
    Err(Error::new(ErrorKind::InvalidName, text))
}

pub(crate) fn check_value(name: &str, value: &str) -> Result<()> {
    if value.len() <= LONGEST_VALUE {
        return Ok(());
    }
    let text = format!(
        "the text of {name:?} is {} bytes long: at most {LONGEST_VALUE} are kept",
        value.len()
    );
    Err(Error::new(ErrorKind::InvalidConfig, text))
}
