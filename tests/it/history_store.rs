//! Every history of the crate passes the suite for them.

use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::{HistoryUnderTest, TestClock, history_conformance};
use tasklock::{Clock, History, MemoryHistory, RedisHistory, RedisLock, SystemClock, async_trait};

use crate::support::START;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::RedisServer;

struct InMemory(Arc<TestClock>, MemoryHistory);

#[async_trait]
impl HistoryUnderTest for InMemory {
    fn history(&self) -> Arc<dyn History> {
        Arc::new(self.1.clone())
    }

    fn other(&self) -> Arc<dyn History> {
        self.history()
    }

    async fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_history_in_memory_conforms() {
    let clock = Arc::new(TestClock::at(START));
    let history = MemoryHistory::with_clock(clock.clone());
    history_conformance(&InMemory(clock, history)).await;
}

/// Two instances with connections of their own.
struct InRedis([RedisHistory; 2]);

impl InRedis {
    fn at(url: &str, prefix: &str) -> Self {
        Self([(); 2].map(|()| {
            let lock = RedisLock::builder(url).prefix(prefix).build().unwrap();
            RedisHistory::beside(&lock)
        }))
    }
}

#[async_trait]
impl HistoryUnderTest for InRedis {
    fn history(&self) -> Arc<dyn History> {
        Arc::new(self.0[0].clone())
    }

    fn other(&self) -> Arc<dyn History> {
        Arc::new(self.0[1].clone())
    }

    // The server's clock is the machine's: nobody can move it.
    async fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_in_redis_conforms() {
    let server = RedisServer::start();
    for prefix in ["", "app:", "{app}:"] {
        history_conformance(&InRedis::at(&server.url(), prefix)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_in_a_cluster_conforms() {
    let cluster = RedisCluster::start(0);
    history_conformance(&InRedis::at(&cluster.url(), "")).await;
}
