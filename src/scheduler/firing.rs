//! The path of one granted firing, top to bottom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Instrument;

use crate::event::{Decision, Event, LeaseLoss, Outcome, RunFacts};
use crate::lock::Completion;
use crate::lock::lease::Lease;
use crate::scheduler::admit;
use crate::scheduler::attempt::{self, End};
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::Running;
use crate::task::{CancelReason, RunContext, RunControl, RunId};

/// Starts the run of a firing that was granted. Returns at once.
pub(crate) fn start(engine: &Arc<Engine>, firing: &Firing, lease: Lease) {
    engine.renewer.add(&lease);
    let run = Run::begin(engine, firing, lease);
    let span = run.span();
    engine.runs.spawn(run.run().instrument(span));
}

/// A run on its way.
struct Run {
    engine: Arc<Engine>,
    entry: Arc<Entry>,
    lease: Lease,
    facts: RunFacts,
    control: RunControl,
    is_reported: Arc<AtomicBool>,
}

impl Run {
    /// The firing becomes a run: it is this task's run now, and the next firing may be looked at.
    fn begin(engine: &Arc<Engine>, firing: &Firing, lease: Lease) -> Self {
        let Firing {
            entry, fire_time, ..
        } = firing;
        let started = engine.settings.clock.now();
        let grant = lease.grant();
        let facts = RunFacts {
            task: entry.name.clone(),
            run_id: RunId::new(started, engine.random()),
            fire_time: *fire_time,
            attempt: grant.attempt(),
            fencing_token: grant.fencing_token(),
            started,
            lateness: admit::lateness(*fire_time, started),
        };
        let run = Self {
            engine: engine.clone(),
            entry: entry.clone(),
            lease,
            facts,
            control: RunControl::new(),
            is_reported: Arc::default(),
        };
        {
            let mut slot = entry.slot();
            slot.running = Some(Running {
                facts: run.facts.clone(),
                control: run.control.clone(),
                is_reported: run.is_reported.clone(),
            });
            slot.leave(*fire_time);
        }
        if !firing.is_rerun {
            engine.decide(entry, *fire_time, Decision::Started, None);
        }
        claiming::next_in_line(engine, entry);
        run
    }

    fn span(&self) -> tracing::Span {
        let RunFacts {
            task,
            run_id,
            fire_time,
            attempt,
            fencing_token,
            ..
        } = &self.facts;
        tracing::info_span!(
            target: "tasklock",
            parent: None,
            "task_run",
            otel.name = %format_args!("run {task}"),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            task.name = %task,
            task.run_id = %run_id,
            task.trigger = "schedule",
            task.attempt = attempt,
            task.lock.fencing_token = fencing_token.get(),
            task.outcome = tracing::field::Empty,
            faas.trigger = "timer",
            faas.cron = %self.entry.spec,
            faas.time = %fire_time.to_rfc3339(),
            service.instance.id = %self.engine.settings.instance,
        )
    }

    async fn run(self) {
        if self.engine.aborting.is_cancelled() {
            self.control.cancel(CancelReason::Shutdown);
        }
        let clock = &self.engine.settings.clock;
        self.engine.announce(&Event::RunStarted {
            run: self.facts.clone(),
        });
        let started = clock.monotonic();
        let end = self.attempt().await;
        let took = clock.monotonic().saturating_sub(started);
        let at = clock.now();

        // The future is gone: only now may anybody else have the lock.
        self.engine.renewer.remove(&self.lease);
        let (outcome, completion, error) = self.judge(end);
        self.release(completion).await;

        let span = tracing::Span::current();
        span.record("task.outcome", outcome.as_str());
        if !matches!(outcome, Outcome::Success | Outcome::Cancelled) {
            span.record("otel.status_code", "ERROR");
        }
        // A stop that could not wait for us has reported the run as abandoned.
        if !self.is_reported.swap(true, Ordering::AcqRel) {
            self.engine.announce(&Event::RunFinished {
                run: self.facts.clone(),
                outcome,
                duration: took,
                error: error.map(Into::into),
                at,
            });
        }
        self.entry.slot().finish_run(outcome, at, took);
        claiming::next_in_line(&self.engine, &self.entry);
        claiming::plan_next(&self.engine, &self.entry).await;
    }

    /// Runs the task's code under guard.
    async fn attempt(&self) -> End {
        let clock = &self.engine.settings.clock;
        let deadline = self.entry.deadline(self.facts.started);
        let ctx = RunContext::new(self.facts.clone(), deadline, self.control.clone());
        let task = self.entry.task.clone();
        let limits = attempt::Limits {
            timeout_at: clock.monotonic().saturating_add(self.entry.timeout),
            cancel_grace: self.entry.policy.cancel_grace,
        };
        let body = Box::pin(async move { task.run(ctx).await });
        attempt::guard(body, &self.lease, &self.control, clock.as_ref(), limits).await
    }

    /// What an end means: for people, for the lock's record, and in words.
    fn judge(&self, end: End) -> (Outcome, Completion, Option<String>) {
        match end {
            End::Returned(Ok(())) => (Outcome::Success, Completion::Succeeded, None),
            End::Returned(Err(e)) => (Outcome::Failure, Completion::Failed, Some(e.to_string())),
            End::Panicked(text) => (
                Outcome::Panicked,
                Completion::Failed,
                Some(format!("panicked: {text}")),
            ),
            End::Cancelled(CancelReason::Timeout) => {
                let text = format!("timed out after {:?}", self.entry.timeout);
                (Outcome::Timeout, Completion::TimedOut, Some(text))
            }
            End::Cancelled(CancelReason::Shutdown) => {
                let text = "cancelled by the scheduler's shutdown".to_owned();
                (Outcome::Cancelled, Completion::Cancelled, Some(text))
            }
            End::Cancelled(CancelReason::Replaced) => {
                let text = "cancelled: its next firing takes its place".to_owned();
                (Outcome::Cancelled, Completion::Cancelled, Some(text))
            }
            End::Cancelled(CancelReason::LeaseLost) => {
                let now = self.engine.settings.clock.monotonic();
                let cause = self.lease.loss(now).unwrap_or(LeaseLoss::Expired);
                self.engine.announce(&Event::LeaseLost {
                    run: self.facts.clone(),
                    cause,
                });
                let text = format!("the lease was lost ({cause}): another instance may have it");
                (Outcome::LeaseLost, Completion::Cancelled, Some(text))
            }
        }
    }

    /// Gives the lease back. If the store does not answer at once, that goes on in the background,
    /// and changes nothing for the run's outcome.
    async fn release(&self, completion: Completion) {
        use crate::lock::Lock;
        let grant = self.lease.grant();
        if let Err(e) = self.engine.lock.release(grant, completion).await
            && e.is_transient()
        {
            claiming::take_back(&self.engine, grant.clone(), completion);
        }
    }
}
