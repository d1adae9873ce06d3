//! The metrics as the registry has them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{LockOperation, RecordKind, StoreOperation};
use crate::metrics::fleet::{self, Instances};
use crate::metrics::table::{self, Metric};
use crate::metrics::task_metric::{METRICS, TaskMetric};
use crate::metrics::tasks::Tasks;

/// What people ask for that all instances follow.
const RULES: &[&str] = &["pause", "resume", "override", "reset", "drain", "undrain"];
/// What they ask for that one instance does.
const COMMANDS: &[&str] = &["run", "cancel", "skip", "unlock"];
/// It was asked for.
pub(super) const ASKED: &str = "asked";
/// What became of a command.
const ANSWERS: [&str; 3] = [DONE, REFUSED, NOT_TAKEN];
pub(super) const DONE: &str = "done";
pub(super) const REFUSED: &str = "refused";
pub(super) const NOT_TAKEN: &str = "not_taken";

/// What is warned of in schedules: by [`Lint`](crate::schedule::Lint), and what is found at the start.
const LINTS: [&str; 5] = ["never_fires", "past", "dst_gap", "dst_overlap", COLLISION];
pub(super) const COLLISION: &str = "collision";

/// Seconds since the epoch.
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}

/// The metrics that are not of a task.
pub(super) struct Families {
    lock_operations: IntCounterVec,
    lock_duration: HistogramVec,
    pub(super) scheduler_running: IntGauge,
    pub(super) last_wake: Gauge,
    pub(super) clock_skew: Gauge,
    pub(super) store_changes: IntCounter,
    pub(super) clock_steps: IntCounter,
    pub(super) timer_stalls: IntCounter,
    history_dropped: IntCounterVec,
    store_errors: IntCounterVec,
    admin_actions: IntCounterVec,
    fleet_events: IntCounterVec,
    lints: IntCounterVec,
    findings: IntGaugeVec,
    pub(super) folded: IntCounter,
    pub(super) admin_denied: IntCounter,
    pub(super) observer_panics: IntCounter,
}

impl Families {
    /// Registers all metrics, or none; of `tasks` those that are of a task.
    pub(super) fn join(registry: &Registry, tasks: &Arc<Tasks>) -> Result<Self> {
        let mut joining = Joining {
            registry,
            joined: Vec::new(),
        };
        let families = Self::join_each(&mut joining, tasks);
        if families.is_err() {
            for collector in joining.joined {
                // It was registered a moment ago; if somebody has removed it since, all is well.
                let _ = registry.unregister(collector);
            }
        }
        families
    }

    fn join_each(to: &mut Joining<'_>, tasks: &Arc<Tasks>) -> Result<Self> {
        for (metric, read) in METRICS {
            to.add(metric, TaskMetric::new(metric, *read, tasks.clone()))?;
        }
        let families = Self {
            lock_operations: to.counters(&table::LOCK_OPERATIONS)?,
            lock_duration: to.histograms(&table::LOCK_DURATION)?,
            scheduler_running: to
                .int_gauges(&table::SCHEDULER_RUNNING)?
                .with_label_values::<&str>(&[]),
            last_wake: to.gauges(&table::LAST_WAKE)?.with_label_values::<&str>(&[]),
            clock_skew: to
                .gauges(&table::CLOCK_SKEW)?
                .with_label_values::<&str>(&[]),
            store_changes: to.counter(&table::STORE_CHANGES)?,
            clock_steps: to.counter(&table::CLOCK_STEPS)?,
            timer_stalls: to.counter(&table::TIMER_STALLS)?,
            folded: to.counter(&table::FOLDED)?,
            admin_denied: to.counter(&table::ADMIN_DENIED)?,
            observer_panics: to.counter(&table::OBSERVER_PANICS)?,
            lints: to.counters(&table::LINTS)?,
            findings: to.int_gauges(&table::LOCK_FINDINGS)?,
            history_dropped: to.counters(&table::HISTORY_DROPPED)?,
            store_errors: to.counters(&table::STORE_ERRORS)?,
            admin_actions: to.counters(&table::ADMIN_ACTIONS)?,
            fleet_events: to.counters(&table::FLEET_EVENTS)?,
        };
        for operation in StoreOperation::ALL {
            families.store_failed(*operation, 0);
        }
        for action in RULES.iter().chain(COMMANDS) {
            families.acted(action, ASKED, 0);
        }
        for (action, result) in COMMANDS.iter().flat_map(|a| ANSWERS.map(|r| (a, r))) {
            families.acted(action, result, 0);
        }
        to.add(&table::INSTANCES, Instances::new(tasks.clone()))?;
        for event in fleet::EVENTS {
            families.fleet_event(event, 0);
        }
        for lint in LINTS {
            families.lint(lint, 0);
        }
        families.found(0, 0);
        for kind in RecordKind::ALL {
            families.history_dropped(*kind, 0);
        }
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

    pub(super) fn lock_operation(&self, operation: LockOperation, result: &str, count: u64) {
        self.lock_operations
            .with_label_values(&[operation.as_str(), result])
            .inc_by(count);
    }

    pub(super) fn history_dropped(&self, kind: RecordKind, count: u64) {
        self.history_dropped
            .with_label_values(&[kind.as_str()])
            .inc_by(count);
    }

    pub(super) fn store_failed(&self, operation: StoreOperation, count: u64) {
        self.store_errors
            .with_label_values(&[operation.as_str()])
            .inc_by(count);
    }

    pub(super) fn lint(&self, lint: &str, count: u64) {
        self.lints.with_label_values(&[lint]).inc_by(count);
    }

    /// So many warnings and errors of the last diagnosis.
    pub(super) fn found(&self, warnings: i64, errors: i64) {
        for (severity, count) in [("warning", warnings), ("error", errors)] {
            self.findings.with_label_values(&[severity]).set(count);
        }
    }

    pub(super) fn acted(&self, action: &str, result: &str, count: u64) {
        self.admin_actions
            .with_label_values(&[action, result])
            .inc_by(count);
    }

    pub(super) fn fleet_event(&self, event: &str, count: u64) {
        self.fleet_events.with_label_values(&[event]).inc_by(count);
    }

    pub(super) fn lock_took(&self, operation: LockOperation, took: Duration) {
        self.lock_duration
            .with_label_values(&[operation.as_str()])
            .observe(took.as_secs_f64());
    }
}

/// A registry that metrics are being added to.
struct Joining<'a> {
    registry: &'a Registry,
    joined: Vec<Box<dyn Collector>>,
}

impl Joining<'_> {
    /// One without labels.
    fn counter(&mut self, metric: &Metric) -> Result<IntCounter> {
        let counters = self.counters(metric)?;
        Ok(counters.with_label_values::<&str>(&[]))
    }

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
