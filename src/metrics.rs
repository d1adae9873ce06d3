//! Metrics for Prometheus: [`Metrics`].

mod families;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{Registry, TextEncoder};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, LockOperation, LockResults, Observer, Outcome};
use crate::task::TaskName;

use families::{Families, Series, seconds};

/// The label that every metric of a task has.
const TASK: &str = "task_name";

/// One row of the table.
struct Metric {
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    /// Upper bounds, in seconds; empty for what is no histogram.
    buckets: &'static [f64],
}

macro_rules! table {
    ($($row:ident: $name:literal, [$($label:expr),*], $help:literal $(, $buckets:expr)?;)*) => {
        $(const $row: Metric = Metric {
            name: $name,
            labels: &[$($label),*],
            help: $help,
            buckets: table!(@buckets $($buckets)?),
        };)*
        /// All rows.
        #[cfg(test)]
        const TABLE: &[&Metric] = &[$(&$row),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { &$buckets };
}

// All of it is local: it says what this instance did, since it started. Sum it over instances.
table! {
    RUNS: "task_runs_total", [TASK, "outcome"],
        "Runs that ended on this instance, by outcome";
    ERRORS: "task_errors_total", [TASK],
        "Runs that ended on this instance with an outcome that is neither success nor cancelled";
    FIRINGS: "task_firings_total", [TASK, "decision"],
        "Fire times that this instance decided, by decision";
    RETRIES: "task_retries_total", [TASK],
        "Attempts on this instance that were not the first at their fire time: retries and reruns";
    LEASE_LOST: "task_lease_lost_total", [TASK],
        "Runs on this instance whose lease was lost while they went on";
    SPEC_CONFLICTS: "task_spec_conflicts_total", [TASK],
        "Firings of this instance that found the task to have another spec on another instance";
    DURATION: "task_duration_seconds", [TASK],
        "Wall time of runs on this instance, whatever their outcome",
        [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
    START_DELAY: "task_start_delay_seconds", [TASK],
        "Time from the fire time to the start of a run on this instance",
        [0.001, 0.0025, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0];
    RUNNING: "task_running", [TASK],
        "Runs that go on on this instance";
    LAST_START: "task_last_start_timestamp_seconds", [TASK],
        "Start of the last run on this instance, 0 if none";
    LAST_SUCCESS: "task_last_success_timestamp_seconds", [TASK],
        "End of the last successful run on this instance, 0 if none";
    LAST_FAILURE: "task_last_failure_timestamp_seconds", [TASK],
        "End of the last run on this instance that counts in task_errors_total, 0 if none";
    LAST_DURATION: "task_last_run_duration_seconds", [TASK],
        "Wall time of the run that ended last on this instance, 0 if none";
    NEXT_FIRE: "task_next_fire_timestamp_seconds", [TASK],
        "Next fire time, +Inf if there is none";
    INFO: "task_info", [TASK, "schedule", "timezone", "overlap"],
        "What the task was registered with; always 1";
    LOCK_OPERATIONS: "task_lock_operations_total", ["operation", "result"],
        "Claims, renewals and releases that this instance asked the lock for, by what it answered";
    LOCK_DURATION: "task_lock_operation_duration_seconds", ["operation"],
        "Time that the lock took to answer one request of this instance, be it about one task or many",
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
    SCHEDULER_RUNNING: "task_scheduler_running", [],
        "1 if the scheduler fires, 0 if it has not started, drains or has stopped";
    LAST_WAKE: "task_scheduler_last_wake_timestamp_seconds", [],
        "When the timer last looked at what is due, 0 if not yet";
    CLOCK_SKEW: "task_clock_skew_seconds", [],
        "How far the lock store's clock was ahead of this instance's at the last claim, 0 if unknown";
    STORE_CHANGES: "task_lock_store_changes_total", [],
        "How often this instance found that the lock's store had been replaced or restarted";
    CLOCK_STEPS: "task_clock_steps_total", [],
        "How often this instance's wall clock has stepped by half a second or more";
    TIMER_STALLS: "task_timer_stalls_total", [],
        "How often the timer was held up for a second or more: suspended, stopped or blocked";
    BUILD_INFO: "tasklock_build_info", ["version"],
        "The version of tasklock; always 1";
}

/// Keeps metrics of one scheduler, for Prometheus.
///
/// An [`Observer`]: give a clone to the scheduler, and another to whoever serves the text.
///
/// ```
/// use tasklock::{MemoryLock, Metrics, Scheduler};
///
/// let metrics = Metrics::new()?;
/// let scheduler = Scheduler::builder()
///     .lock(MemoryLock::new())
///     .metrics(metrics.clone())
///     .build()?;
/// assert!(metrics.encode()?.contains("task_scheduler_running 0"));
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// The metrics are listed in `docs/operations.md`. All series of a task exist, at zero, from its
/// registration on, so that rates and alerts work from the first event. Names are fixed: two
/// schedulers of one process need a registry each.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    families: Families,
    // Held to look one task up, or to add one; an event then costs no look-up by labels.
    tasks: RwLock<HashMap<TaskName, Arc<Series>>>,
}

impl Metrics {
    /// The content type of the text: version 0.0.4 of Prometheus' text format.
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;

    /// Metrics in a registry of their own.
    ///
    /// # Errors
    ///
    /// None that is known: a fresh registry takes all names.
    pub fn new() -> Result<Self> {
        Self::register(&Registry::new())
    }

    /// Metrics that join the application's registry, and appear wherever that is served.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Metrics`] with the name of a metric that the registry has already. Nothing is
    /// registered then.
    pub fn register(registry: &Registry) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                families: Families::join(registry)?,
                registry: registry.clone(),
                tasks: RwLock::default(),
            }),
        })
    }

    /// The registry that the metrics are in.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// All metrics of the registry as text, to be served as
    /// [`CONTENT_TYPE`](Metrics::CONTENT_TYPE).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Metrics`] when a collector of the application's gives something that has no
    /// text.
    pub fn encode(&self) -> Result<String> {
        let families = self.inner.registry.gather();
        let text = TextEncoder::new().encode_to_string(&families);
        let text = text.map_err(|e| {
            Error::new(
                ErrorKind::Metrics,
                format!("the metrics cannot be written: {e}"),
            )
            .with_source(e)
        })?;
        Ok(with_canonical_infinity(text))
    }
}

/// Writes infinity as the text format does, `+Inf`: the encoder writes `inf`, which some readers do
/// not know.
fn with_canonical_infinity(text: String) -> String {
    if !text.contains(" inf\n") {
        return text;
    }
    let lines = text.lines().map(|line| match line.strip_suffix(" inf") {
        Some(series) if !line.starts_with('#') => format!("{series} +Inf\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

impl Inner {
    /// The handles of a task's series. They are made at its registration, or at its first event if
    /// that was quicker.
    fn task(&self, name: &TaskName) -> Arc<Series> {
        let known = self.tasks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(name) {
            return series.clone();
        }
        drop(known);
        let mut tasks = self.tasks.write().unwrap_or_else(PoisonError::into_inner);
        let series = tasks.entry(name.clone());
        series
            .or_insert_with(|| Arc::new(self.families.series(name)))
            .clone()
    }

    fn count_lock_operation(&self, operation: LockOperation, results: &LockResults) {
        let counts = [
            ("ok", results.ok),
            ("contended", results.contended),
            ("lost", results.lost),
            ("error", results.error),
        ];
        for (result, count) in counts {
            if count > 0 {
                self.families.lock_operation(operation, result, count);
            }
        }
    }
}

impl Observer for Metrics {
    fn on_event(&self, event: &Event) {
        let inner = &*self.inner;
        match event {
            Event::TaskRegistered {
                task,
                spec,
                timezone,
                overlap,
                next_fire,
                ..
            } => {
                let series = inner.task(task);
                series.set_next_fire(*next_fire);
                let labels = [task.as_str(), spec, timezone.name(), overlap.as_str()];
                inner.families.describe(&series, labels);
            }
            Event::SpecDiffers { task, .. } => inner.task(task).spec_conflicts.inc(),
            Event::SchedulerStarted { .. } => inner.families.scheduler_running.set(1),
            Event::SchedulerDraining { .. } | Event::SchedulerStopped { .. } => {
                inner.families.scheduler_running.set(0);
            }
            Event::TimerWoke { at } => inner.families.last_wake.set(seconds(*at)),
            Event::NextFire { task, at } => inner.task(task).set_next_fire(*at),
            Event::FiringDecided {
                task,
                decision,
                count,
                ..
            } => inner.task(task).count_firings(*decision, *count),
            Event::RunStarted { run } => {
                let series = inner.task(&run.task);
                series.running.inc();
                series.last_start.set(seconds(run.started));
                series.start_delay.observe(run.lateness.as_secs_f64());
                if run.attempt > 1 {
                    series.retries.inc();
                }
            }
            Event::AttemptStarted { run } => inner.task(&run.task).retries.inc(),
            Event::FiringFailed { task, .. } => inner.task(task).errors.inc(),
            Event::RunFinished {
                run,
                outcome,
                duration,
                at,
                ..
            } => {
                let series = inner.task(&run.task);
                series.running.dec();
                series.duration.observe(duration.as_secs_f64());
                series.last_duration.set(duration.as_secs_f64());
                series.count_run(*outcome);
                match outcome {
                    Outcome::Success => series.last_success.set(seconds(*at)),
                    Outcome::Cancelled => {}
                    _ => {
                        series.errors.inc();
                        series.last_failure.set(seconds(*at));
                    }
                }
            }
            Event::LeaseLost { run, .. } => inner.task(&run.task).lease_lost.inc(),
            Event::LockOperation {
                operation,
                results,
                took,
            } => {
                inner.count_lock_operation(*operation, results);
                inner.families.lock_took(*operation, *took);
            }
            Event::ClockOffset { offset } => inner.families.clock_skew.set(offset.seconds()),
            Event::StoreChanged => inner.families.store_changes.inc(),
            Event::ClockStepped { .. } => inner.families.clock_steps.inc(),
            Event::TimerStalled { .. } => inner.families.timer_stalls.inc(),
            // What follows from these is counted with the runs, the firings and the lock's answers.
            Event::RunRetried { .. }
            | Event::RunAbandoned { .. }
            | Event::StoreDown { .. }
            | Event::StoreUp { .. }
            | Event::StoreDiagnosed { .. } => {}
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.inner.tasks.read();
        f.debug_struct("Metrics")
            .field("registry", &self.inner.registry)
            .field(
                "tasks",
                &tasks.unwrap_or_else(PoisonError::into_inner).len(),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
