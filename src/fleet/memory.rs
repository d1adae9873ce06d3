//! What schedulers of one process share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::error::Result;
use crate::fleet::{
    Entry, EntryId, Expected, FleetStore, Listing, Record, Version, Write, Written, check_name,
    check_value,
};
use crate::time::{Clock, SystemClock};

/// Removed records of which a shelf remembers that they were there.
const TOMBSTONES: usize = 10_000;

/// A [`FleetStore`] that lives in this process's memory: for tests, and for a service of one
/// process. Clones share what they hold; nothing survives the process.
#[derive(Debug, Clone)]
pub struct MemoryFleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    // Held for one operation.
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    shelves: HashMap<String, Shelf>,
    journals: HashMap<String, Journal>,
}

#[derive(Debug, Default)]
struct Shelf {
    version: u64,
    records: HashMap<String, Record>,
    /// Keys by the version of their last change, records and removed ones.
    order: BTreeMap<u64, String>,
    removed: VecDeque<u64>,
    /// Removals up to this version are forgotten.
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Journal {
    last: EntryId,
    entries: VecDeque<Entry>,
}

impl Default for MemoryFleet {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryFleet {
    /// An empty one on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty one whose records end by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                kept: Mutex::default(),
                changes: watch::Sender::new(1),
            }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is kept is changed by calls that do not panic.
        self.inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn get(&self, key: &str, now: DateTime<Utc>) -> Option<&Record> {
        let record = self.records.get(key)?;
        (!is_over(record, now)).then_some(record)
    }

    /// Writes or removes it, and answers its version.
    fn set(&mut self, write: &Write, now: DateTime<Utc>) -> Version {
        self.version += 1;
        if let Some(old) = self.records.remove(&write.key) {
            self.order.remove(&old.version.get());
        }
        let version = Version::new(self.version);
        let key = write.key.clone();
        match &write.value {
            Some(value) => {
                let ttl = write.ttl.map(|ttl| TimeDelta::from_std(ttl).ok());
                let expires = ttl.and_then(|ttl| now.checked_add_signed(ttl?));
                let record = Record::new(key.clone(), version, value.clone(), expires);
                self.records.insert(key.clone(), record);
            }
            None => self.removed.push_back(self.version),
        }
        self.order.insert(self.version, key);
        while self.removed.len() > TOMBSTONES {
            if let Some(oldest) = self.removed.pop_front() {
                self.order.remove(&oldest);
                self.forgotten = oldest;
            }
        }
        version
    }

    fn drop_those_over(&mut self, now: DateTime<Utc>) {
        let order = &mut self.order;
        self.records.retain(|_, record| {
            let stays = !is_over(record, now);
            if !stays {
                order.remove(&record.version.get());
            }
            stays
        });
    }

    fn list(&self, since: Version, now: DateTime<Utc>) -> Listing {
        let is_whole = since == Version::default()
            || since.get() < self.forgotten
            || since.get() > self.version;
        let from = if is_whole { 0 } else { since.get() };
        let mut listing = Listing {
            version: Version::new(self.version),
            is_whole,
            ..Listing::default()
        };
        for (version, key) in self.order.range(from + 1..) {
            match self.records.get(key) {
                // Over, or written again since it was removed.
                Some(record) if is_over(record, now) || record.version.get() != *version => {}
                Some(record) => listing.records.push(record.clone()),
                None if is_whole => {}
                None => listing.removed.push(key.clone()),
            }
        }
        listing
    }
}

fn is_over(record: &Record, now: DateTime<Utc>) -> bool {
    record.expires.is_some_and(|at| at <= now)
}

#[async_trait]
impl FleetStore for MemoryFleet {
    async fn write(&self, write: &Write) -> Result<Written> {
        write.check()?;
        let now = self.inner.clock.now();
        let version = {
            let mut kept = self.kept();
            let shelf = kept.shelves.entry(write.shelf.clone()).or_default();
            let found = shelf.get(&write.key, now);
            let is_as_expected = match write.expected {
                Expected::Anything => true,
                Expected::Absent => found.is_none(),
                Expected::At(version) => found.is_some_and(|r| r.version == version),
            };
            if !is_as_expected {
                return Ok(Written::Refused(found.cloned()));
            }
            if write.value.is_none() && found.is_none() {
                return Ok(Written::Done(Version::new(shelf.version)));
            }
            if write.ttl.is_some() {
                shelf.drop_those_over(now);
            }
            shelf.set(write, now)
        };
        if write.wakes {
            self.inner.changes.send_modify(|count| *count += 1);
        }
        Ok(Written::Done(version))
    }

    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        let now = self.inner.clock.now();
        let kept = self.kept();
        let shelf = kept.shelves.get(shelf);
        Ok(shelf.and_then(|shelf| shelf.get(key, now)).cloned())
    }

    async fn list(&self, shelf: &str, since: Version) -> Result<Listing> {
        let now = self.inner.clock.now();
        let kept = self.kept();
        Ok(match kept.shelves.get(shelf) {
            Some(shelf) => shelf.list(since, now),
            None => Shelf::default().list(since, now),
        })
    }

    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        check_name(journal)?;
        for entry in entries {
            check_value(journal, entry)?;
        }
        let ms = self.inner.clock.now().timestamp_millis();
        let ms = u64::try_from(ms).unwrap_or(0);
        let mut kept = self.kept();
        let journal = kept.journals.entry(journal.to_owned()).or_default();
        for value in entries {
            // Ids grow, whatever the clock does.
            let last = journal.last;
            journal.last = match ms > last.ms {
                true => EntryId::new(ms, 0),
                false => EntryId::new(last.ms, last.number + 1),
            };
            let entry = Entry::new(journal.last, value.clone());
            journal.entries.push_back(entry);
        }
        let superfluous = journal.entries.len().saturating_sub(keep);
        journal.entries.drain(..superfluous);
        Ok(())
    }

    async fn read(
        &self,
        journal: &str,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let kept = self.kept();
        let entries = kept.journals.get(journal).map(|j| &j.entries);
        let entries = entries.into_iter().flatten();
        let is_after = |e: &&Entry| after.is_none_or(|after| e.id > after);
        Ok(entries.filter(is_after).take(limit).cloned().collect())
    }

    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let kept = self.kept();
        let entries = kept.journals.get(journal).map(|j| j.entries.iter().rev());
        let entries = entries.into_iter().flatten();
        let is_before = |e: &&Entry| before.is_none_or(|before| e.id < before);
        Ok(entries.filter(is_before).take(limit).cloned().collect())
    }

    async fn changed(&self, seen: u64) -> u64 {
        let mut changes = self.inner.changes.subscribe();
        // The sender lives as long as `self`.
        let _ = changes.wait_for(|count| *count != seen).await;
        *changes.borrow()
    }
}
