//! A task that comes a time after its last run never comes sooner.

use crate::checker::facts::Facts;
use crate::checker::once::GRANT_TO_START;
use crate::checker::{Verdict, Violation};
use crate::fleet::{AFTER, AFTER_DELAY};
#[cfg(test)]
use crate::history::{Millis, What};

/// What the store's clock gains in the delay, and milliseconds cut off.
const TOLERANCE: i64 = AFTER_DELAY / 1000 + 2;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let Some(bodies) = facts.bodies_by_task().remove(&AFTER) else {
        return;
    };
    let mut last = None;
    for body in bodies {
        if let Some((from, end)) = last {
            // By the store's clock, which steps may have set forward meanwhile.
            let passed = body.from - end + facts.stepped_forward(end, body.from);
            if passed < AFTER_DELAY - TOLERANCE {
                let excuse = facts.has_lost_data(from - GRANT_TO_START, body.from);
                verdict.note(
                    Violation::TooSoon(body.firing, passed),
                    excuse.then_some("a delay cut short, about a loss of data"),
                );
            }
        }
        // A store that has forgotten a run starts another beside it, and counts from the end of that.
        if last.is_none_or(|(_, end)| body.to >= end) {
            last = Some((body.from, body.to));
        }
    }
}

#[test]
fn a_run_sooner_than_the_delay_is_found() {
    use crate::checker::facts::made::{A, B, firing, run, sorted, verdict};
    let (f, g) = (firing(AFTER, 5), firing(AFTER, 8));
    let second = |from| sorted(vec![run(A, f, 1, 5000, 6000), run(B, g, 2, from, from + 1)]);
    assert_eq!(verdict(second(8000)).violations, []);
    assert_eq!(
        verdict(second(7900)).violations,
        [Violation::TooSoon(g, 1900)]
    );
}

#[test]
fn a_delay_that_counts_from_the_end_of_a_run_beside_a_forgotten_one_is_excused() {
    use crate::checker::facts::made::{A, B, firing, run, sorted, verdict};
    let (f, g, h) = (firing(AFTER, 5), firing(AFTER, 6), firing(AFTER, 8));
    let history = |lost: Vec<(Millis, What)>| {
        let (forgotten, beside) = (run(A, f, 1, 5000, 7000), run(B, g, 2, 6000, 6500));
        let facts = verdict(sorted(vec![
            forgotten,
            lost,
            beside,
            run(A, h, 3, 8500, 8600),
        ]));
        let is_too_soon = |v: &Violation| *v == Violation::TooSoon(h, 1500);
        facts.violations.into_iter().filter(is_too_soon).count()
    };
    assert_eq!(history(vec![(5500, What::DataLost)]), 0);
    assert_eq!(history(vec![]), 1);
}
