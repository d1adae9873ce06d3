//! What becomes of firings while the lock's store is down.

use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::TestClock;
use tasklock::{
    Acquired, Claim, Decision, Event, Lock, MemoryLock, OnStoreDown, Overlap, Policy, Token,
};

use crate::support::{Bench, Fault, START, ScriptedLock, pass};
use Decision::{Overlap as Overlapped, Started, StoreDown};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn local() -> Policy {
    Policy::default().on_store_down(OnStoreDown::RunLocally)
}

fn bench(most: u32) -> (Bench, ScriptedLock) {
    let clock = Arc::new(TestClock::at(START));
    let lock = ScriptedLock::new(MemoryLock::with_clock(clock.clone()));
    let bench = Bench::on(clock, lock.clone(), |builder| builder.max_concurrent(most));
    (bench, lock)
}

fn task(bench: &Bench, name: &str, spec: &str, policy: Policy, run_s: f64) {
    bench.task_with(name, spec, seconds(600), policy, move |_| async move {
        pass(run_s).await;
        Ok(())
    });
}

#[tokio::test(start_paused = true)]
async fn every_firing_runs_locally_when_its_own_threshold_is_over() {
    for overlap in [
        Overlap::Skip,
        Overlap::QueueOne,
        Overlap::Replace,
        Overlap::Allow(2),
    ] {
        let (bench, lock) = bench(100);
        task(&bench, "t", "*/10 * * * * *", local().overlap(overlap), 3.0);
        bench.start().await;
        lock.everything(Fault::NotSent);
        pass(105.0).await;
        let starts = bench.seen.starts("t");
        let lateness: Vec<u64> = starts.iter().map(|run| run.lateness.as_secs()).collect();
        assert_eq!(
            lateness,
            [60; 4],
            "{overlap:?} {:?}",
            bench.seen.decisions("t")
        );
        assert_eq!(
            bench.fired("t"),
            ["10:00:10", "10:00:20", "10:00:30", "10:00:40"]
        );
        assert_eq!(bench.seen.decisions("t"), [Started; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_firing_does_not_run_locally_beside_a_run_of_its_task() {
    let (bench, lock) = bench(100);
    let strict = local().misfire_threshold(seconds(15));
    task(&bench, "t", "*/10 * * * * *", strict, 25.0);
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(200.0).await;
    let starts = bench.seen.starts("t");
    assert!(starts.len() > 2, "{starts:?}");
    for pair in starts.windows(2) {
        assert!((pair[1].started - pair[0].started).num_seconds() >= 25);
    }
}

#[tokio::test(start_paused = true)]
async fn every_firing_that_ends_because_of_the_store_fails_if_its_policy_says_so() {
    let (bench, lock) = bench(100);
    let fails = Policy::default().on_store_down(OnStoreDown::Fail);
    task(&bench, "t", "*/10 * * * * *", fails, 1.0);
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(115.0).await;
    let decisions = bench.seen.decisions("t");
    assert!(decisions.len() >= 5, "{decisions:?}");
    assert!(decisions.iter().all(|d| *d == StoreDown), "{decisions:?}");
    let events = bench.seen.events();
    let failed = |event: &&Event| matches!(event, Event::FiringFailed { .. });
    assert_eq!(events.iter().filter(failed).count(), decisions.len());
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_waits_for_the_store_leaves_its_place_to_others() {
    let (bench, lock) = bench(1);
    for name in ["a", "b", "c"] {
        task(&bench, name, "0 * * * * *", Policy::default(), 1.0);
    }
    let everywhere = Policy::default().scope(tasklock::Scope::EveryInstance);
    task(&bench, "local", "10 * * * * *", everywhere, 1.0);
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(125.0).await;
    for name in ["a", "b", "c"] {
        assert_eq!(bench.seen.decisions(name)[0], StoreDown, "{name}");
    }
    assert_eq!(bench.seen.decisions("local"), [Started, Started]);
    lock.everything(Fault::None);
    pass(60.0).await;
    for name in ["a", "b", "c"] {
        assert_eq!(*bench.seen.decisions(name).last().unwrap(), Started);
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_run_locally_have_a_place_each_after_the_other() {
    let (bench, lock) = bench(1);
    for name in ["a", "b", "c"] {
        task(&bench, name, "0 * * * * *", local(), 5.0);
    }
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(140.0).await;
    let mut starts: Vec<_> = ["a", "b", "c"]
        .iter()
        .flat_map(|name| bench.seen.starts(name))
        .map(|run| run.started)
        .collect();
    starts.sort();
    let decisions = ["a", "b", "c"].map(|name| bench.seen.decisions(name));
    assert_eq!(starts.len(), 3, "{decisions:?}");
    assert!((starts[2] - starts[0]).num_seconds() >= 10, "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_is_asked_for_again_until_the_threshold() {
    for (then, down_for, decision) in [
        (OnStoreDown::Skip, 5.0, Started),
        (OnStoreDown::Skip, 90.0, StoreDown),
        (OnStoreDown::RunLocally, 90.0, Started),
    ] {
        let (bench, lock) = bench(9);
        let policy = Policy::default().on_store_down(then);
        task(&bench, "t", "50 0 10 * * *", policy, 1.0);
        bench.start().await;
        pass(45.0).await;
        let fire_time: DateTime<Utc> = "2026-11-21T10:00:40Z".parse().unwrap();
        let claim = Claim::new("t".parse().unwrap(), fire_time, Token::from_bits(7), "dead");
        let answer = lock.inner.acquire(&claim).await.unwrap();
        assert!(matches!(answer, Acquired::Granted(_)), "{answer:?}");
        // It waits for the end of that lease, at 10:01:15.
        pass(10.0).await;
        lock.everything(Fault::NotSent);
        lock.reads(Fault::NotSent);
        pass(20.0 + down_for).await;
        lock.everything(Fault::None);
        lock.reads(Fault::None);
        pass(10.0).await;
        assert_eq!(bench.seen.decisions("t"), [decision], "{then:?} {down_for}");
        assert_ne!(decision, Overlapped);
    }
}
