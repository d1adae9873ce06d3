//! The path of one granted firing, top to bottom.

mod armed;
mod spans;

pub(crate) use armed::Gates;
use armed::Passed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::Instrument;

use crate::event::{Decision, Event, LeaseLoss, Outcome, RunFacts, Trigger};
use crate::lock::lease::Lease;
use crate::lock::{Claim, Completion, FencingToken, Grant, Token};
use crate::scheduler::admit;
use crate::scheduler::attempt::{self, End};
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::limits::Permit;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::Running;
use crate::task::{Advice, CancelReason, NoteReader, RunContext, RunControl, RunId, RunNotes};
use crate::time::Clock;

/// Starts the run of a firing without asking the lock: on each instance, or because the store is
/// down. Returns at once.
pub(crate) fn start_unlocked(engine: &Arc<Engine>, firing: &Firing) {
    let lease = unlocked(engine, &firing.entry, firing.fire_time);
    start(engine, firing, lease);
}

/// A lease of nobody's lock.
pub(crate) fn unlocked(engine: &Engine, entry: &Entry, fire_time: DateTime<Utc>) -> Lease {
    let now = engine.settings.clock.now();
    let token = Token::from_bits(engine.random());
    let instance = &engine.settings.instance;
    let claim = Claim::new(entry.key.clone(), fire_time, token, instance);
    let fence = FencingToken::new(now.timestamp_micros().unsigned_abs());
    let ttl = entry.policy.lease_ttl;
    Lease::unlocked(Grant::new(&claim, fence, 1, ttl))
}

/// To be called once runs have been started from this thread: it takes the last of them up next, and
/// a task may block it. Then somebody else has to keep the runtime's time, and tokio wakes nobody for
/// one task alone.
pub(crate) fn wake_another_thread() {
    tokio::spawn(async {});
}

/// Starts the run of a firing that was granted, at its time. Returns at once.
pub(crate) fn start(engine: &Arc<Engine>, firing: &Firing, lease: Lease) {
    if !lease.is_unlocked() {
        engine.renewer.add(&lease);
    }
    let now = engine.settings.clock.now();
    if let Some(at) = firing.starts_at.filter(|at| now < *at) {
        armed::spawn(engine, Run::prepare(engine, firing, lease, at), at);
        return;
    }
    let mut run = Run::prepare(engine, firing, lease, now);
    run.begin(now);
    let span = run.span();
    engine.runs.spawn(run.run().instrument(span));
}

/// A run on its way.
struct Run {
    engine: Arc<Engine>,
    entry: Arc<Entry>,
    lease: Lease,
    facts: RunFacts,
    notes: Arc<RunNotes>,
    control: RunControl,
    is_reported: Arc<AtomicBool>,
    /// Its firing was decided before, by an instance that died.
    is_rerun: bool,
    /// Others start at the same moment, if there was a gate for it.
    passed: Option<Passed>,
    /// How long the lock took to grant it; `None` if it was not asked, or did not answer.
    claim_took: Option<Duration>,
    /// The lock was asked in vain, and it runs nevertheless.
    is_local: bool,
    /// Held until the run has ended.
    _permit: Option<Arc<Permit>>,
}

impl Run {
    /// What can be made ready before the run starts, which is planned for `starts_at`.
    fn prepare(
        engine: &Arc<Engine>,
        firing: &Firing,
        lease: Lease,
        starts_at: DateTime<Utc>,
    ) -> Self {
        let Firing {
            entry, fire_time, ..
        } = firing;
        // It may have waited for long: what runs is what the task is now.
        let current = engine.registry.current(entry);
        let entry = current.as_ref().unwrap_or(entry);
        let grant = lease.grant();
        let asked_at = (!lease.is_unlocked()).then(|| lease.asked_at());
        let now = engine.settings.clock.monotonic();
        let facts = RunFacts {
            task: entry.name.clone(),
            run_id: firing.manual.as_ref().map_or_else(
                || RunId::new(starts_at, engine.random()),
                |manual| manual.run_id,
            ),
            fire_time: *fire_time,
            attempt: grant.attempt(),
            fencing_token: grant.fencing_token(),
            started: starts_at,
            lateness: Duration::ZERO,
            shard: entry.shard,
            trigger: match firing.trigger {
                Trigger::Schedule if grant.attempt() > 1 => Trigger::RetryOf,
                trigger => trigger,
            },
            request: firing.manual.as_ref().map(|manual| manual.request.clone()),
        };
        let reader = engine.settings.history.clone();
        let reader = reader.map(|history| history as Arc<dyn NoteReader>);
        let notes = Arc::new(RunNotes::new(facts.run_id, reader));
        Self {
            engine: engine.clone(),
            entry: entry.clone(),
            lease,
            facts,
            notes,
            control: RunControl::new(),
            is_reported: Arc::default(),
            is_rerun: firing.is_rerun,
            passed: None,
            claim_took: asked_at.map(|asked_at| now.saturating_sub(asked_at)),
            is_local: firing.is_local,
            _permit: firing.permit.clone(),
        }
    }

    /// The firing becomes a run: it is this task's run now, and the next firing may be looked at.
    fn begin(&mut self, now: DateTime<Utc>) {
        self.facts.started = now;
        // Nothing is late that somebody asked for, whatever instant it is to make up for.
        self.facts.lateness = match self.facts.trigger {
            Trigger::Manual => Duration::ZERO,
            _ => admit::lateness(self.facts.fire_time, now),
        };
        let has_waiting = {
            let mut slot = self.entry.slot();
            slot.running.push(Running {
                facts: self.facts.clone(),
                control: self.control.clone(),
                is_reported: self.is_reported.clone(),
            });
            if self.facts.trigger != Trigger::Manual {
                slot.leave(self.facts.fire_time);
            }
            slot.has_waiting()
        };
        self.engine.steering.note_start(&self.facts, &self.control);
        if !self.is_rerun {
            let fire_time = self.facts.fire_time;
            self.engine
                .decide(&self.entry, fire_time, Decision::Started, None);
        }
        if has_waiting {
            claiming::next_in_line(&self.engine, &self.entry);
        }
    }

    async fn run(mut self) {
        if self.engine.aborting.is_cancelled() {
            self.control.cancel(CancelReason::Shutdown);
        }
        let clock = self.engine.settings.clock.clone();
        self.tell_claim();
        self.engine.announce(&Event::RunStarted {
            run: self.facts.clone(),
        });
        let started = clock.monotonic();
        let end = self.attempts().await;
        let took = clock.monotonic().saturating_sub(started);
        let at = clock.now();
        if let Some(passed) = self.passed.take() {
            passed.others().await;
        }

        // The future is gone: only now may anybody else have the lock.
        self.engine.renewer.remove(&self.lease);
        let causes = causes(&end);
        let error_type = spans::error_type(&end);
        let (outcome, completion, error) = self.judge(end);
        self.release(completion).await;
        self.end_span(outcome, error_type);
        // A stop that could not wait for us has reported the run as abandoned.
        if !self.is_reported.swap(true, Ordering::AcqRel) {
            self.engine.announce(&Event::RunFinished {
                run: self.facts.clone(),
                outcome,
                duration: took,
                error: error.map(Into::into),
                causes: causes.into(),
                at,
            });
        }
        self.engine.steering.note_end(self.facts.run_id);
        self.entry
            .slot()
            .finish_run(self.facts.run_id, outcome, at, took);
        claiming::next_in_line(&self.engine, &self.entry);
        if let Some(entry) = self.engine.registry.current(&self.entry) {
            claiming::plan_next(&self.engine, &entry).await;
        }
    }

    /// Calls the task's code under guard, again if it fails and its policy says so: within the
    /// timeout, the lease, and the time to the task's next firing.
    async fn attempts(&mut self) -> End {
        let timeout_at = self.clock().monotonic().saturating_add(self.entry.timeout);
        let mut waits = self.retry_waits();
        let mut before = None;
        loop {
            let task = self.entry.task.clone();
            let deadline = self.entry.deadline(self.facts.started);
            let ctx = RunContext::new(
                self.facts.clone(),
                deadline,
                self.control.clone(),
                self.notes.clone(),
            );
            let call = Box::pin(async move { task.run(ctx).await });
            let grace = self.entry.policy.cancel_grace;
            let span = spans::attempt(self.facts.attempt, before.as_ref());
            let guarded = self.guard(call, timeout_at, grace);
            let end = guarded.instrument(span.clone()).await;
            spans::end_attempt(&span, &end);
            let Some((wait, error)) = retry_after(&end, &mut waits) else {
                return end;
            };
            if self.control.reason().is_some() {
                return end;
            }
            let next_fire = self.entry.slot().next_fire;
            let then = TimeDelta::from_std(wait).ok();
            let then = then.and_then(|wait| self.clock().now().checked_add_signed(wait));
            let is_in_time = self.clock().monotonic().saturating_add(wait) < timeout_at;
            if !is_in_time || then.is_none() || next_fire.is_some_and(|next| then >= Some(next)) {
                return end;
            }
            // What failed is the attempt.
            span.in_scope(|| {
                self.engine.announce(&Event::RunRetried {
                    run: self.facts.clone(),
                    error: error.into(),
                    causes: causes(&end).into(),
                    wait,
                });
            });
            before = Some(span);
            let pause = Box::pin(async move {
                tokio::time::sleep(wait).await;
                Ok(())
            });
            // There is nothing to bring to an end in a wait.
            match self.guard(pause, timeout_at, Duration::ZERO).await {
                End::Returned(Ok(())) => {}
                cut_short => return cut_short,
            }
            if let Some(reason) = self.control.reason() {
                return End::Cancelled(reason);
            }
            self.facts.attempt += 1;
            self.engine.announce(&Event::AttemptStarted {
                run: self.facts.clone(),
            });
        }
    }

    /// The waits before further attempts. Nothing is drawn for a task that has none.
    fn retry_waits(&self) -> impl Iterator<Item = Duration> + Send + Sync + use<> {
        let retry = self.entry.policy.retry;
        let seed = match retry.times {
            0 => 0,
            _ => self.engine.random() as u64,
        };
        retry.waits(seed)
    }

    async fn guard(
        &self,
        body: attempt::Body,
        timeout_at: Duration,
        cancel_grace: Duration,
    ) -> End {
        let limits = attempt::Limits {
            timeout_at,
            cancel_grace,
        };
        attempt::guard(body, &self.lease, &self.control, self.clock(), limits).await
    }

    fn clock(&self) -> &dyn Clock {
        self.engine.settings.clock.as_ref()
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
            End::Cancelled(CancelReason::Requested) => {
                let text = "cancelled, as somebody asked for it".to_owned();
                // A run that was cancelled is run again elsewhere, under `Recovery::Rerun`.
                let completion = match self.entry.reruns() {
                    true => Completion::Failed,
                    false => Completion::Cancelled,
                };
                (Outcome::Cancelled, completion, Some(text))
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
        if self.lease.is_unlocked() {
            return;
        }
        let grant = self.lease.grant();
        let asked_at = self.clock().monotonic();
        let released = self.engine.release(grant, completion).await;
        let took = self.clock().monotonic().saturating_sub(asked_at);
        let error = released.err();
        self.tell_lock("lock release", Some(took), error.is_some());
        if error.is_some_and(|e| e.is_transient()) {
            claiming::take_back(&self.engine, grant.clone(), completion);
        }
    }
}

/// The errors of an end by an error.
fn causes(end: &End) -> Vec<String> {
    match end {
        End::Returned(Err(error)) => error.causes(),
        _ => Vec::new(),
    }
}

/// How long to wait before the task is called again, and why it is; `None` if it is not.
fn retry_after(
    end: &End,
    waits: &mut impl Iterator<Item = Duration>,
) -> Option<(Duration, String)> {
    let (advice, error) = match end {
        End::Returned(Err(error)) => (error.advice(), error.to_string()),
        End::Panicked(text) => (Advice::None, format!("panicked: {text}")),
        End::Returned(Ok(())) | End::Cancelled(_) => return None,
    };
    let wait = match advice {
        Advice::Permanent => return None,
        Advice::None => waits.next()?,
        Advice::After(wait) => waits.next().map(|_| wait)?,
    };
    Some((wait, error))
}
