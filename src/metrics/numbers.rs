//! What is counted of one task, or of several that are folded into one.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::event::{Decision, Outcome, RunFacts};
use crate::history::TaskCounters;
use crate::metrics::families::seconds;
use crate::metrics::table::{DURATION, START_DELAY};
use crate::task::Overlap;

/// All that the metrics of a task say. Plain numbers: series of the Prometheus crate take 20 kB a task.
#[derive(Debug)]
pub(super) struct Numbers {
    /// In the order of [`Outcome::ALL`].
    pub(super) runs: [u64; Outcome::ALL.len()],
    /// In the order of [`Decision::ALL`].
    pub(super) firings: [u64; Decision::ALL.len()],
    pub(super) errors: u64,
    pub(super) retries: u64,
    pub(super) lease_lost: u64,
    pub(super) spec_conflicts: u64,
    pub(super) duration: Observed,
    pub(super) start_delay: Observed,
    pub(super) running: i64,
    pub(super) last_start: f64,
    pub(super) last_success: f64,
    pub(super) last_failure: f64,
    pub(super) last_duration: f64,
    last_end: f64,
    /// What the history counts, if there is one.
    pub(super) shared: Option<Box<Shared>>,
    /// `None` where no task is meant in particular, or before it is known.
    pub(super) next_fire: Option<f64>,
    pub(super) info: Option<Info>,
}

/// What a history counts of a task, over all instances and their lives.
#[derive(Debug)]
pub(super) struct Shared {
    /// When it was read; monotonic.
    pub(super) read_at: Duration,
    pub(super) failures: f64,
    pub(super) running_since: f64,
    /// 0 if it is not paused.
    pub(super) paused_since: f64,
    pub(super) deadline: f64,
    pub(super) interval: Option<f64>,
    pub(super) timeout: f64,
}

/// What a task was registered with.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) spec: Arc<str>,
    pub(super) timezone: Tz,
    pub(super) overlap: Overlap,
}

/// The upper bounds of the buckets of histograms, in seconds.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) duration: Arc<[f64]>,
    pub(super) start_delay: Arc<[f64]>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            duration: DURATION.buckets.into(),
            start_delay: START_DELAY.buckets.into(),
        }
    }
}

impl Bounds {
    pub(super) fn none() -> Self {
        let none: Arc<[f64]> = Arc::default();
        let (duration, start_delay) = (none.clone(), none);
        Self {
            duration,
            start_delay,
        }
    }
}

/// A histogram.
#[derive(Debug)]
pub(super) struct Observed {
    bounds: Arc<[f64]>,
    /// How many values are in each bucket and in none before it.
    buckets: Box<[u64]>,
    sum: f64,
    count: u64,
}

impl Numbers {
    pub(super) fn with(bounds: &Bounds) -> Self {
        Self {
            runs: Default::default(),
            firings: Default::default(),
            errors: 0,
            retries: 0,
            lease_lost: 0,
            spec_conflicts: 0,
            duration: Observed::within(&bounds.duration),
            start_delay: Observed::within(&bounds.start_delay),
            running: 0,
            last_start: 0.0,
            last_success: 0.0,
            last_failure: 0.0,
            last_duration: 0.0,
            last_end: 0.0,
            shared: None,
            next_fire: None,
            info: None,
        }
    }

    pub(super) fn decided(&mut self, decision: Decision, count: u64) {
        if let Some(firings) = self.firings.get_mut(decision as usize) {
            *firings += count;
        }
    }

    pub(super) fn started(&mut self, run: &RunFacts) {
        self.running += 1;
        self.last_start = seconds(run.started);
        self.start_delay.observe(run.lateness.as_secs_f64());
        if run.attempt > 1 {
            self.retries += 1;
        }
    }

    pub(super) fn finished(&mut self, outcome: Outcome, took: Duration, at: DateTime<Utc>) {
        self.running -= 1;
        self.last_duration = took.as_secs_f64();
        self.last_end = seconds(at);
        self.duration.observe(self.last_duration);
        if let Some(runs) = self.runs.get_mut(outcome as usize) {
            *runs += 1;
        }
        match outcome {
            Outcome::Success => self.last_success = seconds(at),
            Outcome::Cancelled => {}
            _ => {
                self.errors += 1;
                self.last_failure = seconds(at);
            }
        }
    }

    /// A run of an instance that is gone, which cannot count it itself.
    pub(super) fn found_gone(&mut self) {
        if let Some(runs) = self.runs.get_mut(Outcome::Abandoned as usize) {
            *runs += 1;
        }
        self.errors += 1;
    }

    /// Takes what a history counts: what it knows better than this instance, which it can be behind
    /// by some seconds.
    pub(super) fn share(&mut self, counted: &TaskCounters, read_at: Duration) {
        let counters = &counted.counters;
        let or_zero = |at: Option<DateTime<Utc>>| at.map_or(0.0, seconds);
        self.last_start = self.last_start.max(or_zero(counters.last_start));
        self.last_success = self.last_success.max(or_zero(counters.last_success));
        self.last_failure = self.last_failure.max(or_zero(counters.last_failure));
        if let (Some((_, ended)), Some(took)) = (counters.last_run, counters.last_duration)
            && seconds(ended) > self.last_end
        {
            self.last_end = seconds(ended);
            self.last_duration = took.as_secs_f64();
        }
        self.shared = Some(Box::new(Shared {
            read_at,
            failures: counters.consecutive_failures as f64,
            running_since: or_zero(counted.running_since),
            paused_since: or_zero(counted.paused_since),
            deadline: counted.success_deadline.map_or(f64::INFINITY, seconds),
            interval: counted.interval.map(|interval| interval.as_secs_f64()),
            timeout: counted.timeout.as_secs_f64(),
        }));
    }

    pub(super) fn set_next_fire(&mut self, at: Option<DateTime<Utc>>) {
        self.next_fire = Some(at.map_or(f64::INFINITY, seconds));
    }
}

impl Observed {
    fn within(bounds: &Arc<[f64]>) -> Self {
        Self {
            bounds: bounds.clone(),
            buckets: vec![0; bounds.len()].into(),
            sum: 0.0,
            count: 0,
        }
    }

    fn observe(&mut self, value: f64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        if let Some(bucket) = bucket.and_then(|place| self.buckets.get_mut(place)) {
            *bucket += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    /// The buckets, each with its upper bound.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied();
        bounds.zip(self.buckets.iter().copied())
    }

    /// The sum and the count.
    pub(super) fn total(&self) -> (f64, u64) {
        (self.sum, self.count)
    }
}
