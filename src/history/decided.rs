//! The record of firings that did not run on an instance.

use chrono::{DateTime, Utc};

use crate::event::Decision;
use crate::task::TaskName;

/// Fire times of so many milliseconds share a place in the ring of decisions.
const PLACE_MS: i64 = 10_000;

/// What an instance decided of firings that it did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecisionRecord {
    /// The task.
    pub task: TaskName,
    /// The first fire time it is about.
    pub first: DateTime<Utc>,
    /// The last fire time it is about: the same, unless several close to each other were decided
    /// alike.
    pub last: DateTime<Utc>,
    /// How many fire times it is about.
    pub count: u64,
    /// What was decided.
    pub decision: Decision,
    /// The instance that decided.
    pub instance: String,
    /// Who had it instead, where that is known.
    pub holder: Option<String>,
}

impl DecisionRecord {
    /// What `instance` decided of the firings up to `last`, `count` of them.
    ///
    /// Public for tests of stores outside this crate.
    pub fn new(
        task: TaskName,
        last: DateTime<Utc>,
        count: u64,
        decision: Decision,
        instance: impl Into<String>,
    ) -> Self {
        Self {
            task,
            first: last,
            last,
            count,
            decision,
            instance: instance.into(),
            holder: None,
        }
    }

    /// The same, with who had the firing instead.
    #[must_use]
    pub fn with_holder(mut self, holder: Option<String>) -> Self {
        self.holder = holder;
        self
    }

    /// Whether it is about the firing of `at`.
    pub fn is_about(&self, at: DateTime<Utc>) -> bool {
        self.first <= at && at <= self.last
    }

    /// Its place in the ring: the same for all instances.
    pub(crate) fn place(&self) -> i64 {
        self.last.timestamp_millis().div_euclid(PLACE_MS)
    }

    /// How many records there may be at its place for it to be added: those that say the least, that
    /// others have the firing, leave room for the others.
    pub(crate) fn most_at_place(&self) -> usize {
        match self.decision {
            Decision::FiredElsewhere => 32,
            _ => 64,
        }
    }

    /// Takes in a later one of the same kind and place. False if it is another.
    pub(crate) fn absorb(&mut self, later: &Self) -> bool {
        let is_alike = self.task == later.task
            && self.decision == later.decision
            && self.place() == later.place()
            && self.instance == later.instance
            && self.last <= later.first;
        if is_alike {
            self.last = later.last;
            self.count = self.count.saturating_add(later.count);
            if self.holder != later.holder {
                // Each fire time had another.
                self.holder = None;
            }
        }
        is_alike
    }
}
