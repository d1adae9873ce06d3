//! Many simulations, two at a time, and what they found.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::broken::Variant;
use crate::checker::{Violation, check};
use crate::coverage::Coverage;
use crate::world::simulate;

/// The variable with the seeds to simulate: `from..to`, or one.
const SEEDS: &str = "TASKLOCK_SIM_SEEDS";
const THREADS: usize = 2;
/// How much of a history is shown.
const LAST_LINES: usize = 60;
const MOST_SHOWN: usize = 3;

/// The seeds that the environment asks for, else the usual ones.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else {
        return usual;
    };
    let number = |text: &str| match text.trim().parse::<u64>() {
        Ok(number) => number,
        Err(e) => panic!("{SEEDS}={text:?} is not a seed, nor from..to: {e}"),
    };
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

/// What many simulations have found.
#[derive(Debug, Default)]
pub struct Summary {
    pub simulated: u64,
    pub coverage: Coverage,
    pub expected_firings: u64,
    pub excused: BTreeMap<&'static str, u64>,
    pub failures: Vec<Failure>,
}

#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub violations: Vec<Violation>,
    /// The last lines of the history, up to the first violation.
    pub lines: Vec<String>,
}

/// Simulates all seeds and checks their histories.
pub fn judge_all(seeds: Range<u64>, variant: Variant) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    judge(seed, variant, &summary);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.failures.sort_by_key(|f| f.seed);
    summary
}

fn judge(seed: u64, variant: Variant, summary: &Mutex<Summary>) {
    let record = simulate(seed, variant);
    let verdict = check(&record);
    let mut coverage = Coverage::default();
    coverage.add(&record);
    let mut summary = summary.lock().unwrap();
    summary.simulated += 1;
    summary.expected_firings += verdict.expected_firings;
    summary.coverage.merge(&coverage);
    for (what, count) in verdict.excused {
        *summary.excused.entry(what).or_default() += count;
    }
    if !verdict.violations.is_empty() {
        let until = verdict.violations.iter().map(Violation::at).min();
        let before = |at| until.is_none_or(|until| at <= until + 1_000);
        let lines: Vec<String> = record
            .entries
            .iter()
            .filter(|e| before(e.at))
            .map(ToString::to_string)
            .collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        summary.failures.push(Failure {
            seed,
            violations: verdict.violations,
            lines: lines[from..].to_vec(),
        });
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seeds, firings) = (self.simulated, self.expected_firings);
        writeln!(f, "{seeds} seeds, {firings} firings that had to start")?;
        for (what, count) in &self.excused {
            writeln!(f, "  {count} × {what}")?;
        }
        for (what, count) in self.coverage.counts() {
            writeln!(f, "  {what} {count}")?;
        }
        for failure in self.failures.iter().take(MOST_SHOWN) {
            let Failure {
                seed,
                violations,
                lines,
            } = failure;
            writeln!(f, "seed {seed} (again: {SEEDS}={seed}):")?;
            for line in lines {
                writeln!(f, "  {line}")?;
            }
            for violation in violations {
                writeln!(f, "  seed {seed}: {violation:?}")?;
            }
        }
        let seeds: Vec<u64> = self.failures.iter().map(|x| x.seed).collect();
        if !seeds.is_empty() {
            writeln!(f, "{} seeds failed: {seeds:?}", seeds.len())?;
        }
        Ok(())
    }
}
