//! Two runs of one task never go on at once.

use crate::checker::facts::{Body, Facts};
use crate::checker::once::GRANT_TO_START;
use crate::checker::{Verdict, Violation};
use crate::fleet::LEASE;

/// The margin of a lease, by which its owner gives it up before the store does, less what clocks
/// drift meanwhile.
const MARGIN: i64 = 950;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    for bodies in facts.bodies_by_task().into_values() {
        let mut last: Option<&Body> = None;
        for body in bodies {
            if let Some(before) = last.filter(|b| b.to > body.from) {
                verdict.note(
                    Violation::Overlap(before.firing, body.firing, body.from),
                    excuse(facts, before, body),
                );
            }
            last = Some(last.filter(|b| b.to > body.to).unwrap_or(body));
        }
    }
}

fn excuse(facts: &Facts<'_>, before: &Body, body: &Body) -> Option<&'static str> {
    if facts.has_lost_data(before.from - GRANT_TO_START, body.from) {
        return Some("an overlap, about a loss of data");
    }
    // Since the last renewal that the run can have lived on.
    let lease_from = before.from.max(body.from - LEASE) - GRANT_TO_START;
    let is_stepped = facts.stepped_forward(lease_from, body.from) > MARGIN;
    is_stepped.then_some("an overlap, after a step of the store's clock by more than the margin")
}

#[test]
fn runs_that_overlap_are_found() {
    use crate::checker::facts::made::{A, B, firing, run, sorted, verdict};
    let (f, g) = (firing(0, 5), firing(0, 6));
    let runs = sorted(vec![run(A, f, 1, 5000, 6500), run(B, g, 2, 6400, 6450)]);
    assert_eq!(verdict(runs).violations, [Violation::Overlap(f, g, 6400)]);
    let runs = sorted(vec![run(A, f, 1, 5000, 6400), run(B, g, 2, 6400, 6450)]);
    assert_eq!(verdict(runs).violations, []);
}

#[test]
fn a_run_inside_a_long_one_does_not_hide_the_next() {
    use crate::checker::facts::made::{A, B, firing, run, sorted, verdict};
    let (f, g, h) = (firing(0, 5), firing(0, 6), firing(0, 7));
    let runs = sorted(vec![
        run(A, f, 1, 5000, 9000),
        run(B, g, 2, 6400, 6450),
        run(B, h, 3, 7000, 7100),
    ]);
    assert_eq!(verdict(runs).violations.len(), 2);
}

#[test]
fn only_a_step_by_more_than_the_margin_excuses_an_overlap() {
    use crate::checker::check;
    use crate::checker::facts::made::{A, B, firing, record, run, sorted};
    let (f, g) = (firing(0, 5), firing(0, 6));
    let runs = sorted(vec![run(A, f, 1, 5000, 6500), run(B, g, 2, 6400, 6450)]);
    let mut record = record(runs);
    record.store_clock.steps = vec![(6000, 1000)];
    assert_eq!(check(&record).violations, []);
    record.store_clock.steps = vec![(6000, 900)];
    assert_eq!(check(&record).violations.len(), 1);
}
