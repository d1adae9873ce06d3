//! One call of a task's code, under guard.
//!
//! The task's future is polled inside the guard, not beside it, and the guard looks at the lease
//! before every poll: a process that slept through its lease executes nothing more of the task
//! than the poll it was stopped in.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::defence::{self, Defence};
use crate::lock::lease::Lease;
use crate::task::{CancelReason, RunControl, TaskResult};
use crate::time::Clock;

pub(crate) type Body = Pin<Box<dyn Future<Output = TaskResult> + Send>>;

/// How often a run that was asked to end is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// When an attempt is made to end; monotonic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout_at: Duration,
    pub(crate) cancel_grace: Duration,
}

/// How an attempt ended. The future is gone by then.
#[derive(Debug)]
pub(crate) enum End {
    Returned(TaskResult),
    Panicked(String),
    Cancelled(CancelReason),
}

/// Polls `body` to its end, or drops it: at once when the lease is lost, after the grace when it
/// was asked to end and did not.
pub(crate) async fn guard(
    body: Body,
    lease: &Lease,
    control: &RunControl,
    clock: &dyn Clock,
    limits: Limits,
) -> End {
    let mut body = Some(body);
    let mut lost = pin!(lease.lost());
    let mut cancelled = pin!(control.cancelled());
    let mut alarm: Option<Pin<Box<tokio::time::Sleep>>> = None;
    let mut rings_at = None;
    let mut asked_at: Option<Duration> = None;

    poll_fn(move |cx| {
        let mut looks = defence::holds(Defence::LookBeforePoll);
        loop {
            let now = clock.monotonic();
            if std::mem::replace(&mut looks, true) && lease.loss(now).is_some() {
                control.cancel(CancelReason::LeaseLost);
                return Poll::Ready(drop_body(&mut body, CancelReason::LeaseLost));
            }
            if now >= limits.timeout_at {
                control.cancel(CancelReason::Timeout);
            }
            if let Some(reason) = control.reason() {
                let asked_at = *asked_at.get_or_insert(now);
                if now >= asked_at.saturating_add(grace(control, limits)) {
                    return Poll::Ready(drop_body(&mut body, reason));
                }
            }

            if let Some(end) = poll_body(&mut body, cx) {
                return Poll::Ready(judge(end, lease, control, clock, limits));
            }

            let ends_at = asked_at.map(|at| {
                let drop_at = at.saturating_add(grace(control, limits));
                // Somebody may give it less time yet.
                drop_at.min(now.saturating_add(PATIENCE))
            });
            let wake_at = lease
                .trusted_until()
                .min(ends_at.unwrap_or(limits.timeout_at));
            if rings_at != Some(wake_at) {
                rings_at = Some(wake_at);
                let wait = wake_at.saturating_sub(clock.monotonic());
                // Anew rather than reset: a reset keeps the time of a clock that was moved.
                alarm = Some(Box::pin(tokio::time::sleep(wait)));
            }
            let has_rung = alarm
                .as_mut()
                .is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready());
            if has_rung {
                // The clock decides, not the alarm: it may have rung a little early.
                rings_at = None;
                alarm = Some(Box::pin(tokio::time::sleep(Duration::from_millis(1))));
            }
            let is_lost = lost.as_mut().poll(cx).is_ready();
            let is_asked = asked_at.is_none() && cancelled.as_mut().poll(cx).is_ready();
            if !(has_rung || is_lost || is_asked) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// How long a run may take to end that was asked to.
fn grace(control: &RunControl, limits: Limits) -> Duration {
    control.grace().unwrap_or(limits.cancel_grace)
}

/// Polls the task's future. `None` while it is not ready; its panics are ends like others.
fn poll_body(body: &mut Option<Body>, cx: &mut Context<'_>) -> Option<End> {
    let future = body.as_mut()?;
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(result)) => match drop_quietly(body) {
            Ok(()) => Some(End::Returned(result)),
            Err(panic) => Some(End::Panicked(panic)),
        },
        Err(panic) => {
            let text = panic_text(panic.as_ref());
            let _ = drop_quietly(body);
            Some(End::Panicked(text))
        }
    }
}

/// A body that came to its end by itself may have come too late: its thread was blocked while a
/// limit passed, or it heard that it should end.
fn judge(end: End, lease: &Lease, control: &RunControl, clock: &dyn Clock, limits: Limits) -> End {
    let now = clock.monotonic();
    if lease.loss(now).is_some() {
        control.cancel(CancelReason::LeaseLost);
        return End::Cancelled(CancelReason::LeaseLost);
    }
    match (end, control.reason()) {
        (End::Panicked(text), _) => End::Panicked(text),
        (_, Some(CancelReason::Timeout)) => End::Cancelled(CancelReason::Timeout),
        (_, None) if now >= limits.timeout_at => End::Cancelled(CancelReason::Timeout),
        // Asked to end by a shutdown, it says that its work is done nevertheless.
        (End::Returned(Ok(())), _) => End::Returned(Ok(())),
        (_, Some(reason)) => End::Cancelled(reason),
        (end, None) => end,
    }
}

fn drop_body(body: &mut Option<Body>, reason: CancelReason) -> End {
    match drop_quietly(body) {
        Ok(()) => End::Cancelled(reason),
        Err(panic) => End::Panicked(panic),
    }
}

/// Drops the future. What it owns may panic in its own drop.
fn drop_quietly(body: &mut Option<Body>) -> Result<(), String> {
    let body = body.take();
    if !defence::holds(Defence::DropBeforeRelease) {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(body);
        });
        return Ok(());
    }
    catch_unwind(AssertUnwindSafe(|| drop(body))).map_err(|panic| panic_text(panic.as_ref()))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "with something that is not a text".to_owned()
    }
}
