//! What simulations have reached: a harness that visits nothing proves nothing.

use std::collections::BTreeMap;

use tasklock::{Decision, Outcome};

use crate::history::{Fault, What};
use crate::world::Record;

/// Answers of the store that the protocol knows and the fleet can get: an instant is never run
/// again here, so that no claim is told to finish an earlier one.
const ANSWERS: [&str; 15] = [
    "acquire:granted",
    "acquire:already_fired",
    "acquire:superseded",
    "acquire:burned",
    "acquire:held",
    "acquire:too_early",
    "acquire:too_late",
    "acquire:delayed",
    "renew:extended",
    "renew:reasserted",
    "renew:lost",
    "release:freed",
    "release:was_gone",
    "release:not_owner",
    "last",
];

/// How often each thing was reached.
#[derive(Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<String, u64>,
}

impl Coverage {
    pub fn add(&mut self, record: &Record) {
        for entry in &record.entries {
            let what = match &entry.what {
                What::Decided(_, _, decision, _) => format!("decision:{decision}"),
                What::Finished(_, _, outcome) => format!("outcome:{outcome}"),
                What::Fault(fault) => format!("fault:{fault:?}"),
                _ => continue,
            };
            *self.counts.entry(what).or_default() += 1;
        }
        self.count(&record.answers);
    }

    pub fn merge(&mut self, other: &Self) {
        self.count(&other.counts);
    }

    fn count(&mut self, counts: &BTreeMap<String, u64>) {
        for (what, count) in counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// What was never reached.
    pub fn missing(&self) -> Vec<String> {
        // Nothing pauses or limits tasks, and nothing here blocks its thread.
        let decisions = Decision::ALL
            .iter()
            .filter(|d| !matches!(d, Decision::Paused | Decision::Limited))
            .map(|d| format!("decision:{d}"));
        let outcomes = Outcome::ALL
            .iter()
            .filter(|o| !matches!(o, Outcome::Abandoned))
            .map(|o| format!("outcome:{o}"));
        let faults = Fault::ALL.iter().map(|f| format!("fault:{f:?}"));
        let answers = ANSWERS.iter().map(|a| (*a).to_owned());
        let all = decisions.chain(outcomes).chain(faults).chain(answers);
        all.filter(|what| !self.counts.contains_key(what)).collect()
    }
}
