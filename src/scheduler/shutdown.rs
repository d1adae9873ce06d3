//! Quiet → drain → abort.
//!
//! ```text
//! stop()          shutdown grace           cancel grace
//!   |--- quiet, drain ---------|--- abort -------------|
//!   no new firings,            the rest is asked        what is left is dropped;
//!   runs go on                 to end                   what cannot be, abandoned
//! ```

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::event::{Decision, Event, Outcome, RunFacts};
use crate::scheduler::SchedulerState;
use crate::scheduler::claiming;
use crate::scheduler::engine::Engine;
use crate::task::CancelReason;

/// How long claims on their way may take to come back, releases to be confirmed, and a dropped
/// future to be gone.
const TIDY_UP: Duration = Duration::from_secs(2);

/// A stop that goes on, for all who wait for it.
pub(crate) type Stopping = watch::Receiver<Option<StopReport>>;

/// What became of the runs that went on when the scheduler was stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Tasks whose runs ended by themselves within the grace.
    pub finished: Vec<String>,
    /// Tasks whose runs had to be asked to end, or dropped.
    pub cancelled: Vec<String>,
    /// Tasks whose runs could not be ended: their thread is blocked. Their locks end with their
    /// leases, once this process is gone.
    pub abandoned: Vec<String>,
    /// How long stopping took.
    pub took: Duration,
}

impl StopReport {
    /// Whether all runs ended by themselves.
    pub fn is_clean(&self) -> bool {
        self.cancelled.is_empty() && self.abandoned.is_empty()
    }
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped in {:.1?}", self.took)?;
        let parts = [
            ("finished", &self.finished),
            ("cancelled", &self.cancelled),
            ("abandoned", &self.abandoned),
        ];
        for (what, names) in parts {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Engine {
    pub(crate) async fn stop(this: &Arc<Self>) -> StopReport {
        let mut stopping = {
            let mut stopping = this.stopping.lock().unwrap_or_else(PoisonError::into_inner);
            match &*stopping {
                Some(stopping) => stopping.clone(),
                None => {
                    let (done, receiver) = watch::channel(None);
                    let engine = this.clone();
                    // On its own, so that it goes on if whoever asked for it does not wait.
                    tokio::spawn(async move {
                        let report = engine.shut_down().await;
                        done.send_replace(Some(report));
                    });
                    stopping.insert(receiver).clone()
                }
            }
        };
        match stopping.wait_for(Option::is_some).await {
            Ok(report) => report.clone().unwrap_or_default(),
            // The runtime is going down and took the stop with it.
            Err(_) => StopReport::default(),
        }
    }

    async fn shut_down(self: Arc<Self>) -> StopReport {
        let clock = self.settings.clock.clone();
        let begun = clock.monotonic();
        let to = SchedulerState::Draining;
        let was_running = self.change_state(&[SchedulerState::Running], to).is_ok();
        if !was_running {
            let early = [SchedulerState::Idle, SchedulerState::Starting];
            let _ = self.change_state(&early, to);
        }

        self.steering.tell();
        self.go_quiet().await;
        let running = self.running();
        if was_running {
            self.announce(&Event::SchedulerDraining {
                running: running.len(),
            });
        }

        self.runs.close();
        let drained = tokio::time::timeout(self.settings.shutdown_grace, self.runs.wait()).await;
        let late = if drained.is_err() {
            self.abort().await
        } else {
            Vec::new()
        };
        let abandoned = self.abandon_running();

        self.clean_ups.close();
        let _ = tokio::time::timeout(TIDY_UP, self.clean_ups.wait()).await;

        self.steering.end().await;

        let names = |runs: &[RunFacts]| runs.iter().map(|r| r.task.to_string()).collect::<Vec<_>>();
        let is_in = |run: &RunFacts, list: &[RunFacts]| list.iter().any(|r| r.run_id == run.run_id);
        let finished: Vec<RunFacts> = running
            .into_iter()
            .filter(|r| !is_in(r, &late) && !is_in(r, &abandoned))
            .collect();
        let cancelled: Vec<RunFacts> = late.into_iter().filter(|r| !is_in(r, &abandoned)).collect();
        let report = StopReport {
            finished: names(&finished),
            cancelled: names(&cancelled),
            abandoned: names(&abandoned),
            took: clock.monotonic().saturating_sub(begun),
        };
        let _ = self.change_state(&[SchedulerState::Draining], SchedulerState::Stopped);
        if was_running {
            self.announce(&Event::SchedulerStopped {
                finished: report.finished.len(),
                cancelled: report.cancelled.len(),
                abandoned: report.abandoned.len(),
                took: report.took,
            });
        }
        if let Some(history) = &self.settings.history {
            history.close(TIDY_UP).await;
        }
        report
    }

    /// Takes no new firings: those that wait are decided, those being claimed are waited for.
    async fn go_quiet(self: &Arc<Self>) {
        self.quiet.cancel();
        for entry in self.registry.all_at_work() {
            let waiting = entry.slot().clear_waiting();
            for fire_time in waiting {
                self.decide(&entry, fire_time, Decision::Draining, None);
            }
        }
        for firing in self.limits.take_all() {
            claiming::settle(self, &firing, Decision::Draining, None);
        }
        self.claims.close();
        // A claim is limited in time by the lock; this is for one that is not.
        let _ = tokio::time::timeout(TIDY_UP, self.claims.wait()).await;
    }

    fn running(&self) -> Vec<RunFacts> {
        let entries = self.registry.all_at_work();
        entries
            .iter()
            .flat_map(|e| {
                let slot = e.slot();
                let runs = slot.running.iter().map(|r| r.facts.clone());
                runs.collect::<Vec<_>>()
            })
            .collect()
    }

    /// Asks all runs to end, and waits until they have, or must have been dropped.
    async fn abort(&self) -> Vec<RunFacts> {
        self.aborting.cancel();
        let mut longest = Duration::ZERO;
        let mut late = Vec::new();
        for entry in self.registry.all_at_work() {
            for running in &entry.slot().running {
                longest = longest.max(entry.policy.cancel_grace);
                late.push(running.facts.clone());
                running.control.cancel(CancelReason::Shutdown);
            }
        }
        let _ = tokio::time::timeout(longest + TIDY_UP, self.runs.wait()).await;
        late
    }

    /// Reports the runs that could not be ended. If they end after all, nothing more is said.
    fn abandon_running(&self) -> Vec<RunFacts> {
        let mut abandoned = Vec::new();
        let clock = &self.settings.clock;
        for entry in self.registry.all_at_work() {
            let left: Vec<RunFacts> = {
                let slot = entry.slot();
                let left = slot.running.iter();
                left.filter(|r| !r.is_reported.swap(true, Ordering::AcqRel))
                    .map(|r| r.facts.clone())
                    .collect()
            };
            for run in left {
                let at = clock.now();
                let duration = (at - run.started).to_std().unwrap_or_default();
                self.announce(&Event::RunAbandoned { run: run.clone() });
                self.announce(&Event::RunFinished {
                    run: run.clone(),
                    outcome: Outcome::Abandoned,
                    duration,
                    error: Some("could not be ended: its thread is blocked".into()),
                    causes: Arc::default(),
                    error_type: None,
                    at,
                });
                abandoned.push(run);
            }
        }
        abandoned
    }
}
