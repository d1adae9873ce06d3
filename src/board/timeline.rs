//! What was run and what is to come, by time. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::board::{Snapshot, Stamp};
use crate::event::Outcome;

/// So many tasks are named in a bin.
const NAMED: usize = 8;

/// What was run and what is to come, in equal bins of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Timeline {
    /// When the first bin begins.
    pub(crate) from: Stamp,
    /// When the last one ends.
    pub(crate) to: Stamp,
    /// How long each is, in seconds.
    pub(crate) bin_s: f64,
    /// The bins, in their order.
    pub(crate) bins: Vec<Bin>,
    /// Tasks that fire more often than once in a bin, and are left out.
    pub(crate) continuous: Vec<String>,
}

/// What was run, or is to come, in one bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Bin {
    /// When it begins.
    pub(crate) at: Stamp,
    /// How many fire times are to come in it.
    pub(crate) fires: usize,
    /// Runs that started in it and have ended, by how.
    pub(crate) runs: BTreeMap<String, usize>,
    /// Tasks that run in it, or did: eight at the most.
    pub(crate) tasks: Vec<String>,
}

/// That from `from`, in `count` bins of `bin` each. What has run is known as far as the last 100 runs
/// of each task reach.
pub(crate) fn timeline(
    snapshot: &Snapshot,
    from: DateTime<Utc>,
    bin: TimeDelta,
    count: usize,
) -> Timeline {
    let width = bin.num_milliseconds().max(1);
    let start = |n: usize| from + TimeDelta::milliseconds(width.saturating_mul(n as i64));
    let to = start(count);
    let mut bins: Vec<Bin> = (0..count)
        .map(|n| Bin {
            at: start(n).into(),
            fires: 0,
            runs: BTreeMap::new(),
            tasks: Vec::new(),
        })
        .collect();
    let mut continuous = Vec::new();
    for entry in &snapshot.entries {
        let name = &entry.task.name;
        let times = match &entry.plan {
            Some(plan) if !plan.depends_on_runs() && entry.facts.is_enabled => {
                let after = snapshot.at.max(from - TimeDelta::nanoseconds(1));
                let mut times = plan.upcoming(entry.over.as_ref(), after, count + 2);
                let gaps = times.iter().zip(times.iter().skip(1));
                if gaps.take(8).any(|(a, b)| *b - *a < bin) {
                    continuous.push(name.clone());
                    continue;
                }
                times.retain(|at| *at < to && !snapshot.rules.holds_back(name, *at));
                times
            }
            _ => Vec::new(),
        };
        let place = |at: DateTime<Utc>| {
            let since = (at - from).num_milliseconds();
            usize::try_from(since.div_euclid(width)).ok()
        };
        let mut note = |at: DateTime<Utc>, outcome: Option<Outcome>| {
            let Some(bin) = place(at).and_then(|n| bins.get_mut(n)) else {
                return;
            };
            match outcome {
                Some(outcome) => *bin.runs.entry(outcome.to_string()).or_default() += 1,
                None => bin.fires += 1,
            }
            if bin.tasks.len() < NAMED && bin.tasks.last() != Some(name) {
                bin.tasks.push(name.clone());
            }
        };
        for run in entry.runs.iter() {
            note(run.started, Some(run.outcome));
        }
        for at in times {
            note(at, None);
        }
    }
    Timeline {
        from: from.into(),
        to: to.into(),
        bin_s: width as f64 / 1e3,
        bins,
        continuous,
    }
}
