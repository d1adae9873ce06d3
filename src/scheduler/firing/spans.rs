//! The spans of a run, for tracing systems.
//!
//! ```text
//! task_run            a root, one for each run
//! ├─ lock             its claim, if that was slow or in vain
//! ├─ attempt          all spans and events of the task's code
//! ├─ attempt          follows from the one before
//! └─ lock             its release, if that was slow or in vain
//! ```
//! A firing that starts nothing has none. What the lock took is known afterwards only, and is a field:
//! these spans end where they begin.

use std::time::Duration;

use tracing::Span;
use tracing::field::{Empty, display};

use crate::event::{Outcome, RunFacts};
use crate::scheduler::attempt::End;
use crate::scheduler::firing::Run;
use crate::task::CancelReason;

/// A lock that answers in this time is not worth a span.
const QUICK: Duration = Duration::from_millis(1);

/// One call of the task's code, within the span of its run.
pub(super) fn attempt(number: u32, before: Option<&Span>) -> Span {
    let span = tracing::info_span!(
        target: "tasklock",
        "attempt",
        otel.name = %format_args!("attempt {number}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        otel.status_description = Empty,
        task.attempt = number,
        "error.type" = Empty,
    );
    span.follows_from(before.and_then(Span::id));
    span
}

/// Says in its span how an attempt has ended.
pub(super) fn end_attempt(span: &Span, end: &End) {
    let Some(error_type) = error_type(end).filter(|_| !span.is_disabled()) else {
        return;
    };
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type);
    match end {
        End::Returned(Err(error)) => span.record("otel.status_description", display(error)),
        End::Panicked(text) => span.record("otel.status_description", text.as_str()),
        End::Returned(Ok(())) | End::Cancelled(_) => span,
    };
}

/// What kind of failure an end is: its error's type if it is known, or one of a few words; `None` if it
/// is none.
pub(super) fn error_type(end: &End) -> Option<&'static str> {
    let outcome = match end {
        End::Returned(Err(error)) => match error.type_name() {
            Some(name) => return Some(name),
            None => Outcome::Failure,
        },
        End::Panicked(_) => Outcome::Panicked,
        End::Cancelled(CancelReason::Timeout) => Outcome::Timeout,
        End::Cancelled(CancelReason::LeaseLost) => Outcome::LeaseLost,
        End::Returned(Ok(())) | End::Cancelled(_) => return None,
    };
    Some(outcome.as_str())
}

impl Run {
    /// The root of what belongs to this run.
    pub(super) fn span(&self) -> Span {
        let RunFacts {
            task,
            run_id,
            fire_time,
            attempt,
            fencing_token,
            lateness,
            shard,
            trigger,
            request,
            ..
        } = &self.facts;
        let traceparent = request.as_ref().and_then(|r| r.traceparent.as_deref());
        let span = tracing::info_span!(
            target: "tasklock",
            parent: None,
            "task_run",
            otel.name = %format_args!("run {task}"),
            otel.kind = "server",
            otel.status_code = Empty,
            task.name = %task,
            task.run_id = %run_id,
            task.shard = shard.map(display),
            task.trigger = trigger.as_str(),
            task.request.traceparent = traceparent,
            task.actor = request.as_ref().map(|request| request.by.actor()),
            task.due_at = %fire_time.to_rfc3339(),
            task.start_delay_s = lateness.as_secs_f64(),
            task.attempt = attempt,
            task.attempt.count = Empty,
            task.lock.fencing_token = fencing_token.get(),
            task.outcome = Empty,
            "error.type" = Empty,
            faas.trigger = if request.is_some() { "other" } else { "timer" },
            faas.cron = %self.entry.spec,
            faas.time = %fire_time.to_rfc3339(),
            service.instance.id = %self.engine.settings.instance,
            sampling.priority = (!self.is_sampled()).then_some(0_i64),
        );
        #[cfg(feature = "otel")]
        if let Some(traceparent) = traceparent {
            crate::control::link(&span, traceparent);
        }
        span
    }

    /// Whether its trace is wanted.
    fn is_sampled(&self) -> bool {
        let sample = self.engine.settings.trace_sample;
        sample.wants(&self.facts, &self.entry.schedule)
    }

    /// Says in the span of this run, the current one, how it has ended.
    pub(super) fn end_span(&self, outcome: Outcome, error_type: Option<&str>) {
        let span = Span::current();
        if span.is_disabled() {
            return;
        }
        let count = self.facts.attempt - self.lease.grant().attempt() + 1;
        span.record("task.attempt.count", count);
        span.record("task.outcome", outcome.as_str());
        if !matches!(outcome, Outcome::Success | Outcome::Cancelled) {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error_type.unwrap_or(outcome.as_str()));
        }
    }

    /// Says how long the lock took to grant this run, if that was long, or that it did not answer.
    pub(super) fn tell_claim(&self) {
        self.tell_lock("lock acquire", self.claim_took, self.is_local);
    }

    /// A span of a request to the lock, within the current one, if it was slow or in vain.
    pub(super) fn tell_lock(&self, name: &'static str, took: Option<Duration>, has_failed: bool) {
        if !has_failed && took.is_none_or(|took| took <= QUICK) {
            return;
        }
        let store = || self.engine.settings.lock.describe();
        tracing::info_span!(
            target: "tasklock",
            "lock",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = has_failed.then_some("ERROR"),
            db.system.name = store().starts_with("redis").then_some("redis"),
            task.lock.store = store(),
            task.lock.took_s = took.map(|took| took.as_secs_f64()),
        );
    }
}
