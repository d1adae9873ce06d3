//! `RedisLock` on a Redis Cluster: routed by slot, rerouted when slots move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::{LockUnderTest, lock_conformance};
use tasklock::{
    Acquired, Claim, Completion, ErrorKind, Grant, Lock, RedisLock, Released, Renewed, TaskName,
    Token, async_trait,
};

use crate::support::RedisServer;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::{RedisOptions, free_port};

const PATIENCE: Duration = Duration::from_secs(30);

fn claim(task: &str, bits: u128) -> Claim {
    let token = Token::from_bits(bits);
    Claim::new(task.parse().unwrap(), Utc::now(), token, "host:1:a").with_late(PATIENCE)
}

fn granted(answer: tasklock::Result<Acquired>) -> Grant {
    match answer {
        Ok(Acquired::Granted(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

struct InCluster<'a> {
    cluster: &'a RedisCluster,
    lock: RedisLock,
    prefix: &'static str,
}

#[async_trait]
impl LockUnderTest for InCluster<'_> {
    fn lock(&self) -> Arc<dyn Lock> {
        Arc::new(self.lock.clone())
    }

    async fn end_lease(&self, task: &TaskName) {
        let key = format!("{}task:lock:{task}", self.prefix);
        let owner = self.cluster.owner(&key).unwrap();
        let deleted = self.cluster.servers[owner].says(&format!("DEL {key}"));
        assert!(deleted.starts_with(":1"), "{deleted}");
    }

    async fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_in_a_cluster_conforms() {
    let cluster = RedisCluster::start(0);
    for prefix in ["", "{app}:"] {
        let builder = RedisLock::builder(&cluster.url()).prefix(prefix);
        let lock = builder.build().unwrap();
        lock.check().await.unwrap();
        let diagnosis = lock.diagnose().await.unwrap();
        assert!(!diagnosis.has_errors(), "{diagnosis}");
        // Each primary that has locks is looked at.
        let roles = diagnosis.findings().iter().filter(|f| f.subject == "role");
        assert_eq!(roles.count(), if prefix.is_empty() { 3 } else { 1 });
        let cluster = &cluster;
        lock_conformance(&InCluster {
            cluster,
            lock,
            prefix,
        })
        .await;
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let cluster = RedisCluster::start(0);
    let lock = RedisLock::connect(&cluster.url()).await.unwrap();
    let from = cluster.owner("task:lock:x").unwrap();
    let to = (from + 1) % 3;
    let (from, to) = (&cluster.servers[from], &cluster.servers[to]);
    let word = |text: String| text.lines().nth(1).unwrap().to_owned();
    let (from_id, to_id) = (
        word(from.says("CLUSTER MYID")),
        word(to.says("CLUSTER MYID")),
    );
    let slot = from.says("CLUSTER KEYSLOT task:lock:x");
    let slot = slot.lines().next().unwrap().trim_start_matches(':');
    let set = |server: &RedisServer, what: &str| {
        let said = server.says(&format!("CLUSTER SETSLOT {slot} {what}"));
        assert!(said.starts_with("+OK"), "{said}");
    };
    let first = claim("x", 1);
    let grant = granted(lock.acquire(&first).await);
    // On its way: what the old node has is asked for there, what it had at the new one.
    set(to, &format!("IMPORTING {from_id}"));
    set(from, &format!("MIGRATING {to_id}"));
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Extended);
    let port = to.port();
    let moved = from.says(&format!(
        "MIGRATE 127.0.0.1 {port} \"\" 0 5000 KEYS task:lock:x {{task:lock:x}}:state"
    ));
    assert!(moved.starts_with("+OK"), "{moved}");
    to.says("SCRIPT FLUSH");
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Extended);
    assert_eq!(granted(lock.acquire(&first).await).attempt(), 1);
    // The others are not disturbed.
    let claims: Vec<Claim> = (0..50).map(|n| claim(&format!("t{n}"), n)).collect();
    for answer in lock.acquire_all(&claims).await {
        granted(answer);
    }
    // Arrived: the old node sends everybody on.
    set(to, &format!("NODE {to_id}"));
    set(from, &format!("NODE {to_id}"));
    assert!(to.says("EXISTS task:lock:x").starts_with(":1"));
    granted(lock.acquire(&first).await);
    let tasks: Vec<TaskName> = claims.iter().map(|c| c.task().clone()).collect();
    let last = lock.last_fired(&tasks).await.unwrap();
    assert_eq!(last.iter().flatten().count(), 50);
    let released = lock.release(&grant, Completion::Succeeded).await.unwrap();
    assert_eq!(released, Released::Freed);
    // A call may find out only from the map that a task has another server.
    assert!(
        tokio::time::timeout(PATIENCE, lock.store_changed())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_primary_that_dies_stops_its_own_tasks_until_its_replica_takes_over() {
    let mut cluster = RedisCluster::start(1);
    let lock = RedisLock::connect(&cluster.url()).await.unwrap();
    let claims: Vec<Claim> = (0..60).map(|n| claim(&format!("t{n}"), n)).collect();
    let answers = lock.acquire_all(&claims).await;
    let grants: Vec<Grant> = answers.into_iter().map(granted).collect();
    let dead = cluster.owner("task:lock:t0").unwrap();
    cluster.servers[dead].kill();

    let next: Vec<Claim> = (0..60).map(|n| claim(&format!("u{n}"), 100 + n)).collect();
    let answers = lock.acquire_all(&next).await;
    let served = answers.iter().filter(|a| a.is_ok()).count();
    assert!((20..60).contains(&served), "{served}");
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("redis cluster at 127.0.0.1:"));
    }
    let give_up = Instant::now() + PATIENCE;
    loop {
        let answers = lock.acquire_all(&next).await;
        if answers.iter().all(Result::is_ok) {
            answers.into_iter().for_each(|answer| drop(granted(answer)));
            break;
        }
        assert!(Instant::now() < give_up, "{answers:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::timeout(Duration::from_secs(1), lock.store_changed())
        .await
        .unwrap();
    for renewed in lock.renew_all(&grants).await {
        let renewed = renewed.unwrap();
        assert!(
            matches!(renewed, Renewed::Extended | Renewed::Reasserted),
            "{renewed:?}"
        );
    }
    lock.check().await.unwrap();
}

#[tokio::test]
async fn nodes_are_reached_as_the_address_was_with_tls_too() {
    let node = RedisOptions {
        is_tls: true,
        settings: vec![
            "cluster-enabled yes".to_owned(),
            "tls-cluster yes".to_owned(),
            format!("cluster-port {}", free_port()),
        ],
        ..RedisOptions::default()
    }
    .start();
    // Alone, it has nobody to tell it how it is reached.
    node.says("CLUSTER ADDSLOTSRANGE 0 16383");
    let give_up = Instant::now() + PATIENCE;
    while !node.says("CLUSTER INFO").contains("cluster_state:ok") {
        assert!(Instant::now() < give_up);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = format!("rediss+cluster://localhost:{}", node.port());
    let lock = RedisLock::builder(&url).ca_certificate(node.ca());
    let lock = lock.build().unwrap();
    lock.check().await.unwrap();
    granted(lock.acquire(&claim("x", 1)).await);
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    assert!(error.to_string().contains("ca_certificate"), "{error}");
}

#[tokio::test]
async fn addresses_of_the_wrong_kind_say_which_is_right() {
    let single = RedisServer::start();
    let url = format!("redis+cluster://127.0.0.1:{}", single.port());
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    assert!(error.to_string().contains("redis://host:port"), "{error}");
    let url = format!("redis+cluster://u:hunter2@127.0.0.1:{}", free_port());
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_node_of_a_cluster_is_no_server_of_its_own() {
    let cluster = RedisCluster::start(0);
    // Nor does a user need more rights in a cluster than the manual says.
    let rights = "+ping +script|load +evalsha +time +mget +set +del +expire +pexpire +pttl";
    for server in &cluster.servers {
        let user = "ACL SETUSER svc on >p ~task:lock:* ~{task:lock:*";
        let said = server.says(&format!("{user} {rights} +cluster|slots +asking"));
        assert!(said.starts_with("+OK"), "{said}");
    }
    let url = cluster.url().replace("://", "://svc:p@");
    let limited = RedisLock::connect(&url).await.unwrap();
    granted(limited.acquire(&claim("x", 99)).await);

    let lock = RedisLock::builder(&cluster.servers[0].url())
        .build()
        .unwrap();
    let claims: Vec<Claim> = (0..9).map(|n| claim(&format!("t{n}"), n)).collect();
    let answers = lock.acquire_all(&claims).await;
    let error = answers.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::StoreProtocol, "{error:?}");
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
}
