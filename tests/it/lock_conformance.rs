//! Every lock of the crate passes the suite for locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redis::AsyncCommands;
use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::{LockUnderTest, lock_conformance};
use tasklock::{Clock, FileLock, Lock, MemoryLock, RedisLock, TaskName, async_trait};

use crate::support::redis_server::RedisServer;

/// A clock that stands until it is moved.
#[derive(Debug)]
struct StandingClock(AtomicI64);

impl Clock for StandingClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// A lock whose leases end by a clock that the test moves.
struct OnAClock<L> {
    clock: Arc<StandingClock>,
    lock: L,
}

#[async_trait]
impl<L: Lock + Clone> LockUnderTest for OnAClock<L> {
    fn lock(&self) -> Arc<dyn Lock> {
        Arc::new(self.lock.clone())
    }

    async fn end_lease(&self, _task: &TaskName) {
        self.clock.0.fetch_add(10_000, Ordering::Relaxed);
    }

    async fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

#[tokio::test]
async fn the_lock_in_memory_conforms() {
    let clock = Arc::new(StandingClock(AtomicI64::new(1_795_220_851_000)));
    let lock = MemoryLock::with_clock(clock.clone());
    lock_conformance(&OnAClock { clock, lock }).await;
}

#[tokio::test]
async fn the_lock_in_files_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(StandingClock(AtomicI64::new(1_795_220_851_000)));
    let lock = FileLock::open_with_clock(dir.path(), clock.clone()).unwrap();
    lock_conformance(&OnAClock { clock, lock }).await;
}

struct InRedis {
    lock: RedisLock,
    client: redis::aio::MultiplexedConnection,
    prefix: &'static str,
}

#[async_trait]
impl LockUnderTest for InRedis {
    fn lock(&self) -> Arc<dyn Lock> {
        Arc::new(self.lock.clone())
    }

    async fn end_lease(&self, task: &TaskName) {
        let key = format!("{}task:lock:{task}", self.prefix);
        let deleted: usize = self.client.clone().del(key).await.unwrap();
        assert_eq!(deleted, 1);
    }

    async fn now(&self) -> DateTime<Utc> {
        let mut client = self.client.clone();
        let (s, us): (i64, u32) = redis::cmd("TIME").query_async(&mut client).await.unwrap();
        DateTime::from_timestamp(s, us * 1000).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_in_redis_conforms() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    for prefix in ["", "app:", "{app}:"] {
        lock_conformance(&InRedis {
            lock: RedisLock::builder(&server.url())
                .prefix(prefix)
                .build()
                .unwrap(),
            client: client.get_multiplexed_async_connection().await.unwrap(),
            prefix,
        })
        .await;
    }
}
