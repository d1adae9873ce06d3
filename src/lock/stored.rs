//! The records that a lock keeps of a task.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lock::state::State;

/// The records that a lock keeps of one task. Those past their end are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The lock: there only while somebody holds it.
    pub(crate) lock: Option<Record>,
    /// The state: a [`State`] as text, or what somebody else put there.
    pub(crate) state: Option<Record>,
    /// The locks of the other lanes.
    pub(crate) lanes: BTreeMap<u32, Record>,
}

/// A text that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) text: String,
    /// Epoch milliseconds; `None` for never.
    pub(crate) expires_ms: Option<i64>,
}

impl Stored {
    /// The records as they are at `now_ms`: without those whose end has come.
    pub(crate) fn at(mut self, now_ms: i64) -> Self {
        let alive = |r: &Record| r.expires_ms.is_none_or(|end| end > now_ms);
        self.lock = self.lock.filter(alive);
        self.state = self.state.filter(alive);
        self.lanes.retain(|_, lock| alive(lock));
        self
    }

    /// Does a step for which the lock of `lane` is the lock.
    pub(super) fn on_lane<T>(
        mut self,
        lane: u32,
        step: impl FnOnce(Self) -> (Self, T),
    ) -> (Self, T) {
        if lane == 0 {
            return step(self);
        }
        let first = self.lock.take();
        self.lock = self.lanes.remove(&lane);
        let (mut new, answer) = step(self);
        if let Some(lock) = new.lock.take() {
            new.lanes.insert(lane, lock);
        }
        new.lock = first;
        (new, answer)
    }

    /// How long its lease lasts, as far as it ends by itself.
    pub(crate) fn lease(self, now_ms: i64) -> Option<Duration> {
        let mut stored = self.at(now_ms);
        let state = stored.parsed_state();
        stored.remaining(state.as_ref(), now_ms)
    }

    pub(crate) fn parsed_state(&self) -> Option<State> {
        self.state.as_ref()?.text.parse().ok()
    }

    pub(super) fn is_locked_by(&self, token: &str) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.text == token)
    }

    pub(super) fn set_lock(&mut self, token: &str, ttl: Duration, now_ms: i64) {
        self.lock = Some(Record::ending_after(token.to_owned(), ttl, now_ms));
    }

    pub(super) fn set_state(&mut self, state: &State, keep: Duration, now_ms: i64) {
        self.state = Some(Record::ending_after(state.to_string(), keep, now_ms));
    }

    /// How long the lease lasts. Heals a backward step of the clock: a lease never lasts longer
    /// than the TTL it was taken for. Only leases of this protocol are healed: a lock that another
    /// client took for itself lasts as long as that client said.
    pub(super) fn remaining(&mut self, state: Option<&State>, now_ms: i64) -> Option<Duration> {
        let lock = self.lock.as_mut()?;
        let state = state.filter(|s| s.token == lock.text);
        let end = lock.expires_ms.as_mut()?;
        let ttl_ms = state.and_then(|s| i64::try_from(s.ttl_ms).ok());
        if let Some(ttl_ms) = ttl_ms.filter(|ttl_ms| *end - now_ms > *ttl_ms) {
            *end = now_ms + ttl_ms;
        }
        Some(Duration::from_millis((*end - now_ms).max(0).unsigned_abs()))
    }
}

impl Record {
    fn ending_after(text: String, after: Duration, now_ms: i64) -> Self {
        Self {
            text,
            expires_ms: Some(now_ms.saturating_add(millis(after))),
        }
    }
}

pub(super) fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
