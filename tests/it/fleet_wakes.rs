//! What becomes of commands on a real server between two looks at it: they are heard of, and a store that
//! loses them says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tasklock::testing::RecordingObserver;
use tasklock::{
    BaseTask, By, ControlPlane, Entry, EntryId, ErrorKind, Expected, FleetStore, Listing, PauseFor,
    Record, RedisFleet, RedisLock, Result, RunNow, Scheduler, Version, Write, Written, async_trait,
};

use crate::support::{RedisServer, pass};

/// Has nothing new unless it was heard that there is: whoever looks by himself learns nothing.
#[derive(Debug)]
struct OnlyHeard {
    inner: RedisFleet,
    heard: AtomicBool,
}

#[async_trait]
impl FleetStore for OnlyHeard {
    async fn write(&self, write: &Write) -> Result<Written> {
        self.inner.write(write).await
    }

    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        self.inner.get(shelf, key).await
    }

    async fn list(&self, shelf: &str, since: Version) -> Result<Listing> {
        self.inner.list(shelf, since).await
    }

    async fn list_all(&self, shelves: &[(&str, Version)]) -> Result<Vec<Listing>> {
        if self.heard.swap(false, Ordering::Relaxed) {
            return self.inner.list_all(shelves).await;
        }
        let nothing = |(_, since): &(&str, Version)| {
            let mut listing = Listing::default();
            listing.version = *since;
            listing
        };
        Ok(shelves.iter().map(nothing).collect())
    }

    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        self.inner.append(journal, entries, keep).await
    }

    async fn read(&self, journal: &str, after: Option<EntryId>, most: usize) -> Result<Vec<Entry>> {
        self.inner.read(journal, after, most).await
    }

    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        most: usize,
    ) -> Result<Vec<Entry>> {
        self.inner.read_back(journal, before, most).await
    }

    async fn changed(&self, seen: u64) -> u64 {
        let now = self.inner.changed(seen).await;
        self.heard.store(true, Ordering::Relaxed);
        now
    }
}

fn by() -> By {
    By::new("ana", "a test").unwrap()
}

fn lock(server: &RedisServer) -> RedisLock {
    RedisLock::builder(&server.url()).build().unwrap()
}

/// An instance that learns of nothing by looking.
async fn instance(server: &RedisServer, is_deaf: bool) -> (Scheduler, RecordingObserver) {
    let (lock, seen) = (lock(server), RecordingObserver::new());
    let inner = RedisFleet::beside(&lock);
    let builder = Scheduler::builder().lock(lock).observer(seen.clone());
    let builder = match is_deaf {
        true => builder.fleet(Deaf(inner)),
        false => builder.fleet(OnlyHeard {
            inner,
            heard: AtomicBool::new(false),
        }),
    };
    let scheduler = builder.instance_id("a").build().unwrap();
    let minute = Duration::from_secs(60);
    let task = BaseTask::new("t", "0 0 0 1 1 *", minute, |_| async { Ok(()) });
    scheduler.register(task).unwrap();
    scheduler.start().await.unwrap();
    (scheduler, seen)
}

/// One that hears of nothing, and finds nothing when it looks.
#[derive(Debug)]
struct Deaf(RedisFleet);

#[async_trait]
impl FleetStore for Deaf {
    async fn write(&self, write: &Write) -> Result<Written> {
        self.0.write(write).await
    }

    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        self.0.get(shelf, key).await
    }

    async fn list(&self, _: &str, since: Version) -> Result<Listing> {
        let mut listing = Listing::default();
        listing.version = since;
        Ok(listing)
    }

    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        self.0.append(journal, entries, keep).await
    }

    async fn read(&self, journal: &str, after: Option<EntryId>, most: usize) -> Result<Vec<Entry>> {
        self.0.read(journal, after, most).await
    }

    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        most: usize,
    ) -> Result<Vec<Entry>> {
        self.0.read_back(journal, before, most).await
    }

    async fn changed(&self, _: u64) -> u64 {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_command_wakes_an_instance_that_does_not_look_by_itself() {
    let server = RedisServer::start();
    let (scheduler, seen) = instance(&server, false).await;
    let control = ControlPlane::new(RedisFleet::beside(&lock(&server)));
    for done in 1..=10 {
        let run = RunNow::new("t", &by()).patience(Duration::from_secs(60));
        let receipt = control.run(run).await.unwrap();
        assert!(receipt.answer.is_accepted(), "{receipt:?}");
        while seen.outcomes("t").len() < done {
            pass(0.01).await;
        }
    }
    control.pause(PauseFor::task("t", &by())).await.unwrap();
    while scheduler.handle().rules().is_empty() {
        pass(0.01).await;
    }
    scheduler.stop().await;
}

#[tokio::test]
async fn a_store_that_has_lost_a_command_does_not_say_that_nobody_took_it() {
    let server = RedisServer::start();
    let (scheduler, _) = instance(&server, true).await;
    let control = ControlPlane::new(RedisFleet::beside(&lock(&server)));
    for (patience, emptied_after) in [(30, 0.5), (1, 0.5)] {
        let run = RunNow::new("t", &by()).patience(Duration::from_secs(patience));
        let asked = control.run(run);
        let emptied = async {
            pass(emptied_after).await;
            server.says("FLUSHALL");
            // As many commands as there were, and more: the same versions again, if they began anew.
            let fleet = RedisFleet::beside(&lock(&server));
            for n in 0..10 {
                let write = Write::put("commands", format!("x{n}"), "{}");
                fleet.write(&write.only_if(Expected::Absent)).await.unwrap();
            }
        };
        let (answer, ()) = tokio::join!(asked, emptied);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::StoreAmbiguous);
    }
    // One that is there to the end is withdrawn.
    let run = RunNow::new("t", &by()).patience(Duration::from_secs(1));
    let receipt = control.run(run).await.unwrap();
    assert_eq!(receipt.answer, tasklock::Answer::NotTaken);
    scheduler.stop().await;
}

/// An instance that follows rules which are lost is told of those that are there instead, however many
/// there were.
#[tokio::test]
async fn a_shelf_that_was_lost_is_read_whole_though_it_has_grown_as_far_again() {
    let server = RedisServer::start();
    let fleet = RedisFleet::beside(&lock(&server));
    let put = |key: &str| Write::put("s", key, "1");
    fleet.write(&put("old")).await.unwrap();
    let before = fleet.list("s", Version::default()).await.unwrap();
    assert!(before.is_whole);
    server.says("FLUSHALL");
    for key in ["a", "b", "c"] {
        fleet.write(&put(key)).await.unwrap();
    }
    let after = fleet.list("s", before.version).await.unwrap();
    let keys: Vec<&str> = after.records.iter().map(|r| r.key.as_str()).collect();
    assert_eq!((after.is_whole, keys), (true, vec!["a", "b", "c"]));
    let stale = put("a").only_if(Expected::At(before.records[0].version));
    let refused = fleet.write(&stale).await.unwrap();
    assert!(matches!(refused, Written::Refused(Some(_))), "{refused:?}");
}
