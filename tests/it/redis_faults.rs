//! A scheduler on a real Redis that is cut off, killed, restarted and emptied under it.

use std::time::Duration;

use tasklock::testing::RecordingObserver;
use tasklock::{
    BaseTask, Decision, ErrorKind, Event, Lock, Outcome, Policy, RedisLock, RunStatus, Scheduler,
};

use crate::support::RedisServer;
use crate::support::proxy::Proxy;
use crate::support::redis_server::free_port;

const PATIENCE: Duration = Duration::from_secs(40);

struct Service {
    seen: RecordingObserver,
    scheduler: Scheduler,
    lock: RedisLock,
}

/// A scheduler with one task, started.
async fn service(url: &str, spec: &str, takes: Duration, policy: Policy) -> Service {
    let seen = RecordingObserver::new();
    let lock = RedisLock::builder(url).build().unwrap();
    let scheduler = Scheduler::builder()
        .lock(lock.clone())
        .observer(seen.clone())
        .build()
        .unwrap();
    let body = move |_| async move {
        tokio::time::sleep(takes).await;
        Ok(())
    };
    let task = BaseTask::new("a", spec, Duration::from_secs(60), body).policy(policy);
    scheduler.register(task).unwrap();
    scheduler.start().await.unwrap();
    Service {
        seen,
        scheduler,
        lock,
    }
}

impl Service {
    async fn wait_for_starts(&self, n: usize) {
        let enough = |events: &[Event]| {
            let starts = events
                .iter()
                .filter(|e| matches!(e, Event::RunStarted { .. }))
                .count();
            (starts >= n).then_some(())
        };
        self.seen.wait_for(PATIENCE, enough).await;
    }

    async fn wait_for_end(&self) -> Outcome {
        let end = |events: &[Event]| {
            events.iter().find_map(|e| match e {
                Event::RunFinished { outcome, .. } => Some(*outcome),
                _ => None,
            })
        };
        self.seen.wait_for(PATIENCE, end).await
    }

    async fn status(&self) -> Option<RunStatus> {
        let last = self.lock.last_fired(&["a".parse().unwrap()]).await.unwrap();
        last[0].as_ref().map(|last| last.status)
    }
}

fn short_lease() -> Policy {
    Policy::default().lease_ttl(Duration::from_secs(3))
}

async fn command(redis: &RedisServer, words: &[&str]) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let _: redis::Value = command.query_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn without_redis_a_start_fails_and_says_where_it_looked() {
    let url = format!("redis://user:secret@127.0.0.1:{}/3", free_port());
    let lock = RedisLock::builder(&url).build().unwrap();
    let scheduler = Scheduler::builder().lock(lock).build().unwrap();
    let error = scheduler.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("127.0.0.1") && !text.contains("secret"),
        "{text}"
    );
}

#[tokio::test]
async fn a_start_waits_for_a_redis_that_comes_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let lock = RedisLock::builder(&redis.url()).build().unwrap();
    let seen = RecordingObserver::new();
    let builder = Scheduler::builder().lock(lock).observer(seen.clone());
    let scheduler = builder.wait_for_lock(PATIENCE).build().unwrap();
    let comes_later = async {
        let down = |events: &[Event]| {
            events
                .iter()
                .any(|e| matches!(e, Event::StoreDown { .. }))
                .then_some(())
        };
        seen.wait_for(PATIENCE, down).await;
        redis.restart();
    };
    let (started, ()) = tokio::join!(scheduler.start(), comes_later);
    started.unwrap();
    scheduler.stop().await;
}

#[tokio::test]
async fn a_claim_whose_reply_is_lost_starts_its_firing_all_the_same() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let service = service(
        &proxy.url(),
        "* * * * * *",
        Duration::ZERO,
        Policy::default(),
    )
    .await;
    service.wait_for_starts(1).await;
    service.wait_for_end().await;
    proxy.lose_next_reply();
    service.wait_for_starts(3).await;
    let instants: Vec<i64> = service
        .seen
        .starts("a")
        .iter()
        .map(|run| run.fire_time.timestamp())
        .collect();
    assert_eq!(
        instants,
        [instants[0], instants[0] + 1, instants[0] + 2],
        "one was lost"
    );
    service.scheduler.stop().await;
}

#[tokio::test]
async fn a_run_survives_a_redis_that_is_restarted_empty_and_keeps_its_lock() {
    let mut redis = RedisServer::start();
    let takes = Duration::from_secs(5);
    let service = service(&redis.url(), "@every 8s", takes, short_lease()).await;
    service.wait_for_starts(1).await;
    redis.kill();
    redis.restart();
    assert_eq!(service.status().await, None, "it came back with data");
    assert_eq!(service.wait_for_end().await, Outcome::Success);
    assert_eq!(service.status().await, Some(RunStatus::Succeeded));
    service.scheduler.stop().await;
}

#[tokio::test]
async fn a_run_is_dropped_when_redis_stays_away_and_firing_resumes_within_a_second() {
    let mut redis = RedisServer::start();
    let takes = Duration::from_secs(50);
    let service = service(&redis.url(), "* * * * * *", takes, short_lease()).await;
    service.wait_for_starts(1).await;
    redis.kill();
    assert_eq!(service.wait_for_end().await, Outcome::LeaseLost);
    // A few fire times come and go without a lock.
    let before = service.seen.starts("a").len();
    assert!(service.scheduler.handle().store_down_since().is_some());
    let missed = |events: &[Event]| {
        let is_missed = |e: &&Event| matches!(e, Event::FiringDecided { decision, .. } if *decision == Decision::StoreDown);
        (events.iter().filter(is_missed).count() >= 2).then_some(())
    };
    service.seen.wait_for(PATIENCE, missed).await;
    assert_eq!(service.seen.starts("a").len(), before);
    let back = tasklock::Clock::now(&tasklock::SystemClock);
    redis.restart();
    service.wait_for_starts(before + 1).await;
    let waited = service.seen.starts("a").last().unwrap().started - back;
    // Of the second, a paused clock is the judge elsewhere; here a busy machine is allowed for.
    assert!(waited.num_seconds() < 5, "{waited}");
    let count = |pick: fn(&Event) -> bool| service.seen.events().iter().filter(|e| pick(e)).count();
    assert_eq!(count(|e| matches!(e, Event::StoreDown { .. })), 1);
    assert_eq!(count(|e| matches!(e, Event::StoreUp { .. })), 1);
}

#[tokio::test]
async fn a_black_hole_on_the_way_is_left_behind() {
    let redis = RedisServer::start();
    let proxy = Proxy::start(redis.port()).await;
    let service = service(
        &proxy.url(),
        "* * * * * *",
        Duration::ZERO,
        Policy::default(),
    )
    .await;
    service.wait_for_starts(1).await;
    proxy.black_hole_all();
    let before = service.seen.starts("a").len();
    service.wait_for_starts(before + 2).await;
    service.scheduler.stop().await;
}

#[tokio::test]
async fn flushed_scripts_and_killed_connections_cost_no_firing() {
    let redis = RedisServer::start();
    let service = service(
        &redis.url(),
        "@every 200ms",
        Duration::ZERO,
        Policy::default(),
    )
    .await;
    for round in 1..=4 {
        service.wait_for_starts(round * 3).await;
        command(&redis, &["SCRIPT", "FLUSH"]).await;
        command(&redis, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
    service.wait_for_starts(15).await;
    service.scheduler.stop().await;
    let mut instants: Vec<i64> = service
        .seen
        .starts("a")
        .iter()
        .map(|run| run.fire_time.timestamp_millis())
        .collect();
    let starts = instants.len();
    let span = instants[starts - 1] - instants[0];
    assert_eq!(span / 200 + 1, starts as i64, "{instants:?}");
    instants.dedup();
    assert_eq!(instants.len(), starts);
}

#[tokio::test]
async fn a_lock_deleted_by_hand_comes_back_with_the_next_renewal() {
    let redis = RedisServer::start();
    let service = service(
        &redis.url(),
        "@every 20s",
        Duration::from_secs(3),
        short_lease(),
    )
    .await;
    service.wait_for_starts(1).await;
    command(&redis, &["DEL", "task:lock:a"]).await;
    assert_eq!(service.wait_for_end().await, Outcome::Success);
    assert_eq!(service.status().await, Some(RunStatus::Succeeded));
}

#[tokio::test]
async fn a_lock_that_another_client_holds_makes_firings_overlap_and_is_left_alone() {
    let redis = RedisServer::start();
    command(&redis, &["SET", "task:lock:a", "theirs", "NX", "EX", "600"]).await;
    let policy = Policy::default().misfire_threshold(Duration::from_secs(1));
    let service = service(&redis.url(), "* * * * * *", Duration::ZERO, policy).await;
    let decided = |events: &[Event]| {
        let overlap = |e: &&Event| {
            matches!(
                e,
                Event::FiringDecided {
                    decision: Decision::Overlap,
                    ..
                }
            )
        };
        (events.iter().filter(overlap).count() >= 2).then_some(())
    };
    service.seen.wait_for(PATIENCE, decided).await;
    service.scheduler.stop().await;
    assert!(service.seen.starts("a").is_empty());
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg("task:lock:a")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(value, "theirs");
}
