//! Each firing is started at most once.

use std::collections::BTreeMap;

use crate::checker::facts::Facts;
use crate::checker::{Verdict, Violation};

/// How long before a start its grant may have been made.
pub const GRANT_TO_START: i64 = 1000;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut seen = BTreeMap::new();
    for start in &facts.starts {
        if let Some(first) = seen.insert(start.firing, start.at) {
            // What was granted just before a loss of data may be granted again.
            let excuse = facts.has_lost_data(first - GRANT_TO_START, start.at);
            verdict.note(
                Violation::Duplicate(start.firing, first, start.at),
                excuse.then_some("a firing twice, about a loss of data"),
            );
        }
    }
}

#[test]
fn a_firing_that_starts_twice_is_found_unless_data_was_lost_between() {
    use crate::checker::facts::made::{A, B, firing, run, sorted, verdict};
    use crate::history::What;
    let f = firing(0, 5);
    let twice = || vec![run(A, f, 1, 5000, 5100), run(B, f, 2, 5200, 5300)];
    assert_eq!(
        verdict(sorted(twice())).violations,
        [Violation::Duplicate(f, 5000, 5200)]
    );
    let mut with_loss = twice();
    with_loss.push(vec![(5150, What::DataLost)]);
    let found = verdict(sorted(with_loss));
    assert_eq!((found.violations.len(), found.excused.len()), (0, 1));
}
