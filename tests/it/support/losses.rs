//! Instants that nobody started although a replica was able to.
//!
//! What each replica decided about such an instant says why it did not start it; the reason must be
//! true. "Fired elsewhere", and nobody fired it; "overlap", and nobody held the task; "no store",
//! and the store could be reached: then the instant is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::checker::{Breach, Kind, Record, breach};
use super::data_loss::DataLoss;
use super::history::{Line, What};
use super::holds::Hold;
use super::lifetimes::Process;

/// The timer and a request, when nothing is in their way.
const PROMPT: u64 = 300_000;

/// Finds what is lost; returns how many instants nobody started without being lost.
pub fn find(record: &Record<'_>, breaches: &mut Vec<Breach>) -> usize {
    let search = Search::new(record);
    let (Some(from), Some(to)) = (search.from, search.to) else {
        return 0;
    };
    let mut excused = 0;
    for (task, period) in &record.tasks {
        let period_ms = (*period / 1000) as i64;
        let wall = |at: u64| (at as i64 + record.rules.offset) / 1000;
        let mut instant = (wall(from) / period_ms + 1) * period_ms;
        while instant < wall(to) {
            if !search.started.contains(&(*task, instant)) {
                match search.loss(task, instant, period_ms) {
                    Some(breach) => breaches.push(breach),
                    None => excused += 1,
                }
            }
            instant += period_ms;
        }
    }
    excused
}

struct Search<'a, 'r> {
    record: &'r Record<'a>,
    started: BTreeSet<(&'a str, i64)>,
    decisions: BTreeMap<(&'a str, i64), Vec<&'a Line>>,
    holds: BTreeMap<&'r str, Vec<&'r Hold>>,
    /// What is looked at.
    from: Option<u64>,
    to: Option<u64>,
}

impl<'a, 'r> Search<'a, 'r> {
    fn new(record: &'r Record<'a>) -> Self {
        let mut decisions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in record.of(What::Decision) {
            let key = (line.task.as_str(), line.instant);
            decisions.entry(key).or_default().push(line);
        }
        let mut holds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for hold in &record.holds {
            holds.entry(hold.task.as_str()).or_default().push(hold);
        }
        let starts = record.runs.iter().map(|r| r.start);
        let finish = record.of(What::Finish).next().map(|l| l.at);
        Self {
            record,
            started: starts.map(|l| (l.task.as_str(), l.instant)).collect(),
            decisions,
            holds,
            from: record.of(What::Up).next().map(|l| l.at + 2_000_000),
            to: finish.map(|at| at - record.rules.misfire_threshold),
        }
    }

    /// Why an instant that nobody started is lost, if it is.
    fn loss(&self, task: &str, instant: i64, period_ms: i64) -> Option<Breach> {
        if self.is_taken_and_dead(task, instant) {
            return None;
        }
        let decided = self.decisions.get(&(task, instant));
        for decision in decided.into_iter().flatten() {
            let process = self.record.processes.get(&decision.who)?;
            if let Some(why) = self.untruth(process, decision, period_ms) {
                return Some(breach(Kind::Lost, &self.about(task, instant), &why));
            }
        }
        for process in self.record.processes.values() {
            let is_decided = decided.into_iter().flatten().any(|d| d.who == process.who);
            if !is_decided && self.is_left_out(process, task, instant, period_ms) {
                let why = format!("{} came up and passed it over", process.who);
                let mut lines = self.about(task, instant);
                let is_up = |l: &&Line| l.what == What::Up && l.who == process.who;
                lines.extend(self.record.lines.iter().filter(is_up));
                return Some(breach(Kind::Lost, &lines, &why));
            }
        }
        None
    }

    /// Whether its claim may have been granted to a process that could not start it: killed,
    /// stopped, or cut off.
    fn is_taken_and_dead(&self, task: &str, instant: i64) -> bool {
        let rules = self.record.rules;
        self.of_task(task).any(|hold| {
            let until = hold.from + rules.misfire_threshold + rules.leases.ttl;
            let Some(process) = self.record.processes.get(&hold.who) else {
                return false;
            };
            let is_dead = process.was_killed && process.down < until;
            let was_away = process.is_stopped(hold.from, until)
                || process.is_apart(hold.from, until)
                    && process.longest_able(hold.from, hold.from + rules.misfire_threshold)
                        < rules.able;
            let is_given_up = hold.last_answer == "burned";
            hold.instant == instant && hold.may_have_held && (is_dead || was_away || is_given_up)
        })
    }

    /// Why a decision not to start is not true, if it is not.
    fn untruth(&self, process: &Process, decision: &Line, period_ms: i64) -> Option<String> {
        let rules = self.record.rules;
        let due = self.record.moment(decision.instant);
        let early = due.saturating_sub(rules.skew + PROMPT);
        let task = decision.task.as_str();
        let in_time = due + rules.misfire_threshold;
        if process.is_stopped(early, decision.at.min(in_time)) {
            return None;
        }
        // One that came up later may have had two newer ones to run.
        let was_there = process.is_alive(due + rules.skew, decision.at);
        let touches = |h: &Hold| h.touches(early, decision.at.min(in_time));
        let is_held = self.of_task(task).any(touches);
        let is_older = |h: &Hold| h.instant < decision.instant && touches(h);
        let is_overlapped = self.of_task(task).any(is_older);
        let is_able = process.longest_able(due + rules.skew, in_time.min(decision.at)) > rules.able;
        let is_untrue = match decision.word.as_str() {
            "fired_elsewhere" => {
                !self.is_leapt_over(decision, due, period_ms)
                    && !self.is_displaced(decision, due, period_ms)
                    && !self.is_let_go(process, decision, due)
            }
            "overlap" => !is_overlapped,
            "misfired" => was_there && is_able && !is_held,
            "store_down" => was_there && is_able,
            _ => false,
        };
        let (who, word) = (&decision.who, &decision.word);
        is_untrue.then(|| format!("{who} said {word}, and that was not so"))
    }

    /// Whether somebody came late, and took only newer ones: of those that are late together, the
    /// two newest are run.
    fn is_leapt_over(&self, decision: &Line, due: u64, period_ms: i64) -> bool {
        self.record.processes.values().any(|process| {
            let comes = process.wakes(due, decision.at);
            let up = (due..=decision.at)
                .contains(&process.up)
                .then_some(process.up);
            comes.chain(up).any(|at| {
                let newer = self.record.moment(decision.instant + 2 * period_ms);
                newer <= at + self.record.rules.skew + PROMPT
            })
        })
    }

    /// Whether a lease of an older instant lasted until the next instant came due, as far as those
    /// knew who waited for its end: the newest of them is run, and the lock says of others that it
    /// is.
    fn is_displaced(&self, decision: &Line, due: u64, period_ms: i64) -> bool {
        let next = self.record.moment(decision.instant + period_ms);
        let next = next.saturating_sub(self.record.rules.skew + PROMPT);
        let is_late = |h: &Hold| {
            h.who == decision.who && h.instant == decision.instant && h.last_answer == "superseded"
        };
        // Who waits for the end of a lease does not hear that a claim was given up before it.
        let lasts = |h: &Hold| match self.started.contains(&(h.task.as_str(), h.instant)) {
            true => h.until,
            false => h.until.max(h.leased_until),
        };
        let is_held =
            |h: &Hold| h.instant < decision.instant && h.touches(due, due + 1) && lasts(h) > next;
        let task = decision.task.as_str();
        self.of_task(task).any(is_late) && self.of_task(task).any(is_held)
    }

    /// Whether another process had done with it before, for a reason that is looked at for itself, so
    /// that a newer one could be taken; and this one could not have taken it meanwhile.
    fn is_let_go(&self, process: &Process, decision: &Line, due: u64) -> bool {
        let rules = self.record.rules;
        let (task, instant) = (decision.task.as_str(), decision.instant);
        // It has claimed the instant and heard of a newer one, or has looked and seen one.
        let is_ours = |h: &Hold| h.who == decision.who && h.instant == instant;
        let mut claims = self.of_task(task).filter(|h| is_ours(h));
        let is_late = claims.all(|h| h.last_answer == "superseded");
        let is_able = process.longest_able(due + rules.skew, decision.at) > rules.able;
        let reasons = ["overlap", "store_down", "misfired"];
        let lets_go = |l: &Line| {
            l.who != decision.who && l.at <= decision.at && reasons.contains(&l.word.as_str())
        };
        let mut decided = self.decisions.get(&(task, instant)).into_iter().flatten();
        is_late && !is_able && decided.any(|l| lets_go(l))
    }

    /// Whether a process that came up should have caught up on an instant, and never spoke of it.
    fn is_left_out(&self, process: &Process, task: &str, instant: i64, period_ms: i64) -> bool {
        let rules = self.record.rules;
        let due = self.record.moment(instant);
        let up = process.up;
        // By the process's clock it is one of the two newest for sure, and in time.
        let newest = up.saturating_sub(2 * period_ms as u64 * 1000 - rules.skew - PROMPT);
        let is_late = (newest..up.saturating_sub(rules.skew + PROMPT)).contains(&due);
        let is_able = process.is_alive(up, up + rules.able)
            && process.longest_able(up, up + rules.able) >= rules.able;
        let has_time = due + rules.misfire_threshold > up + rules.able / 2;
        if !(is_late && is_able && has_time) {
            return false;
        }
        let is_forgotten = |l: &DataLoss| l.is_within(due.saturating_sub(60_000_000), up);
        let before = self
            .of_task(task)
            .any(|h| h.was_granted && h.instant < instant && h.from < up && h.freed.is_some());
        let newer = self
            .of_task(task)
            .any(|h| h.instant > instant && h.from < up + PROMPT && h.may_have_held);
        before && !newer && !self.record.data_losses.iter().any(is_forgotten)
    }

    fn of_task(&self, task: &str) -> impl Iterator<Item = &'r Hold> + '_ {
        self.holds.get(task).into_iter().flatten().copied()
    }

    /// What was said about an instant.
    fn about(&self, task: &str, instant: i64) -> Vec<&'a Line> {
        let is_about = |l: &&Line| l.task == task && l.instant == instant;
        self.record.lines.iter().filter(is_about).collect()
    }
}
