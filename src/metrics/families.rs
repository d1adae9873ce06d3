//! The metrics as the registry has them, and the series of one task.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Decision, LockOperation, Outcome};
use crate::metrics::{self as table, Metric};
use crate::task::TaskName;

/// Seconds since the epoch.
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}

/// All metrics, each with its series.
pub(super) struct Families {
    runs: IntCounterVec,
    errors: IntCounterVec,
    firings: IntCounterVec,
    retries: IntCounterVec,
    lease_lost: IntCounterVec,
    spec_conflicts: IntCounterVec,
    duration: HistogramVec,
    start_delay: HistogramVec,
    running: IntGaugeVec,
    last_start: GaugeVec,
    last_success: GaugeVec,
    last_failure: GaugeVec,
    last_duration: GaugeVec,
    next_fire: GaugeVec,
    info: IntGaugeVec,
    lock_operations: IntCounterVec,
    lock_duration: HistogramVec,
    pub(super) scheduler_running: IntGauge,
    pub(super) last_wake: Gauge,
    pub(super) clock_skew: Gauge,
    pub(super) store_changes: IntCounter,
    pub(super) clock_steps: IntCounter,
    pub(super) timer_stalls: IntCounter,
}

/// The handles of one task's series.
pub(super) struct Series {
    /// In the order of [`Outcome::ALL`].
    runs: Vec<IntCounter>,
    /// In the order of [`Decision::ALL`].
    firings: Vec<IntCounter>,
    pub(super) errors: IntCounter,
    pub(super) retries: IntCounter,
    pub(super) lease_lost: IntCounter,
    pub(super) spec_conflicts: IntCounter,
    pub(super) duration: Histogram,
    pub(super) start_delay: Histogram,
    pub(super) running: IntGauge,
    pub(super) last_start: Gauge,
    pub(super) last_success: Gauge,
    pub(super) last_failure: Gauge,
    pub(super) last_duration: Gauge,
    next_fire: Gauge,
    // Held to replace them: the labels of the info series that stands now.
    described: Mutex<Option<[String; 4]>>,
}

impl Families {
    /// Registers all metrics, or none.
    pub(super) fn join(registry: &Registry) -> Result<Self> {
        let mut joining = Joining {
            registry,
            joined: Vec::new(),
        };
        let families = Self::join_each(&mut joining);
        if families.is_err() {
            for collector in joining.joined {
                // It was registered a moment ago; if somebody has removed it since, all is well.
                let _ = registry.unregister(collector);
            }
        }
        families
    }

    fn join_each(to: &mut Joining<'_>) -> Result<Self> {
        let families = Self {
            runs: to.counters(&table::RUNS)?,
            errors: to.counters(&table::ERRORS)?,
            firings: to.counters(&table::FIRINGS)?,
            retries: to.counters(&table::RETRIES)?,
            lease_lost: to.counters(&table::LEASE_LOST)?,
            spec_conflicts: to.counters(&table::SPEC_CONFLICTS)?,
            duration: to.histograms(&table::DURATION)?,
            start_delay: to.histograms(&table::START_DELAY)?,
            running: to.int_gauges(&table::RUNNING)?,
            last_start: to.gauges(&table::LAST_START)?,
            last_success: to.gauges(&table::LAST_SUCCESS)?,
            last_failure: to.gauges(&table::LAST_FAILURE)?,
            last_duration: to.gauges(&table::LAST_DURATION)?,
            next_fire: to.gauges(&table::NEXT_FIRE)?,
            info: to.int_gauges(&table::INFO)?,
            lock_operations: to.counters(&table::LOCK_OPERATIONS)?,
            lock_duration: to.histograms(&table::LOCK_DURATION)?,
            scheduler_running: to
                .int_gauges(&table::SCHEDULER_RUNNING)?
                .with_label_values::<&str>(&[]),
            last_wake: to.gauges(&table::LAST_WAKE)?.with_label_values::<&str>(&[]),
            clock_skew: to
                .gauges(&table::CLOCK_SKEW)?
                .with_label_values::<&str>(&[]),
            store_changes: to
                .counters(&table::STORE_CHANGES)?
                .with_label_values::<&str>(&[]),
            clock_steps: to
                .counters(&table::CLOCK_STEPS)?
                .with_label_values::<&str>(&[]),
            timer_stalls: to
                .counters(&table::TIMER_STALLS)?
                .with_label_values::<&str>(&[]),
        };
        to.int_gauges(&table::BUILD_INFO)?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        for operation in LockOperation::ALL {
            for result in ["ok", "contended", "lost", "error"] {
                families.lock_operation(*operation, result, 0);
            }
            families
                .lock_duration
                .with_label_values(&[operation.as_str()]);
        }
        Ok(families)
    }

    /// Makes all series of a task but its info.
    pub(super) fn series(&self, task: &TaskName) -> Series {
        let name = [task.as_str()];
        let runs = Outcome::ALL.iter().map(|outcome| {
            self.runs
                .with_label_values(&[task.as_str(), outcome.as_str()])
        });
        let firings = Decision::ALL.iter().map(|decision| {
            self.firings
                .with_label_values(&[task.as_str(), decision.as_str()])
        });
        Series {
            runs: runs.collect(),
            firings: firings.collect(),
            errors: self.errors.with_label_values(&name),
            retries: self.retries.with_label_values(&name),
            lease_lost: self.lease_lost.with_label_values(&name),
            spec_conflicts: self.spec_conflicts.with_label_values(&name),
            duration: self.duration.with_label_values(&name),
            start_delay: self.start_delay.with_label_values(&name),
            running: self.running.with_label_values(&name),
            last_start: self.last_start.with_label_values(&name),
            last_success: self.last_success.with_label_values(&name),
            last_failure: self.last_failure.with_label_values(&name),
            last_duration: self.last_duration.with_label_values(&name),
            next_fire: self.next_fire.with_label_values(&name),
            described: Mutex::default(),
        }
    }

    /// Gives a task its info series, in place of the one it may have had.
    pub(super) fn describe(&self, series: &Series, labels: [&str; 4]) {
        let mut described = series
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = described.replace(labels.map(str::to_owned)) {
            // It is there unless the application has removed it.
            let _ = self.info.remove_label_values(&old);
        }
        self.info.with_label_values(&labels).set(1);
    }

    pub(super) fn lock_operation(&self, operation: LockOperation, result: &str, count: u64) {
        self.lock_operations
            .with_label_values(&[operation.as_str(), result])
            .inc_by(count);
    }

    pub(super) fn lock_took(&self, operation: LockOperation, took: Duration) {
        self.lock_duration
            .with_label_values(&[operation.as_str()])
            .observe(took.as_secs_f64());
    }
}

impl Series {
    pub(super) fn count_run(&self, outcome: Outcome) {
        if let Some(runs) = self.runs.get(outcome as usize) {
            runs.inc();
        }
    }

    pub(super) fn count_firings(&self, decision: Decision, count: u64) {
        if let Some(firings) = self.firings.get(decision as usize) {
            firings.inc_by(count);
        }
    }

    pub(super) fn set_next_fire(&self, at: Option<DateTime<Utc>>) {
        self.next_fire.set(at.map_or(f64::INFINITY, seconds));
    }
}

/// A registry that metrics are being added to.
struct Joining<'a> {
    registry: &'a Registry,
    joined: Vec<Box<dyn Collector>>,
}

impl Joining<'_> {
    fn counters(&mut self, metric: &Metric) -> Result<IntCounterVec> {
        let opts = Opts::new(metric.name, metric.help);
        self.add(metric, IntCounterVec::new(opts, metric.labels))
    }

    fn int_gauges(&mut self, metric: &Metric) -> Result<IntGaugeVec> {
        let opts = Opts::new(metric.name, metric.help);
        self.add(metric, IntGaugeVec::new(opts, metric.labels))
    }

    fn gauges(&mut self, metric: &Metric) -> Result<GaugeVec> {
        let opts = Opts::new(metric.name, metric.help);
        self.add(metric, GaugeVec::new(opts, metric.labels))
    }

    fn histograms(&mut self, metric: &Metric) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(metric.name, metric.help).buckets(metric.buckets.to_vec());
        self.add(metric, HistogramVec::new(opts, metric.labels))
    }

    fn add<C>(&mut self, metric: &Metric, made: prometheus::Result<C>) -> Result<C>
    where
        C: Collector + Clone + 'static,
    {
        let refuse = |e: prometheus::Error| {
            let text = format!(
                "metric {} cannot be registered: {e}; keep one Metrics for each registry and clone it",
                metric.name
            );
            Error::new(ErrorKind::Metrics, text).with_source(e)
        };
        let collector = made.map_err(refuse)?;
        self.registry
            .register(Box::new(collector.clone()))
            .map_err(refuse)?;
        self.joined.push(Box::new(collector.clone()));
        Ok(collector)
    }
}
