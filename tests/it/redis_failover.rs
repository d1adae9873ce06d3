//! A lock whose server becomes another one under it.

use std::time::{Duration, Instant};

use tasklock::chrono::{TimeDelta, Utc};
use tasklock::testing::RecordingObserver;
use tasklock::{
    Acquired, BaseTask, Claim, Completion, Decision, ErrorKind, Event, Grant, Lock, LockOperation,
    Metrics, Policy, Recovery, RedisLock, Released, Renewed, Scheduler, Token,
};

use crate::support::RedisServer;
use crate::support::lines::Lines;

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
        granted(lock.acquire(&claim("b", round)).await);
        assert!(is_changed(&lock).await);
        assert!(!is_changed(&lock).await);
        assert!(!is_changed(&lock.clone()).await);
        assert!(is_changed(&other).await);
    }
}

/// The answer, once the lock has found out what the server is now.
async fn settled(lock: &RedisLock, claim: &Claim) -> Acquired {
    let begun = Instant::now();
    loop {
        match lock.acquire(claim).await {
            Ok(answer) => return answer,
            Err(e) => assert!(e.is_transient() && begun.elapsed() < PATIENCE, "{e:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_lost_server_may_have_granted_is_not_granted_again() {
    let mut server = RedisServer::start();
    let one = RedisLock::connect(&server.url()).await.unwrap();
    let other = RedisLock::connect(&server.url()).await.unwrap();
    let careless = RedisLock::builder(&server.url())
        .failover_window(Duration::ZERO)
        .build()
        .unwrap();
    let first = claim("a", 1).with_at_most_once();
    let ago = |seconds| first.fire_time() - TimeDelta::seconds(seconds);
    let of = |task: &str, bits, at| {
        Claim::new(
            task.parse().unwrap(),
            at,
            Token::from_bits(bits),
            "host:2:b",
        )
    };
    granted(other.acquire(&of("b", 2, ago(0))).await);
    granted(careless.acquire(&of("c", 3, ago(0))).await);
    granted(one.acquire(&first).await);
    server.restart(); // without its data

    let same = of("a", 4, ago(0)).with_at_most_once();
    assert_eq!(settled(&other, &same).await, Acquired::InDoubt);
    // Not only the first time, and not only for who noticed it.
    assert_eq!(other.acquire(&same).await.unwrap(), Acquired::InDoubt);
    let batch = [
        of("d", 5, ago(30)).with_at_most_once(),
        of("e", 6, ago(1)).with_at_most_once(),
        of("f", 7, ago(1)),
        of("g", 8, ago(40)).with_at_most_once(),
    ];
    let answers = other.acquire_all(&batch).await;
    let is_granted = |n: usize| matches!(answers[n], Ok(Acquired::Granted(_)));
    assert!(
        is_granted(0),
        "long settled when the server went: {answers:?}"
    );
    assert!(matches!(answers[1], Ok(Acquired::InDoubt)), "{answers:?}");
    assert!(is_granted(2), "may run twice: {answers:?}");
    assert!(is_granted(3), "{answers:?}");
    let later = Utc::now() + TimeDelta::seconds(2);
    let early = of("h", 9, later).with_early(Duration::from_secs(3));
    granted(other.acquire(&early.with_at_most_once()).await);

    // This is what happens otherwise.
    let again = settled(&careless, &of("a", 10, ago(0)).with_at_most_once()).await;
    assert!(matches!(again, Acquired::Granted(_)), "{again:?}");
}

#[tokio::test]
async fn a_server_that_only_did_not_answer_us_may_have_gone_on_granting() {
    let mut server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    granted(lock.acquire(&claim("a", 1)).await);
    server.pause();
    // Two answers that do not come: a second.
    for _ in 0..2 {
        lock.acquire(&claim("b", 2)).await.unwrap_err();
    }
    let due_in_the_meantime = claim("c", 3).with_at_most_once();
    server.restart();
    let answer = settled(&lock, &due_in_the_meantime).await;
    assert_eq!(answer, Acquired::InDoubt);
}

#[tokio::test]
async fn a_fleet_with_nothing_to_do_notices_a_restart() {
    let mut server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    server.restart();
    tokio::time::timeout(PATIENCE, lock.store_changed())
        .await
        .expect("nobody asks for anything, and still");
}

#[tokio::test]
async fn a_firing_in_doubt_ends_as_store_down_and_the_next_one_runs() {
    let mut server = RedisServer::start();
    let seen = RecordingObserver::new();
    let lock = RedisLock::builder(&server.url())
        .failover_window(Duration::from_secs(3600))
        .build()
        .unwrap();
    let scheduler = Scheduler::builder()
        .lock(lock.clone())
        .observer(seen.clone())
        .build()
        .unwrap();
    let task = |name: &str, recovery| {
        let task = BaseTask::new(name, "@every 1s", Duration::from_secs(5), |_| async {
            Ok(())
        });
        task.policy(Policy::default().recovery(recovery))
    };
    scheduler.register(task("once", Recovery::Skip)).unwrap();
    scheduler
        .register(task("again", Recovery::Rerun { max: 2 }))
        .unwrap();
    scheduler.start().await.unwrap();
    // Everything of the first two runs is over, so that the next to find the new server is a claim.
    let released = |events: &[Event]| {
        let count = |e: &Event| match e {
            Event::LockOperation {
                operation: LockOperation::Release,
                results,
                ..
            } => results.ok,
            _ => 0,
        };
        (events.iter().map(count).sum::<u64>() >= 2).then_some(())
    };
    seen.wait_for(PATIENCE, released).await;
    server.restart();
    let before = seen.starts("once").len();
    let runs_again = |events: &[Event]| {
        let of_it = |e: &&Event| matches!(e, Event::RunStarted { run } if run.task == *"once");
        (events.iter().filter(of_it).count() > before).then_some(())
    };
    seen.wait_for(PATIENCE, runs_again).await;
    let decisions = seen.decisions("once");
    assert!(decisions.contains(&Decision::StoreDown), "{decisions:?}");
    assert!(!seen.decisions("again").contains(&Decision::StoreDown));
    scheduler.stop().await;
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
    let lines = Lines::default();
    let _guard = lines.listen();
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
            if *operation == LockOperation::Renew && results.ok == 1)
        };
        let at = events.iter().position(is_change)?;
        events[at..].iter().any(renewal).then_some(())
    };
    seen.wait_for(PATIENCE, changed).await;
    let last = lock.last_fired(&["long".parse().unwrap()]).await.unwrap();
    let last = last[0].clone().unwrap();
    assert_eq!(last.fire_time, Some(before));
    lines.one(&["WARN", "Task lock store was replaced or restarted"]);
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

/// A lock whose grants have to reach a replica in so long.
fn replicated(primary: &RedisServer, patience: Duration) -> RedisLock {
    RedisLock::builder(&primary.url())
        .response_timeout(patience * 2)
        .replica_acks(1, patience)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_grant_waits_for_the_replicas_that_were_asked_for() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let lock = replicated(&primary, Duration::from_secs(5));
    lock.check().await.unwrap();
    let grant = granted(lock.acquire(&claim("a", 1)).await);
    let has_it = replica.says("EXISTS task:lock:a");
    assert!(has_it.starts_with(":1"), "{has_it}");
    lock.release(&grant, Completion::Succeeded).await.unwrap();

    let patience = Duration::from_millis(250);
    let lock = replicated(&primary, patience);
    replica.pause();
    let begun = Instant::now();
    let stalled = claim("a", 2);
    for _ in 0..2 {
        let error = lock.acquire(&stalled).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreAmbiguous, "{error:?}");
        assert!(error.to_string().contains("not replicated"), "{error}");
    }
    assert!(begun.elapsed() >= patience * 2, "the repeat did not wait");
    // The others wait for who was granted it; one who asks for no replicas is not kept waiting.
    let other = RedisLock::builder(&primary.url()).build().unwrap();
    let held = other.acquire(&claim("a", 3)).await.unwrap();
    assert!(matches!(held, Acquired::Held(_)), "{held:?}");
    replica.resume();
    let patient = replicated(&primary, Duration::from_secs(5));
    let grant = granted(patient.acquire(&stalled).await);
    let released = lock.release(&grant, Completion::Succeeded).await.unwrap();
    assert_eq!(released, Released::Freed);

    drop(replica);
    let error = lock.acquire(&claim("b", 4)).await.unwrap_err();
    assert!(error.to_string().contains("not replicated"), "{error}");
    // What is refused is answered all the same.
    let held = lock.acquire(&claim("b", 5)).await.unwrap();
    assert!(matches!(held, Acquired::Held(_)), "{held:?}");
}

#[tokio::test]
async fn many_claims_at_once_wait_for_replicas_one_after_the_other() {
    let primary = RedisServer::start();
    let _replica = primary.replica();
    let lock = replicated(&primary, Duration::from_secs(5));
    let mut claims = tokio::task::JoinSet::new();
    for n in 0..100_u128 {
        let lock = lock.clone();
        claims.spawn(async move { lock.acquire(&claim(&format!("t{n}"), n)).await });
    }
    while let Some(answer) = claims.join_next().await {
        granted(answer.unwrap());
    }
}

#[tokio::test]
async fn a_firing_that_is_not_replicated_is_claimed_again_until_it_is() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let seen = RecordingObserver::new();
    let lock = RedisLock::builder(&primary.url()).replica_acks(1, Duration::from_millis(100));
    let scheduler = Scheduler::builder()
        .lock(lock.build().unwrap())
        .observer(seen.clone())
        .build()
        .unwrap();
    let task = BaseTask::new("a", "@every 2s", Duration::from_secs(5), |_| async {
        Ok(())
    });
    scheduler.register(task).unwrap();
    scheduler.start().await.unwrap();
    replica.pause();
    let refused = |events: &[Event]| {
        events.iter().find_map(|e| match e {
            Event::StoreDown { error, .. } => Some(error.to_string()),
            _ => None,
        })
    };
    let error = seen.wait_for(PATIENCE, refused).await;
    assert!(error.contains("not replicated"), "{error}");
    assert!(seen.starts("a").is_empty());
    replica.resume();
    let started = |events: &[Event]| {
        let start = |e: &Event| matches!(e, Event::RunStarted { .. });
        events.iter().any(start).then_some(())
    };
    seen.wait_for(PATIENCE, started).await;
    scheduler.stop().await;
    assert_eq!(seen.starts("a")[0].attempt, 1);
}

#[test]
fn a_wait_for_replicas_has_to_fit_into_an_answer() {
    for (timeout, response) in [(0, 500), (251, 500), (60, 100)] {
        let error = RedisLock::builder("redis://h")
            .response_timeout(Duration::from_millis(response))
            .replica_acks(1, Duration::from_millis(timeout))
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("replica_acks"), "{error}");
    }
    let off = RedisLock::builder("redis://h").replica_acks(0, Duration::ZERO);
    off.build().unwrap();
}
