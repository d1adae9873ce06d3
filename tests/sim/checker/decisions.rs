//! Each fire time has exactly one decision on each instance, each run exactly one outcome.

use std::collections::BTreeMap;

use tasklock::Decision;

use crate::checker::facts::{Facts, Lifetime};
use crate::checker::lost::instants;
use crate::checker::{Verdict, Violation};
use crate::fleet::{AFTER, MISFIRE, TASKS};
use crate::history::{Entry, Firing, Life, Millis, What};

/// From this many on, fire times are not counted one by one: of those that are passed over at once,
/// two are still decided alone, before the gap.
const UNCOUNTED: u64 = 998;
/// How long before a crash decisions may have been open: a run, and a claim until it is too late.
const OPEN: Millis = MISFIRE + 5_000;
/// A step of the clock is noticed within this.
const NOTICED: Millis = 1_100;
/// By how much the marker may be ahead of an instance that starts.
const MARKER_AHEAD: Millis = 3_000;
/// Steps back by more make the timer begin anew.
const CORRECTION: Millis = -10_800_000;

#[derive(Default)]
struct Counts {
    decided: Vec<Millis>,
    starts_decided: u64,
    started: u64,
    finished: u64,
}

pub fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut counts: BTreeMap<(Life, Firing), Counts> = BTreeMap::new();
    let mut decided: BTreeMap<(Life, usize), Vec<(i64, u64)>> = BTreeMap::new();
    for entry in &facts.record.entries {
        match entry.what {
            What::Decided(life, firing, decision, count) => {
                let of_firing = counts.entry((life, firing)).or_default();
                of_firing.decided.push(entry.at);
                of_firing.starts_decided += u64::from(decision == Decision::Started);
                let of_task = decided.entry((life, firing.task)).or_default();
                of_task.push((firing.instant, count));
            }
            What::Started(life, firing, _) => {
                counts.entry((life, firing)).or_default().started += 1;
            }
            What::Finished(life, firing, _) => {
                counts.entry((life, firing)).or_default().finished += 1;
            }
            _ => {}
        }
    }
    for ((life, firing), counts) in counts {
        if counts.decided.len() > 1 && !begins_anew(facts, life) {
            let excuse = may_come_again(facts, firing, &counts.decided);
            verdict.note(
                Violation::Decisions(life, firing),
                excuse.then_some("a fire time of an @after that the lock has named again"),
            );
        }
        let is_ended = facts.lives.iter().any(|l| l.life == life && l.has_stopped);
        let runs = counts.starts_decided;
        let is_lacking = is_ended && (counts.started < runs || counts.finished < runs);
        if counts.started > runs || counts.finished > counts.started || is_lacking {
            verdict.note(Violation::Outcomes(life, firing), None);
        }
    }
    for life in &facts.lives {
        for task in (0..TASKS.len()).filter(|task| *task != AFTER) {
            let mut of_task = decided.remove(&(life.life, task)).unwrap_or_default();
            of_task.sort_unstable();
            if let Some(instant) = missing(facts, life, task, &of_task) {
                let firing = Firing { task, instant };
                verdict.note(Violation::Decisions(life.life, firing), None);
            }
        }
    }
}

/// A fire time that depends on the last run is named by the lock, and named again if the lock has
/// forgotten it, or if whoever took it has given it back.
fn may_come_again(facts: &Facts<'_>, firing: Firing, decided: &[Millis]) -> bool {
    let (Some(from), Some(to)) = (decided.first(), decided.last()) else {
        return false;
    };
    let is_abandoned = |e: &Entry| match &e.what {
        What::Released {
            firing: released,
            abandoned,
            ..
        } => *abandoned && *released == firing && (*from..=*to).contains(&e.at),
        _ => false,
    };
    let mut entries = facts.record.entries.iter();
    firing.task == AFTER && (facts.has_lost_data(*from, *to) || entries.any(is_abandoned))
}

fn begins_anew(facts: &Facts<'_>, life: Life) -> bool {
    let steps = &facts.clock(life.instance).steps;
    let together = |at: Millis| {
        let near = steps
            .iter()
            .filter(|(when, _)| (at..at + 2 * NOTICED).contains(when));
        near.map(|(_, by)| by).sum::<Millis>()
    };
    steps.iter().any(|(at, _)| together(*at) < CORRECTION)
}

/// The first fire time without a decision, between the first that was decided and the end.
fn missing(facts: &Facts<'_>, life: &Lifetime, task: usize, decided: &[(i64, u64)]) -> Option<i64> {
    if begins_anew(facts, life.life) {
        return None;
    }
    let period = TASKS[task].2;
    let clock = facts.clock(life.life.instance);
    let end = life.to.min(crate::plan::END);
    let is_steady = !clock.has_stepped(0, end);
    let until = if life.has_stopped {
        (clock.read(end) - NOTICED).min(clock.read(end - NOTICED))
    } else if is_steady {
        clock.read(end) - OPEN
    } else {
        // A clock that was set forward lets firings wait for the store's for as long.
        return None;
    };
    let begun = clock.read(life.from) + MARKER_AHEAD;
    let first = instants(task).into_iter().find(|t| *t >= begun);
    // With steps, nobody but the instance knows where it began.
    if let Some(first) = first.filter(|first| is_steady && *first <= until)
        && decided.first().is_none_or(|(instant, _)| *instant > first)
    {
        return Some(first);
    }
    let passes_over = |about: &[(i64, u64)]| about.iter().any(|(_, count)| *count >= UNCOUNTED);
    for (i, pair) in decided.windows(2).enumerate() {
        let ((from, _), (to, count)) = (pair[0], pair[1]);
        let is_covered = ((to - from) / period) as u64 == count
            || passes_over(&decided[i.saturating_sub(2)..=i + 1]);
        if !is_covered && from + period <= until {
            return Some(from + period);
        }
    }
    let (last, _) = decided.last()?;
    let is_covered = passes_over(&decided[decided.len().saturating_sub(3)..]);
    (!is_covered && last + period <= until).then_some(last + period)
}

#[test]
fn a_fire_time_decided_twice_or_never_is_found() {
    use crate::checker::facts::made::{A, firing, sorted, verdict};
    let decided = |second| {
        let what = What::Decided(A, firing(0, second), Decision::FiredElsewhere, 1);
        (second * 1000 + 10, what)
    };
    let history = |seconds: &[i64]| {
        let life = vec![
            (1000, What::Up(A)),
            (9_500, What::Stopping(A)),
            (9_600, What::Stopped(A)),
        ];
        let all = seconds.iter().map(|s| decided(*s)).collect();
        let found = verdict(sorted(vec![life, all])).violations;
        let of_task = |v: &Violation| matches!(v, Violation::Decisions(_, f) if f.task == 0);
        found.into_iter().filter(of_task).collect::<Vec<_>>()
    };
    let missing = |second| [Violation::Decisions(A, firing(0, second))];
    assert_eq!(history(&[2, 3, 4, 5, 6, 7, 8, 9]), []);
    assert_eq!(history(&[2, 3, 4, 6, 7, 8, 9]), missing(5));
    assert_eq!(history(&[2, 3, 4, 5, 6]), missing(7));
    assert_eq!(history(&[6, 7, 8]), missing(4));
    assert!(history(&[2, 3, 3, 4, 5, 6, 7, 8, 9]).contains(&missing(3)[0]));
}

#[test]
fn many_fire_times_may_be_decided_at_once() {
    use crate::checker::facts::made::{A, firing, sorted, verdict};
    let decided = |second, count| {
        let what = What::Decided(A, firing(0, second), Decision::Misfired, count);
        (second * 1000, what)
    };
    let history = |count| {
        let facts = vec![(1000, What::Up(A)), decided(2, 1), decided(40, count)];
        let found = verdict(sorted(vec![facts])).violations;
        found.contains(&Violation::Decisions(A, firing(0, 3)))
    };
    assert!(!history(38));
    assert!(history(37));
}

#[test]
fn a_run_without_an_outcome_or_without_a_decision_is_found() {
    use crate::checker::facts::made::{A, firing, run, sorted, verdict};
    let f = firing(0, 5);
    let without = |left_out: usize| {
        let mut facts = run(A, f, 1, 5000, 5010);
        facts.remove(left_out);
        facts.extend([(1000, What::Up(A)), (5020, What::Stopped(A))]);
        let found = verdict(sorted(vec![facts])).violations;
        found.contains(&Violation::Outcomes(A, f))
    };
    // The decision, the start, the outcome; then the code's beginning, which is not asked for.
    assert!(without(0) && without(1) && without(4));
    assert!(!without(2));
}
