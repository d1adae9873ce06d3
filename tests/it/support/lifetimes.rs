//! When each process of a fleet lived, was stopped, and could reach the store.

use std::collections::BTreeMap;

use super::history::{Line, What};

/// One process of a replica. Times are microseconds.
#[derive(Debug, Clone, Default)]
pub struct Process {
    pub who: String,
    pub up: u64,
    /// When it ended; `u64::MAX` if it did not.
    pub down: u64,
    pub was_killed: bool,
    stops: Vec<(u64, u64)>,
    aparts: Vec<(u64, u64)>,
}

impl Process {
    /// Whether it lived all the time.
    pub fn is_alive(&self, from: u64, to: u64) -> bool {
        self.up <= from && to <= self.down
    }

    /// Whether it was stopped at some time.
    pub fn is_stopped(&self, from: u64, to: u64) -> bool {
        self.stops.iter().any(|(a, b)| *a < to && from < *b)
    }

    /// The longest time it was stopped of the stops that touch this.
    pub fn longest_stop(&self, from: u64, to: u64) -> u64 {
        let touching = self.stops.iter().filter(|(a, b)| *a < to && from < *b);
        touching.map(|(a, b)| b - a).max().unwrap_or(0)
    }

    /// When it went on after a stop, within this.
    pub fn wakes(&self, from: u64, to: u64) -> impl Iterator<Item = u64> + '_ {
        let wakes = self.stops.iter().map(|(_, b)| *b);
        wakes.filter(move |at| (from..=to).contains(at))
    }

    /// Whether it may have been cut off from the store at some time.
    pub fn is_apart(&self, from: u64, to: u64) -> bool {
        self.aparts.iter().any(|(a, b)| *a < to && from < *b)
    }

    /// For how long at a stretch it lived, went on and could reach the store.
    pub fn longest_able(&self, from: u64, to: u64) -> u64 {
        let (from, to) = (from.max(self.up), to.min(self.down));
        let mut bad: Vec<(u64, u64)> = self.stops.iter().chain(&self.aparts).copied().collect();
        bad.retain(|(a, b)| *a < to && from < *b);
        bad.sort();
        let (mut longest, mut since) = (0, from);
        for (a, b) in bad {
            longest = longest.max(a.saturating_sub(since));
            since = since.max(b);
        }
        longest.max(to.saturating_sub(since))
    }
}

/// All processes that came up, by their names.
pub fn processes(lines: &[Line]) -> BTreeMap<String, Process> {
    let mut all: BTreeMap<String, Process> = BTreeMap::new();
    let mut stopped: BTreeMap<&str, u64> = BTreeMap::new();
    // How many reasons there are now for which a replica is cut off, and since when.
    let mut apart: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    let mut aparts: Vec<(&str, u64, u64)> = Vec::new();
    for line in lines {
        let who = line.who.as_str();
        match line.what {
            What::Up => {
                let process = Process {
                    who: line.who.clone(),
                    up: line.at,
                    down: u64::MAX,
                    ..Process::default()
                };
                all.insert(line.who.clone(), process);
            }
            What::Kill | What::Exit => {
                let stop = stopped.remove(who);
                if let Some(process) = all.get_mut(who) {
                    // A process that has killed itself is found dead later.
                    process.down = process.down.min(line.at);
                    process.was_killed |= line.what == What::Kill;
                    process.stops.extend(stop.map(|from| (from, line.at)));
                }
            }
            What::Stop => {
                stopped.entry(who).or_insert(line.at);
            }
            What::Cont => {
                if let (Some(from), Some(process)) = (stopped.remove(who), all.get_mut(who)) {
                    process.stops.push((from, line.at));
                }
            }
            What::Apart => {
                let reasons = apart.entry(who).or_insert((0, line.at));
                reasons.0 += 1;
            }
            What::Joined => {
                if let Some((reasons, since)) = apart.get_mut(who) {
                    *reasons -= 1;
                    if *reasons == 0 {
                        aparts.push((who, *since, line.at));
                        apart.remove(who);
                    }
                }
            }
            _ => {}
        }
    }
    aparts.extend(apart.into_iter().map(|(who, (_, at))| (who, at, u64::MAX)));
    for (who, process) in &mut all {
        let replica = who.split('.').next().unwrap_or_default();
        let of_it = aparts.iter().filter(|a| a.0 == "*" || a.0 == replica);
        process.aparts = of_it.map(|(_, from, to)| (*from, *to)).collect();
        let still = stopped.get(who.as_str());
        process.stops.extend(still.map(|from| (*from, u64::MAX)));
    }
    all
}
