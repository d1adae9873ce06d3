//! What became of everything that was due.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::lateness::{Lateness, median};
use crate::rounds::Rounds;
use crate::starts::Start;

/// The starts of all processes, held against what was due.
#[derive(Debug)]
pub struct Account {
    pub due: usize,
    pub started: usize,
    pub lost: usize,
    /// Starts of an instant of a task after its first.
    pub duplicate: usize,
    /// Starts before their instant, by the machine's clock.
    pub early: usize,
    pub lateness: Lateness,
    /// The same, for each round.
    pub of_rounds: Vec<Lateness>,
    /// How many starts each process had.
    pub shares: Vec<usize>,
}

impl Account {
    /// `processes` has the starts of each; what is not of these rounds does not count.
    pub fn of(processes: &[Vec<Start>], rounds: &Rounds, tasks: usize) -> Self {
        let mut times: HashMap<(u32, i64), usize> = HashMap::new();
        let mut of_rounds = vec![Vec::new(); usize::try_from(rounds.count).unwrap_or(0)];
        let mut shares = Vec::new();
        for starts in processes {
            let mut share = 0;
            for start in starts {
                let round = rounds.index(start.instant);
                let Some(round) = round.and_then(|r| of_rounds.get_mut(r)) else {
                    continue;
                };
                round.push((start.at_us - start.instant * 1_000_000) as f64 / 1000.0);
                *times.entry((start.task, start.instant)).or_default() += 1;
                share += 1;
            }
            shares.push(share);
        }
        let started: usize = shares.iter().sum();
        let due = tasks * of_rounds.len();
        let all = || of_rounds.iter().flatten().copied();
        Self {
            due,
            started,
            lost: due.saturating_sub(times.len()),
            duplicate: started - times.len(),
            early: all().filter(|late| *late < 0.0).count(),
            lateness: all().collect(),
            of_rounds: of_rounds
                .iter()
                .map(|r| r.iter().copied().collect())
                .collect(),
            shares,
        }
    }

    /// What must be zero, and is worth a look if it is not.
    pub fn faults(&self) -> Value {
        json!({"lost": self.lost, "duplicate": self.duplicate, "early": self.early})
    }

    /// By how much this one's percentile is larger than another's: the median of the rounds, each
    /// beside the round that came next to it, so that a machine that is busy for a while does not count.
    pub fn ratio(&self, other: &Self, percent: f64) -> f64 {
        let pairs = self.of_rounds.iter().zip(&other.of_rounds);
        median(pairs.map(|(a, b)| a.percentile(percent) / b.percentile(percent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(task: u32, instant: i64, late_us: i64) -> Start {
        Start {
            task,
            instant,
            at_us: instant * 1_000_000 + late_us,
        }
    }

    #[test]
    fn lost_duplicate_and_early_are_told_apart() {
        let rounds = Rounds {
            first: 10,
            count: 2,
            period: 1,
        };
        let one = vec![start(0, 9, 1), start(0, 10, 1000), start(1, 10, -5)];
        let other = vec![start(0, 10, 3000), start(1, 11, 2000), start(1, 12, 1)];
        let account = Account::of(&[one, other], &rounds, 2);
        assert_eq!((account.due, account.started), (4, 4));
        assert_eq!((account.lost, account.duplicate, account.early), (1, 1, 1));
        assert_eq!(account.shares, [2, 2]);
        assert_eq!(account.lateness.percentile(100.0), 3.0);
    }
}
