//! Fencing tokens grow, in the order of grants and in the order of starts.

use std::collections::BTreeMap;

use crate::checker::facts::Facts;
use crate::checker::once::GRANT_TO_START;
use crate::checker::{Verdict, Violation};
use crate::history::{Firing, Millis};

/// How long tokens run ahead of a clock that was set back.
const CATCHES_UP: Millis = 10_000;

const EXCUSE: &str = "a fencing token that does not grow, about a loss of data";

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut granted = Largest::default();
    for grant in &facts.grants {
        let (Firing { task, .. }, at) = (grant.firing, grant.at);
        if let Some(before) = granted.is_regress(task, at, grant.fence) {
            let is_excused = has_forgotten(facts, before, at);
            let violation = Violation::Fence(grant.firing, at, grant.fence);
            verdict.note(violation, is_excused.then_some(EXCUSE));
        }
    }
    let mut started = Largest::default();
    for start in &facts.starts {
        let (Firing { task, .. }, at) = (start.firing, start.at);
        if let Some(before) = started.is_regress(task, at, start.fence) {
            // A grant from before the loss may reach its owner when another has one from after it.
            let has_crossed = facts.has_lost_data(at - 2 * GRANT_TO_START, before);
            let is_excused = has_crossed || has_forgotten(facts, before - GRANT_TO_START, at);
            let violation = Violation::Fence(start.firing, at, start.fence);
            verdict.note(violation, is_excused.then_some(EXCUSE));
        }
    }
}

/// A store that has forgotten the last token, and whose clock went back, may repeat it.
fn has_forgotten(facts: &Facts<'_>, from: Millis, to: Millis) -> bool {
    facts.has_lost_data(from, to) && facts.has_stepped_back(to - CATCHES_UP, to)
}

/// The last token of each task, and when it was seen.
#[derive(Default)]
struct Largest(BTreeMap<usize, (Millis, u64)>);

impl Largest {
    /// When there was a token as large as `fence`, if there was.
    fn is_regress(&mut self, task: usize, at: Millis, fence: u64) -> Option<Millis> {
        match self.0.insert(task, (at, fence)) {
            Some((before, last)) if last >= fence => Some(before),
            _ => None,
        }
    }
}

#[test]
fn a_token_that_does_not_grow_is_found() {
    use crate::checker::facts::made::{A, B, firing, granted, run, sorted, verdict};
    let (f, g) = (firing(0, 5), firing(0, 6));
    let runs = |second| {
        sorted(vec![
            run(A, f, 7, 5000, 5100),
            run(B, g, second, 6000, 6100),
        ])
    };
    assert_eq!(verdict(runs(8)).violations, []);
    for second in [6, 7] {
        let found = verdict(runs(second)).violations;
        assert_eq!(found, [Violation::Fence(g, 6000, second)]);
    }
    let grants = vec![(5000, granted(f, 0, 7)), (6000, granted(g, 1, 6))];
    let found = verdict(grants).violations;
    assert!(found.contains(&Violation::Fence(g, 6000, 6)), "{found:?}");
}

#[test]
fn a_loss_of_data_alone_is_no_excuse() {
    use crate::checker::check;
    use crate::checker::facts::made::{A, B, firing, record, run, sorted};
    use crate::history::What;
    let (f, g) = (firing(0, 5), firing(0, 9));
    let mut record = record(sorted(vec![
        run(A, f, 7, 5000, 5100),
        vec![(7000, What::DataLost)],
        run(B, g, 6, 9000, 9100),
    ]));
    assert_eq!(check(&record).violations.len(), 1);
    record.store_clock.steps = vec![(6500, -800)];
    assert_eq!(check(&record).violations, []);
}
