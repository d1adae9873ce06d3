//! Which claims may have held a task's lock, and for how long at most.

use std::collections::BTreeMap;

use super::data_loss::DataLoss;
use super::history::{Line, What};
use super::lifetimes::Process;

/// One claim, from its first request to the end of what it may have held. Times are microseconds.
#[derive(Debug, Clone)]
pub struct Hold {
    pub who: String,
    pub task: String,
    pub instant: i64,
    pub token: u64,
    pub from: u64,
    /// When it surely held nothing any more.
    pub until: u64,
    /// Whether it was granted, as far as anybody heard.
    pub was_granted: bool,
    /// Whether it may have held the lock at all: it was granted, or nobody knows.
    pub may_have_held: bool,
    /// When a release was confirmed.
    pub freed: Option<u64>,
    /// What the lock said last to the claim itself; empty if nothing.
    pub last_answer: String,
    /// When the lease ends that was asked for last, unless it is given back.
    pub leased_until: u64,
    /// Until when its owner may believe in its lease.
    pub trusted_until: u64,
    asked: u64,
    /// When what was asked last was sent, by operation.
    sent: BTreeMap<String, u64>,
    has_doubt: bool,
}

/// An answer within this is that to the first request.
const AT_ONCE: u64 = 300_000;

/// How long leases are.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    pub ttl: u64,
    pub margin: u64,
    /// How long a request may be on its way.
    pub delay: u64,
}

/// All claims, in the order of their first requests.
pub fn holds(
    lines: &[Line],
    processes: &BTreeMap<String, Process>,
    data_losses: &[DataLoss],
    leases: Leases,
) -> Vec<Hold> {
    let mut found: BTreeMap<u64, Hold> = BTreeMap::new();
    for line in lines {
        match line.what {
            What::Ask => {
                let hold = found.entry(line.number).or_insert_with(|| Hold::new(line));
                hold.asked = line.at;
                if line.word != "release" {
                    hold.leased_until = line.at + leases.ttl;
                }
                hold.sent.insert(line.word.clone(), line.at);
            }
            What::Answer => {
                if let Some(hold) = found.get_mut(&line.number) {
                    hold.take_answer(line, leases);
                }
            }
            _ => {}
        }
    }
    let mut holds: Vec<Hold> = found.into_values().collect();
    for hold in &mut holds {
        let is_forgotten = |at: &u64| data_losses.iter().any(|l| l.forgets_release(*at));
        hold.freed = hold.freed.filter(|at| !is_forgotten(at));
        hold.end(processes.get(&hold.who), leases);
    }
    holds.sort_by_key(|hold| hold.from);
    holds
}

impl Hold {
    fn new(line: &Line) -> Self {
        Self {
            who: line.who.clone(),
            task: line.task.clone(),
            instant: line.instant,
            token: line.number,
            from: line.at,
            until: line.at,
            was_granted: false,
            may_have_held: false,
            freed: None,
            last_answer: String::new(),
            leased_until: 0,
            trusted_until: 0,
            asked: line.at,
            sent: BTreeMap::new(),
            has_doubt: false,
        }
    }

    fn take_answer(&mut self, line: &Line, leases: Leases) {
        let (operation, answer) = line.word.split_once(':').unwrap_or((&line.word, ""));
        // No answer comes for what is under way when its process dies: that is a doubt too.
        let sent = self.sent.remove(operation).unwrap_or(line.at);
        if answer == "error" {
            self.has_doubt = true;
            if operation == "acquire" {
                // What it said before is not the last word any more.
                self.last_answer.clear();
            }
            return;
        }
        match operation {
            "release" => self.freed = self.freed.or(Some(line.at)),
            "acquire" => {
                self.last_answer = answer.to_owned();
                self.was_granted |= answer == "granted";
                if answer != "granted" {
                    self.until = self.until.max(line.at);
                    // The connection may have broken meanwhile, and the request been sent once more:
                    // what the first was answered nobody heard.
                    self.has_doubt |= line.at > sent + AT_ONCE;
                }
            }
            _ => {}
        }
        if matches!(answer, "granted" | "extended" | "reasserted") {
            let trusted = sent + leases.ttl - leases.margin;
            self.trusted_until = self.trusted_until.max(trusted);
        }
    }

    fn end(&mut self, process: Option<&Process>, leases: Leases) {
        let is_open = self.sent.contains_key("acquire");
        self.may_have_held = self.was_granted || self.has_doubt || is_open;
        // One that was refused had held nothing, unless a request before that had no answer.
        let is_refused = !self.was_granted && !is_open && !self.last_answer.is_empty();
        self.until = match self.freed {
            Some(at) => at,
            None if is_refused => self.until,
            // Its process may have renewed it up to its end.
            None => {
                let last = process.filter(|p| p.was_killed).map_or(0, |p| p.down);
                let renewed = if self.was_granted { last } else { 0 };
                self.asked.max(renewed) + leases.ttl + leases.delay
            }
        };
    }

    /// Whether it may have held the lock at some time of these.
    pub fn touches(&self, from: u64, to: u64) -> bool {
        self.may_have_held && self.from < to && from < self.until
    }
}
