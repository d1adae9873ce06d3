//! The other instances of the fleet, as far as they have been met at the lock, and whose turn it is.
//!
//! Of those who know each other one goes first at each task, by the hash of both names (rendezvous
//! hashing): the others look a little later whether it has, and claim only what it has not. So the work
//! is shared, and a lost claim costs a read. Nothing depends on it: who knows nobody goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::scheduler::spread;

/// For so long somebody counts who was met.
const REMEMBERED: Duration = Duration::from_secs(60);
/// So many are remembered at the most.
const MOST: usize = 1024;

/// Who was met, and when.
#[derive(Debug)]
pub(crate) struct Peers {
    /// The hash of our own name.
    own: u64,
    name: Arc<str>,
    // Held to look or to set.
    met: Mutex<HashMap<Arc<str>, Met>>,
}

#[derive(Debug, Clone, Copy)]
struct Met {
    hash: u64,
    /// Monotonic.
    last: Duration,
}

impl Peers {
    pub(crate) fn new(name: &Arc<str>) -> Self {
        Self {
            own: spread::hash(name),
            name: name.clone(),
            met: Mutex::default(),
        }
    }

    /// Notes that `name` has taken a firing just now.
    pub(crate) fn meet(&self, name: &str, now: Duration) {
        if *name == *self.name {
            return;
        }
        let mut met = self.met();
        if let Some(known) = met.get_mut(name) {
            known.last = now;
            return;
        }
        if met.len() >= MOST {
            met.retain(|_, m| now.saturating_sub(m.last) < REMEMBERED);
        }
        if met.len() < MOST {
            let hash = spread::hash(name);
            met.insert(name.into(), Met { hash, last: now });
        }
    }

    /// Those who count now.
    pub(crate) fn at(&self, now: Duration) -> Turns {
        let met = self.met();
        let lives = |m: &&Met| now.saturating_sub(m.last) < REMEMBERED;
        Turns {
            own: self.own,
            others: met.values().filter(lives).map(|m| m.hash).collect(),
        }
    }

    /// Whether nobody was met who counts now.
    pub(crate) fn knows_nobody(&self, now: Duration) -> bool {
        let met = self.met();
        met.values()
            .all(|m| now.saturating_sub(m.last) >= REMEMBERED)
    }

    fn met(&self) -> MutexGuard<'_, HashMap<Arc<str>, Met>> {
        // Every change is one insert or one field, or leaves what is still true.
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is at each task, at one moment.
#[derive(Debug)]
pub(crate) struct Turns {
    own: u64,
    others: Vec<u64>,
}

impl Turns {
    /// Whether this instance goes first at `task`.
    pub(crate) fn is_ours(&self, task: &str) -> bool {
        if self.others.is_empty() {
            return true;
        }
        let task = spread::hash(task);
        let own = spread::mix(self.own ^ task);
        self.others
            .iter()
            .all(|other| spread::mix(other ^ task) <= own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fleet(names: &[&str]) -> Vec<Peers> {
        let fleet: Vec<Peers> = names.iter().map(|n| Peers::new(&(*n).into())).collect();
        for peers in &fleet {
            for name in names {
                peers.meet(name, SECOND);
            }
        }
        fleet
    }

    #[test]
    fn of_a_fleet_one_goes_first_at_each_task_and_they_share_them() {
        let fleet = fleet(&["a:1", "b:2", "c:3"]);
        let mut turns = [0; 3];
        for task in 0..3000 {
            let task = format!("task-{task}");
            let first: Vec<usize> = (0..3)
                .filter(|n| fleet[*n].at(SECOND * 2).is_ours(&task))
                .collect();
            assert_eq!(first.len(), 1, "{task}");
            turns[first[0]] += 1;
        }
        assert!(turns.iter().all(|n| (900..1100).contains(n)), "{turns:?}");
    }

    #[test]
    fn who_was_not_met_for_a_minute_counts_no_more() {
        let fleet = fleet(&["a:1", "b:2"]);
        let ours = |now| {
            let turns = fleet[0].at(now);
            (0..100).filter(|n| turns.is_ours(&format!("t{n}"))).count()
        };
        assert!((30..70).contains(&ours(SECOND * 30)));
        assert_eq!(ours(SECOND * 61), 100);
        fleet[0].meet("b:2", SECOND * 61);
        assert!(ours(SECOND * 62) < 100);
    }

    #[test]
    fn names_that_come_and_go_take_bounded_room() {
        let peers = Peers::new(&"a:1".into());
        for n in 0..5000 {
            peers.meet(&format!("b:{n}"), SECOND);
        }
        assert_eq!(peers.met().len(), MOST);
        peers.meet("c:1", SECOND * 100);
        assert_eq!(peers.met().len(), 1);
    }
}
