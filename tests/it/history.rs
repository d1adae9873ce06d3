//! What the history of a fleet says afterwards.

mod abandoned;
mod full;
mod records;
mod said;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{
    Because, Decision, Event, History, HistoryWrite, LockOperation, MemoryHistory, MemoryLock,
    Metrics, Outcome, Policy, RecordKind, Retry, RunLogLayer, RunQuery, RunRecord,
    SchedulerBuilder, TaskError, Trigger,
};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::lines::Lines;
use crate::support::{Away, Bench, Fault, START, ScriptedHistory, ScriptedLock, pass};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A clock, a lock and a history that go by it.
fn parts() -> (Arc<TestClock>, MemoryLock, ScriptedHistory) {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let history = MemoryHistory::with_clock(clock.clone());
    (clock, lock, ScriptedHistory::new(history))
}

/// One instance with a history.
fn bench(settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder) -> (Bench, ScriptedHistory) {
    let (clock, lock, history) = parts();
    let kept = history.clone();
    let bench = Bench::on(clock, lock, |builder| {
        settings(builder.history(kept).instance_id("api-1"))
    });
    (bench, history)
}

async fn runs(history: &ScriptedHistory, task: &str) -> Vec<RunRecord> {
    let query = RunQuery::of(task.parse().unwrap()).limit(200);
    history.runs(&query).await.unwrap().runs
}

async fn last(history: &ScriptedHistory, task: &str) -> RunRecord {
    runs(history, task).await.into_iter().next().unwrap()
}

/// Due once, a second after the start.
const ONCE: &str = "@at 2026-11-21T10:00:01Z";

fn nested() -> TaskError {
    let inner = std::io::Error::other("no route to host");
    let error = tasklock::Error::new(tasklock::ErrorKind::StoreUnavailable, "cannot report");
    error.with_source(inner).into()
}

#[tokio::test(start_paused = true)]
async fn why_is_answered_in_words() {
    let (clock, lock, history) = parts();
    let kept = history.clone();
    let a = Bench::on(clock.clone(), lock.clone(), |b| {
        b.history(kept).instance_id("a")
    });
    let kept = history.clone();
    let b = Bench::on(clock, lock, |b| b.history(kept).instance_id("b"));
    for bench in [&a, &b] {
        let policy = Policy::default().timezone(tasklock::chrono_tz::Europe::Berlin);
        bench.task_with("long", "*/10 * * * * *", seconds(60), policy, |_| async {
            tokio::time::sleep(seconds(15)).await;
            Ok(())
        });
        bench.task("rare", "0 0 12 * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(58.0).await;
    let handle = a.scheduler.handle();
    let at = |text: &str| format!("2026-11-21T10:{text}Z").parse().unwrap();
    let why = handle.why("long", at("00:10")).await.unwrap();
    let Because::Ran {
        instance,
        outcome,
        run_id,
    } = &why.because
    else {
        panic!("{why}");
    };
    assert_eq!(*outcome, Some(Outcome::Success));
    assert_eq!(
        why.to_string(),
        format!("long at 2026-11-21T10:00:10Z: ran on {instance}: success (run {run_id})")
    );
    let why = handle.why("long", at("00:20")).await.unwrap();
    let Because::Decided { decision, .. } = why.because else {
        panic!("{why}");
    };
    assert_eq!(decision, Decision::Overlap);
    assert_eq!(why.decisions.len(), 2);
    let sentence = why.to_string();
    assert!(
        sentence.starts_with("long at 2026-11-21T10:00:20Z: the run before it went on"),
        "{sentence}"
    );
    let why = handle.why("long", at("00:25")).await.unwrap().to_string();
    assert!(
        why.contains("not due: the schedule is") && why.contains("Europe/Berlin"),
        "{why}"
    );
    let why = handle
        .why("rare", "2026-11-22T12:00:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(why.because, Because::Ahead);
    let why = handle
        .why("rare", "2026-11-20T12:00:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(why.because, Because::Unknown);
    // All are down while something is due.
    a.scheduler.stop().await;
    b.scheduler.stop().await;
    pass(3.0 * 3600.0).await;
    let why = handle
        .why("rare", "2026-11-21T12:00:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(why.because, Because::Missed);
    assert!(
        handle
            .why("x\u{1b}", at("00:00"))
            .await
            .unwrap_err()
            .to_string()
            .contains("\\u{1b}")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_survives_instances() {
    let (clock, lock, history) = parts();
    let fails = Arc::new(AtomicBool::new(true));
    let mut texts = Vec::new();
    for id in ["old", "new"] {
        let metrics = Metrics::new().unwrap();
        let (kept, counted) = (history.clone(), metrics.clone());
        let bench = Bench::on(clock.clone(), lock.clone(), |b| {
            b.history(kept).metrics(counted).instance_id(id)
        });
        let fails = fails.clone();
        bench.task("t", "0 * * * * *", move |_| {
            let fails = fails.load(Ordering::Relaxed);
            async move {
                match fails {
                    true => Err(TaskError::new("sold out")),
                    false => Ok(()),
                }
            }
        });
        bench.start().await;
        if id == "old" {
            pass(190.0).await;
        } else {
            pass(15.0).await;
        }
        texts.push(metrics.encode().unwrap());
        bench.scheduler.stop().await;
    }
    let value = |name: &str| -> f64 {
        let start = format!("{name}{{task_name=\"t\"}} ");
        let line = texts[1].lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{name} in\n{}", texts[1]))
            .parse()
            .unwrap()
    };
    let at = |text: &str| {
        let at: tasklock::chrono::DateTime<tasklock::chrono::Utc> = text.parse().unwrap();
        at.timestamp() as f64
    };
    assert_eq!(value("task_consecutive_failures"), 3.0);
    assert_eq!(value("task_last_success_timestamp_seconds"), 0.0);
    let failed = value("task_last_failure_timestamp_seconds");
    assert!(
        (failed - at("2026-11-21T10:03:00Z")).abs() < 1.0,
        "{failed}"
    );
    assert_eq!(value("task_schedule_interval_seconds"), 60.0);
    assert_eq!(value("task_timeout_seconds"), 60.0);
    assert_eq!(value("task_running_since_timestamp_seconds"), 0.0);
    // Known since 10:00:00, never succeeded: due at 10:01 and 10:02, and two minutes of grace.
    assert_eq!(
        value("task_success_deadline_timestamp_seconds"),
        at("2026-11-21T10:04:00Z")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_written_by_hand_is_read_by_all() {
    let (_clock, _lock, history) = parts();
    let at = "2026-11-21T10:00:00Z".parse().unwrap();
    let task: tasklock::TaskName = "t".parse().unwrap();
    let decided = tasklock::DecisionRecord::new(task.clone(), at, 1, Decision::Paused, "api-1");
    history
        .write(&[HistoryWrite::Decided(decided.clone())])
        .await
        .unwrap();
    assert_eq!(history.decisions(&task).await.unwrap(), [decided]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_who_asked_for_a_run_are_in_the_history() {
    let (clock, lock, history) = parts();
    let fleet = tasklock::MemoryFleet::with_clock(clock.clone());
    let metrics = Metrics::new().unwrap();
    let (kept, counted) = (history.clone(), metrics.clone());
    let bench = Bench::on(clock, lock, |b| {
        b.history(kept)
            .fleet(fleet)
            .metrics(counted)
            .instance_id("api-1")
    });
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    let control = bench.scheduler.handle().control().unwrap();
    let by = |reason: &str| tasklock::By::new("ana", reason).unwrap();
    let hour = tasklock::PauseFor::task("t", &by("bank holiday")).lasting(seconds(3_600));
    control.pause(hour).await.unwrap();
    pass(30.0).await;
    let at = "2026-11-21T10:00:20Z".parse().unwrap();
    let why = bench
        .scheduler
        .handle()
        .why("t", at)
        .await
        .unwrap()
        .to_string();
    assert_eq!(
        why,
        "t at 2026-11-21T10:00:20Z: paused by ana until 2026-11-21T11:00:05Z (says api-1)"
    );
    let text = metrics.encode().unwrap();
    for line in [
        "task_paused{task_name=\"t\"} 1",
        "task_success_deadline_timestamp_seconds{task_name=\"t\"} +Inf",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    let asked = tasklock::RunNow::new("t", &by("rates were stale"))
        .if_paused(tasklock::IfPaused::Run)
        .params(r#"{"day":"2026-11-20","api_key":"k-1"}"#);
    control.run(asked).await.unwrap();
    pass(5.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.trigger, Trigger::Manual);
    assert_eq!(run.actor.as_deref(), Some("ana"));
    assert_eq!(run.reason.as_deref(), Some("rates were stale"));
    assert_eq!(
        run.params.as_deref(),
        Some(r#"{"api_key":"•••","day":"2026-11-20"}"#)
    );
}
