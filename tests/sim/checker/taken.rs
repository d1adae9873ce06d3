//! What is granted to an instance that hears of it is started there.

use crate::checker::facts::{Facts, Grant};
use crate::checker::{Verdict, Violation};
use crate::history::{Millis, What};

/// How long before and after a grant its owner must have been up and reached the store.
const BEFORE: Millis = 2_000;
const AFTER: Millis = 1_000;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    for grant in &facts.grants {
        let has_started = facts
            .starts
            .iter()
            .any(|s| s.firing == grant.firing && s.life.instance == grant.instance);
        if !has_started && is_given_back(facts, grant) {
            // Its clock was set back before it could start. Whether anybody starts it then is for
            // the check of what is lost to say.
            *verdict.excused.entry("a grant given back").or_default() += 1;
        } else if !has_started && is_heard_of(facts, grant) {
            let violation = Violation::Dropped(grant.firing, grant.instance);
            verdict.note(violation, None);
        } else if !has_started {
            let what = "a grant whose owner did not hear of it";
            *verdict.excused.entry(what).or_default() += 1;
        }
    }
}

pub fn is_given_back(facts: &Facts<'_>, grant: &Grant) -> bool {
    let entries = facts.record.entries.iter();
    entries.filter(|e| e.at >= grant.at).any(|e| {
        matches!(&e.what, What::Released { firing, token, abandoned: true }
            if *firing == grant.firing && *token == grant.token)
    })
}

fn is_heard_of(facts: &Facts<'_>, grant: &Grant) -> bool {
    let (from, to) = (grant.at - BEFORE, grant.at + AFTER);
    let mut lives = facts.lives.iter();
    let is_up = lives.any(|l| l.life.instance == grant.instance && l.from <= from && l.to >= to);
    let (mut link, mut store, mut was_good) = (true, true, true);
    for entry in facts.record.entries.iter().filter(|e| e.at <= to) {
        if entry.at > from {
            was_good &= link && store;
        }
        match entry.what {
            What::Link(i, is_good) if i == grant.instance => link = is_good,
            What::Store(is_good) => store = is_good,
            _ => {}
        }
    }
    is_up && was_good && link && store
}

#[test]
fn a_grant_without_a_start_is_found_if_its_owner_heard_of_it() {
    use crate::checker::facts::made::{A, firing, granted, run, sorted, verdict};
    let f = firing(0, 5);
    let history = |more: Vec<(Millis, What)>| {
        let facts = vec![(1000, What::Up(A)), (5000, granted(f, 0, 1))];
        let found = verdict(sorted(vec![facts, more])).violations;
        found.contains(&Violation::Dropped(f, 0))
    };
    assert!(history(vec![]));
    assert!(!history(run(A, f, 1, 5040, 5050)));
    assert!(!history(vec![(5010, What::Crashed(A))]));
    assert!(!history(vec![(4990, What::Link(0, false))]));
    let given_back = |abandoned| {
        let released = What::Released {
            firing: f,
            token: 1.to_string(),
            abandoned,
        };
        vec![(5020, released)]
    };
    assert!(!history(given_back(true)));
    assert!(history(given_back(false)));
    assert!(history(vec![
        (2000, What::Link(0, false)),
        (2500, What::Link(0, true))
    ]));
}
