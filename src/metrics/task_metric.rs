//! A metric of tasks, as the registry collects it.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
    Summary,
};

use crate::event::{Decision, Outcome};
use crate::metrics::numbers::{Numbers, Observed, Shared};
use crate::metrics::table::{self, Metric, TASK};
use crate::metrics::tasks::{OTHER, Tasks};

/// What a metric takes from the numbers of a task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    Counter(fn(&Numbers) -> u64),
    /// One series for each word, in the order of their counts.
    Counters(fn() -> Vec<&'static str>, fn(&Numbers) -> &[u64]),
    /// No series where there is no value.
    Gauge(fn(&Numbers) -> Option<f64>),
    /// Shared with all instances, if there is a history.
    Shared(fn(&Shared) -> Option<f64>),
    /// The same, of what can fall: left out when it was not read for long.
    Fresh(fn(&Shared) -> f64),
    /// Whether instances differ in it: left out as what is fresh.
    Drift,
    /// Its buckets, sum and count.
    Histogram(fn(&Numbers) -> &Observed),
    Info,
}

/// All metrics of tasks.
pub(super) const METRICS: &[(&Metric, Read)] = &[
    (&table::RUNS, Read::Counters(outcomes, |n| &n.runs)),
    (&table::ERRORS, Read::Counter(|n| n.errors)),
    (&table::FIRINGS, Read::Counters(decisions, |n| &n.firings)),
    (&table::RETRIES, Read::Counter(|n| n.retries)),
    (&table::LEASE_LOST, Read::Counter(|n| n.lease_lost)),
    (&table::SPEC_CONFLICTS, Read::Counter(|n| n.spec_conflicts)),
    (&table::DURATION, Read::Histogram(|n| &n.duration)),
    (&table::START_DELAY, Read::Histogram(|n| &n.start_delay)),
    (&table::RUNNING, Read::Gauge(|n| Some(n.running as f64))),
    (&table::LAST_START, Read::Gauge(|n| Some(n.last_start))),
    (&table::LAST_SUCCESS, Read::Gauge(|n| Some(n.last_success))),
    (&table::LAST_FAILURE, Read::Gauge(|n| Some(n.last_failure))),
    (
        &table::LAST_DURATION,
        Read::Gauge(|n| Some(n.last_duration)),
    ),
    (&table::NEXT_FIRE, Read::Gauge(|n| n.next_fire)),
    (
        &table::CONSECUTIVE_FAILURES,
        Read::Fresh(|shared| shared.failures),
    ),
    (
        &table::RUNNING_SINCE,
        Read::Fresh(|shared| shared.running_since),
    ),
    (
        &table::PAUSED,
        Read::Fresh(|shared| f64::from(shared.paused_since > 0.0)),
    ),
    (
        &table::PAUSED_SINCE,
        Read::Fresh(|shared| shared.paused_since),
    ),
    (
        &table::SUCCESS_DEADLINE,
        Read::Shared(|shared| Some(shared.deadline)),
    ),
    (
        &table::SCHEDULE_INTERVAL,
        Read::Shared(|shared| shared.interval),
    ),
    (&table::TIMEOUT, Read::Shared(|shared| Some(shared.timeout))),
    (&table::SCHEDULE_DRIFT, Read::Drift),
    (&table::INFO, Read::Info),
];

fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.iter().map(|o| o.as_str()).collect()
}

fn decisions() -> Vec<&'static str> {
    Decision::ALL.iter().map(|d| d.as_str()).collect()
}

#[derive(Clone)]
pub(super) struct TaskMetric {
    metric: &'static Metric,
    read: Read,
    desc: Desc,
    tasks: Arc<Tasks>,
}

impl TaskMetric {
    pub(super) fn new(
        metric: &'static Metric,
        read: Read,
        tasks: Arc<Tasks>,
    ) -> prometheus::Result<Self> {
        let labels = metric.labels.iter().map(|l| (*l).to_owned()).collect();
        let (name, help) = (metric.name.to_owned(), metric.help.to_owned());
        Ok(Self {
            metric,
            read,
            desc: Desc::new(name, help, labels, HashMap::new())?,
            tasks,
        })
    }

    /// The series of one task.
    fn samples(&self, task: &str, numbers: &Numbers, to: &mut Vec<Sample>) {
        let of_task = || pair(TASK, task);
        match self.read {
            Read::Counter(read) => to.push(counter(read(numbers), vec![of_task()])),
            Read::Counters(words, read) => {
                // The label beside the task's.
                let label = self.metric.labels.iter().find(|label| **label != TASK);
                for (word, count) in words().into_iter().zip(read(numbers)) {
                    let word = label.map(|label| pair(label, word));
                    to.push(counter(
                        *count,
                        word.into_iter().chain([of_task()]).collect(),
                    ));
                }
            }
            Read::Gauge(read) => to.extend(read(numbers).map(|n| gauge(n, vec![of_task()]))),
            Read::Shared(read) => {
                let value = numbers.shared.as_deref().and_then(read);
                to.extend(value.map(|n| gauge(n, vec![of_task()])));
            }
            Read::Fresh(read) => {
                let shared = numbers.shared.as_deref();
                let fresh = shared.filter(|shared| !self.tasks.is_stale(shared.read_at));
                to.extend(fresh.map(|shared| gauge(read(shared), vec![of_task()])));
            }
            Read::Drift if task == OTHER => {}
            Read::Drift => {
                let seen = self.tasks.fleet.drift(task);
                let fresh = seen.filter(|(at, _)| !self.tasks.is_stale(*at));
                to.extend(fresh.map(|(_, differs)| gauge(differs, vec![of_task()])));
            }
            Read::Histogram(read) => {
                let mut sample = Sample::from_label(vec![of_task()]);
                match self.tasks.has_buckets() {
                    true => sample.set_histogram(histogram(read(numbers))),
                    false => sample.set_summary(summary(read(numbers))),
                }
                to.push(sample);
            }
            Read::Info => to.extend(numbers.info.as_ref().map(|info| {
                let mut labels = vec![
                    of_task(),
                    pair("schedule", &info.spec),
                    pair("timezone", info.timezone.name()),
                    pair("overlap", info.overlap.as_str()),
                ];
                labels.sort_by(|a, b| a.name().cmp(b.name()));
                gauge(1.0, labels)
            })),
        }
    }
}

impl Collector for TaskMetric {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Vec::new();
        self.tasks
            .read(|task, numbers| self.samples(task, numbers, &mut samples));
        let mut family = MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.help.to_owned());
        family.set_field_type(match self.read {
            Read::Counter(_) | Read::Counters(..) => MetricType::COUNTER,
            Read::Gauge(_) | Read::Shared(_) | Read::Fresh(_) | Read::Drift | Read::Info => {
                MetricType::GAUGE
            }
            Read::Histogram(_) if self.tasks.has_buckets() => MetricType::HISTOGRAM,
            Read::Histogram(_) => MetricType::SUMMARY,
        });
        family.set_metric(samples);
        vec![family]
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn counter(value: u64, labels: Vec<LabelPair>) -> Sample {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut sample = Sample::from_label(labels);
    sample.set_counter(counter);
    sample
}

fn gauge(value: f64, labels: Vec<LabelPair>) -> Sample {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut sample = Sample::from_label(labels);
    sample.set_gauge(gauge);
    sample
}

fn histogram(observed: &Observed) -> Histogram {
    let mut total = 0;
    let buckets = observed.buckets().map(|(bound, n)| {
        total += n;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(total);
        bucket
    });
    let (sum, count) = observed.total();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_sum(sum);
    histogram.set_sample_count(count);
    histogram
}

/// The same without its buckets.
fn summary(observed: &Observed) -> Summary {
    let (sum, count) = observed.total();
    let mut summary = Summary::default();
    summary.set_sample_sum(sum);
    summary.set_sample_count(count);
    summary
}
