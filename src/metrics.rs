//! Metrics for Prometheus: [`Metrics`].

mod families;
mod fleet;
mod histograms;
mod numbers;
mod table;
mod task_metric;
mod tasks;

use std::fmt;
use std::sync::Arc;

use prometheus::{Registry, TextEncoder};

use crate::control::{Answer, AuditResult};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, LockOperation, LockResults, Observer, Outcome};
use crate::lock::Severity;
use crate::time::{Clock, SystemClock};

use families::{Families, seconds};
use numbers::Bounds;
use tasks::Tasks;

pub use histograms::Histograms;

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
/// registration on, so that rates and alerts work from the first event. Beyond
/// [5 000 tasks](Metrics::with_task_limit) they are folded into one. Names are fixed: two schedulers of
/// one process need a registry each.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// So many buckets a histogram may have.
const MOST_BUCKETS: usize = 100;

struct Inner {
    registry: Registry,
    families: Families,
    tasks: Arc<Tasks>,
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
        Self::on(registry, Arc::new(SystemClock))
    }

    fn on(registry: &Registry, clock: Arc<dyn Clock>) -> Result<Self> {
        let tasks = Arc::new(Tasks::with_clock(clock));
        Ok(Self {
            inner: Arc::new(Inner {
                families: Families::join(registry, &tasks)?,
                registry: registry.clone(),
                tasks,
            }),
        })
    }

    /// How many tasks have series of their own. Default: 5 000. To be set before tasks are
    /// registered; it is about all clones.
    ///
    /// What is registered beyond it is folded into `task_name="_other"`, in which counters, histograms
    /// and `task_running` add up, instants are those of the task that came last, and the next fire
    /// time and `task_info` are left out. So a scrape stays bounded: a task has 56 series, which are
    /// 3.5 kB of text. The log says so once. A task whose name is `_other` is always folded.
    ///
    /// ```
    /// let metrics = tasklock::Metrics::new()?.with_task_limit(20_000);
    /// # Ok::<(), tasklock::Error>(())
    /// ```
    #[must_use]
    pub fn with_task_limit(self, most: usize) -> Self {
        self.inner.tasks.limit(most);
        self
    }

    /// Whether the histograms of tasks have buckets. Default: [`Histograms::Classic`]. To be set before
    /// tasks are registered; it is about all clones.
    ///
    /// ```
    /// use tasklock::{Histograms, Metrics};
    /// let metrics = Metrics::new()?.with_histograms(Histograms::Off);
    /// # Ok::<(), tasklock::Error>(())
    /// ```
    #[must_use]
    pub fn with_histograms(self, histograms: Histograms) -> Self {
        self.inner.tasks.say(histograms);
        self
    }

    /// The upper bounds of the buckets of `task_duration_seconds`, in seconds. Default: from 10 ms to
    /// 4 h. To be set before tasks are registered; it is about all clones.
    ///
    /// A bucket is a series of each task. None at all leaves the one of all values, the sum and the count;
    /// under [`Histograms::Off`] there is none anyway.
    ///
    /// ```
    /// let metrics = tasklock::Metrics::new()?.with_duration_buckets(&[1.0, 60.0, 3600.0])?;
    /// # Ok::<(), tasklock::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for bounds that are not finite or do not rise, and for more than
    /// 100.
    pub fn with_duration_buckets(self, bounds: &[f64]) -> Result<Self> {
        let bounds = checked("task_duration_seconds", bounds)?;
        self.inner.tasks.bound(|all| Bounds {
            duration: bounds,
            ..all
        });
        Ok(self)
    }

    /// The same of `task_start_delay_seconds`. Default: from 1 ms to 5 min.
    ///
    /// # Errors
    ///
    /// As [`with_duration_buckets`](Self::with_duration_buckets).
    pub fn with_start_delay_buckets(self, bounds: &[f64]) -> Result<Self> {
        let bounds = checked("task_start_delay_seconds", bounds)?;
        self.inner.tasks.bound(|all| Bounds {
            start_delay: bounds,
            ..all
        });
        Ok(self)
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

/// Bounds that buckets can have.
fn checked(metric: &str, bounds: &[f64]) -> Result<Arc<[f64]>> {
    let rises = bounds.iter().zip(bounds.iter().skip(1)).all(|(a, b)| a < b);
    if bounds.len() > MOST_BUCKETS || !rises || bounds.iter().any(|bound| !bound.is_finite()) {
        let text = format!(
            "the buckets of {metric} cannot be those: give up to {MOST_BUCKETS} finite bounds, from \
             the lowest to the highest"
        );
        return Err(Error::new(ErrorKind::InvalidConfig, text));
    }
    Ok(bounds.into())
}

/// Writes infinity as the text format does, `+Inf`: the encoder writes `inf`, which some readers do
/// not know.
fn with_canonical_infinity(text: String) -> String {
    if !text.contains(" inf\n") {
        return text;
    }
    // The text of thousands of tasks has hundreds of thousands of lines.
    let mut written = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        match line.strip_suffix(" inf") {
            Some(series) if !line.starts_with('#') => written.extend([series, " +Inf\n"]),
            _ => written.extend([line, "\n"]),
        }
    }
    written
}

impl Inner {
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
                lints,
            } => {
                let tasks = &inner.tasks;
                if !tasks.register(task, spec, *timezone, *overlap, *next_fire) {
                    inner.families.folded.inc();
                }
                for lint in lints.iter() {
                    inner.families.lint(lint.as_str(), 1);
                }
            }
            Event::TasksCollide { .. } => inner.families.lint(families::COLLISION, 1),
            Event::TaskUnregistered { task } => inner.tasks.unregister(task),
            Event::SpecDiffers { task, .. } => inner.tasks.count(task, |n| n.spec_conflicts += 1),
            Event::SchedulerStarted { .. } => inner.families.scheduler_running.set(1),
            Event::SchedulerDraining { .. } | Event::SchedulerStopped { .. } => {
                inner.families.scheduler_running.set(0);
            }
            Event::TimerWoke { at } => inner.families.last_wake.set(seconds(*at)),
            Event::NextFire { task, at } => inner.tasks.set_next_fire(task, *at),
            Event::FiringDecided {
                task,
                decision,
                count,
                ..
            } => inner.tasks.count(task, |n| n.decided(*decision, *count)),
            Event::RunStarted { run } => inner.tasks.count(&run.task, |n| n.started(run)),
            Event::AttemptStarted { run } => inner.tasks.count(&run.task, |n| n.retries += 1),
            Event::FiringFailed { task, .. } => inner.tasks.count(task, |n| n.errors += 1),
            Event::RunFinished {
                run,
                outcome,
                duration,
                at,
                ..
            } => inner
                .tasks
                .count(&run.task, |n| n.finished(*outcome, *duration, *at)),
            Event::LeaseLost { run, .. } => inner.tasks.count(&run.task, |n| n.lease_lost += 1),
            Event::LockOperation {
                operation,
                results,
                took,
            } => {
                inner.count_lock_operation(*operation, results);
                inner.families.lock_took(*operation, *took);
            }
            Event::ClockOffset { offset } => inner.families.clock_skew.set(offset.seconds()),
            Event::StoreDiagnosed { diagnosis } => {
                let count = |severity: Severity| {
                    let findings = diagnosis.findings().iter();
                    let count = findings.filter(|f| f.severity == severity).count();
                    i64::try_from(count).unwrap_or(i64::MAX)
                };
                let (warnings, errors) = (count(Severity::Warning), count(Severity::Error));
                inner.families.found(warnings, errors);
            }
            Event::ActDenied { .. } => inner.families.admin_denied.inc(),
            Event::ObserverPanicked => inner.families.observer_panics.inc(),
            Event::StoreChanged => inner.families.store_changes.inc(),
            Event::ClockStepped { .. } => inner.families.clock_steps.inc(),
            Event::TimerStalled { .. } => inner.families.timer_stalls.inc(),
            Event::Counted { tasks } => tasks.iter().for_each(|t| inner.tasks.share(t)),
            Event::HistoryDropped { kind, count } => {
                inner.families.history_dropped(*kind, *count);
            }
            Event::StoreFailed { operation } => inner.families.store_failed(*operation, 1),
            Event::ActAsked { entry } => {
                let result = match entry.result {
                    AuditResult::NotTaken => families::NOT_TAKEN,
                    _ => families::ASKED,
                };
                inner.families.acted(&entry.action, result, 1);
            }
            Event::CommandAnswered { action, answer, .. } => {
                let result = match **answer {
                    Answer::Refused(_) => families::REFUSED,
                    _ => families::DONE,
                };
                inner.families.acted(action, result, 1);
            }
            Event::FleetSeen {
                instances,
                drifting,
            } => inner.tasks.see(*instances, drifting),
            // Its instance cannot count it any more. What the lock was told of it has counted.
            Event::RunFoundGone { task, outcome, .. } => {
                if *outcome == Outcome::Abandoned {
                    inner.tasks.count(task, |n| n.found_gone());
                }
            }
            Event::StoredTaskIgnored { .. }
            | Event::InstanceJoined { .. }
            | Event::InstanceLeft { .. }
            | Event::InstanceLost { .. }
            | Event::RecordMalformed { .. }
            | Event::FleetStoreDown { .. } => {
                if let Some(word) = fleet::word(event) {
                    inner.families.fleet_event(word, 1);
                }
            }
            // What follows from these is counted with the runs, the firings and the lock's answers.
            Event::RunRetried { .. }
            | Event::RunAbandoned { .. }
            | Event::StoreDown { .. }
            | Event::StoreUp { .. }
            | Event::TaskDrifts { .. }
            | Event::InstanceDrained { .. }
            | Event::FleetStoreUp { .. } => {}
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("registry", &self.inner.registry)
            .field("tasks", &self.inner.tasks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
