//! `@startup`: once for each start of an instance, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::testing::TestClock;
use tasklock::{Acquired, Claim, Clock, Decision, Event, Lock, LockOperation, MemoryLock, Token};

use crate::support::{Bench, Fault, START, ScriptedLock, pass};

/// When a task's runs started and ended, by the observer of each instance.
fn spans(benches: &[Bench]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let ended = |event: &Event| match event {
        Event::RunFinished { run, at, .. } => Some((run.started, *at)),
        _ => None,
    };
    let events = benches.iter().flat_map(|b| b.seen.events());
    let mut spans: Vec<_> = events.filter_map(|e| ended(&e)).collect();
    spans.sort();
    spans
}

/// An instance with a task of a second on `lock`, by a clock off by `skew_ms`.
fn instance(lock: impl Lock, skew_ms: i64) -> Bench {
    let clock = Arc::new(TestClock::at(START));
    clock.step(TimeDelta::milliseconds(skew_ms));
    let bench = Bench::on(clock, lock, |builder| builder);
    bench.task("warm-up", "@startup", |_| async {
        pass(1.0).await;
        Ok(())
    });
    bench
}

#[tokio::test(start_paused = true)]
async fn it_runs_once_and_its_fire_time_is_the_start() {
    let bench = instance(MemoryLock::new(), 0);
    pass(7.0).await;
    bench.start().await;
    pass(7200.0).await;
    assert_eq!(bench.fired("warm-up"), ["10:00:07"]);
    assert_eq!(bench.seen.decisions("warm-up"), [Decision::Started]);
    let next = bench.scheduler.handle().task("warm-up").unwrap().next_fire;
    assert_eq!(next, None);
}

#[tokio::test(start_paused = true)]
async fn a_task_registered_later_starts_at_once() {
    let bench = Bench::new();
    bench.start().await;
    pass(10.0).await;
    bench.task("late", "@startup", |_| async { Ok(()) });
    pass(1.0).await;
    assert_eq!(bench.fired("late"), ["10:00:10"]);
}

#[tokio::test(start_paused = true)]
async fn instances_that_start_together_run_one_after_the_other() {
    let lock = MemoryLock::with_clock(Arc::new(TestClock::at(START)));
    // Also one whose clock is behind the others', and one that is ahead of the lock's tolerance.
    let benches: Vec<Bench> = [0, 0, -180, 40, 3_000]
        .into_iter()
        .map(|skew| instance(lock.clone(), skew))
        .collect();
    for bench in &benches {
        bench.start().await;
    }
    pass(12.0).await;
    for bench in &benches {
        assert_eq!(bench.seen.decisions("warm-up"), [Decision::Started]);
    }
    // In one clock's time: by the order of the fencing tokens no run began before the one before
    // it had ended, or the lock would have been asked in vain.
    let mut fences: Vec<_> = benches
        .iter()
        .flat_map(|b| b.seen.starts("warm-up"))
        .collect();
    fences.sort_by_key(|run| run.fencing_token);
    let skews: Vec<i64> = fences
        .iter()
        .map(|run| {
            let bench = benches
                .iter()
                .find(|b| b.seen.starts("warm-up")[0].run_id == run.run_id);
            let skew = bench.unwrap().now() - START.parse::<DateTime<Utc>>().unwrap();
            run.started.timestamp_millis() - skew.num_milliseconds()
        })
        .collect();
    for pair in skews.windows(2) {
        assert!(pair[1] - pair[0] >= 1_000, "{skews:?}");
        assert!(
            pair[1] - pair[0] <= 1_600,
            "the end is seen soon: {skews:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_start_is_one_more_firing() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let mut benches = Vec::new();
    for _ in 0..3 {
        let bench = instance(lock.clone(), 0);
        bench.start().await;
        pass(5.0).await;
        bench.scheduler.stop().await;
        benches.push(bench);
    }
    assert_eq!(spans(&benches).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_long_as_another_run_takes() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let ahead = clock.now() + Duration::from_millis(500);
    let claim = Claim::new(
        "warm-up".parse().unwrap(),
        ahead,
        Token::from_bits(1),
        "other",
    )
    .with_ttl(Duration::from_secs(3600));
    let Acquired::Granted(grant) = lock.acquire(&claim).await.unwrap() else {
        panic!("not granted")
    };
    let bench = instance(lock.clone(), 0);
    bench.start().await;
    pass(600.0).await;
    assert!(bench.seen.decisions("warm-up").is_empty());
    lock.release(&grant, tasklock::Completion::Succeeded)
        .await
        .unwrap();
    pass(1.0).await;
    assert_eq!(bench.fired("warm-up"), ["10:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_delays_it() {
    let lock = ScriptedLock::new(MemoryLock::with_clock(Arc::new(TestClock::at(START))));
    lock.always(LockOperation::Acquire, Fault::NotSent);
    let bench = instance(lock.clone(), 0);
    bench.start().await;
    pass(600.0).await;
    lock.next(LockOperation::Acquire, [Fault::ReplyLost, Fault::None]);
    lock.always(LockOperation::Acquire, Fault::None);
    pass(3.0).await;
    assert_eq!(bench.seen.decisions("warm-up"), [Decision::Started]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let claim = Claim::new(
        "warm-up".parse().unwrap(),
        clock.now(),
        Token::from_bits(1),
        "other",
    )
    .with_ttl(Duration::from_secs(3600));
    lock.acquire(&claim).await.unwrap();
    let bench = instance(lock.clone(), 0);
    bench.start().await;
    pass(60.0).await;
    let report = bench.scheduler.stop().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(bench.seen.decisions("warm-up"), [Decision::Draining]);
}
