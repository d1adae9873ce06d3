//! Calling a task again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tasklock::chrono::TimeDelta;
use tasklock::{Clock, Event, MemoryLock, Outcome, Retry, TaskError};

use super::{policy, seconds};
use crate::support::{Bench, pass};
use Outcome::{Cancelled, Failure, Success};

/// Fails so often, then succeeds; every call is noted.
fn failing(times: usize) -> (Arc<AtomicUsize>, impl Fn(usize) -> Result<(), TaskError>) {
    (Arc::default(), move |call| {
        if call < times {
            Err(TaskError::new(format!("no luck {call}")))
        } else {
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_within_its_run() {
    let bench = Bench::new();
    let (calls, judge) = failing(2);
    let attempts: Arc<std::sync::Mutex<Vec<(u32, i64)>>> = Arc::default();
    let (log, counted, clock) = (attempts.clone(), calls.clone(), bench.clock.clone());
    let judge = Arc::new(judge);
    let retry = policy().retry(Retry::times(5).first_wait(seconds(2)));
    bench.task_with("t", "0 * * * * *", seconds(50), retry, move |ctx| {
        log.lock()
            .unwrap()
            .push((ctx.attempt(), clock.now().timestamp() % 60));
        let end = judge(counted.fetch_add(1, Ordering::Relaxed));
        async move { end }
    });
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.starts("t").len(), 1);
    assert_eq!(bench.seen.outcomes("t"), [Success]);
    let attempts = attempts.lock().unwrap().clone();
    assert_eq!(attempts.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 2, 3]);
    // 2 s and up to as much at random, then twice that.
    assert!((2..=4).contains(&attempts[1].1), "{attempts:?}");
    assert!(
        (4..=8).contains(&(attempts[2].1 - attempts[1].1)),
        "{attempts:?}"
    );
    let errors: Vec<String> = bench
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RunRetried { error, .. } => Some(error.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(errors, ["no luck 0", "no luck 1"]);
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_their_number_the_timeout_and_the_next_firing() {
    for (retry, timeout, calls_made) in [
        (Retry::times(2).first_wait(Duration::from_millis(10)), 50, 3),
        (Retry::never(), 50, 1),
        // Waits of at least 8 s: a second one would outlast the timeout.
        (Retry::times(9).first_wait(seconds(8)), 20, 2),
        // Waits of 25 s or more: the second is past the next fire time.
        (Retry::times(9).first_wait(seconds(25)), 600, 2),
    ] {
        let bench = Bench::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        bench.task_with(
            "t",
            "0 * * * * *",
            seconds(timeout),
            policy().retry(retry),
            move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Err(TaskError::new("never")) }
            },
        );
        bench.start().await;
        pass(119.0).await;
        assert_eq!(bench.seen.outcomes("t"), [Failure], "{retry:?}");
        assert_eq!(calls.load(Ordering::Relaxed), calls_made, "{retry:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_may_say_whether_and_when_it_is_tried_again() {
    let bench = Bench::new();
    let retry = || policy().retry(Retry::times(3).first_wait(Duration::from_millis(1)));
    bench.task_with("hopeless", "0 * * * * *", seconds(50), retry(), |_| async {
        Err(TaskError::permanent("no such table"))
    });
    bench.task_with(
        "later",
        "0 * * * * *",
        seconds(50),
        retry(),
        |ctx| async move {
            match ctx.attempt() {
                1 => Err(TaskError::retry_after(seconds(7), "busy")),
                _ => Ok(()),
            }
        },
    );
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.outcomes("hopeless"), [Failure]);
    assert_eq!(bench.seen.outcomes("later"), [Success]);
    let retried: Vec<(String, Duration)> = bench
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RunRetried { run, wait, .. } => Some((run.task.to_string(), *wait)),
            _ => None,
        })
        .collect();
    assert_eq!(retried, [("later".to_owned(), seconds(7))]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_tried_again_and_a_timeout_is_not() {
    let bench = Bench::new();
    let retry = || policy().retry(Retry::times(3).first_wait(Duration::from_millis(1)));
    bench.task_with(
        "panics",
        "0 * * * * *",
        seconds(50),
        retry(),
        |ctx| async move {
            assert!(ctx.attempt() > 2, "too soon");
            Ok(())
        },
    );
    bench.task_with(
        "slow",
        "0 * * * * *",
        seconds(5),
        retry(),
        |ctx| async move {
            assert_eq!(ctx.attempt(), 1);
            pass(50.0).await;
            Ok(())
        },
    );
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.outcomes("panics"), [Success]);
    assert_eq!(bench.seen.outcomes("slow"), [Outcome::Timeout]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_for_a_retry() {
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.shutdown_grace(seconds(1)),
    );
    let retry = policy().retry(Retry::times(3).first_wait(seconds(30)));
    bench.task_with("t", "0 0 * * * *", seconds(600), retry, |_| async {
        Err(TaskError::new("never"))
    });
    bench.start().await;
    pass(3605.0).await;
    let begun = bench.now();
    let report = bench.scheduler.stop().await;
    assert!(bench.now() - begun < TimeDelta::seconds(10), "{report}");
    assert_eq!(bench.seen.outcomes("t"), [Cancelled]);
}
