//! Prometheus series of what this instance does.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Decision, Event, LockOperation, Observer, Outcome};
use crate::task::TaskName;

// Every series, with its labels and help. All of them say what this instance did: add them up over
// instances. A task's series are all there, at zero, from its registration on.

/// Name, help, labels.
type Series = (&'static str, &'static str, &'static [&'static str]);

const TASK: &[&str] = &["task_name"];

const DURATION: Series = ("task_duration_seconds", "Wall time of a run.", TASK);
const DURATION_BUCKETS: &[f64] = &[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0,
];
const START_DELAY: Series = ("task_start_delay_seconds", "From fire time to start.", TASK);
const START_DELAY_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0,
];
const ERRORS: Series = (
    "task_errors_total",
    "Runs whose outcome is neither success nor cancelled.",
    TASK,
);
const RUNS: Series = (
    "task_runs_total",
    "Finished runs by outcome.",
    &["task_name", "outcome"],
);
const FIRINGS: Series = (
    "task_firings_total",
    "Fire times seen, by decision.",
    &["task_name", "decision"],
);
const RETRIES: Series = ("task_retries_total", "Attempts after the first.", TASK);
const RUNNING: Series = ("task_running", "Runs in progress.", TASK);
const LEASE_LOST: Series = (
    "task_lease_lost_total",
    "Runs that were dropped as their lease was lost.",
    TASK,
);
const INFO: Series = (
    "task_info",
    "Facts about a task; always 1.",
    &["task_name", "schedule", "timezone", "overlap"],
);
const NEXT_FIRE: Series = (
    "task_next_fire_timestamp_seconds",
    "Next scheduled fire; +Inf if never.",
    TASK,
);
const LAST_SUCCESS: Series = (
    "task_last_success_timestamp_seconds",
    "End of the last successful run on this instance; 0 if none.",
    TASK,
);
const LAST_FAILURE: Series = (
    "task_last_failure_timestamp_seconds",
    "End of the last run on this instance that was neither success nor cancelled; 0 if none.",
    TASK,
);
const LAST_START: Series = (
    "task_last_start_timestamp_seconds",
    "Start of the last run on this instance; 0 if none.",
    TASK,
);
const LAST_DURATION: Series = (
    "task_last_run_duration_seconds",
    "Duration of the last finished run on this instance; 0 if none.",
    TASK,
);
const LOCK_OPERATIONS: Series = (
    "task_lock_operations_total",
    "Lock operations, one for each task, by result.",
    &["operation", "result"],
);
const LOCK_DURATION: Series = (
    "task_lock_operation_duration_seconds",
    "Time until the lock answered; one for each request, of one task or many.",
    &["operation"],
);
const LOCK_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
const LOCK_RESULTS: [&str; 4] = ["ok", "contended", "lost", "error"];
const SCHEDULER_RUNNING: Series = (
    "task_scheduler_running",
    "1 while the scheduler fires, 0 before, while draining and after.",
    &[],
);
const LAST_WAKE: Series = (
    "task_scheduler_last_wake_timestamp_seconds",
    "Last time the timer looked at what is due.",
    &[],
);
const STORE_DOWN: Series = (
    "task_store_down",
    "1 while the lock's store does not answer.",
    &[],
);
const BUILD_INFO: Series = (
    "tasklock_build_info",
    "The crate's version; always 1.",
    &["version"],
);

/// Keeps Prometheus series: an [`Observer`](crate::Observer) to give to
/// [`SchedulerBuilder::metrics`](crate::SchedulerBuilder::metrics). Clones share their series.
///
/// ```
/// use tasklock::{MemoryLock, Metrics, Scheduler};
///
/// let metrics = Metrics::new()?;
/// let scheduler = Scheduler::builder().lock(MemoryLock::new()).metrics(metrics.clone()).build()?;
/// assert!(metrics.encode().contains("task_scheduler_running 0"));
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// One `Metrics` belongs to one scheduler: two that share a registry would count into the same
/// series. The names are in `docs/operations.md`.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    families: Families,
    // Held to look a task up, or to add one. Label values are resolved once, at registration, and
    // not for each event.
    tasks: RwLock<HashMap<TaskName, Arc<TaskSeries>>>,
    locks: Vec<(LockOperation, [IntCounter; 4], Histogram)>,
    scheduler_running: IntGauge,
    last_wake: Gauge,
    store_down: IntGauge,
}

#[derive(Debug)]
struct Families {
    duration: HistogramVec,
    start_delay: HistogramVec,
    errors: IntCounterVec,
    runs: IntCounterVec,
    firings: IntCounterVec,
    retries: IntCounterVec,
    running: IntGaugeVec,
    lease_lost: IntCounterVec,
    info: IntGaugeVec,
    next_fire: GaugeVec,
    last_success: GaugeVec,
    last_failure: GaugeVec,
    last_start: GaugeVec,
    last_duration: GaugeVec,
}

/// The series of one task.
#[derive(Debug)]
struct TaskSeries {
    duration: Histogram,
    start_delay: Histogram,
    errors: IntCounter,
    runs: Vec<(Outcome, IntCounter)>,
    firings: Vec<(Decision, IntCounter)>,
    running: IntGauge,
    lease_lost: IntCounter,
    next_fire: Gauge,
    last_success: Gauge,
    last_failure: Gauge,
    last_start: Gauge,
    last_duration: Gauge,
}

/// Makes metrics, and puts them into a registry.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<C: Collector + Clone + 'static>(
        &self,
        name: &str,
        made: prometheus::Result<C>,
    ) -> Result<C> {
        let registered = made.and_then(|c| self.0.register(Box::new(c.clone())).map(|()| c));
        registered.map_err(|e| {
            let text = format!("metric {name} cannot be registered: {e}");
            Error::new(ErrorKind::Metrics, text).with_source(e)
        })
    }

    fn counters(&self, (name, help, labels): Series) -> Result<IntCounterVec> {
        self.add(name, IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn int_gauges(&self, (name, help, labels): Series) -> Result<IntGaugeVec> {
        self.add(name, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, (name, help, labels): Series) -> Result<GaugeVec> {
        self.add(name, GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, (name, help, labels): Series, buckets: &[f64]) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(name, HistogramVec::new(opts, labels))
    }
}

impl Metrics {
    /// Series in a registry of their own, for [`encode`](Metrics::encode).
    ///
    /// # Errors
    ///
    /// None that we know of: the names are checked by a test.
    pub fn new() -> Result<Self> {
        Self::register(&Registry::new())
    }

    /// Series in the application's registry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Metrics`] with the name that is taken.
    pub fn register(registry: &Registry) -> Result<Self> {
        let maker = Maker(registry);
        let families = Families {
            duration: maker.histograms(DURATION, DURATION_BUCKETS)?,
            start_delay: maker.histograms(START_DELAY, START_DELAY_BUCKETS)?,
            errors: maker.counters(ERRORS)?,
            runs: maker.counters(RUNS)?,
            firings: maker.counters(FIRINGS)?,
            retries: maker.counters(RETRIES)?,
            running: maker.int_gauges(RUNNING)?,
            lease_lost: maker.counters(LEASE_LOST)?,
            info: maker.int_gauges(INFO)?,
            next_fire: maker.gauges(NEXT_FIRE)?,
            last_success: maker.gauges(LAST_SUCCESS)?,
            last_failure: maker.gauges(LAST_FAILURE)?,
            last_start: maker.gauges(LAST_START)?,
            last_duration: maker.gauges(LAST_DURATION)?,
        };
        let operations = maker.counters(LOCK_OPERATIONS)?;
        let durations = maker.histograms(LOCK_DURATION, LOCK_BUCKETS)?;
        let of_operation = |operation: &LockOperation| {
            let word = operation.as_str();
            let results = LOCK_RESULTS.map(|result| operations.with_label_values(&[word, result]));
            (*operation, results, durations.with_label_values(&[word]))
        };
        let none: &[&str] = &[];
        let build = maker.int_gauges(BUILD_INFO)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            inner: Arc::new(Inner {
                locks: LockOperation::ALL.iter().map(of_operation).collect(),
                scheduler_running: maker.int_gauges(SCHEDULER_RUNNING)?.with_label_values(none),
                last_wake: maker.gauges(LAST_WAKE)?.with_label_values(none),
                store_down: maker.int_gauges(STORE_DOWN)?.with_label_values(none),
                registry: registry.clone(),
                families,
                tasks: RwLock::default(),
            }),
        })
    }

    /// The registry that holds the series.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// All series of the registry, in Prometheus' text format 0.0.4
    /// (`text/plain; version=0.0.4`).
    pub fn encode(&self) -> String {
        let mut text = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.inner.registry.gather(), &mut text) {
            tracing::warn!(target: "tasklock", error = %e, "Metrics cannot be encoded");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Inner {
    fn add_task(&self, task: &TaskName, schedule: &str, timezone: &str) {
        let f = &self.families;
        let name = task.as_str();
        let of_outcome = |o: &Outcome| (*o, f.runs.with_label_values(&[name, o.as_str()]));
        let of_decision = |d: &Decision| (*d, f.firings.with_label_values(&[name, d.as_str()]));
        f.info
            .with_label_values(&[name, schedule, timezone, "skip"])
            .set(1);
        f.retries.with_label_values(&[name]);
        let series = TaskSeries {
            duration: f.duration.with_label_values(&[name]),
            start_delay: f.start_delay.with_label_values(&[name]),
            errors: f.errors.with_label_values(&[name]),
            runs: Outcome::ALL.iter().map(of_outcome).collect(),
            firings: Decision::ALL.iter().map(of_decision).collect(),
            running: f.running.with_label_values(&[name]),
            lease_lost: f.lease_lost.with_label_values(&[name]),
            next_fire: f.next_fire.with_label_values(&[name]),
            last_success: f.last_success.with_label_values(&[name]),
            last_failure: f.last_failure.with_label_values(&[name]),
            last_start: f.last_start.with_label_values(&[name]),
            last_duration: f.last_duration.with_label_values(&[name]),
        };
        series.next_fire.set(f64::INFINITY);
        let mut tasks = self.tasks.write().unwrap_or_else(PoisonError::into_inner);
        tasks.insert(task.clone(), Arc::new(series));
    }

    fn of(&self, task: &TaskName, f: impl FnOnce(&TaskSeries)) {
        let tasks = self.tasks.read().unwrap_or_else(PoisonError::into_inner);
        let series = tasks.get(task).cloned();
        drop(tasks);
        if let Some(series) = series {
            f(&series);
        }
    }
}

fn seconds(t: chrono::DateTime<chrono::Utc>) -> f64 {
    t.timestamp_micros() as f64 / 1e6
}

impl Observer for Metrics {
    fn on_event(&self, event: &Event) {
        let inner = &self.inner;
        match event {
            Event::TaskRegistered {
                task,
                spec,
                timezone,
                next_fire,
            } => {
                inner.add_task(task, spec, timezone.name());
                let next = next_fire.map_or(f64::INFINITY, seconds);
                inner.of(task, |s| s.next_fire.set(next));
            }
            Event::NextFire { task, at } => {
                inner.of(task, |s| s.next_fire.set(at.map_or(f64::INFINITY, seconds)));
            }
            Event::FiringDecided {
                task,
                decision,
                count,
                ..
            } => inner.of(task, |s| {
                if let Some((_, counter)) = s.firings.iter().find(|(d, _)| d == decision) {
                    counter.inc_by(*count);
                }
            }),
            Event::RunStarted { run } => inner.of(&run.task, |s| {
                s.running.inc();
                s.start_delay.observe(run.lateness.as_secs_f64());
                s.last_start.set(seconds(run.started));
            }),
            Event::RunFinished {
                run,
                outcome,
                duration,
                at,
                ..
            } => inner.of(&run.task, |s| {
                s.running.dec();
                s.duration.observe(duration.as_secs_f64());
                s.last_duration.set(duration.as_secs_f64());
                if let Some((_, counter)) = s.runs.iter().find(|(o, _)| o == outcome) {
                    counter.inc();
                }
                match outcome {
                    Outcome::Success => s.last_success.set(seconds(*at)),
                    Outcome::Cancelled => {}
                    _ => {
                        s.errors.inc();
                        s.last_failure.set(seconds(*at));
                    }
                }
            }),
            Event::LeaseLost { run, .. } => inner.of(&run.task, |s| s.lease_lost.inc()),
            Event::LockOperation {
                operation,
                results,
                took,
            } => {
                let found = inner.locks.iter().find(|(o, ..)| o == operation);
                if let Some((_, [ok, contended, lost, error], duration)) = found {
                    ok.inc_by(results.ok);
                    contended.inc_by(results.contended);
                    lost.inc_by(results.lost);
                    error.inc_by(results.error);
                    duration.observe(took.as_secs_f64());
                }
            }
            Event::SchedulerStarted { .. } => inner.scheduler_running.set(1),
            Event::SchedulerDraining { .. } | Event::SchedulerStopped { .. } => {
                inner.scheduler_running.set(0);
            }
            Event::TimerWoke { at } => inner.last_wake.set(seconds(*at)),
            Event::StoreDown { .. } => inner.store_down.set(1),
            Event::StoreUp { .. } => inner.store_down.set(0),
            Event::RunAbandoned { .. } | Event::ClockStepped { .. } => {}
        }
    }
}
