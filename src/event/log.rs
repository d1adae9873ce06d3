//! The log lines.
//!
//! Six messages are fixed, as people search for them: `Task registered`, `Task scheduler started`,
//! `Task started`, `Task completed`, `Task failed` and `Task already running on another instance`.
//! A message is constant; what varies is in the fields. `docs/operations.md` lists them all.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::field::{DisplayValue, display};
use tracing::{debug, error, info, warn};

use crate::event::{Decision, Event, Ignored, Observer, Outcome, RunFacts};
use crate::lock::{ClockOffset, Severity};
use crate::schedule::Lint;
use crate::task::{Shard, TaskName};

/// Writes a log line for each event that somebody may look for.
#[derive(Debug)]
pub(super) struct LogObserver {
    /// The id of the instance whose log it is.
    instance: Arc<str>,
    /// Whether the last word on the store's clock was that it differs.
    is_skewed: AtomicBool,
    /// Stored tasks of which it was told that their kind is not known here: their firings say so too.
    // Held for a look or a change.
    without_kind: Mutex<HashSet<Arc<str>>>,
}

/// From this difference on, the store's clock is worth a line.
const SKEWED: Duration = Duration::from_millis(500);
/// Below this one it is in order again. Lower, so that one about the limit is not told again and
/// again.
const IN_ORDER: Duration = Duration::from_millis(250);

impl LogObserver {
    pub(super) fn new(instance: Arc<str>) -> Self {
        Self {
            instance,
            is_skewed: AtomicBool::default(),
            without_kind: Mutex::default(),
        }
    }

    fn without_kind(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        // Whoever panics while holding it has changed nothing.
        let guard = self.without_kind.lock();
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this difference of the clocks is to be told.
    fn is_news(&self, apart: Duration) -> bool {
        if apart > SKEWED {
            return !self.is_skewed.swap(true, Ordering::Relaxed);
        }
        if apart < IN_ORDER {
            self.is_skewed.store(false, Ordering::Relaxed);
        }
        false
    }

    fn clock_offset(&self, offset: ClockOffset) {
        if self.is_news(offset.at_least()) {
            let (skew_s, uncertainty) = (offset.seconds(), offset.uncertainty());
            warn!(target: "tasklock", event = "clock.skew", skew_s,
                uncertainty_s = uncertainty.as_secs_f64(), "Clock differs from the lock store's");
        }
    }
}

/// Which part of its firing a run does, of a task in parts.
fn shard(run: &RunFacts) -> Option<DisplayValue<Shard>> {
    run.shard.map(display)
}

impl Observer for LogObserver {
    fn on_event(&self, event: &Event) {
        match event {
            Event::TaskRegistered {
                task,
                spec,
                timezone,
                next_fire,
                lints,
                ..
            } => {
                self.without_kind().remove(task.as_str());
                let next = next_fire.map(|t| t.to_rfc3339());
                info!(target: "tasklock", event = "task.registered", name = %task, spec = %spec,
                    timezone = %timezone, next, "Task registered");
                for lint in lints.iter() {
                    let (detail, lint) = (lint, lint.as_str());
                    match detail {
                        Lint::NeverFires | Lint::Past { .. } => {
                            warn!(target: "tasklock", event = "task.lint", task = %task,
                                spec = %spec, lint, detail = %detail, "Task never fires");
                        }
                        _ => {
                            warn!(target: "tasklock", event = "task.lint", task = %task,
                                spec = %spec, lint, detail = %detail, "Task meets a clock change");
                        }
                    }
                }
            }
            Event::TasksCollide { at, count, tasks } => {
                let named: Vec<&str> = tasks.iter().map(TaskName::as_str).collect();
                warn!(target: "tasklock", event = "task.lint", task = named.join(", "),
                    lint = "collision", count, at = at.to_rfc3339(),
                    detail = "Policy::spread starts them one after the other",
                    "Many tasks are due in the same second");
            }
            Event::TaskUnregistered { task } => {
                self.without_kind().remove(task.as_str());
                info!(target: "tasklock", event = "task.unregistered", name = %task,
                    "Task unregistered");
            }
            // The store that read it has told.
            Event::StoredTaskIgnored {
                why: Ignored::Malformed,
                ..
            } => {}
            Event::StoredTaskIgnored { task, why, detail } => {
                if *why == Ignored::UnknownKind {
                    self.without_kind().insert(task.clone());
                }
                warn!(target: "tasklock", event = "task.ignored", task = %task,
                    reason = why.as_str(), detail = %detail, "Stored task is not run here");
            }
            Event::SpecDiffers {
                task,
                spec,
                owner,
                is_new,
            } => {
                if *is_new {
                    warn!(target: "tasklock", event = "task.spec_conflict", task = %task,
                        spec = %spec, owner = owner.as_deref(),
                        "Task has another spec on another instance");
                }
            }
            Event::SchedulerStarted {
                instance,
                tasks,
                lock,
            } => {
                info!(target: "tasklock", event = "scheduler.started", tasks, instance = %instance,
                    lock, version = env!("CARGO_PKG_VERSION"), "Task scheduler started");
            }
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                count,
                holder,
            } => {
                let due = fire_time.to_rfc3339();
                let holder = holder.as_deref();
                match decision {
                    Decision::FiredElsewhere => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due, holder,
                            decision = decision.as_str(),
                            "Task already running on another instance");
                    }
                    Decision::Overlap if holder.is_some_and(|holder| *holder == *self.instance) => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due,
                            decision = decision.as_str(), "Task already running on this instance");
                    }
                    Decision::Overlap if holder.is_some() => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due, holder,
                            decision = decision.as_str(),
                            "Task already running on another instance");
                    }
                    Decision::Limited if self.without_kind().contains(task.as_str()) => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due, count,
                            decision = decision.as_str(), "Task firing left to other instances");
                    }
                    // Somebody wants it so.
                    Decision::Paused if holder.is_some() => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due, count,
                            decision = decision.as_str(), holder, "Task firing skipped");
                    }
                    Decision::Misfired
                    | Decision::StoreDown
                    | Decision::Paused
                    | Decision::Limited => {
                        warn!(target: "tasklock", event = "fire.skipped", task = %task, due, count,
                            decision = decision.as_str(), "Task firing skipped");
                    }
                    Decision::Started => {}
                    _ => {
                        debug!(target: "tasklock", event = "fire.skipped", task = %task, due, count,
                            decision = decision.as_str(), "Task firing skipped");
                    }
                }
            }
            Event::FiringFailed {
                task,
                fire_time,
                error,
            } => {
                error!(target: "tasklock", event = "fire.failed", task = %task,
                    due = fire_time.to_rfc3339(), error = %error, "Task failed");
            }
            Event::RunRetried {
                run, error, wait, ..
            } => {
                warn!(target: "tasklock", event = "run.retried", task = %run.task,
                    shard = shard(run), run_id = %run.run_id, attempt = run.attempt, error = %error,
                    wait_s = wait.as_secs_f64(), "Task attempt failed, trying again");
            }
            Event::RunStarted { run } => {
                info!(target: "tasklock", event = "run.started", task = %run.task,
                    shard = shard(run), run_id = %run.run_id, due = run.fire_time.to_rfc3339(),
                    trigger = run.trigger.as_str(), start_delay_s = run.lateness.as_secs_f64(), token = run.fencing_token.get(),
                    "Task started");
            }
            Event::RunFinished {
                run,
                outcome,
                duration,
                error,
                ..
            } => match outcome {
                Outcome::Success => {
                    info!(target: "tasklock", event = "run.finished", task = %run.task,
                        shard = shard(run), run_id = %run.run_id, outcome = outcome.as_str(), duration = ?duration,
                        duration_s = duration.as_secs_f64(), attempt = run.attempt,
                        "Task completed");
                }
                Outcome::Cancelled => {
                    warn!(target: "tasklock", event = "run.finished", task = %run.task,
                        shard = shard(run), run_id = %run.run_id, outcome = outcome.as_str(), duration = ?duration,
                        duration_s = duration.as_secs_f64(), attempt = run.attempt,
                        "Task cancelled");
                }
                _ => {
                    error!(target: "tasklock", event = "run.finished", task = %run.task,
                        shard = shard(run), run_id = %run.run_id, outcome = outcome.as_str(), duration = ?duration,
                        duration_s = duration.as_secs_f64(), attempt = run.attempt,
                        error = error.as_deref().unwrap_or_default(), "Task failed");
                }
            },
            Event::LeaseLost { run, cause } => {
                error!(target: "tasklock", event = "lock.lost", task = %run.task,
                    shard = shard(run), run_id = %run.run_id, token = run.fencing_token.get(), cause = cause.as_str(),
                    "Task lease lost");
            }
            Event::RunAbandoned { run } => {
                error!(target: "tasklock", event = "run.abandoned", task = %run.task,
                    shard = shard(run), run_id = %run.run_id, "Task could not be ended: its thread is blocked");
            }
            Event::RunFoundGone {
                task,
                run_id,
                instance,
                outcome,
            } => {
                error!(target: "tasklock", event = "run.abandoned", task = %task, run_id = %run_id,
                    instance = %instance, found_by = %self.instance, outcome = outcome.as_str(),
                    "Task run found without its instance");
            }
            Event::StoreDown { operation, error } => {
                warn!(target: "tasklock", event = "backend.down", operation = operation.as_str(),
                    error = %error, "Task lock store does not answer");
            }
            Event::StoreUp { down_for } => {
                info!(target: "tasklock", event = "backend.up", down_s = down_for.as_secs_f64(),
                    "Task lock store answers again");
            }
            Event::StoreDiagnosed { diagnosis } => {
                let store = diagnosis.store();
                for finding in diagnosis.findings() {
                    let (subject, detail) = (finding.subject.as_str(), finding.text.as_str());
                    match finding.severity {
                        Severity::Ok => {}
                        Severity::Warning => {
                            warn!(target: "tasklock", event = "backend.finding", store, subject,
                                detail, "Task lock store has a weakness");
                        }
                        Severity::Error => {
                            error!(target: "tasklock", event = "backend.finding", store, subject,
                                detail, "Task lock store has a fault");
                        }
                    }
                }
            }
            Event::ClockOffset { offset } => self.clock_offset(*offset),
            Event::StoreChanged => {
                warn!(target: "tasklock", event = "backend.changed",
                    "Task lock store was replaced or restarted");
            }
            Event::ClockStepped { by_ms } => {
                warn!(target: "tasklock", event = "clock.stepped", by_ms, "Wall clock stepped");
            }
            Event::TimerStalled { by } => {
                warn!(target: "tasklock", event = "clock.stalled", by_s = by.as_secs_f64(),
                    "Timer slept too long: suspended, stopped or blocked");
            }
            Event::InstanceJoined { instance } => {
                info!(target: "tasklock", event = "instance.joined", other = %instance.id,
                    host = %instance.host, version = %instance.version,
                    application = instance.application, "Instance joined the fleet");
            }
            Event::InstanceLeft { instance } => {
                info!(target: "tasklock", event = "instance.left", other = %instance.id,
                    "Instance left the fleet");
            }
            Event::InstanceLost { instance } => {
                warn!(target: "tasklock", event = "instance.lost", other = %instance.id,
                    host = %instance.host, version = %instance.version, running = instance.running.len(),
                    "Instance of the fleet is not heard of any more");
            }
            Event::TaskDrifts { drift } => {
                warn!(target: "tasklock", event = "schedule.drift", task = %drift.task,
                    kind = ?drift.kind, variants = ?drift.variants,
                    "Task is not the same on all instances");
            }
            Event::CommandAnswered {
                command,
                action,
                task,
                by,
                answer,
            } => {
                info!(target: "tasklock", event = "command.answered", command = %command, action,
                    task = task.as_ref().map(display), actor = by.actor(), reason = by.reason(),
                    answer = ?answer, "Command was taken");
            }
            Event::InstanceDrained { is_drained: true } => {
                info!(target: "tasklock", event = "instance.drained",
                    "Instance takes no new firings, as it was asked to");
            }
            Event::InstanceDrained { is_drained: false } => {
                info!(target: "tasklock", event = "instance.undrained",
                    "Instance takes firings again");
            }
            Event::RecordMalformed { shelf, key, error } => {
                warn!(target: "tasklock", event = "fleet.malformed", shelf, key = %key, error = %error,
                    "A record of the fleet cannot be read");
            }
            Event::FleetStoreDown { error } => {
                warn!(target: "tasklock", event = "fleet.down", error = %error,
                    "Fleet store does not answer");
            }
            Event::FleetStoreUp { down_for } => {
                info!(target: "tasklock", event = "fleet.up", down_s = down_for.as_secs_f64(),
                    "Fleet store answers again");
            }
            Event::SchedulerDraining { running } => {
                info!(target: "tasklock", event = "scheduler.draining", running,
                    "Task scheduler draining");
            }
            Event::SchedulerStopped {
                finished,
                cancelled,
                abandoned,
                took,
            } => {
                info!(target: "tasklock", event = "scheduler.stopped", finished, cancelled,
                    abandoned, waited_s = took.as_secs_f64(), "Task scheduler stopped");
            }
            Event::TimerWoke { .. }
            | Event::NextFire { .. }
            | Event::AttemptStarted { .. }
            | Event::Counted { .. }
            | Event::HistoryDropped { .. }
            | Event::StoreFailed { .. }
            // Whoever has refused it, or has caught it, has told.
            | Event::ActDenied { .. }
            | Event::ObserverPanicked
            // Whoever writes the audit trail has told.
            | Event::ActAsked { .. }
            | Event::FleetSeen { .. }
            | Event::LockOperation { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_is_told_once_until_it_was_in_order() {
        let log = LogObserver::new("here".into());
        let told = [0, 400, 501, 900, 300, 501, 249, 500, 501, 501]
            .map(|ms| log.is_news(Duration::from_millis(ms)));
        let expected = [2, 8].map(Some);
        let mut at = told
            .iter()
            .enumerate()
            .filter(|(_, told)| **told)
            .map(|(n, _)| n);
        assert_eq!([at.next(), at.next()], expected);
        assert_eq!(at.next(), None);
    }
}
