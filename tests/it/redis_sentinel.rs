//! A primary that is found by its sentinels, and found again after a failover.

use std::time::{Duration, Instant};

use tasklock::chrono::Utc;
use tasklock::testing::RecordingObserver;
use tasklock::{
    Acquired, BaseTask, Claim, ErrorKind, Event, Grant, Lock, Policy, RedisLock, Renewed,
    Scheduler, Token,
};

use crate::support::redis_sentinel::Watched;
use crate::support::redis_server::free_port;

const PATIENCE: Duration = Duration::from_secs(30);

fn claim(task: &str, bits: u128) -> Claim {
    let token = Token::from_bits(bits);
    Claim::new(task.parse().unwrap(), Utc::now(), token, "host:1:a").with_late(PATIENCE)
}

/// Repeats a claim until it is granted, as a scheduler does.
async fn granted_at_last(lock: &RedisLock, claim: &Claim) -> Grant {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match lock.acquire(claim).await {
            Ok(Acquired::Granted(grant)) => return grant,
            Err(error) if error.is_transient() => {
                assert!(Instant::now() < give_up, "{error:?}");
            }
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn claims_go_to_the_new_primary_after_a_failover() {
    let mut watched = Watched::start();
    let lock = RedisLock::connect(&watched.url()).await.unwrap();
    let text = lock.describe();
    assert!(text.starts_with("redis primary main/0 of the sentinels at 127.0.0.1:"));
    let grant = granted_at_last(&lock, &claim("long", 1)).await;
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Extended);
    let others = watched.servers.len() - 1;

    watched.servers[0].kill();
    granted_at_last(&lock, &claim("x", 2)).await;
    // Whoever holds leases is told, and has them back.
    tokio::time::timeout(Duration::from_secs(1), lock.store_changed())
        .await
        .unwrap();
    let renewed = lock.renew(&grant).await.unwrap();
    assert!(
        matches!(renewed, Renewed::Extended | Renewed::Reasserted),
        "{renewed:?}"
    );
    let is_new_primary = |n: &usize| {
        let server = &watched.servers[*n];
        server.says("ROLE").contains("master")
            && server
                .says("EXISTS task:lock:long task:lock:x")
                .starts_with(":2")
    };
    assert_eq!((1..=others).filter(is_new_primary).count(), 1);

    // Two sentinels are a majority, one is better than none, and without any nothing changes for
    // connections that stand.
    let kept = claim("y", 3);
    for sentinel in &mut watched.sentinels {
        sentinel.kill();
        granted_at_last(&lock, &kept).await;
        let _ = lock.check().await;
    }
    let error = lock.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    assert!(error.to_string().contains("no sentinel said"), "{error}");
}

#[tokio::test]
async fn an_old_primary_that_comes_back_gets_no_renewal() {
    let watched = Watched::start();
    let lock = RedisLock::connect(&watched.url()).await.unwrap();
    let grant = granted_at_last(&lock, &claim("long", 1)).await;
    // The renewals have a connection of their own now.
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Extended);
    watched.servers[0].pause();
    granted_at_last(&lock, &claim("x", 2)).await;
    watched.servers[0].resume();
    let mut others = watched.servers[1..].iter();
    let new = others.find(|s| s.says("ROLE").contains("master")).unwrap();
    new.says("PEXPIRE task:lock:long 5000");
    let renewed = lock.renew(&grant).await.unwrap();
    assert!(
        matches!(renewed, Renewed::Extended | Renewed::Reasserted),
        "{renewed:?}"
    );
    let left = new.says("PTTL task:lock:long");
    let left = left.lines().next().unwrap().trim_start_matches(':');
    assert!(left.parse::<i64>().unwrap() > 20_000, "{left}");
}

#[tokio::test]
async fn runs_outlive_a_failover_and_firing_goes_on() {
    let mut watched = Watched::start();
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(RedisLock::builder(&watched.url()).build().unwrap())
        .observer(seen.clone())
        .build()
        .unwrap();
    let long = BaseTask::new("long", "@every 1s", Duration::from_secs(60), |_| async {
        std::future::pending().await
    });
    let policy = Policy::default().lease_ttl(Duration::from_secs(60));
    scheduler.register(long.policy(policy)).unwrap();
    let often = BaseTask::new("often", "* * * * * *", Duration::from_secs(5), |_| async {
        Ok(())
    });
    scheduler.register(often).unwrap();
    scheduler.start().await.unwrap();
    let starts = |events: &[Event], task: &str| {
        let of_task = |e: &&Event| matches!(e, Event::RunStarted { run } if run.task == *task);
        events.iter().filter(of_task).count()
    };
    let both = |events: &[Event]| {
        (starts(events, "long") > 0 && starts(events, "often") > 0).then_some(())
    };
    seen.wait_for(PATIENCE, both).await;
    watched.servers[0].kill();
    let changed = |events: &[Event]| {
        let at = events
            .iter()
            .position(|e| matches!(e, Event::StoreChanged))?;
        (starts(&events[at..], "often") >= 2).then_some(())
    };
    seen.wait_for(PATIENCE, changed).await;
    let primary = watched.servers[1..]
        .iter()
        .find(|s| s.says("ROLE").contains("master"));
    let has_lock = primary.unwrap().says("EXISTS task:lock:long");
    assert!(has_lock.starts_with(":1"), "{has_lock}");
    assert!(seen.outcomes("long").is_empty());
}

#[tokio::test]
async fn a_name_that_the_sentinels_do_not_know_is_told() {
    let watched = Watched::start();
    let url = watched.url().replace("/main", "/mian");
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("mian") && text.contains("no primary of this name"));
    // A user that neither the primary nor the sentinels know is not told to anybody.
    let url = watched.url().replace("://", "://svc:hunter2@");
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDenied, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn sentinels_that_are_away_are_unavailable() {
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/main",
        free_port(),
        free_port()
    );
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    assert!(error.to_string().contains("no sentinel said"), "{error}");
}
