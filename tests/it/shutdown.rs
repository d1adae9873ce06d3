//! Quiet, drain, abort: what becomes of runs and firings when a scheduler stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tasklock::{
    BaseTask, CancelReason, Decision, Event, Lock, LockOperation, MemoryLock, Outcome, Policy,
    RunStatus, Scheduler, SchedulerState, TaskError,
};

use crate::support::{Bench, Fault, pass};

fn bench_with_grace(seconds: u64) -> (Bench, MemoryLock) {
    let mut lock = None;
    let bench = Bench::with(
        |clock| lock.insert(MemoryLock::with_clock(clock)).clone(),
        |builder| builder.shutdown_grace(Duration::from_secs(seconds)),
    );
    (bench, lock.unwrap())
}

async fn status(lock: &impl Lock, task: &str) -> RunStatus {
    let last = lock.last_fired(&[task.parse().unwrap()]).await.unwrap();
    last[0].as_ref().unwrap().status
}

#[tokio::test(start_paused = true)]
async fn runs_that_end_within_the_grace_are_waited_for() {
    let (bench, lock) = bench_with_grace(20);
    bench.task("a", "* * * * * *", |ctx| async move {
        pass(5.0).await;
        assert!(!ctx.is_cancelled());
        Ok(())
    });
    bench.start().await;
    pass(1.5).await;
    let report = bench.scheduler.stop().await;
    assert_eq!(report.finished, ["a"]);
    assert!(report.is_clean());
    assert!(
        (4.0..5.0).contains(&report.took.as_secs_f64()),
        "{report:?}"
    );
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
    assert_eq!(status(&lock, "a").await, RunStatus::Succeeded);
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn runs_that_outlast_the_grace_are_asked_to_end_then_dropped_and_named() {
    let (bench, lock) = bench_with_grace(3);
    let policy = Policy::default().cancel_grace(Duration::from_secs(2));
    let minute = Duration::from_secs(60);
    bench.task_with(
        "listens",
        "@at 2026-11-21T10:00:01Z",
        minute,
        policy.clone(),
        |ctx| async move {
            ctx.cancelled().await;
            assert_eq!(ctx.cancel_reason(), Some(CancelReason::Shutdown));
            Err(TaskError::new("interrupted"))
        },
    );
    bench.task_with(
        "done",
        "@at 2026-11-21T10:00:01Z",
        minute,
        policy.clone(),
        |ctx| async move {
            ctx.cancelled().await;
            Ok(())
        },
    );
    bench.task_with(
        "deaf",
        "@at 2026-11-21T10:00:01Z",
        minute,
        policy,
        |_| async move {
            std::future::pending::<()>().await;
            Ok(())
        },
    );
    bench.start().await;
    pass(1.5).await;
    let report = bench.scheduler.stop().await;
    assert_eq!(report.cancelled, ["listens", "done", "deaf"]);
    assert!(!report.is_clean());
    assert!(
        (5.0..5.2).contains(&report.took.as_secs_f64()),
        "{report:?}"
    );
    assert_eq!(bench.seen.outcomes("listens"), [Outcome::Cancelled]);
    assert_eq!(
        bench.seen.outcomes("done"),
        [Outcome::Success],
        "it says that its work is done"
    );
    assert_eq!(bench.seen.outcomes("deaf"), [Outcome::Cancelled]);
    assert_eq!(status(&lock, "deaf").await, RunStatus::Cancelled);
    assert_eq!(
        report.to_string(),
        format!(
            "stopped in {:.1?}; cancelled: listens, done, deaf",
            report.took
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_blocks_its_thread_is_abandoned_reported_once_and_keeps_its_lock() {
    let release = Arc::new(AtomicBool::new(false));
    let seen = tasklock::testing::RecordingObserver::new();
    let lock = MemoryLock::new();
    let scheduler = Scheduler::builder()
        .lock(lock.clone())
        .observer(seen.clone())
        .shutdown_grace(Duration::from_millis(100))
        .build()
        .unwrap();
    let gate = release.clone();
    let policy = Policy::default().cancel_grace(Duration::from_millis(100));
    let stuck = BaseTask::new(
        "stuck",
        "@every 100ms",
        Duration::from_secs(60),
        move |_| {
            while !gate.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            async { Ok(()) }
        },
    );
    scheduler.register(stuck.policy(policy)).unwrap();
    scheduler.start().await.unwrap();
    let started = |events: &[Event]| {
        events
            .iter()
            .any(|e| matches!(e, Event::RunStarted { .. }))
            .then_some(())
    };
    seen.wait_for(Duration::from_secs(10), started).await;
    let report = scheduler.stop().await;
    assert_eq!(report.abandoned, ["stuck"]);
    assert_eq!(seen.outcomes("stuck"), [Outcome::Abandoned]);
    assert_eq!(
        status(&lock, "stuck").await,
        RunStatus::Running,
        "its lock was given away"
    );
    release.store(true, Ordering::SeqCst);
    let freed = async {
        while status(&lock, "stuck").await == RunStatus::Running {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed)
        .await
        .unwrap();
    assert_eq!(seen.outcomes("stuck"), [Outcome::Abandoned]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_granted_during_the_stop_is_run_for_the_others_do_not_ask_again() {
    let (bench, scripted) = Bench::scripted(|builder| builder);
    scripted.next(
        LockOperation::Acquire,
        [Fault::Late(Duration::from_secs(1))],
    );
    let other = Bench::on(bench.clock.clone(), scripted.inner.clone(), |b| b);
    for instance in [&bench, &other] {
        instance.task("a", "@at 2026-11-21T10:00:01Z", |_| async { Ok(()) });
        instance.start().await;
    }
    pass(1.5).await;
    assert_eq!(other.seen.decisions("a"), [Decision::FiredElsewhere]);
    let report = bench.scheduler.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(bench.seen.decisions("a"), [Decision::Started]);
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_granted_after_the_stop_is_given_back() {
    let (bench, scripted) = Bench::scripted(|builder| builder);
    scripted.next(
        LockOperation::Acquire,
        [Fault::Late(Duration::from_secs(8))],
    );
    bench.task("a", "@at 2026-11-21T10:00:01Z", |_| async { Ok(()) });
    bench.start().await;
    pass(1.5).await;
    bench.scheduler.stop().await;
    pass(10.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::Draining]);
    assert!(bench.seen.starts("a").is_empty());
    assert_eq!(status(&scripted.inner, "a").await, RunStatus::Abandoned);
}

#[tokio::test(start_paused = true)]
async fn firings_that_wait_are_decided_as_draining() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.always(LockOperation::Acquire, Fault::NotSent);
    bench.task("a", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(2.5).await;
    bench.scheduler.stop().await;
    assert_eq!(
        bench.seen.decisions("a"),
        [Decision::Draining, Decision::Draining]
    );
}

#[tokio::test(start_paused = true)]
async fn all_who_stop_get_the_same_report_and_stopping_survives_its_caller() {
    let (bench, _) = bench_with_grace(20);
    bench.task("a", "* * * * * *", |_| async {
        pass(5.0).await;
        Ok(())
    });
    bench.start().await;
    pass(1.5).await;
    let dropped = tokio::time::timeout(Duration::from_millis(10), bench.scheduler.stop()).await;
    assert!(dropped.is_err());
    let (one, two) = tokio::join!(bench.scheduler.stop(), bench.scheduler.stop());
    assert_eq!(one, two);
    assert_eq!(one.finished, ["a"]);
    assert_eq!(bench.scheduler.stop().await, one);
}

#[tokio::test(start_paused = true)]
async fn stopping_an_idle_scheduler_takes_no_time_and_nothing_fires_afterwards() {
    let bench = Bench::new();
    bench.task("a", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    let report = bench.scheduler.stop().await;
    assert!(report.took < Duration::from_millis(50));
    pass(10.0).await;
    assert_eq!(bench.fired("a"), [""; 0]);

    let never_started = Bench::new();
    assert!(never_started.scheduler.stop().await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn run_until_starts_waits_and_stops() {
    let bench = Bench::new();
    bench.task("a", "* * * * * *", |_| async { Ok(()) });
    let report = bench.scheduler.run_until(pass(3.5)).await.unwrap();
    assert!(report.is_clean());
    assert_eq!(bench.fired("a").len(), 3);
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scheduler_fires_no_more_and_cancels_its_runs() {
    let bench = Bench::new();
    bench.task("a", "* * * * * *", |ctx| async move {
        ctx.cancelled().await;
        Err(TaskError::new("told to end"))
    });
    bench.start().await;
    pass(1.5).await;
    let (seen, _clock) = (bench.seen.clone(), bench.clock.clone());
    drop(bench);
    pass(5.0).await;
    assert_eq!(seen.outcomes("a"), [Outcome::Cancelled]);
    assert_eq!(seen.starts("a").len(), 1);
    let stops = |e: &&Event| matches!(e, Event::SchedulerStopped { cancelled: 1, .. });
    assert_eq!(seen.events().iter().filter(stops).count(), 1);
}
