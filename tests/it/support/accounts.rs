//! Whether each process has decided about each fire time once, and ended each of its runs once.

use std::collections::BTreeMap;

use super::checker::{Breach, Kind, Record, breach};
use super::history::{Line, What};

/// Between the last moment of a firing and the word about it.
const SLACK: u64 = 3_000_000;

pub fn find(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut decisions: BTreeMap<(&str, &str), Vec<&Line>> = BTreeMap::new();
    for line in record.of(What::Decision) {
        let key = (line.who.as_str(), line.task.as_str());
        decisions.entry(key).or_default().push(line);
    }
    for process in record.processes.values() {
        for (task, period) in &record.tasks {
            let key = (process.who.as_str(), *task);
            let decided = decisions.get(&key).map_or(&[][..], Vec::as_slice);
            let is_first = |l: &&Line| l.what == What::Due && l.who == key.0 && l.task == *task;
            let Some(first) = record
                .lines
                .iter()
                .filter(is_first)
                .find(|l| l.at >= process.up)
            else {
                continue;
            };
            // The timer announces what it knows just before the scheduler says that it is up.
            let known = record
                .lines
                .iter()
                .filter(is_first)
                .take_while(|l| l.at < process.up);
            let first = known.last().unwrap_or(first);
            of_task(
                record,
                first,
                *period,
                horizon(record, process),
                decided,
                breaches,
            );
        }
    }
    runs(record, breaches);
}

/// Up to when a process has surely decided about what came due.
fn horizon(record: &Record<'_>, process: &super::lifetimes::Process) -> u64 {
    let rules = record.rules;
    let end = match process.was_killed {
        true => process.down,
        // One that ended in order has decided about everything.
        false if process.down < u64::MAX => return u64::MAX,
        false => record.lines.last().map_or(0, |l| l.at),
    };
    let open = rules.misfire_threshold + rules.longest_run + SLACK;
    let mut horizon = end.saturating_sub(open);
    // What came due just before it was stopped, or during that, may have been open when it died.
    while process.is_stopped(horizon, end) && horizon > process.up {
        horizon = horizon.saturating_sub(1_000_000);
    }
    if horizon < end.saturating_sub(open) {
        horizon = horizon.saturating_sub(open);
    }
    horizon
}

/// The fire times of a task in one process: those decided must be all there were, each once.
fn of_task(
    record: &Record<'_>,
    first: &Line,
    period: u64,
    horizon: u64,
    decided: &[&Line],
    breaches: &mut Vec<Breach>,
) {
    let period_ms = (period / 1000) as i64;
    let mut covered: BTreeMap<i64, &Line> = BTreeMap::new();
    for line in decided {
        for back in 0..line.number.max(1) as i64 {
            let instant = line.instant - back * period_ms;
            if let Some(other) = covered.insert(instant, line) {
                breaches.push(breach(Kind::Unaccounted, &[other, line], "decided twice"));
            }
        }
    }
    let Some(last) = covered.keys().next_back().copied() else {
        return;
    };
    let mut instant = first.instant;
    while instant <= last {
        if !covered.contains_key(&instant) && record.moment(instant) < horizon {
            let why = format!("nothing was decided about {instant}");
            breaches.push(breach(Kind::Unaccounted, &[first], &why));
        }
        instant += period_ms;
    }
    if let Some((_, line)) = covered.range(..first.instant).next() {
        let why = "decided, and never due";
        breaches.push(breach(Kind::Unaccounted, &[first, line], why));
    }
}

fn runs(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut ends: BTreeMap<(&str, &str, u64), usize> = BTreeMap::new();
    for line in record.of(What::End) {
        let key = (line.who.as_str(), line.task.as_str(), line.number);
        *ends.entry(key).or_default() += 1;
    }
    for run in &record.runs {
        let start = run.start;
        let key = (start.who.as_str(), start.task.as_str(), start.number);
        let found = ends.get(&key).copied().unwrap_or(0);
        let process = record.processes.get(&start.who);
        let may_be_open = process.is_none_or(|p| p.was_killed || p.down == u64::MAX);
        if found > 1 || found == 0 && !may_be_open {
            let why = format!("{found} ends of one run");
            breaches.push(breach(Kind::Unaccounted, &[start], &why));
        }
    }
}
