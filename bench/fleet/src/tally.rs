//! Counts what an instance decided, and how often it asked its lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tasklock::{Decision, Event, LockOperation, Observer};

/// Clones count together.
#[derive(Clone, Default)]
pub struct Tally(Arc<Counts>);

/// By the places of the words in `Decision::ALL` and `LockOperation::ALL`.
#[derive(Default)]
struct Counts {
    decisions: [AtomicU64; 16],
    requests: [AtomicU64; 8],
    /// How long the answers took, together.
    waited_us: [AtomicU64; 8],
}

impl Tally {
    pub fn json(&self) -> Value {
        json!({
            "decisions": named(Decision::ALL.iter().map(|d| d.as_str()), &self.0.decisions),
            "requests": named(LockOperation::ALL.iter().map(|o| o.as_str()), &self.0.requests),
            "waited_us": named(LockOperation::ALL.iter().map(|o| o.as_str()), &self.0.waited_us),
        })
    }
}

fn named<'a>(words: impl Iterator<Item = &'a str>, counts: &[AtomicU64]) -> BTreeMap<&'a str, u64> {
    let counts = counts.iter().map(|n| n.load(Ordering::Relaxed));
    words.zip(counts).filter(|(_, n)| *n > 0).collect()
}

fn count<T: PartialEq>(all: &[T], what: &T, counts: &[AtomicU64], by: u64) {
    let place = all.iter().position(|x| x == what);
    if let Some(count) = place.and_then(|place| counts.get(place)) {
        count.fetch_add(by, Ordering::Relaxed);
    }
}

impl Observer for Tally {
    fn on_event(&self, event: &Event) {
        let counts = &*self.0;
        match event {
            Event::FiringDecided {
                decision, count: n, ..
            } => count(Decision::ALL, decision, &counts.decisions, *n),
            // One of these is one round trip.
            Event::LockOperation {
                operation, took, ..
            } => {
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                count(LockOperation::ALL, operation, &counts.requests, 1);
                count(LockOperation::ALL, operation, &counts.waited_us, us);
            }
            _ => {}
        }
    }
}
