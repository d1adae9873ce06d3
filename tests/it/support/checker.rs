//! Reads a history and counts what breaks a promise. Pure.
//!
//! What is lost is found in `losses.rs`, what is not accounted for in `accounts.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::accounts;
use super::data_loss::DataLoss;
use super::history::{Line, What};
use super::holds::{Hold, Leases, holds};
use super::lifetimes::{Process, processes};
use super::losses;

/// What the fleet was told, and what counts as in time. Microseconds.
#[derive(Debug, Clone)]
pub struct Rules {
    pub leases: Leases,
    pub misfire_threshold: u64,
    /// By how much the replicas' clocks differ from the machine's at most.
    pub skew: u64,
    /// How long a replica must be able to do something that is then asked of it.
    pub able: u64,
    /// How long a task runs at most.
    pub longest_run: u64,
    /// Wall time less monotonic time.
    pub offset: i64,
    /// Whether promises about fencing tokens, markers and accounts are made at all.
    pub is_fenced: bool,
}

/// A breach of a promise, with the lines that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    pub kind: Kind,
    pub text: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $word,)* }
            }
        }
    };
}

kinds! {
    /// One instant of a task started more than once.
    Duplicate = "duplicate",
    /// The same, of an instant that came before the store lost its data.
    DuplicateAfterDataLoss = "duplicate_after_data_loss",
    /// Two runs of one task at once.
    Overlap = "overlap",
    /// The same, as the holder was stopped for longer than its lease's margin.
    OverlapWhileStopped = "overlap_while_stopped",
    /// The same, as the store had lost its data during the run.
    OverlapAfterDataLoss = "overlap_after_data_loss",
    /// A run whose fencing token is not larger than that of the run before.
    FenceRegress = "fence_regress",
    /// An effect with a smaller token accepted after one with a larger, or a run that was polled
    /// when its owner could not believe in its lease any more.
    StaleEffect = "stale_effect",
    /// An instant that a replica could have started, and none did.
    Lost = "lost",
    /// An instant without its one decision, or a run without its one end.
    Unaccounted = "unaccounted",
    /// A lock that its owner had given back, or one that does not end.
    Leaked = "leaked",
    /// A run before its fire time by the clock of its replica.
    Early = "early",
    /// A task that did not run when all faults were over.
    Stuck = "stuck",
}

impl Kind {
    /// Whether it is promised that this never happens.
    pub fn is_violation(self) -> bool {
        let bounded = [
            Kind::DuplicateAfterDataLoss,
            Kind::OverlapWhileStopped,
            Kind::OverlapAfterDataLoss,
        ];
        !bounded.contains(&self)
    }
}

/// What a history says.
#[derive(Debug, Default)]
pub struct Verdict {
    pub breaches: Vec<Breach>,
    /// Instants of all tasks that came due.
    pub instants: usize,
    pub starts: usize,
    /// Effects tried, and those the resource refused.
    pub effects: usize,
    pub refused: usize,
    /// Instants that nobody started, and nobody had to.
    pub excused: usize,
    /// Start less fire time, milliseconds: half, and 99 of 100, start sooner.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Verdict {
    pub fn count(&self, kind: Kind) -> usize {
        self.breaches.iter().filter(|b| b.kind == kind).count()
    }

    pub fn violations(&self) -> Vec<&Breach> {
        let all = self.breaches.iter();
        all.filter(|b| b.kind.is_violation()).collect()
    }
}

/// A run, from its start until its future was dropped.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub start: &'a Line,
    pub end: u64,
}

/// A history, sorted out.
pub struct Record<'a> {
    pub lines: &'a [Line],
    pub rules: &'a Rules,
    pub processes: BTreeMap<String, Process>,
    pub holds: Vec<Hold>,
    pub runs: Vec<Run<'a>>,
    /// Tasks and their periods.
    pub tasks: BTreeMap<&'a str, u64>,
    /// What the store forgot.
    pub data_losses: Vec<DataLoss>,
}

impl<'a> Record<'a> {
    pub fn new(lines: &'a [Line], rules: &'a Rules) -> Self {
        let processes = processes(lines);
        let data_losses: Vec<DataLoss> = lines.iter().filter_map(DataLoss::read).collect();
        let holds = holds(lines, &processes, &data_losses, rules.leases);
        let of = |what: What| lines.iter().filter(move |l| l.what == what);
        Self {
            lines,
            rules,
            holds,
            runs: runs(lines, &processes),
            tasks: of(What::Task)
                .map(|l| (l.task.as_str(), l.number * 1000))
                .collect(),
            data_losses,
            processes,
        }
    }

    pub fn of(&self, what: What) -> impl Iterator<Item = &'a Line> + use<'a> {
        self.lines.iter().filter(move |l| l.what == what)
    }

    /// When a fire time is, by the monotonic clock.
    pub fn moment(&self, instant: i64) -> u64 {
        u64::try_from(instant * 1000 - self.rules.offset).unwrap_or(0)
    }

    fn hold_of(&self, line: &Line) -> Option<&Hold> {
        let is_of = |h: &&Hold| {
            h.was_granted && h.who == line.who && h.task == line.task && h.instant == line.instant
        };
        self.holds.iter().rfind(is_of)
    }
}

fn runs<'a>(lines: &'a [Line], processes: &BTreeMap<String, Process>) -> Vec<Run<'a>> {
    let of = |what: What| -> BTreeMap<(&str, &str, u64), u64> {
        let lines = lines.iter().filter(|l| l.what == what);
        let entry = |l: &'a Line| ((l.who.as_str(), l.task.as_str(), l.number), l.at);
        lines.map(entry).collect()
    };
    let (gone, acts, ends) = (of(What::Gone), of(What::Act), of(What::End));
    let starts = lines.iter().filter(|l| l.what == What::Start);
    starts
        .map(|start| {
            let key = (start.who.as_str(), start.task.as_str(), start.number);
            let down = processes.get(&start.who).map_or(u64::MAX, |p| p.down);
            let end = match gone.get(&key) {
                Some(at) => *at,
                // Dropped before it was polled for the first time.
                None if ends.contains_key(&key) && !acts.contains_key(&key) => start.at,
                None => down,
            };
            Run { start, end }
        })
        .collect()
}

/// Judges a history whose lines are in the order of their times.
pub fn check(lines: &[Line], rules: &Rules) -> Verdict {
    let record = Record::new(lines, rules);
    let mut verdict = Verdict::default();
    let breaches = &mut verdict.breaches;
    duplicates(&record, breaches);
    overlaps(&record, breaches);
    early(&record, breaches);
    stuck(&record, breaches);
    verdict.excused = losses::find(&record, breaches);
    if rules.is_fenced {
        fences(&record, breaches);
        stale_effects(&record, breaches);
        accounts::find(&record, breaches);
        leaks(&record, breaches);
    }
    verdict.starts = record.runs.len();
    let mut due: Vec<(&str, i64)> = record
        .of(What::Decision)
        .map(|l| (l.task.as_str(), l.instant))
        .collect();
    due.sort();
    due.dedup();
    verdict.instants = due.len();
    verdict.effects = record.of(What::Act).count();
    let is_refused = |l: &&Line| l.word == "refused";
    verdict.refused = record.of(What::Effect).filter(is_refused).count();
    let delay = |r: &Run<'_>| r.start.at as f64 - record.moment(r.start.instant) as f64;
    let mut delays: Vec<f64> = record.runs.iter().map(|r| delay(r) / 1000.0).collect();
    delays.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let place = delays.len().saturating_sub(1) as f64 * q;
        delays.get(place as usize).copied().unwrap_or(0.0)
    };
    (verdict.p50_ms, verdict.p99_ms) = (at(0.5), at(0.99));
    verdict
}

/// A breach with its lines.
pub fn breach(kind: Kind, lines: &[&Line], why: &str) -> Breach {
    let mut text = format!("{}: {why}", kind.as_str());
    for line in lines {
        let _ = write!(text, "\n    {line}");
    }
    Breach { kind, text }
}

fn duplicates(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut seen: BTreeMap<(&str, i64, &str), &Line> = BTreeMap::new();
    for Run { start, .. } in &record.runs {
        let key = (start.task.as_str(), start.instant, start.word.as_str());
        let Some(first) = seen.insert(key, start) else {
            continue;
        };
        let is_forgotten = |l: &DataLoss| l.forgets_start(first.at, start.at);
        let kind = match record.data_losses.iter().any(is_forgotten) {
            true => Kind::DuplicateAfterDataLoss,
            false => Kind::Duplicate,
        };
        breaches.push(breach(kind, &[first, start], "started twice"));
    }
}

fn overlaps(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut last: BTreeMap<&str, &Run<'_>> = BTreeMap::new();
    for run in &record.runs {
        let task = run.start.task.as_str();
        if let Some(before) = last.get(task)
            && run.start.at < before.end
        {
            let kind = kind_of_overlap(record, before, run);
            let lines = [before.start, run.start];
            let why = format!("the first one ended at {}", before.end);
            breaches.push(breach(kind, &lines, &why));
        }
        // The one that goes on longest.
        if last.get(task).is_none_or(|before| before.end <= run.end) {
            last.insert(task, run);
        }
    }
}

fn kind_of_overlap(record: &Record<'_>, first: &Run<'_>, second: &Run<'_>) -> Kind {
    let (from, to) = (first.start.at, second.start.at);
    let margin = record.rules.leases.margin;
    // Whichever of the two was stopped between its grant and what it did then.
    let was_stopped = [first, second].iter().any(|run| {
        let granted = record.hold_of(run.start).map_or(run.start.at, |h| h.from);
        let process = record.processes.get(&run.start.who);
        process.is_some_and(|p| p.longest_stop(granted, run.end.min(to)) >= margin)
    });
    let is_forgotten = |l: &DataLoss| l.forgets_lease(from, to);
    if was_stopped {
        Kind::OverlapWhileStopped
    } else if record.data_losses.iter().any(is_forgotten) {
        Kind::OverlapAfterDataLoss
    } else {
        Kind::Overlap
    }
}

fn fences(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut newest: BTreeMap<&str, &Line> = BTreeMap::new();
    for Run { start, .. } in &record.runs {
        let before = newest.get(start.task.as_str());
        if let Some(before) = before.filter(|b| b.number >= start.number) {
            let granted = record.hold_of(start).map_or(start.at, |h| h.from);
            // Two servers that grant at the same time: only who asks later has to get more.
            let is_forked = record.data_losses.iter().any(|l| l.is_forked(granted));
            // A run whose lock was taken ahead of its time starts after one that was granted later, by a
            // store that had forgotten the first.
            let forgets = |l: &DataLoss| l.is_within(granted, start.at);
            let is_forgotten = record.data_losses.iter().any(forgets);
            if (is_forked || is_forgotten) && granted <= before.at {
                continue;
            }
            let process = record.processes.get(&start.who);
            // Between its grant and its start: its guard finds that before it polls anything.
            let margin = record.rules.leases.margin;
            if process.is_none_or(|p| p.longest_stop(granted, start.at) < margin) {
                let why = "its fencing token is not larger";
                breaches.push(breach(Kind::FenceRegress, &[before, start], why));
            }
            continue;
        }
        newest.insert(&start.task, start);
    }
}

fn stale_effects(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let mut newest: BTreeMap<&str, &Line> = BTreeMap::new();
    for kept in record.of(What::Kept) {
        match newest.get(kept.task.as_str()) {
            Some(before) if before.number > kept.number => {
                let why = "accepted after one with a larger token";
                breaches.push(breach(Kind::StaleEffect, &[before, kept], why));
            }
            _ => drop(newest.insert(&kept.task, kept)),
        }
    }
    let trusted: BTreeMap<(&str, &str, i64), u64> = record
        .holds
        .iter()
        .filter(|h| h.was_granted)
        .map(|h| {
            (
                (h.who.as_str(), h.task.as_str(), h.instant),
                h.trusted_until,
            )
        })
        .collect();
    for act in record.of(What::Act) {
        let key = (act.who.as_str(), act.task.as_str(), act.instant);
        let polled_at = act.word.parse().unwrap_or(act.at);
        // Between the guard's look at the lease and the poll there is no time to speak of.
        if let Some(until) = trusted.get(&key).filter(|t| polled_at > **t + 5_000) {
            let why = format!("polled at {polled_at}, its lease to be trusted until {until}");
            breaches.push(breach(Kind::StaleEffect, &[act], &why));
        }
    }
}

fn leaks(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let freed: BTreeMap<u64, &Hold> = record
        .holds
        .iter()
        .filter(|h| h.freed.is_some())
        .map(|h| (h.token, h))
        .collect();
    // Runs that go on when the fleet is told to end keep their locks until they end.
    let last = record.processes.values().map(|p| p.down).max();
    let rest = last
        .unwrap_or(u64::MAX)
        .saturating_add(record.rules.leases.ttl + record.rules.leases.delay);
    for lock in record.of(What::Lock) {
        let is_freed = freed
            .get(&lock.number)
            .is_some_and(|h| h.freed.is_some_and(|at| at < lock.at));
        if lock.word == "-1" {
            breaches.push(breach(Kind::Leaked, &[lock], "a lock without an end"));
        } else if is_freed {
            breaches.push(breach(Kind::Leaked, &[lock], "given back before"));
        } else if lock.at > rest {
            breaches.push(breach(Kind::Leaked, &[lock], "outlives the fleet"));
        }
    }
}

fn early(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    for Run { start, .. } in &record.runs {
        let slack = record.rules.skew + 20_000;
        if start.at + slack < record.moment(start.instant) {
            breaches.push(breach(Kind::Early, &[start], "before its fire time"));
        }
    }
}

fn stuck(record: &Record<'_>, breaches: &mut Vec<Breach>) {
    let Some(calm) = record.of(What::Calm).next() else {
        return;
    };
    let rules = record.rules;
    for (task, period) in &record.tasks {
        let patience = rules.leases.ttl + period + rules.longest_run + rules.leases.delay;
        let within = calm.at..calm.at + patience;
        let is_of = |r: &&Run<'_>| r.start.task == *task && within.contains(&r.start.at);
        if !record.runs.iter().any(|r| is_of(&r)) {
            let why = format!("{task} did not start within {patience} us");
            breaches.push(breach(Kind::Stuck, &[calm], &why));
        }
    }
}
