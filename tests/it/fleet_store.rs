//! Every store of what a fleet shares passes the suite for them.

use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::{FleetStoreUnderTest, TestClock, fleet_conformance};
use tasklock::{
    Expected, FleetStore, MemoryFleet, RedisFleet, RedisLock, Version, Write, Written, async_trait,
};

use crate::support::START;
use crate::support::proxy::Proxy;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::Watched;
use crate::support::redis_server::RedisServer;

const PATIENCE: Duration = Duration::from_secs(30);

struct InMemory(MemoryFleet);

#[async_trait]
impl FleetStoreUnderTest for InMemory {
    fn store(&self) -> Arc<dyn FleetStore> {
        Arc::new(self.0.clone())
    }

    fn other(&self) -> Arc<dyn FleetStore> {
        self.store()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_fleet_store_in_memory_conforms() {
    let clock = Arc::new(TestClock::at(START));
    fleet_conformance(&InMemory(MemoryFleet::with_clock(clock))).await;
}

/// Two instances with connections of their own.
struct InRedis([RedisFleet; 2]);

impl InRedis {
    fn at(url: &str, prefix: &str) -> Self {
        Self([(); 2].map(|()| {
            let lock = RedisLock::builder(url).prefix(prefix).build().unwrap();
            RedisFleet::beside(&lock)
        }))
    }
}

#[async_trait]
impl FleetStoreUnderTest for InRedis {
    fn store(&self) -> Arc<dyn FleetStore> {
        Arc::new(self.0[0].clone())
    }

    fn other(&self) -> Arc<dyn FleetStore> {
        Arc::new(self.0[1].clone())
    }

    // The server's clock is the machine's: nobody can move it.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_store_in_redis_conforms() {
    let server = RedisServer::start();
    for prefix in ["", "app:", "{app}:"] {
        fleet_conformance(&InRedis::at(&server.url(), prefix)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_store_in_a_cluster_conforms() {
    let cluster = RedisCluster::start(0);
    fleet_conformance(&InRedis::at(&cluster.url(), "")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_store_of_a_watched_primary_conforms_and_follows_it() {
    let mut watched = Watched::start();
    let subject = InRedis::at(&watched.url(), "");
    fleet_conformance(&subject).await;
    let [store, other] = &subject.0;
    let seen = other.changed(0).await;
    watched.servers[0].kill();
    let write = Write::put("s", "k", "v");
    let give_up = std::time::Instant::now() + PATIENCE;
    while let Err(error) = store.write(&write).await {
        assert!(
            error.is_transient() && std::time::Instant::now() < give_up,
            "{error:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whoever waits is told that he may have missed something.
    let heard = tokio::time::timeout(PATIENCE, other.changed(seen)).await;
    assert_ne!(heard.unwrap(), seen);
    let found = other.get("s", "k").await.unwrap().unwrap();
    assert_eq!(found.value, "v");
}

#[tokio::test]
async fn a_store_that_comes_back_empty_is_read_anew_and_wakes_those_who_wait() {
    let mut server = RedisServer::start();
    let subject = InRedis::at(&server.url(), "");
    let [store, other] = &subject.0;
    for n in 0..5 {
        store
            .write(&Write::put("s", format!("k{n}"), "v"))
            .await
            .unwrap();
    }
    let listing = other.list("s", Version::default()).await.unwrap();
    assert_eq!(listing.records.len(), 5);
    let mut seen = other.changed(0).await;
    server.kill();
    server.restart();
    let heard = tokio::time::timeout(PATIENCE, other.changed(seen)).await;
    seen = heard.unwrap();
    let again = other.list("s", listing.version).await.unwrap();
    assert!(again.is_whole && again.records.is_empty());
    store.write(&Write::put("s", "new", "v")).await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, other.changed(seen)).await;
    assert_ne!(heard.unwrap(), seen);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_answered_as_it_was() {
    // The connection is cut behind the write: the call sends it again over another.
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = RedisLock::builder(&proxy.url()).build().unwrap();
    let store = RedisFleet::beside(&lock);
    let first = Write::put("s", "warm", "up");
    store.write(&first).await.unwrap();
    proxy.lose_next_reply();
    let write = Write::put("s", "k", "v").only_if(Expected::Absent);
    let answer = store.write(&write).await.unwrap();
    assert!(matches!(answer, Written::Done(_)), "{answer:?}");
    assert_eq!(proxy.lost_replies(), 1);
    let again = store.write(&write).await.unwrap();
    assert!(matches!(again, Written::Refused(Some(_))), "{again:?}");
}

#[tokio::test]
async fn a_record_written_by_others_that_is_none_hides_and_stops_nothing() {
    let server = RedisServer::start();
    let subject = InRedis::at(&server.url(), "");
    let [store, other] = &subject.0;
    store.write(&Write::put("s", "good", "v")).await.unwrap();
    server.says("HSET task:fleet:s foreign nonsense");
    server.says("ZADD {task:fleet:s}:order 7 foreign");
    let listing = other.list("s", Version::default()).await.unwrap();
    assert_eq!(listing.records.len(), 1);
    assert_eq!(other.get("s", "foreign").await.unwrap(), None);
    store.write(&Write::put("s", "foreign", "v")).await.unwrap();
    let found = other.get("s", "foreign").await.unwrap().unwrap();
    assert_eq!(found.value, "v");
}
