//! How the last runs of a task went, in numbers. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::board::{Brief, seconds};
use crate::event::Outcome;

/// Runs that ended longer ago do not count.
const WINDOW: TimeDelta = TimeDelta::hours(24);

/// How the runs of a window of time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Stats {
    /// The window, in seconds: a day, or less if the runs that are looked at are of less.
    pub(crate) window_s: f64,
    /// How many runs ended in it.
    pub(crate) runs: usize,
    /// How many of these succeeded, of 1; cancelled ones are left out. `None` without any.
    pub(crate) success_ratio: Option<f64>,
    /// Half of the successful ones took no longer, in seconds.
    pub(crate) p50_s: Option<f64>,
    /// Nineteen of twenty took no longer, in seconds.
    pub(crate) p95_s: Option<f64>,
}

/// Those of `runs`, newest first; there are more if `is_cut`.
pub(crate) fn stats(runs: &[Brief], is_cut: bool, now: DateTime<Utc>) -> Stats {
    let since = now - WINDOW;
    let oldest = runs.last().map(|run| run.started);
    let since = match oldest.filter(|_| is_cut) {
        Some(oldest) => since.max(oldest),
        None => since,
    };
    let counted: Vec<&Brief> = runs.iter().filter(|run| run.started >= since).collect();
    let judged = counted
        .iter()
        .filter(|run| run.outcome != Outcome::Cancelled);
    let judged = judged.count();
    let succeeded = counted.iter().filter(|run| run.outcome == Outcome::Success);
    let mut took: Vec<_> = succeeded.map(|run| run.duration).collect();
    took.sort_unstable();
    let ratio = |part: usize| (part as f64 / judged as f64 * 1e4).round() / 1e4;
    // The smallest that so many are not above.
    let quantile = |hundredths: usize| {
        let rank = (took.len() * hundredths).div_ceil(100).saturating_sub(1);
        took.get(rank).copied().map(seconds)
    };
    Stats {
        window_s: seconds((now - since).to_std().unwrap_or_default()),
        runs: counted.len(),
        success_ratio: (judged > 0).then(|| ratio(took.len())),
        p50_s: quantile(50),
        p95_s: quantile(95),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::board::strip::brief;

    fn run(outcome: Outcome, minutes_ago: i64, took_s: u64) -> Brief {
        let now: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        let started = now - TimeDelta::minutes(minutes_ago);
        brief(started, outcome, Duration::from_secs(took_s))
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn quantiles_are_of_runs_that_succeeded_and_the_ratio_leaves_out_the_cancelled() {
        let mut runs: Vec<Brief> = (1..=20).map(|n| run(Outcome::Success, 30, n)).collect();
        runs.push(run(Outcome::Failure, 30, 500));
        runs.push(run(Outcome::Cancelled, 30, 500));
        runs.push(run(Outcome::Success, 25 * 60, 500));
        let stats = stats(&runs, false, now());
        assert_eq!((stats.runs, stats.window_s), (22, 86_400.0));
        assert_eq!(stats.success_ratio, Some(0.9524));
        assert_eq!((stats.p50_s, stats.p95_s), (Some(10.0), Some(19.0)));
    }

    #[test]
    fn the_window_is_as_long_as_what_is_known() {
        let runs = [run(Outcome::Success, 1, 1), run(Outcome::Success, 10, 1)];
        assert_eq!(stats(&runs, true, now()).window_s, 600.0);
        let none = stats(&[], false, now());
        assert_eq!((none.success_ratio, none.p50_s, none.runs), (None, None, 0));
    }
}
