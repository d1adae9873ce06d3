//! No firing is lost for which an instance was up and could ask the store in time.

use tasklock::Schedule;
use tasklock::chrono::DateTime;

use crate::checker::facts::{Facts, Lifetime};
use crate::checker::taken::is_given_back;
use crate::checker::{Verdict, Violation};
use crate::clock::EPOCH;
use crate::fleet::{AFTER, MISFIRE, TASKS};
use crate::history::{Firing, Millis, What};
use crate::plan::{END, STOP};

/// For how long an instance must have reached the store.
const REACHES: Millis = 2_500;
/// How long after a fault a connection may take to be replaced: two time-outs, and the way.
const RECONNECTS: Millis = 1_500;
/// How long before a fire time a run must be over, so that its instance has heard of its release.
const SETTLES: Millis = 300;
/// By how much the clocks of instance and store may differ. The lock grants a second before.
const SKEW: Millis = 900;

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    for task in (0..TASKS.len()).filter(|task| *task != AFTER) {
        for instant in instants(task) {
            let firing = Firing { task, instant };
            let is_taken = facts.grants.iter().any(|g| g.firing == firing)
                || facts.starts.iter().any(|s| s.firing == firing);
            let mut lives = facts.lives.iter();
            if let Some(life) = lives.find(|life| could_run(facts, life, firing)) {
                verdict.expected_firings += 1;
                if !is_taken {
                    verdict.note(Violation::Lost(firing, life.life.instance), None);
                }
            }
        }
    }
}

/// The fire times of a task during the simulation.
pub fn instants(task: usize) -> Vec<i64> {
    let schedule: Schedule = TASKS[task].1.parse().unwrap();
    let mut at = DateTime::from_timestamp_millis(EPOCH).unwrap();
    let mut found = Vec::new();
    while let Some(next) = schedule.next_after(at) {
        if next.timestamp_millis() > EPOCH + END {
            break;
        }
        found.push(next.timestamp_millis());
        at = next;
    }
    found
}

/// Whether this instance would have run the firing, if nobody else had.
fn could_run(facts: &Facts<'_>, life: &Lifetime, firing: Firing) -> bool {
    let Some(due) = due(facts, life, firing) else {
        return false;
    };
    let late = due + MISFIRE;
    let Some(from) = reaches_from(facts, life, due.max(life.from), late) else {
        return false;
    };
    // Of several that wait for the store, an older one may give way.
    let period = TASKS[firing.task].2;
    let is_newest = from <= due || due + period > from + RECONNECTS;
    let until = from + REACHES;
    let is_other = |other: Firing| other.task == firing.task && other != firing;
    let is_free = !facts.grants.iter().any(|grant| {
        let is_in_the_way = match grant.firing.instant < firing.instant {
            true => grant.held_until > due - SETTLES,
            // Overtaken: another instance began with the next one.
            false => grant.at < from + RECONNECTS,
        };
        is_other(grant.firing) && is_in_the_way && grant.at < until
    });
    let is_quiet = !facts
        .bodies
        .iter()
        .any(|body| is_other(body.firing) && body.to > due - SETTLES && body.from < until);
    // Somebody who starts without a marker begins with the present.
    let has_marker = facts.grants.iter().any(|grant| {
        grant.firing.task == firing.task
            && grant.at < due
            && grant.firing.instant < firing.instant
            && !facts.has_lost_data(grant.at, late)
            && !is_given_back(facts, grant)
    });
    is_newest && is_free && is_quiet && has_marker
}

/// When the firing came due on an instance, if all clocks went as they should about that time.
fn due(facts: &Facts<'_>, life: &Lifetime, firing: Firing) -> Option<Millis> {
    let clock = facts.clock(life.life.instance);
    let due = clock.when(firing.instant, 0);
    let is_exact = (0..=1).contains(&(clock.read(due) - firing.instant));
    let store = &facts.record.store_clock;
    let (before, after) = (due - 6_000, due + MISFIRE);
    let are_own_steady = !clock.has_stepped(before, after) && !store.has_stepped(before, after);
    // Others may begin with the next instant as their clocks are set forward.
    let (before, after) = (due - RECONNECTS, due + RECONNECTS);
    let mut others = facts.record.clocks.iter();
    let is_steady = are_own_steady && others.all(|clock| !clock.has_stepped(before, after));
    let skew = clock.read(due) - store.read(due);
    // It had not come before, on a clock that was set back since.
    let mut steps = clock.steps.iter().filter(|(at, _)| *at <= due);
    let is_first = steps.all(|(at, _)| clock.read(at - 1) < firing.instant);
    let is_within = due + MISFIRE < STOP;
    (is_exact && is_steady && skew.abs() <= SKEW && is_first && is_within).then_some(due)
}

/// From when on the instance could ask the store for long enough, within the time that is left.
fn reaches_from(facts: &Facts<'_>, life: &Lifetime, due: Millis, late: Millis) -> Option<Millis> {
    let mut from = due;
    let (mut link, mut store) = (true, true);
    let mut was_bad = false;
    let ends = std::iter::once((late, None));
    let turns = facts.record.entries.iter().filter_map(|e| match e.what {
        What::Link(i, is_good) if i == life.life.instance => Some((e.at, Some((true, is_good)))),
        What::Store(is_good) => Some((e.at, Some((false, is_good)))),
        _ => None,
    });
    for (at, turn) in turns.chain(ends) {
        let is_good = link && store;
        if is_good && at.min(late).min(life.to) - from >= REACHES {
            return Some(from);
        }
        match turn {
            Some((true, is_good)) => link = is_good,
            Some((false, is_good)) => store = is_good,
            None => {}
        }
        if !(link && store) {
            was_bad = true;
        } else if was_bad {
            was_bad = false;
            from = from.max(at + RECONNECTS);
        }
    }
    None
}

#[test]
fn a_firing_that_nobody_starts_is_found_only_if_somebody_could() {
    use crate::checker::facts::made::{A, firing, granted, run, sorted, verdict};
    // The task of every five seconds.
    let (task, up) = (4, vec![(1000, What::Up(A))]);
    let (f, g) = (firing(task, 5), firing(task, 10));
    let first = run(A, f, 1, 5000, 5010);
    let grant = vec![(5000, granted(f, 0, 1)), (5010, released(f, 1))];
    let of_task = |facts: Vec<Vec<(Millis, What)>>| {
        let found = verdict(sorted(facts)).violations;
        let of_task = |v: &Violation| matches!(v, Violation::Lost(f, _) if f.instant == g.instant && f.task == task);
        found.into_iter().any(|v| of_task(&v))
    };
    let history = || vec![up.clone(), first.clone(), grant.clone()];
    assert!(of_task(history()));
    let more = |facts: Vec<(Millis, What)>| of_task([history(), vec![facts]].concat());
    assert!(!more(run(A, g, 2, 10_000, 10_010)), "it was started");
    assert!(!more(vec![(11_000, What::Crashed(A))]), "nobody was up");
    assert!(
        !more(vec![(9_000, What::Link(0, false))]),
        "nobody reached the store"
    );
    assert!(
        !more(vec![(9_000, What::Store(false))]),
        "the store was down"
    );
    assert!(!more(run(A, f, 2, 6_000, 11_000)), "the run before went on");
    let blink = vec![(6_000, What::Store(false)), (7_000, What::Store(true))];
    assert!(more(blink), "it was back in time");
}

#[cfg(test)]
fn released(firing: Firing, fence: u64) -> What {
    What::Released {
        firing,
        token: fence.to_string(),
        abandoned: false,
    }
}
