//! Which trace a run belongs to, for those who keep both; and of which runs traces are wanted.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::event::RunFacts;
use crate::schedule::Schedule;
use crate::scheduler::spread;
use crate::task::RunId;
use crate::text::contained_line;

/// Tasks are frequent whose next fire time comes sooner than this.
const FREQUENT: TimeDelta = TimeDelta::minutes(1);

/// The share of the runs of frequent tasks of which traces are wanted: those whose ids hash to less.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceSample(Option<u64>);

impl TraceSample {
    /// `None` for what is no share from 0 to 1.
    pub(crate) fn of(share: f64) -> Option<Self> {
        let is_share = (0.0..=1.0).contains(&share);
        let below = (share < 1.0).then_some((share * u64::MAX as f64) as u64);
        is_share.then_some(Self(below))
    }

    /// Whether the trace of a run is wanted that began as it was due.
    pub(crate) fn wants(self, run: &RunFacts, schedule: &Schedule) -> bool {
        let Some(below) = self.0 else {
            return true;
        };
        run.request.is_some() || !is_frequent(run, schedule) || place(run.run_id) < below
    }
}

fn is_frequent(run: &RunFacts, schedule: &Schedule) -> bool {
    match schedule.delay() {
        Some(delay) => TimeDelta::from_std(delay).is_ok_and(|delay| delay < FREQUENT),
        None => {
            let next = schedule.next_after(run.fire_time);
            next.is_some_and(|next| next - run.fire_time < FREQUENT)
        }
    }
}

/// Somewhere among all numbers, always there for this run.
fn place(run: RunId) -> u64 {
    spread::hash(&run.to_string())
}

/// The longest id of a trace, in bytes.
const LONGEST: usize = 64;

/// Asks whoever knows for the trace that goes on, if somebody does.
#[derive(Clone, Default)]
pub(crate) struct TraceId(Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>);

impl TraceId {
    pub(crate) fn new(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// The id of the trace of the current span. One that panics knows none.
    pub(crate) fn now(&self) -> Option<Arc<str>> {
        let ask = self.0.as_ref()?;
        let id = catch_unwind(AssertUnwindSafe(|| ask())).ok()??;
        Some(contained_line(&id, LONGEST).into()).filter(|id: &Arc<str>| !id.is_empty())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({})", self.0.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_runs_is_chosen_and_a_smaller_share_is_a_part_of_it() {
        let at = "2026-11-21T10:00:00Z".parse().unwrap();
        let runs: Vec<RunId> = (0..10_000).map(|n| RunId::new(at, n)).collect();
        let chosen = |share: f64| -> Vec<bool> {
            let below = TraceSample::of(share).unwrap().0.unwrap();
            runs.iter().map(|run| place(*run) < below).collect()
        };
        let (tenth, half) = (chosen(0.1), chosen(0.5));
        let count = |chosen: &[bool]| chosen.iter().filter(|is| **is).count();
        assert!((900..1_100).contains(&count(&tenth)), "{}", count(&tenth));
        assert!((4_800..5_200).contains(&count(&half)), "{}", count(&half));
        assert!(tenth.iter().zip(&half).all(|(tenth, half)| *half || !tenth));
        assert_eq!(chosen(0.1), tenth);
        assert_eq!(count(&chosen(0.0)), 0);
        assert!(TraceSample::of(1.0).unwrap().0.is_none());
    }

    #[test]
    fn what_is_no_share_is_none() {
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(TraceSample::of(share).is_none(), "{share}");
        }
    }
}
