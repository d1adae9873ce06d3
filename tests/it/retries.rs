//! Waits between attempts: what ends them, and what is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tasklock::{LockOperation, MemoryLock, Metrics, Outcome, Policy, Retry, TaskError};

use crate::support::{Bench, Fault, ScriptedLock, clock_and_lock, pass};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A task that fails each time and is to be tried again after 3 to 6 s.
fn failing(bench: &Bench, spec: &str, policy: Policy) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let policy = policy
        .retry(Retry::times(1).first_wait(seconds(3)))
        .cancel_grace(seconds(60));
    bench.task_with("t", spec, seconds(600), policy, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(TaskError::new("never")) }
    });
    calls
}

fn retries(metrics: &Metrics) -> String {
    let text = metrics.encode().unwrap();
    let line = text.lines().find(|l| l.starts_with("task_retries_total{"));
    line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_to_end_while_it_waits_is_not_called_again() {
    let metrics = Metrics::new().unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| {
            builder
                .shutdown_grace(Duration::from_millis(100))
                .metrics(metrics.clone())
        },
    );
    let calls = failing(&bench, "0 0 * * * *", Policy::default());
    bench.start().await;
    pass(3601.0).await;
    let begun = bench.now();
    bench.scheduler.stop().await;
    assert!((bench.now() - begun).num_seconds() < 2);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(bench.seen.outcomes("t"), [Outcome::Cancelled]);
    assert_eq!(retries(&metrics), "0");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_retry_ends_with_the_lease() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    lock.always(LockOperation::Renew, Fault::NotSent);
    let bench = Bench::on(clock, lock, |b| b);
    // Longer than a lease that nobody can renew.
    let policy = Policy::default().retry(
        Retry::times(1)
            .longest_wait(seconds(120))
            .first_wait(seconds(120)),
    );
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    bench.task_with("t", "0 0 * * * *", seconds(600), policy, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err(TaskError::new("never")) }
    });
    bench.start().await;
    pass(3600.0 + 29.0).await;
    assert_eq!(bench.seen.outcomes("t"), [Outcome::LeaseLost]);
    pass(300.0).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_counted_when_its_attempt_starts() {
    let metrics = Metrics::new().unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    let calls = failing(&bench, "0 0 * * * *", Policy::default());
    bench.start().await;
    pass(3602.0).await;
    assert_eq!(retries(&metrics), "0");
    pass(10.0).await;
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(retries(&metrics), "1");
}
