//! After the last fault, every task fires again, and goes on firing.

use crate::checker::facts::Facts;
use crate::checker::{Verdict, Violation};
use crate::fleet::{LEASE, TASKS};
use crate::history::{Millis, What};
use crate::plan::STOP;

/// How long connections take to be replaced, and instances to start.
const SETTLES: Millis = 1_500;
/// Pauses, ways of messages, and clocks that differ.
const SLACK: Millis = 700;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut entries = facts.record.entries.iter();
    let Some(calm) = entries.find(|e| e.what == What::Calm) else {
        return;
    };
    let mut starts = facts.starts_by_task();
    let mut bodies = facts.bodies_by_task();
    for (task, (_, _, period)) in TASKS.into_iter().enumerate() {
        // A run that goes on is no silence.
        let mut last = calm.at + SETTLES;
        let bodies = bodies.remove(&task).unwrap_or_default();
        let starts = starts.remove(&task).unwrap_or_default();
        let ends = starts.iter().map(|s| s.at).chain([STOP]);
        for at in ends
            .filter(|at| *at > last && *at <= STOP)
            .collect::<Vec<_>>()
        {
            let before = bodies.iter().filter(|b| b.from < at);
            let busy = before.map(|b| b.to).max().unwrap_or(0);
            let quiet_from = last.max(busy.min(at));
            if at - quiet_from > LEASE + period + SLACK {
                verdict.note(Violation::Silent(task, quiet_from), None);
            }
            last = at;
        }
    }
}

#[test]
fn a_task_that_stays_silent_is_found() {
    use crate::checker::facts::made::{A, firing, run, sorted, verdict};
    let silent = |runs: Vec<Vec<(Millis, What)>>| {
        let calm = vec![(28_000, What::Calm)];
        let found = verdict(sorted([vec![calm], runs].concat())).violations;
        let of_task = |v: &Violation| matches!(v, Violation::Silent(5, _));
        found.into_iter().filter(of_task).count()
    };
    let at = |second: i64, lasts| {
        run(
            A,
            firing(5, second),
            second as u64,
            second * 1000,
            second * 1000 + lasts,
        )
    };
    assert_eq!(silent(vec![at(27, 10)]), 1);
    assert_eq!(silent(vec![at(34, 10)]), 0);
    assert_eq!(silent(vec![at(27, 5000)]), 0);
}
