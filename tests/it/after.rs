//! `@after`: so long after the end of the last run, wherever it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::testing::{RecordingObserver, SkewedClock, TestClock};
use tasklock::{
    Acquired, BaseTask, Claim, Clock, Decision, Event, FileLock, Lock, LockOperation, MemoryLock,
    Outcome, RedisLock, Scheduler, SystemClock, TaskError, Token,
};

use crate::support::redis_server::RedisServer;
use crate::support::{Bench, Fault, START, ScriptedLock, pass};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The starts of a task's runs, in seconds from the clocks' start.
fn starts(bench: &Bench, task: &str) -> Vec<f64> {
    let origin: DateTime<Utc> = START.parse().unwrap();
    let runs = bench.seen.starts(task);
    runs.iter()
        .map(|run| ((run.started - origin).num_milliseconds() as f64 / 100.0).round() / 10.0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_delay_counts_from_the_end_of_the_run() {
    let bench = Bench::new();
    bench.task("t", "@after 10s", |_| async {
        pass(3.0).await;
        Ok(())
    });
    bench.start().await;
    pass(30.0).await;
    assert_eq!(starts(&bench, "t"), [0.0, 13.0, 26.0]);
    assert_eq!(bench.fired("t"), ["10:00:00", "10:00:13", "10:00:26"]);
    let first = bench.seen.decisions("t");
    assert_eq!(first, [Decision::Started; 3], "looks decide nothing");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_panics_or_times_out_has_ended_too() {
    let bench = Bench::new();
    let number = Arc::new(AtomicUsize::new(0));
    bench.task_with(
        "t",
        "@after 10s",
        seconds(5),
        tasklock::Policy::default(),
        move |ctx| {
            let number = number.fetch_add(1, Ordering::Relaxed);
            async move {
                pass(1.0).await;
                match number {
                    0 => Err(TaskError::new("no luck")),
                    1 => panic!("oh"),
                    2 => {
                        ctx.cancelled().await;
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        },
    );
    bench.start().await;
    pass(45.0).await;
    assert_eq!(starts(&bench, "t"), [0.0, 11.0, 22.0, 37.0]);
    use Outcome::{Failure, Panicked, Success, Timeout};
    assert_eq!(
        bench.seen.outcomes("t"),
        [Failure, Panicked, Timeout, Success]
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_fire_time_is_known_between_runs_and_not_during_one() {
    let bench = Bench::new();
    bench.task("t", "@after 1m", |_| async {
        pass(5.0).await;
        Ok(())
    });
    let next = || bench.scheduler.handle().task("t").unwrap().next_fire;
    assert_eq!(next(), None, "nobody has asked the lock yet");
    bench.start().await;
    pass(2.0).await;
    assert_eq!(next(), None);
    pass(10.0).await;
    assert_eq!(next().unwrap().to_rfc3339(), "2026-11-21T10:01:05+00:00");
}

/// Several schedulers on one lock, each with its observer.
struct Fleet {
    benches: Vec<Bench>,
}

impl Fleet {
    fn new(size: usize, spec: &str, run_s: f64) -> (Self, Arc<TestClock>, MemoryLock) {
        let clock = Arc::new(TestClock::at(START));
        let lock = MemoryLock::with_clock(clock.clone());
        let bench = |_| {
            let bench = Bench::on(clock.clone(), lock.clone(), |builder| builder);
            bench.task("t", spec, move |_| async move {
                pass(run_s).await;
                Ok(())
            });
            bench
        };
        let benches = (0..size).map(bench).collect();
        (Self { benches }, clock, lock)
    }

    /// Start and end of all runs, in their order.
    fn runs(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut runs: Vec<_> = self.benches.iter().flat_map(|b| spans(&b.seen)).collect();
        runs.sort();
        runs
    }
}

fn spans(seen: &RecordingObserver) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let ended = |event: &Event| match event {
        Event::RunFinished { run, at, .. } => Some((run.started, *at)),
        _ => None,
    };
    seen.events().iter().filter_map(ended).collect()
}

#[tokio::test(start_paused = true)]
async fn wherever_the_last_run_was_the_next_comes_a_delay_after_it() {
    let (fleet, _, _) = Fleet::new(3, "@after 10s", 4.0);
    for bench in &fleet.benches {
        bench.start().await;
    }
    pass(300.0).await;
    let runs = fleet.runs();
    assert!(runs.len() >= 21, "{}", runs.len());
    for pair in runs.windows(2) {
        let gap = (pair[1].0 - pair[0].1).num_milliseconds();
        assert!((10_000..10_100).contains(&gap), "{gap} ms after the end");
    }
    // Each instance has one decision for each fire time.
    for bench in &fleet.benches {
        let mut decided = Vec::new();
        for event in bench.seen.events() {
            if let Event::FiringDecided {
                fire_time,
                decision,
                ..
            } = event
            {
                assert!(matches!(
                    decision,
                    Decision::Started | Decision::FiredElsewhere
                ));
                decided.push(fire_time);
            }
        }
        let count = decided.len();
        decided.dedup();
        assert_eq!(decided.len(), count);
        assert!(decided.is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn another_instance_goes_on_in_time_when_the_one_that_ran_is_stopped() {
    let (fleet, _, _) = Fleet::new(2, "@after 20s", 5.0);
    fleet.benches[0].start().await;
    pass(1.0).await;
    fleet.benches[1].start().await;
    pass(10.0).await;
    fleet.benches[0].scheduler.stop().await;
    pass(30.0).await;
    assert_eq!(starts(&fleet.benches[0], "t"), [0.0]);
    assert_eq!(starts(&fleet.benches[1], "t"), [25.0]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_rest_of_the_delay_and_no_longer() {
    let (fleet, clock, lock) = Fleet::new(1, "@after 10m", 5.0);
    fleet.benches[0].start().await;
    pass(60.0).await;
    fleet.benches[0].scheduler.stop().await;
    for (start, expected) in [(60.0, 605.0), (2000.0, 2000.0)] {
        pass(start - (clock.now() - START.parse::<DateTime<Utc>>().unwrap()).as_seconds_f64())
            .await;
        let bench = Bench::on(clock.clone(), lock.clone(), |builder| builder);
        bench.task("t", "@after 10m", |_| async { Ok(()) });
        bench.start().await;
        pass(700.0).await;
        assert_eq!(starts(&bench, "t")[0], expected);
        bench.scheduler.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_owners_run_has_ended_with_its_lease() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let claim = Claim::new(
        "t".parse().unwrap(),
        clock.now(),
        Token::from_bits(1),
        "dead",
    );
    assert!(matches!(
        lock.acquire(&claim).await.unwrap(),
        Acquired::Granted(_)
    ));
    let bench = Bench::on(clock, lock, |builder| builder);
    bench.task("t", "@after 1m", |_| async { Ok(()) });
    bench.start().await;
    pass(120.0).await;
    let starts = starts(&bench, "t");
    // Its lease of 30 s, and the delay.
    assert_eq!(starts.len(), 1);
    assert!((90.0..91.0).contains(&starts[0]), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_held_by_somebody_else_is_waited_for() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let claim = Claim::new(
        "t".parse().unwrap(),
        clock.now() - seconds(1),
        Token::from_bits(1),
        "other",
    )
    .with_ttl(seconds(600));
    let grant = match lock.acquire(&claim).await.unwrap() {
        Acquired::Granted(grant) => grant,
        other => panic!("{other:?}"),
    };
    let bench = Bench::on(clock, lock.clone(), |builder| builder);
    bench.task("t", "@after 30s", |_| async { Ok(()) });
    bench.start().await;
    pass(100.0).await;
    assert!(bench.seen.decisions("t").is_empty());
    lock.release(&grant, tasklock::Completion::Succeeded)
        .await
        .unwrap();
    pass(29.0).await;
    assert!(starts(&bench, "t").is_empty());
    pass(2.0).await;
    assert_eq!(starts(&bench, "t"), [130.0]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_delays_and_loses_nothing() {
    let clock = Arc::new(TestClock::at(START));
    let lock = ScriptedLock::new(MemoryLock::with_clock(clock.clone()));
    let bench = Bench::on(clock, lock.clone(), |builder| builder);
    bench.task("t", "@after 10s", |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    lock.always(LockOperation::Acquire, Fault::NotSent);
    pass(600.0).await;
    assert_eq!(starts(&bench, "t"), [0.0]);
    lock.always(LockOperation::Acquire, Fault::None);
    pass(1.0).await;
    assert_eq!(starts(&bench, "t").len(), 2);
    pass(10.0).await;
    assert_eq!(starts(&bench, "t").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn steps_of_the_wall_clock_do_not_stretch_the_delay() {
    for by in [
        TimeDelta::hours(-1),
        TimeDelta::hours(-5),
        TimeDelta::hours(1),
    ] {
        // The lock's clock is right.
        let clock = Arc::new(TestClock::at(START));
        let lock = MemoryLock::with_clock(Arc::new(TestClock::at(START)));
        let bench = Bench::on(clock.clone(), lock, |builder| builder);
        bench.task("t", "@after 60s", |_| async { Ok(()) });
        bench.start().await;
        pass(30.0).await;
        clock.step(by);
        pass(35.0).await;
        assert_eq!(bench.seen.starts("t").len(), 2, "{by}");
        bench.scheduler.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_the_delay_is_quick_and_final() {
    let bench = Bench::new();
    bench.task("t", "@after 1h", |_| async { Ok(()) });
    bench.start().await;
    pass(10.0).await;
    let report = bench.scheduler.stop().await;
    assert!(report.is_clean(), "{report}");
    pass(7200.0).await;
    assert_eq!(bench.seen.starts("t").len(), 1);
}

/// Three instances with clocks that differ, on a store that is real, in real time.
async fn holds_on(lock: impl Fn() -> Arc<dyn Lock>) {
    const DELAY_MS: i64 = 200;
    let seen = RecordingObserver::new();
    let mut fleet = Vec::new();
    for skew in [-150, 0, 150] {
        let scheduler = Scheduler::builder()
            .lock(lock())
            .clock(Arc::new(SkewedClock::new(TimeDelta::milliseconds(skew))))
            .observer(seen.clone())
            .build()
            .unwrap();
        let runs: Arc<std::sync::Mutex<Vec<(Duration, Duration)>>> = Arc::default();
        let log = runs.clone();
        let body = move |_| {
            let log = log.clone();
            async move {
                let start = SystemClock.monotonic();
                tokio::time::sleep(Duration::from_millis(50)).await;
                log.lock().unwrap().push((start, SystemClock.monotonic()));
                Ok(())
            }
        };
        let task = BaseTask::new("t", format!("@after {DELAY_MS}ms"), seconds(5), body);
        scheduler.register(task).unwrap();
        fleet.push((scheduler, runs));
    }
    for (scheduler, _) in &fleet {
        scheduler.start().await.unwrap();
    }
    let many_have_ended = |events: &[Event]| {
        let ends = events
            .iter()
            .filter(|e| matches!(e, Event::RunFinished { .. }));
        (ends.count() >= 12).then_some(())
    };
    seen.wait_for(seconds(60), many_have_ended).await;
    for (scheduler, _) in &fleet {
        scheduler.stop().await;
    }
    let mut runs: Vec<_> = fleet
        .iter()
        .flat_map(|(_, runs)| runs.lock().unwrap().clone())
        .collect();
    runs.sort();
    assert!(runs.len() >= 12, "{} runs", runs.len());
    for pair in runs.windows(2) {
        let gap = pair[1].0.saturating_sub(pair[0].1);
        // The lock counts milliseconds.
        assert!(
            gap.as_millis() as i64 >= DELAY_MS - 1,
            "{gap:?} between runs"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_on_redis_keep_the_delay_between_them() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    holds_on(|| Arc::new(lock.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_on_files_keep_the_delay_between_them() {
    let dir = tempfile::tempdir().unwrap();
    holds_on(|| Arc::new(FileLock::open(dir.path()).unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_on_its_way_does_not_name_the_instant_that_has_just_run() {
    let clock = Arc::new(TestClock::at(START));
    let lock = ScriptedLock::new(MemoryLock::with_clock(clock.clone()));
    // The second run's end is noted a little later than the scheduler asks for it.
    lock.next(LockOperation::Release, [Fault::None, Fault::NotSent]);
    let bench = Bench::on(clock, lock, |builder| builder);
    bench.task("t", "@after 10s", |_| async { Ok(()) });
    bench.start().await;
    pass(35.0).await;
    assert_eq!(bench.seen.decisions("t"), [Decision::Started; 4]);
}
