//! A lock whose server becomes another one under it.

use std::time::Duration;

use tasklock::chrono::Utc;
use tasklock::testing::RecordingObserver;
use tasklock::{
    Acquired, BaseTask, Claim, Event, Grant, Lock, Metrics, Policy, RedisLock, Renewed, Scheduler,
    Token,
};

use crate::support::RedisServer;

const PATIENCE: Duration = Duration::from_secs(20);

fn claim(task: &str, bits: u128) -> Claim {
    let token = Token::from_bits(bits);
    Claim::new(task.parse().unwrap(), Utc::now(), token, "host:1:a")
}

fn granted(answer: tasklock::Result<Acquired>) -> Grant {
    match answer {
        Ok(Acquired::Granted(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

/// Whether the lock tells of a change now.
async fn is_changed(lock: &RedisLock) -> bool {
    tokio::time::timeout(Duration::from_millis(20), lock.store_changed())
        .await
        .is_ok()
}

#[tokio::test]
async fn a_restart_is_told_once_to_each_clone_of_the_lock() {
    let mut server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let other = lock.clone();
    granted(lock.acquire(&claim("a", 1)).await);
    assert!(!is_changed(&lock).await);
    // New connections to the same server are no change.
    lock.check().await.unwrap();
    assert!(!is_changed(&lock).await);

    for round in 2..4 {
        server.restart();
        assert!(!is_changed(&lock).await, "nobody has looked");
        granted(lock.acquire(&claim("b", round)).await);
        assert!(is_changed(&lock).await);
        assert!(!is_changed(&lock).await);
        assert!(!is_changed(&lock.clone()).await);
        assert!(is_changed(&other).await);
    }
}

#[tokio::test]
async fn who_waits_for_a_change_is_woken_by_another_call() {
    let mut server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let grant = granted(lock.acquire(&claim("a", 1)).await);
    server.restart();
    let waiting = async {
        lock.store_changed().await;
        lock.renew(&grant).await
    };
    let another = claim("b", 2);
    let (renewed, claimed) = tokio::join!(waiting, lock.acquire(&another));
    granted(claimed);
    assert_eq!(renewed.unwrap(), Renewed::Reasserted);
}

#[tokio::test]
async fn a_restart_without_data_brings_all_leases_back_at_once() {
    let mut server = RedisServer::start();
    let metrics = Metrics::new().unwrap();
    let seen = RecordingObserver::new();
    let lock = RedisLock::builder(&server.url()).build().unwrap();
    let scheduler = Scheduler::builder()
        .lock(lock.clone())
        .observer(seen.clone())
        .metrics(metrics.clone())
        .build()
        .unwrap();
    // Renewed every 100 s, if nothing happens.
    let policy = Policy::default().lease_ttl(Duration::from_secs(300));
    let long = BaseTask::new("long", "@every 2s", Duration::from_secs(60), |_| async {
        tokio::time::sleep(PATIENCE).await;
        Ok(())
    });
    scheduler.register(long.policy(policy)).unwrap();
    let often = BaseTask::new("often", "@every 500ms", Duration::from_secs(5), |_| async {
        Ok(())
    });
    scheduler.register(often).unwrap();
    scheduler.start().await.unwrap();
    let started = |events: &[Event]| {
        let of_long = |e: &&Event| matches!(e, Event::RunStarted { run } if run.task == *"long");
        events.iter().find(of_long).map(|_| ())
    };
    seen.wait_for(PATIENCE, started).await;
    let before = seen.starts("long")[0].fire_time;
    server.restart();
    // The claims of the other task find the new server.
    let changed = |events: &[Event]| {
        let is_change = |e: &Event| matches!(e, Event::StoreChanged);
        let renewal = |e: &Event| {
            matches!(e, Event::LockOperation { operation, results, .. }
            if *operation == tasklock::LockOperation::Renew && results.ok == 1)
        };
        let at = events.iter().position(is_change)?;
        events[at..].iter().any(renewal).then_some(())
    };
    seen.wait_for(PATIENCE, changed).await;
    let last = lock.last_fired(&["long".parse().unwrap()]).await.unwrap();
    let last = last[0].clone().unwrap();
    assert_eq!(last.fire_time, Some(before));
    let text = metrics.encode().unwrap();
    assert!(
        text.contains("\ntask_lock_store_changes_total 1\n"),
        "{text}"
    );
    let another = claim("long", 99);
    assert!(matches!(
        lock.acquire(&another).await.unwrap(),
        Acquired::Held(_)
    ));
}
