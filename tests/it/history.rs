//! What the history of a fleet says afterwards.

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
async fn each_end_of_a_run_has_its_record() {
    let (bench, history) = bench(|builder| builder.shutdown_grace(Duration::ZERO));
    bench.task("fine", ONCE, |_| async { Ok(()) });
    bench.task("fails", ONCE, |_| async { Err(nested()) });
    bench.task("panics", ONCE, |_| async { panic!("no luck") });
    let retried = Policy::default().retry(Retry::times(2).first_wait(seconds(2)));
    bench.task_with("retried", ONCE, seconds(60), retried, |ctx| async move {
        match ctx.attempt() {
            1 => Err(nested()),
            2 => panic!("again"),
            _ => Ok(()),
        }
    });
    bench.task_with("late", ONCE, seconds(2), Policy::default(), |_| async {
        std::future::pending().await
    });
    bench.task("stopped", ONCE, |_| async { std::future::pending().await });
    bench.start().await;
    pass(3.0).await;
    let running = last(&history, "stopped").await;
    assert!(running.is_running() && running.ended.is_none());
    assert_eq!(history.running(Some("api-1")).await.unwrap().len(), 3);
    pass(27.0).await;
    bench.scheduler.stop().await;

    let fine = last(&history, "fine").await;
    assert_eq!(fine.outcome, Some(Outcome::Success));
    assert_eq!(fine.error, None);
    assert_eq!(fine.instance, "api-1");
    assert_eq!(fine.trigger, Trigger::Schedule);
    assert_eq!(fine.attempts.len(), 1);
    let started = bench.seen.starts("fine").remove(0);
    assert_eq!(fine.run_id, started.run_id);
    assert_eq!(fine.fire_time, started.fire_time);
    assert_eq!(fine.started, started.started);
    assert_eq!(fine.fencing_token, started.fencing_token);

    let fails = last(&history, "fails").await;
    assert_eq!(fails.outcome, Some(Outcome::Failure));
    let error = fails.error.unwrap();
    assert_eq!(error.message, "cannot report");
    assert_eq!(error.causes, ["no route to host"]);

    let retried = last(&history, "retried").await;
    assert_eq!(retried.outcome, Some(Outcome::Success));
    let told: Vec<_> = retried
        .attempts
        .iter()
        .map(|a| (a.number, a.error.as_ref().map(|e| e.to_string())))
        .collect();
    assert_eq!(
        told,
        [
            (1, Some("cannot report: no route to host".to_owned())),
            (2, Some("panicked: again".to_owned())),
            (3, None)
        ]
    );
    assert!(
        retried
            .attempts
            .windows(2)
            .all(|pair| pair[0].started < pair[1].started)
    );

    for (task, outcome, error) in [
        ("panics", Outcome::Panicked, "panicked: no luck"),
        ("late", Outcome::Timeout, "timed out after 2s"),
        (
            "stopped",
            Outcome::Cancelled,
            "cancelled by the scheduler's shutdown",
        ),
    ] {
        let run = last(&history, task).await;
        assert_eq!(run.outcome, Some(outcome), "{task}");
        assert_eq!(run.error.unwrap().to_string(), error);
        assert!(run.ended.unwrap() >= run.started);
    }
    assert_eq!(history.running(None).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_in_the_record() {
    let (clock, lock, history) = parts();
    let lock = ScriptedLock::new(lock);
    lock.always(LockOperation::Renew, Fault::Taken);
    let kept = history.clone();
    let bench = Bench::on(clock, lock, |builder| builder.history(kept));
    bench.task("t", ONCE, |_| async { std::future::pending().await });
    bench.start().await;
    pass(30.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.outcome, Some(Outcome::LeaseLost));
    assert!(run.error.unwrap().message.contains("taken"));
}

#[tokio::test(start_paused = true)]
async fn without_a_history_nothing_is_kept_and_nothing_is_missing() {
    let bench = Bench::new();
    bench.task("t", ONCE, |ctx| async move {
        ctx.progress(1, 2);
        ctx.status("half");
        Ok(())
    });
    bench.start().await;
    pass(3.0).await;
    assert_eq!(bench.seen.outcomes("t"), [Outcome::Success]);
    let handle = bench.scheduler.handle();
    assert!(handle.history().is_none());
    let error = handle.why("t", bench.now()).await.unwrap_err();
    assert!(error.to_string().contains("SchedulerBuilder::history"));
}

#[tokio::test(start_paused = true)]
async fn hostile_errors_are_cut_and_escaped() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        ctx.status("\u{1b}]0;x\u{7}\n".repeat(1_000));
        Err(TaskError::new(format!(
            "\u{1b}[2J\u{202e}<script>{}",
            "x".repeat(1_000_000)
        )))
    });
    bench.start().await;
    pass(3.0).await;
    let run = last(&history, "t").await;
    let message = run.error.unwrap().message;
    assert!(message.len() < 5_000, "{}", message.len());
    assert!(
        message.starts_with("\\u{1b}[2J\\u{202e}<script>x"),
        "{}",
        &message[..60]
    );
    let status = run.status.unwrap();
    assert!(
        status.len() < 300 && !status.contains(char::is_control),
        "{status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_away_delays_nothing_and_what_it_misses_comes_later() {
    for away in [Away::Fails, Away::Hangs] {
        let lines = Lines::default();
        let _guard = lines.listen();
        let (bench, history) = bench(|builder| builder);
        bench.task("t", "* * * * * *", |_| async { Ok(()) });
        history.set(away);
        bench.start().await;
        pass(60.5).await;
        let starts = bench.seen.starts("t");
        assert_eq!(starts.len(), 60);
        assert!(
            starts
                .iter()
                .all(|run| run.lateness < Duration::from_millis(20))
        );
        assert_eq!(runs(&history, "t").await, []);
        lines.one(&["WARN", "history.down"]);
        history.set(Away::No);
        pass(20.0).await;
        assert!(runs(&history, "t").await.len() >= 75, "{away:?}");
        let dropped = bench.seen.events();
        assert!(
            !dropped
                .iter()
                .any(|e| matches!(e, Event::HistoryDropped { .. }))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_dropped_counted_and_told_once_a_minute() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let metrics = Metrics::new().unwrap();
    let counted = metrics.clone();
    let (bench, history) = bench(|builder| builder.metrics(counted));
    for n in 0..40 {
        bench.task(&format!("t{n}"), "* * * * * *", |_| async {
            Err(TaskError::new("x".repeat(4_000)))
        });
    }
    history.set(Away::Fails);
    bench.start().await;
    pass(100.5).await;
    let dropped = |kind: RecordKind| -> u64 {
        let events = bench.seen.events();
        let of = events.iter().filter_map(|event| match event {
            Event::HistoryDropped { kind: k, count } if *k == kind => Some(*count),
            _ => None,
        });
        of.sum()
    };
    // 4 000 runs of 9 kB do not fit into 16 MiB.
    let ended: usize = (0..40)
        .map(|n| bench.seen.outcomes(&format!("t{n}")).len())
        .sum();
    assert_eq!(ended, 4_000);
    let warnings = lines.text().matches("history.dropped").count();
    assert!((1..=2).contains(&warnings), "{warnings}");
    history.set(Away::No);
    bench.scheduler.stop().await;
    let mut kept = 0;
    for n in 0..40 {
        kept += runs(&history, &format!("t{n}"))
            .await
            .iter()
            .filter(|r| !r.is_running())
            .count() as u64;
    }
    let dropped = dropped(RecordKind::Run);
    assert!(dropped > 1_000 && kept > 1_000, "{dropped} {kept}");
    // Nothing is lost that is not counted.
    assert!(dropped + kept >= 4_000, "{dropped} {kept}");
    let text = metrics.encode().unwrap();
    let line = format!("task_history_dropped_total{{kind=\"run\"}} {dropped}");
    assert!(text.lines().any(|l| l == line), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_refuses_for_good_is_given_up_and_counted() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    history.set(Away::Denied);
    bench.start().await;
    pass(120.5).await;
    let events = bench.seen.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::HistoryDropped { .. }))
    );
    history.set(Away::No);
    pass(10.0).await;
    assert!(runs(&history, "t").await.len() > 5);
}

#[tokio::test(start_paused = true)]
async fn short_runs_are_written_once_and_together() {
    let (bench, history) = bench(|builder| builder);
    for n in 0..50 {
        bench.task(&format!("t{n}"), ONCE, |_| async { Ok(()) });
    }
    bench.start().await;
    pass(10.0).await;
    let calls = history.calls();
    let written: usize = calls.iter().sum();
    // Fifty records of runs, a sign of life, and since when the fifty are known.
    assert!((51..=102).contains(&written), "{calls:?}");
    assert!(calls.len() <= 5, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn firings_that_others_have_are_written_rarely() {
    let (clock, lock, history) = parts();
    let instance = |id: &'static str| {
        let kept = history.clone();
        let bench = Bench::on(clock.clone(), lock.clone(), move |builder| {
            builder.history(kept).instance_id(id)
        });
        for n in 0..20 {
            bench.task(&format!("t{n}"), "* * * * * *", |_| async { Ok(()) });
        }
        bench
    };
    let benches = ["a", "b", "c", "d"].map(instance);
    for bench in &benches {
        bench.start().await;
    }
    pass(60.5).await;
    let elsewhere: usize = benches
        .iter()
        .map(|bench| {
            let of = |n: usize| bench.seen.decisions(&format!("t{n}"));
            let all = (0..20).flat_map(of);
            all.filter(|d| *d == Decision::FiredElsewhere).count()
        })
        .sum();
    assert_eq!(elsewhere, 3 * 20 * 60);
    for bench in &benches {
        bench.scheduler.stop().await;
    }
    let (mut records, mut told) = (0, 0);
    for n in 0..20 {
        let decisions = history
            .decisions(&format!("t{n}").parse().unwrap())
            .await
            .unwrap();
        records += decisions.len();
        told += decisions.iter().map(|d| d.count).sum::<u64>();
    }
    assert_eq!(told, 3 * 20 * 60);
    assert!(records < 3 * 20 * 60 / 4, "{records}");
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
async fn a_status_is_read_while_its_run_goes_on_and_written_once_a_second() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        for n in 1..=1_000 {
            ctx.progress(n, 1_000);
            ctx.status(format!("part {n}"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending().await
    });
    bench.start().await;
    pass(6.0).await;
    let run = bench.seen.starts("t")[0].run_id;
    let said = history.run(run).await.unwrap().unwrap();
    let progress = said.progress.unwrap();
    assert!((250..=500).contains(&progress.done), "{progress}");
    assert_eq!(said.status.unwrap(), format!("part {}", progress.done));
    pass(7.0).await;
    let said = history.run(run).await.unwrap().unwrap();
    assert_eq!(said.progress.unwrap().to_string(), "1000 of 1000");
    // Ten seconds of it, the start, a sign of life, and since when the task is known.
    let calls = history.calls();
    assert!(calls.iter().sum::<usize>() <= 16, "{calls:?}");
    // It said nothing more.
    pass(16.0 * 60.0).await;
    let said = history.run(run).await.unwrap();
    assert!(said.is_none_or(|run| run.status.is_none() || !run.is_running()));
}

#[tokio::test(start_paused = true)]
async fn what_a_run_said_last_is_in_its_record() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        ctx.status("first");
        ctx.progress(3, 0);
        ctx.status("last");
        Ok(())
    });
    bench.start().await;
    pass(5.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.status.as_deref(), Some("last"));
    assert_eq!(run.progress.unwrap().to_string(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_record_names_the_type_of_an_error_and_the_trace() {
    let count = Arc::new(AtomicBool::new(false));
    let (bench, history) = bench(move |builder| {
        // One that panics knows none.
        builder.trace_id(move || match count.swap(true, Ordering::Relaxed) {
            false => Some("4bf92f3577b34da6\n".repeat(9)),
            true => panic!("no trace"),
        })
    });
    let retried = Policy::default().retry(Retry::times(1).first_wait(seconds(1)));
    bench.task_with("t", ONCE, seconds(60), retried, |_| async { Err(nested()) });
    bench.task("said", "@at 2026-11-21T10:00:20Z", |_| async {
        Err(TaskError::new("sold out"))
    });
    bench.start().await;
    pass(40.0).await;
    let run = last(&history, "t").await;
    let name = Some("tasklock::error::Error");
    let type_of = |failure: &Option<tasklock::Failure>| failure.clone().unwrap().type_name;
    assert_eq!(type_of(&run.error).as_deref(), name);
    assert_eq!(run.attempts.len(), 2);
    let all = run.attempts.iter();
    assert!(all.map(|a| type_of(&a.error)).all(|n| n.as_deref() == name));
    let trace = run.trace_id.unwrap();
    assert!(
        trace.starts_with("4bf92f3577b34da6") && trace.len() <= 80,
        "{trace:?}"
    );
    assert!(!trace.chars().any(char::is_control), "{trace:?}");
    let run = last(&history, "said").await;
    assert_eq!((type_of(&run.error), run.trace_id), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_instance_is_gone_is_found_abandoned_by_one_of_two() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let (clock, lock, history) = parts();
    // Its own way to the history breaks once its run is known there.
    let dying = ScriptedHistory::new(history.inner.clone());
    let kept = dying.clone();
    let dead = Bench::on(clock.clone(), lock.clone(), |b| {
        b.history(kept).instance_id("dead")
    });
    let policy = Policy::default;
    dead.task_with("t", ONCE, seconds(36_000), policy(), |_| async {
        std::future::pending().await
    });
    dead.start().await;
    pass(5.0).await;
    dying.set(Away::Hangs);
    let others = ["a", "b"].map(|id| {
        let kept = history.clone();
        Bench::on(clock.clone(), lock.clone(), move |b| {
            b.history(kept).instance_id(id)
        })
    });
    for bench in &others {
        bench.task("other", "* * * * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(60.0).await;
    assert!(last(&history, "t").await.is_running());
    pass(120.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.outcome, Some(Outcome::Abandoned));
    let found_by = run.found_by.unwrap();
    assert!(["a", "b"].contains(&found_by.as_str()));
    lines.one(&["ERROR", "run.abandoned", " task=t", " instance=dead"]);
    let counters = history.counters(&["t".parse().unwrap()]).await.unwrap();
    assert_eq!(counters[0].as_ref().unwrap().consecutive_failures, 1);
    // Runs of instances that live are left alone.
    assert!(
        runs(&history, "other")
            .await
            .iter()
            .all(|run| run.found_by.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn long_runs_of_instances_that_live_are_not_found_abandoned() {
    let (clock, lock, history) = parts();
    let benches = ["a", "b"].map(|id| {
        let kept = history.clone();
        Bench::on(clock.clone(), lock.clone(), move |b| {
            b.history(kept).instance_id(id)
        })
    });
    for bench in &benches {
        bench.task_with("t", ONCE, seconds(36_000), Policy::default(), |_| async {
            std::future::pending().await
        });
        bench.start().await;
    }
    pass(1_800.0).await;
    assert!(last(&history, "t").await.is_running());
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
async fn what_a_run_logs_is_kept_with_it() {
    let layer = RunLogLayer::new().without("quiet").secret("pin");
    Lines::among_others();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.clone()));
    let (bench, history) = bench(|builder| builder.run_logs(&layer));
    for task in ["t", "quiet"] {
        bench.task(task, ONCE, |_| async {
            tracing::info!(
                user = "ana",
                api_key = "k-1",
                db_password = "p",
                pin = 7,
                "signed in"
            );
            tracing::debug!("too fine");
            tracing::warn!("\u{1b}[2J {}", "x".repeat(1_000_000));
            let span = tracing::info_span!("part");
            span.in_scope(|| tracing::error!(error = "a\nb", "in a part"));
            Ok(())
        });
    }
    bench.task("many", ONCE, |_| async {
        for n in 1..=1_000 {
            tracing::info!(n, "step");
        }
        Ok(())
    });
    bench.start().await;
    tracing::info!("outside of any run");
    pass(5.0).await;
    let log = async |task: &str, after| {
        let run = last(&history, task).await.run_id;
        history.log(run, after).await.unwrap()
    };
    let kept = log("t", 0).await;
    let texts: Vec<&str> = kept.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!(
        texts[0],
        "signed in user=ana api_key=••• db_password=••• pin=•••"
    );
    assert!(texts[1].starts_with("\\u{1b}[2J xxx") && texts[1].len() < 10_000);
    assert_eq!(texts[2], "in a part error=a\nb");
    let levels: Vec<&str> = kept.lines.iter().map(|line| line.level.as_str()).collect();
    assert_eq!(levels, ["INFO", "WARN", "ERROR"]);
    assert!(!kept.is_cut && kept.lines[0].target.ends_with("history"));
    assert_eq!(log("quiet", 0).await.lines, []);
    let many = log("many", 0).await;
    assert!(many.is_cut);
    let numbers: Vec<u64> = many.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (801..=1_000).collect::<Vec<u64>>());
    assert_eq!(log("many", 995).await.lines.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_line_is_read_while_its_run_goes_on() {
    let layer = RunLogLayer::new().level(tracing::Level::DEBUG);
    Lines::among_others();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.clone()));
    let (bench, history) = bench(|builder| builder.run_logs(&layer));
    bench.task("t", ONCE, |_| async {
        tracing::debug!("begun");
        std::future::pending().await
    });
    bench.start().await;
    pass(4.0).await;
    let run = last(&history, "t").await;
    assert!(run.is_running());
    let log = history.log(run.run_id, 0).await.unwrap();
    assert_eq!(log.lines.len(), 1);
    assert_eq!(log.lines[0].text, "begun");
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_is_left_and_waits_no_longer_than_it_may() {
    for (away, kept) in [(Away::No, 1), (Away::Hangs, 0)] {
        let (bench, history) = bench(|builder| builder);
        bench.task("t", ONCE, |_| async { Ok(()) });
        bench.start().await;
        pass(1.01).await;
        history.set(away);
        let begun = bench.now();
        bench.scheduler.stop().await;
        assert!(
            (bench.now() - begun).num_milliseconds() <= 2_100,
            "{away:?}"
        );
        assert_eq!(runs(&history, "t").await.len(), kept);
        let dropped = bench.seen.events().iter().any(|e| {
            matches!(
                e,
                Event::HistoryDropped {
                    kind: RecordKind::Run,
                    count: 1
                }
            )
        });
        assert_eq!(dropped, kept == 0);
    }
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
