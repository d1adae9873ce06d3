//! Renewal, trust, loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tasklock::chrono::TimeDelta;
use tasklock::{Event, LeaseLoss, Lock, LockOperation, Outcome, Policy, RunStatus, TaskResult};

use crate::support::{Bench, Fault, pass};

const ONCE: &str = "@at 2026-11-21T10:00:01Z";

async fn two_minutes(_: tasklock::RunContext) -> TaskResult {
    pass(120.0).await;
    Ok(())
}

fn register<F, Fut>(bench: &Bench, ttl: u64, body: F)
where
    F: Fn(tasklock::RunContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = TaskResult> + Send + 'static,
{
    let policy = Policy::default().lease_ttl(Duration::from_secs(ttl));
    bench.task_with("a", ONCE, Duration::from_secs(300), policy, body);
}

fn losses(bench: &Bench) -> Vec<LeaseLoss> {
    let events = bench.seen.events();
    let losses = events.iter().filter_map(|e| match e {
        Event::LeaseLost { cause, .. } => Some(*cause),
        _ => None,
    });
    losses.collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_its_lease_keeps_it_by_renewing_every_third() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    register(&bench, 30, two_minutes);
    bench.start().await;
    pass(122.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
    let renewals = lock.asked(LockOperation::Renew, "a");
    assert!(
        (11..=14).contains(&renewals),
        "{renewals} renewals in 120 s"
    );
    pass(60.0).await;
    assert_eq!(
        lock.asked(LockOperation::Renew, "a"),
        renewals,
        "renewed after its end"
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_clock_has_all_leases_renewed_at_once() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    register(&bench, 300, two_minutes);
    bench.start().await;
    pass(5.0).await;
    assert_eq!(lock.asked(LockOperation::Renew, "a"), 0, "every 100 s");
    bench.clock.step(TimeDelta::seconds(-2));
    pass(1.1).await;
    assert_eq!(lock.asked(LockOperation::Renew, "a"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_took_drops_the_run_at_the_next_renewal() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.next(LockOperation::Renew, [Fault::None, Fault::Taken]);
    register(&bench, 30, two_minutes);
    bench.start().await;
    pass(30.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::LeaseLost]);
    assert_eq!(losses(&bench), [LeaseLoss::Taken]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_drops_the_run_before_the_store_frees_it() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.always(LockOperation::Renew, Fault::NotSent);
    let dropped_at = Arc::new(std::sync::Mutex::new(None));
    struct AtDrop(Arc<std::sync::Mutex<Option<tokio::time::Instant>>>);
    impl Drop for AtDrop {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = Some(tokio::time::Instant::now());
        }
    }
    let note = dropped_at.clone();
    register(&bench, 30, move |_| {
        let guard = AtDrop(note.clone());
        async move {
            pass(120.0).await;
            drop(guard);
            Ok(())
        }
    });
    bench.start().await;
    let begun = tokio::time::Instant::now();
    pass(40.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::LeaseLost]);
    assert_eq!(losses(&bench), [LeaseLoss::Expired]);
    let after = (dropped_at.lock().unwrap().unwrap() - begun).as_secs_f64();
    // Due after 1 s; 30 s of lease less 3 s of margin.
    assert!((27.9..28.1).contains(&after), "dropped after {after} s");
    assert!(
        lock.asked(LockOperation::Renew, "a") > 10,
        "it goes on trying every second"
    );
}

#[tokio::test(start_paused = true)]
async fn the_trust_window_counts_from_the_request_and_not_from_the_answer() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.next(
        LockOperation::Acquire,
        [Fault::Late(Duration::from_secs(2))],
    );
    lock.always(LockOperation::Renew, Fault::NotSent);
    register(&bench, 9, two_minutes);
    bench.start().await;
    // Asked at 1 s, answered at 3 s; 9 s of lease less 1 s of margin end at 9 s.
    pass(8.9).await;
    assert!(bench.seen.outcomes("a").is_empty());
    pass(0.2).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::LeaseLost]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_executed_but_not_answered_is_repeated() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.next(
        LockOperation::Renew,
        [Fault::ReplyLost, Fault::NotSent, Fault::ReplyLost],
    );
    register(&bench, 30, two_minutes);
    bench.start().await;
    pass(125.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_knows_no_grace_and_is_seen_by_the_run() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.next(LockOperation::Renew, [Fault::Taken]);
    let heard = Arc::new(AtomicBool::new(false));
    let hears = heard.clone();
    register(&bench, 30, move |ctx| {
        let heard = hears.clone();
        async move {
            // Outside the guard, as work on another thread is.
            let watch = ctx.clone();
            tokio::spawn(async move {
                watch.cancelled().await;
                let lost = watch.cancel_reason() == Some(tasklock::CancelReason::LeaseLost);
                heard.store(lost, Ordering::SeqCst);
            });
            std::future::pending().await
        }
    });
    bench.start().await;
    pass(15.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::LeaseLost]);
    assert!(heard.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_release_without_an_answer_is_repeated_and_does_not_change_the_outcome() {
    let (bench, lock) = Bench::scripted(|builder| builder);
    lock.next(
        LockOperation::Release,
        [Fault::NotSent, Fault::ReplyLost, Fault::NotSent],
    );
    register(&bench, 30, |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
    let last = lock
        .inner
        .last_fired(&["a".parse().unwrap()])
        .await
        .unwrap();
    assert_eq!(last[0].as_ref().unwrap().status, RunStatus::Succeeded);
    assert_eq!(lock.asked(LockOperation::Release, "a"), 4);
}

#[tokio::test(start_paused = true)]
async fn many_leases_are_renewed_together() {
    let (bench, _) = Bench::scripted(|builder| builder);
    for i in 0..100 {
        let policy = Policy::default();
        let minute = Duration::from_secs(60);
        bench.task_with(&format!("t{i}"), ONCE, minute, policy, |_| async {
            pass(25.0).await;
            Ok(())
        });
    }
    bench.start().await;
    pass(28.0).await;
    let renewals: Vec<u64> = bench
        .seen
        .events()
        .iter()
        .filter_map(|e| match e {
            Event::LockOperation {
                operation: LockOperation::Renew,
                results,
                ..
            } => Some(results.ok),
            _ => None,
        })
        .collect();
    assert_eq!(renewals, [100, 100]);
}
