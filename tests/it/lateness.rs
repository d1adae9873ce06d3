//! How late a firing may start: found late, behind another run, or kept by the store or a limit.

use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::{
    Acquired, Claim, Completion, Decision, Lock, LockOperation, MemoryLock, OnStoreDown, Overlap,
    Policy, Recovery, Token,
};

use crate::support::{Bench, Fault, ScriptedLock, clock_and_lock, instance, pass};
use Decision::{Limited, Misfired, Started};

const RERUN: Recovery = Recovery::Rerun { max: 1 };
const HOUR: f64 = 3600.0;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn policy() -> Policy {
    Policy::default()
}

fn queue() -> Policy {
    policy().overlap(Overlap::QueueOne)
}

fn hourly(bench: &Bench, policy: Policy) {
    bench.task_with("t", "@hourly", seconds(60), policy, |_| async { Ok(()) });
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_skipped_whatever_the_other_policies() {
    for policy in [
        queue(),
        policy().overlap(Overlap::Replace),
        policy().overlap(Overlap::Allow(3)),
        policy().recovery(RERUN),
    ] {
        let (clock, lock) = clock_and_lock();
        let first = instance(&clock, lock.clone());
        hourly(&first, policy.clone());
        first.start().await;
        pass(2.0 * HOUR + 60.0).await;
        assert_eq!(first.fired("t"), ["11:00:00", "12:00:00"]);
        first.scheduler.stop().await;
        pass(4.0 * HOUR + 540.0).await;
        let second = instance(&clock, lock);
        hourly(&second, policy.clone());
        second.start().await;
        pass(2.0 * HOUR).await;
        assert_eq!(second.fired("t"), ["17:00:00", "18:00:00"], "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_skips_what_it_missed_whatever_the_other_policies() {
    for policy in [queue(), policy().recovery(RERUN)] {
        let bench = Bench::new();
        hourly(&bench, policy);
        bench.start().await;
        pass(10.0).await;
        bench.clock.suspend(seconds(4 * 3600 + 600));
        pass(2.0).await;
        assert!(bench.fired("t").is_empty());
        assert!(bench.seen.decisions("t").iter().all(|d| *d == Misfired));
    }
}

/// The instance `dead` takes the firing of that time and does not end it.
async fn a_death(lock: &MemoryLock, fire_time: &str) {
    let fire_time: DateTime<Utc> = fire_time.parse().unwrap();
    let claim = Claim::new("t".parse().unwrap(), fire_time, Token::from_bits(7), "dead")
        .with_max_attempts(2);
    let answer = lock.acquire(&claim).await.unwrap();
    assert!(matches!(answer, Acquired::Granted(_)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn what_died_is_run_again_and_what_was_missed_since_is_not() {
    let (clock, lock) = clock_and_lock();
    pass(2.0 * HOUR).await;
    a_death(&lock, "2026-11-21T12:00:00Z").await;
    pass(4.0 * HOUR + 600.0).await;
    let bench = instance(&clock, lock);
    hourly(&bench, policy().recovery(RERUN));
    bench.start().await;
    pass(60.0).await;
    assert_eq!(bench.fired("t"), ["12:00:00"]);
    pass(2.0 * HOUR).await;
    assert_eq!(bench.fired("t"), ["12:00:00", "17:00:00", "18:00:00"]);
    assert_eq!(bench.seen.starts("t")[0].attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn what_died_is_not_run_again_after_its_start_deadline() {
    let (clock, lock) = clock_and_lock();
    pass(2.0 * HOUR).await;
    a_death(&lock, "2026-11-21T12:00:00Z").await;
    pass(4.0 * HOUR + 600.0).await;
    let bench = instance(&clock, lock);
    let strict = policy().recovery(RERUN).start_deadline(seconds(4 * 3600));
    hourly(&bench, strict);
    bench.start().await;
    pass(60.0).await;
    assert!(bench.fired("t").is_empty(), "{:?}", bench.fired("t"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_longer_than_the_threshold_does_not_keep_its_firing_from_being_run_again() {
    let (clock, lock) = clock_and_lock();
    let bench = instance(&clock, lock.clone());
    let long_lease = policy().recovery(RERUN).lease_ttl(seconds(120));
    let strict = long_lease.misfire_threshold(seconds(5));
    bench.task_with("t", "0 * * * * *", seconds(30), strict, |_| async {
        Ok(())
    });
    bench.start().await;
    pass(59.9).await;
    let fire_time: DateTime<Utc> = "2026-11-21T10:01:00Z".parse().unwrap();
    let claim = Claim::new("t".parse().unwrap(), fire_time, Token::from_bits(7), "dead")
        .with_max_attempts(2)
        .with_ttl(seconds(90));
    let answer = lock.acquire(&claim).await.unwrap();
    assert!(matches!(answer, Acquired::Granted(_)), "{answer:?}");
    // Its lease ends at 10:02:30; the firing of 10:02 is too late by then.
    pass(119.0).await;
    assert_eq!(bench.fired("t"), ["10:01:00"]);
    pass(3.0).await;
    assert_eq!(bench.fired("t"), ["10:01:00", "10:03:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_queued_firing_waits_for_its_run_longer_than_the_threshold() {
    let bench = Bench::new();
    let strict = queue().misfire_threshold(seconds(5));
    bench.task_with("t", "0 * * * * *", seconds(600), strict, |_| async {
        pass(100.0).await;
        Ok(())
    });
    bench.start().await;
    pass(170.0).await;
    assert_eq!(bench.fired("t"), ["10:01:00", "10:02:00"]);
    assert_eq!(bench.seen.starts("t")[1].lateness.as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_queued_firing_runs_locally_when_the_store_is_down_for_the_threshold() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let bench = instance(&clock, lock.clone());
    let local = queue()
        .on_store_down(OnStoreDown::RunLocally)
        .misfire_threshold(seconds(5));
    bench.task_with("t", "0 * * * * *", seconds(30), local, |_| async { Ok(()) });
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(64.9).await;
    assert!(bench.fired("t").is_empty());
    pass(1.0).await;
    assert_eq!(bench.fired("t"), ["10:01:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_queued_behind_a_run_elsewhere_runs_locally_once_the_store_is_down() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let bench = instance(&clock, lock.clone());
    let local = queue()
        .on_store_down(OnStoreDown::RunLocally)
        .misfire_threshold(seconds(5));
    bench.task_with("t", "50 * * * * *", seconds(30), local, |_| async {
        Ok(())
    });
    bench.start().await;
    pass(45.0).await;
    a_death(&lock.inner, "2026-11-21T10:00:40Z").await;
    // Its lease would end at 10:01:15.
    pass(20.0).await;
    lock.everything(Fault::NotSent);
    pass(4.0).await;
    assert!(bench.fired("t").is_empty());
    pass(3.0).await;
    assert_eq!(bench.fired("t"), ["10:00:50"]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_without_a_place_is_limited_after_the_threshold() {
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.max_concurrent(1),
    );
    bench.task_with("long", "0 0 * * * *", seconds(9999), policy(), |_| async {
        pass(900.0).await;
        Ok(())
    });
    bench.task_with("t", "30 0 11 * * *", seconds(60), queue(), |_| async {
        Ok(())
    });
    bench.start().await;
    pass(HOUR + 80.0).await;
    assert!(bench.seen.decisions("t").is_empty());
    pass(20.0).await;
    assert_eq!(bench.seen.decisions("t"), [Limited]);
    assert_eq!(bench.seen.decisions("long"), [Started]);
}

/// How often the lock was asked for a firing whose run ended in that way, in two hours.
async fn asked_for(attempts: u32, how: Completion) -> usize {
    let (clock, inner) = clock_and_lock();
    let lock = ScriptedLock::new(inner);
    let bench = instance(&clock, lock.clone());
    hourly(&bench, policy().recovery(RERUN));
    bench.start().await;
    pass(HOUR - 1.0).await;
    for attempt in 0..attempts {
        let fire_time: DateTime<Utc> = "2026-11-21T11:00:00Z".parse().unwrap();
        let token = Token::from_bits(u128::from(attempt));
        let claim =
            Claim::new("t".parse().unwrap(), fire_time, token, "other").with_max_attempts(2);
        let Acquired::Granted(grant) = lock.inner.acquire(&claim).await.unwrap() else {
            panic!("not granted");
        };
        lock.inner.release(&grant, how).await.unwrap();
    }
    pass(HOUR - 60.0).await;
    assert_eq!(bench.seen.decisions("t").len(), 1);
    lock.asked(LockOperation::Acquire, "t")
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_run_again_is_not_watched() {
    for (attempts, how) in [(2, Completion::Cancelled), (1, Completion::Succeeded)] {
        let asked = asked_for(attempts, how).await;
        assert!(asked <= 2, "{attempts} {how:?}: {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_firing_after_a_late_one_does_not_start_early() {
    // Whichever of them has the timer look just before the next fire time.
    for by in (500..1500).step_by(5) {
        let bench = Bench::new();
        bench.task_with("t", "* * * * * *", seconds(1), policy(), |_| async {
            Ok(())
        });
        bench.start().await;
        pass(5.2).await;
        bench.clock.suspend(Duration::from_millis(by));
        pass(3.0).await;
        for run in bench.seen.starts("t") {
            assert!(run.started >= run.fire_time, "{by} ms: {run:?}");
        }
        // Nor is it judged early, beside the late one's run.
        let decisions = bench.seen.decisions("t");
        assert!(
            decisions.iter().all(|d| *d == Started),
            "{by} ms: {decisions:?}"
        );
    }
}
