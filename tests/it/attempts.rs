//! How a run ends: outcomes, their words, and that no run harms another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tasklock::testing::RecordingObserver;
use tasklock::{
    BaseTask, CancelReason, Event, MemoryLock, Outcome, Policy, Scheduler, SystemClock, TaskError,
};

use crate::support::{Bench, pass};

/// The outcome of a task's only run so far, how long it took, and what was said.
fn end(bench: &Bench, task: &str) -> (Outcome, Duration, String) {
    let ends: Vec<_> = bench
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::RunFinished {
                run,
                outcome,
                duration,
                error,
                ..
            } if run.task == task => Some((
                outcome,
                duration,
                error.map(|e| e.to_string()).unwrap_or_default(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].clone()
}

fn once() -> &'static str {
    "@at 2026-11-21T10:00:01Z"
}

#[tokio::test(start_paused = true)]
async fn an_error_makes_a_failure_with_its_causes_in_words() {
    let bench = Bench::new();
    bench.task("a", once(), |_| async {
        std::fs::read("/no/such/file")?;
        Ok(())
    });
    bench.task("b", once(), |_| async { Err(TaskError::new("sold out")) });
    bench.start().await;
    pass(2.0).await;
    assert_eq!(end(&bench, "a").0, Outcome::Failure);
    assert!(end(&bench, "a").2.contains("No such file"));
    assert_eq!(end(&bench, "b").2, "sold out");
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_run_and_nothing_else() {
    let bench = Bench::new();
    bench.task("text", once(), |_| async { panic!("no {}", "luck") });
    bench.task("value", once(), |_| async { std::panic::panic_any(42) });
    bench.task(
        "at_once",
        once(),
        |_| -> std::future::Ready<tasklock::TaskResult> { panic!("early") },
    );
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    bench.task("drop", once(), |_| async {
        let held = PanicsInDrop;
        std::future::pending::<()>().await;
        drop(held);
        Ok(())
    });
    bench.task("other", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(70.5).await;
    assert_eq!(end(&bench, "text").0, Outcome::Panicked);
    assert_eq!(end(&bench, "text").2, "panicked: no luck");
    assert_eq!(end(&bench, "value").0, Outcome::Panicked);
    assert_eq!(end(&bench, "at_once").2, "panicked: early");
    assert_eq!(end(&bench, "drop").2, "panicked: in drop");
    assert_eq!(bench.seen.outcomes("other"), vec![Outcome::Success; 70]);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_task_runs_again_when_it_is_due_again() {
    let bench = Bench::new();
    bench.task("a", "* * * * * *", |_| async { panic!("always") });
    bench.start().await;
    pass(3.5).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Panicked; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_cancels_a_run_that_listens() {
    let bench = Bench::new();
    let heard = Arc::new(AtomicBool::new(false));
    let hears = heard.clone();
    let body = move |ctx: tasklock::RunContext| {
        let heard = hears.clone();
        async move {
            assert_eq!(ctx.cancel_reason(), None);
            ctx.cancelled().await;
            assert_eq!(ctx.cancel_reason(), Some(CancelReason::Timeout));
            heard.store(true, Ordering::SeqCst);
            Ok(())
        }
    };
    bench.task_with("a", once(), Duration::from_secs(3), Policy::default(), body);
    bench.start().await;
    pass(10.0).await;
    let (outcome, took, text) = end(&bench, "a");
    assert_eq!(outcome, Outcome::Timeout);
    assert!(heard.load(Ordering::SeqCst));
    assert!((3.0..3.1).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(text, "timed out after 3s");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ignores_its_timeout_is_dropped_after_the_grace_and_its_lock_is_held_until_then()
{
    let bench = Bench::new();
    let dropped = Arc::new(AtomicBool::new(false));
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = dropped.clone();
    let body = move |_| {
        let flag = Flag(flag.clone());
        async move {
            std::future::pending::<()>().await;
            drop(flag);
            Ok(())
        }
    };
    let policy = Policy::default().cancel_grace(Duration::from_secs(4));
    bench.task_with("a", once(), Duration::from_secs(3), policy, body);
    bench.start().await;
    pass(7.9).await; // due after 1, timeout after 4, grace until 8
    assert!(!dropped.load(Ordering::SeqCst));
    assert_eq!(bench.scheduler.handle().task("a").unwrap().running.len(), 1);
    pass(0.2).await;
    assert!(dropped.load(Ordering::SeqCst));
    let (outcome, took, _) = end(&bench, "a");
    assert_eq!(outcome, Outcome::Timeout);
    assert!((7.0..7.1).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_sees_what_it_is_about() {
    let bench = Bench::new();
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = lines.clone();
    let body = move |ctx: tasklock::RunContext| {
        let log = log.clone();
        async move {
            log.lock().unwrap().push((
                ctx.task_name().to_owned(),
                ctx.fire_time().to_rfc3339(),
                ctx.attempt(),
                ctx.run_id().to_string(),
                ctx.fencing_token(),
                (ctx.deadline() - ctx.fire_time()).num_seconds(),
            ));
            Ok(())
        }
    };
    bench.task_with(
        "a",
        "* * * * * *",
        Duration::from_secs(7),
        Policy::default(),
        body,
    );
    bench.start().await;
    pass(2.5).await;
    let lines = lines.lock().unwrap();
    let (name, fire_time, attempt, run_id, token, until) = &lines[0];
    assert_eq!(
        (name.as_str(), fire_time.as_str()),
        ("a", "2026-11-21T10:00:01+00:00")
    );
    assert_eq!((*attempt, *until, run_id.len()), (1, 7, 26));
    assert!(lines[1].3 > *run_id, "run ids sort by time");
    assert!(lines[1].4 > *token, "fencing tokens grow");
}

/// Real threads and real time: a blocked thread cannot be simulated.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_task_that_blocks_its_thread_past_the_timeout_is_a_timeout_and_stops_no_other_task() {
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .clock(Arc::new(SystemClock))
        .observer(seen.clone())
        .build()
        .unwrap();
    let blocked = AtomicU32::new(0);
    let block = move |_| {
        if blocked.fetch_add(1, Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1500));
        }
        async { Ok(()) }
    };
    let name = "blocks";
    scheduler
        .register(BaseTask::new(
            name,
            "@every 500ms",
            Duration::from_millis(200),
            block,
        ))
        .unwrap();
    scheduler
        .register(BaseTask::new(
            "other",
            "@every 100ms",
            Duration::from_secs(1),
            |_| async { Ok(()) },
        ))
        .unwrap();
    scheduler.start().await.unwrap();
    let others_meanwhile = seen
        .wait_for(Duration::from_secs(20), |events| {
            let end = events
                .iter()
                .position(|e| matches!(e, Event::RunFinished { run, .. } if run.task == name))?;
            let start = events
                .iter()
                .position(|e| matches!(e, Event::RunStarted { run } if run.task == name))?;
            Some(
                events[start..end]
                    .iter()
                    .filter(|e| matches!(e, Event::RunFinished { run, .. } if run.task == "other"))
                    .count(),
            )
        })
        .await;
    assert_eq!(seen.outcomes(name)[0], Outcome::Timeout);
    assert!(
        others_meanwhile >= 5,
        "{others_meanwhile} runs of the other task meanwhile"
    );
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_changes_nothing() {
    struct Panics;
    impl tasklock::Observer for Panics {
        fn on_event(&self, _: &Event) {
            panic!("an observer");
        }
    }
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.observer(Panics),
    );
    bench.task("a", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(2.5).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success; 2]);
}

#[tokio::test(start_paused = true)]
async fn every_decision_that_starts_a_run_has_one_start_and_one_outcome() {
    let bench = Bench::new();
    bench.task("mixed", "* * * * * *", |ctx| async move {
        match ctx.fire_time().timestamp() % 4 {
            0 => Ok(()),
            1 => Err(TaskError::new("odd")),
            2 => panic!("two"),
            _ => {
                pass(1.5).await;
                Ok(())
            }
        }
    });
    bench.start().await;
    pass(60.5).await;
    bench.scheduler.stop().await;
    let decisions = bench.seen.decisions("mixed");
    let started = decisions
        .iter()
        .filter(|d| **d == tasklock::Decision::Started)
        .count();
    assert_eq!(decisions.len(), 60);
    assert_eq!(bench.seen.starts("mixed").len(), started);
    assert_eq!(bench.seen.outcomes("mixed").len(), started);
}
