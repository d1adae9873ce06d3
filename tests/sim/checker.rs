//! What a simulation proves: each promise of `docs/guarantees.md` looked for in its history.
//!
//! A breach of a promise for which an assumption was broken (the store lost its data, its clock was
//! stepped) is counted apart, as narrowly as the documents bound it.

mod after;
mod calm;
mod decisions;
mod facts;
mod fences;
mod lost;
mod once;
mod overlap;
mod taken;

use std::collections::BTreeMap;

use crate::clock::EPOCH;
use crate::history::{Firing, Life, Millis};
use crate::world::Record;

use facts::Facts;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A firing was started twice.
    Duplicate(Firing, Millis, Millis),
    /// A run began while another of its task went on.
    Overlap(Firing, Firing, Millis),
    /// A run, or a grant, with a fencing token not larger than one before.
    Fence(Firing, Millis, u64),
    /// Nobody started it, though this instance could have.
    Lost(Firing, usize),
    /// It was granted to an instance that could be reached, and did not start there.
    Dropped(Firing, usize),
    /// A fire time with two decisions, or with none.
    Decisions(Life, Firing),
    /// A run with two outcomes, or with none, or without its decision.
    Outcomes(Life, Firing),
    /// It began sooner than its delay after the end of the last run.
    TooSoon(Firing, Millis),
    /// A task that did not fire again after the last fault.
    Silent(usize, Millis),
}

impl Violation {
    /// About when it happened; of those about a fire time, that.
    pub fn at(&self) -> Millis {
        match self {
            Violation::Duplicate(_, _, at)
            | Violation::Overlap(_, _, at)
            | Violation::Fence(_, at, _)
            | Violation::Silent(_, at) => *at,
            Violation::Lost(firing, _)
            | Violation::Dropped(firing, _)
            | Violation::Decisions(_, firing)
            | Violation::Outcomes(_, firing)
            | Violation::TooSoon(firing, _) => firing.instant - EPOCH,
        }
    }
}

/// What was found in one history.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// How many firings had to be started, whatever went wrong.
    pub expected_firings: u64,
    /// How often a promise was broken whose assumptions were broken before.
    pub excused: BTreeMap<&'static str, u64>,
}

impl Verdict {
    fn note(&mut self, violation: Violation, excuse: Option<&'static str>) {
        match excuse {
            None => self.violations.push(violation),
            Some(excuse) => *self.excused.entry(excuse).or_default() += 1,
        }
    }
}

/// Looks for every violation.
pub fn check(record: &Record) -> Verdict {
    let facts = Facts::of(record);
    let mut verdict = Verdict::default();
    once::check(&facts, &mut verdict);
    overlap::check(&facts, &mut verdict);
    fences::check(&facts, &mut verdict);
    lost::check(&facts, &mut verdict);
    taken::check(&facts, &mut verdict);
    decisions::check(&facts, &mut verdict);
    after::check(&facts, &mut verdict);
    calm::check(&facts, &mut verdict);
    verdict
}
