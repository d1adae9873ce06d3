//! What a fleet shares in Redis, beside its locks.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use deadpool_redis::redis::{Value, from_redis_value};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::Result;
use crate::fleet::{
    Entry, EntryId, Expected, FleetStore, Listing, Record, Version, Write, Written, check_name,
    check_value,
};
use crate::lock::{RedisLine, RedisLock, RedisScript};
use crate::random::random_bits;

static WRITE: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("fleet write", include_str!("redis/write.lua")));
static LIST: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("fleet list", include_str!("redis/list.lua")));
static APPEND: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("fleet append", include_str!("redis/append.lua")));
static READ: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("fleet read", include_str!("redis/read.lua")));

/// Removed records of which a shelf remembers that they were there.
const TOMBSTONES: usize = 10_000;
/// So many records are read at once: a millisecond or two of the server's time.
const RECORDS_PER_CALL: usize = 500;
/// So many bytes of entries are written at once.
const BYTES_PER_CALL: usize = 1 << 20;
/// How long to wait before listening anew, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// A [`FleetStore`] on the servers of a [`RedisLock`], whatever their topology, with its prefix.
/// Clones share their connections.
///
/// ```no_run
/// # async fn f() -> tasklock::Result<()> {
/// use tasklock::{RedisFleet, RedisLock, Scheduler};
///
/// let lock = RedisLock::connect("redis://127.0.0.1:6379").await?;
/// let fleet = RedisFleet::beside(&lock);
/// let scheduler = Scheduler::builder().lock(lock).fleet(fleet).build()?;
/// # Ok(()) }
/// ```
///
/// Beside what the lock needs, the user needs `HGET`, `HSET`, `HDEL`, `ZADD`, `ZREM`, `ZRANGE`,
/// `ZRANGEBYSCORE`, `XADD`, `XRANGE` and `XREVRANGE` on the keys `<prefix>task:fleet:*`,
/// `{<prefix>task:fleet:*` and `<prefix>task:journal:*`. With `PUBLISH` and `SUBSCRIBE` on the
/// channel `<prefix>task:fleet:changes` others hear of a change at once, without it when they
/// reread.
#[derive(Clone)]
pub struct RedisFleet {
    inner: Arc<Inner>,
}

struct Inner {
    line: RedisLine,
    /// Set by the first who waits for changes.
    listening: OnceLock<Listening>,
}

/// Hears what others have written, until it is dropped.
struct Listening {
    changes: watch::Receiver<u64>,
    _until: DropGuard,
}

impl RedisFleet {
    /// On the servers of `lock`.
    pub fn beside(lock: &RedisLock) -> Self {
        Self {
            inner: Arc::new(Inner {
                line: RedisLine::beside(lock),
                listening: OnceLock::new(),
            }),
        }
    }

    async fn ask(&self, script: &RedisScript, keys: &[String], args: Vec<String>) -> Result<Value> {
        self.inner.line.call(script, keys, args).await
    }

    /// What `read` makes of an answer; an error if that is nothing.
    fn read<T>(
        &self,
        script: &RedisScript,
        answer: Value,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T> {
        read(answer).ok_or_else(|| self.inner.line.misunderstood(script))
    }

    async fn entries(
        &self,
        journal: &str,
        direction: &str,
        mut end: String,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        check_name(journal)?;
        let keys = [self.inner.line.journal(journal)];
        let mut found: Vec<Entry> = Vec::new();
        while found.len() < limit {
            let most = (limit - found.len()).min(RECORDS_PER_CALL);
            let args = vec![direction.to_owned(), end, most.to_string()];
            let answer = self.ask(&READ, &keys, args).await?;
            let read = self.read(&READ, answer, entries)?;
            let Some(last) = read.last() else {
                break;
            };
            end = format!("({}", last.id);
            found.extend(read);
        }
        Ok(found)
    }
}

#[async_trait]
impl FleetStore for RedisFleet {
    async fn write(&self, write: &Write) -> Result<Written> {
        write.check()?;
        let line = &self.inner.line;
        let expected = match write.expected {
            Expected::Anything => "any".to_owned(),
            Expected::Absent => "absent".to_owned(),
            Expected::At(version) => version.to_string(),
        };
        let ttl = write.ttl.map_or(0, |ttl| ttl.as_millis().max(1));
        let (what, value) = match &write.value {
            Some(value) => ("put", value.clone()),
            None => ("remove", String::new()),
        };
        let args = vec![
            write.key.clone(),
            format!("{:032x}", random_bits()?),
            expected,
            ttl.to_string(),
            what.to_owned(),
            value,
            match write.wakes {
                true => line.channel(),
                false => String::new(),
            },
            TOMBSTONES.to_string(),
        ];
        let answer = self.ask(&WRITE, &line.shelf(&write.shelf), args).await?;
        self.read(&WRITE, answer, |answer| written(answer, &write.key))
    }

    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        check_name(shelf)?;
        check_name(key)?;
        // Removing what has a version that none has says what is there, and changes nothing.
        let never = Expected::At(Version::new(u64::MAX));
        let asked = Write::remove(shelf, key).only_if(never).quietly();
        match self.write(&asked).await? {
            Written::Refused(found) => Ok(found),
            Written::Done(_) => Ok(None),
        }
    }

    async fn list(&self, shelf: &str, since: Version) -> Result<Listing> {
        let listings = self.list_all(&[(shelf, since)]).await?;
        // There is one for each shelf.
        Ok(listings.into_iter().next().unwrap_or_default())
    }

    async fn list_all(&self, shelves: &[(&str, Version)]) -> Result<Vec<Listing>> {
        let mut readings = Vec::with_capacity(shelves.len());
        for (shelf, since) in shelves {
            check_name(shelf)?;
            readings.push(Reading::new(self.inner.line.shelf(shelf), *since));
        }
        // As a rule all of it is in the first pages.
        while readings.iter().any(|reading| !reading.is_done) {
            let open = || readings.iter().filter(|reading| !reading.is_done);
            let calls = open().map(Reading::call).collect();
            let answers = self.inner.line.call_each(&LIST, calls).await?;
            let open = readings.iter_mut().filter(|reading| !reading.is_done);
            for (reading, answer) in open.zip(answers) {
                reading.add(self.read(&LIST, answer, Page::read)?);
            }
        }
        Ok(readings.into_iter().map(Reading::listing).collect())
    }

    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        check_name(journal)?;
        for entry in entries {
            check_value(journal, entry)?;
        }
        let keys = [self.inner.line.journal(journal)];
        let mut rest = entries;
        while !rest.is_empty() {
            let mut size = 0;
            let fits = |entry: &&String| {
                size += entry.len();
                size <= BYTES_PER_CALL
            };
            let count = rest.iter().take_while(fits).count().clamp(1, 1_000);
            let (now, later) = rest.split_at(count.min(rest.len()));
            let mut args = vec![keep.to_string()];
            args.extend_from_slice(now);
            self.ask(&APPEND, &keys, args).await?;
            rest = later;
        }
        Ok(())
    }

    async fn read(
        &self,
        journal: &str,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        self.entries(journal, "forward", from, limit).await
    }

    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let from = before.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
        self.entries(journal, "back", from, limit).await
    }

    async fn changed(&self, seen: u64) -> u64 {
        let listening = self.inner.listening.get_or_init(|| {
            let until = CancellationToken::new();
            let (sender, changes) = watch::channel(1);
            let line = self.inner.line.clone();
            let ended = until.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = listen(line, sender) => {}
                }
            });
            Listening {
                changes,
                _until: until.drop_guard(),
            }
        });
        let mut changes = listening.changes.clone();
        let heard = changes.wait_for(|count| *count != seen).await;
        if let Some(count) = heard.ok().map(|count| *count) {
            return count;
        }
        // The runtime on which it was heard is gone.
        std::future::pending().await
    }
}

/// Counts what is heard, and each time that hearing began anew.
async fn listen(line: RedisLine, heard: watch::Sender<u64>) {
    let mut servers = line.changes();
    let [at_first, at_most] = PAUSES;
    let mut pause = at_first;
    loop {
        servers.mark_unchanged();
        if let Ok(subscription) = line.subscribe().await {
            let mut messages = subscription.into_on_message();
            pause = at_first;
            heard.send_modify(|count| *count += 1);
            loop {
                let is_there = tokio::select! {
                    biased;
                    // What it is connected to may not be the server any more.
                    _ = servers.changed() => false,
                    message = messages.next() => message.is_some(),
                };
                if !is_there {
                    break;
                }
                heard.send_modify(|count| *count += 1);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(at_most);
    }
}

/// A shelf that is being read, page by page.
struct Reading {
    keys: [String; 2],
    listing: Listing,
    goes_on: bool,
    is_done: bool,
}

impl Reading {
    fn new(keys: [String; 2], since: Version) -> Self {
        Self {
            keys,
            listing: Listing {
                version: since,
                ..Listing::default()
            },
            goes_on: false,
            is_done: false,
        }
    }

    /// Asks for the next page.
    fn call(&self) -> (Vec<String>, Vec<String>) {
        let args = vec![
            self.listing.version.to_string(),
            RECORDS_PER_CALL.to_string(),
            u8::from(self.goes_on && self.listing.is_whole).to_string(),
        ];
        (self.keys.to_vec(), args)
    }

    fn add(&mut self, page: Page) {
        let listing = &mut self.listing;
        if page.listing.is_whole && !listing.is_whole {
            // It is another shelf than the one that was read before.
            *listing = Listing::default();
        }
        let Listing {
            records, removed, ..
        } = page.listing;
        // A record that was read may have been written or removed before the next page.
        let is_new = |key: &String| records.iter().any(|r| r.key == *key);
        let is_stale = |r: &Record| removed.contains(&r.key) || is_new(&r.key);
        if self.goes_on && !(removed.is_empty() && records.is_empty()) {
            listing.records.retain(|r| !is_stale(r));
            listing.removed.retain(|key| !is_new(key));
        }
        listing.records.extend(records);
        listing.removed.extend(removed);
        listing.version = page.listing.version;
        listing.is_whole |= page.listing.is_whole;
        (self.goes_on, self.is_done) = (true, page.is_last);
    }

    fn listing(mut self) -> Listing {
        if self.listing.is_whole {
            self.listing.removed.clear();
        }
        self.listing
    }
}

/// What `list.lua` answers of one shelf.
struct Page {
    listing: Listing,
    is_last: bool,
}

impl Page {
    fn read(answer: Value) -> Option<Self> {
        type Parts = (u64, u8, u8, u64, Vec<Value>, Vec<String>);
        let (_, is_whole, is_last, version, found, removed) =
            from_redis_value::<Parts>(answer).ok()?;
        let mut records = Vec::with_capacity(found.len() / 4);
        let mut found = found.into_iter();
        while let Some(key) = found.next() {
            let parts = [found.next()?, found.next()?, found.next()?];
            records.push(record(from_redis_value(key).ok()?, parts)?);
        }
        Some(Self {
            listing: Listing {
                records,
                removed,
                version: Version::new(version),
                is_whole: is_whole == 1,
            },
            is_last: is_last == 1,
        })
    }
}

fn written(answer: Value, key: &str) -> Option<Written> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let mut parts = parts.into_iter();
    let is_done = parts.next()? == Value::Int(1);
    let parts: Vec<Value> = parts.collect();
    if is_done {
        let [version] = <[Value; 1]>::try_from(parts).ok()?;
        return Some(Written::Done(Version::new(from_redis_value(version).ok()?)));
    }
    if parts.is_empty() {
        return Some(Written::Refused(None));
    }
    let found = record(key.to_owned(), <[Value; 3]>::try_from(parts).ok()?)?;
    Some(Written::Refused(Some(found)))
}

/// A record of its version, the end of its time in epoch milliseconds (0: none), and its value.
fn record(key: String, [version, expires, value]: [Value; 3]) -> Option<Record> {
    let version = Version::new(from_redis_value(version).ok()?);
    let expires = match from_redis_value::<i64>(expires).ok()? {
        0 => None,
        ms => Some(DateTime::from_timestamp_millis(ms)?),
    };
    let value: Vec<u8> = from_redis_value(value).ok()?;
    // What is no text was not written by us; whoever reads it says so.
    let value = String::from_utf8_lossy(&value).into_owned();
    Some(Record::new(key, version, value, expires))
}

fn entries(answer: Value) -> Option<Vec<Entry>> {
    let parts: Vec<Vec<u8>> = from_redis_value(answer).ok()?;
    let pair = |pair: &[Vec<u8>]| {
        let [id, value] = pair else {
            return None;
        };
        let id = std::str::from_utf8(id).ok()?.parse().ok()?;
        Some(Entry::new(id, String::from_utf8_lossy(value)))
    };
    parts.chunks(2).map(pair).collect()
}

impl fmt::Debug for RedisFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFleet")
            .field("servers", &format_args!("{}", self.inner.line))
            .finish()
    }
}
