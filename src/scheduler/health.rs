//! Two facts about an instance that change all the time: when its timer looked last, and whether
//! its store answers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Shared by the engine, which writes it, and handles, which read it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Epoch milliseconds; 0 for not yet.
    last_wake_ms: AtomicI64,
    // Held to compare and set.
    down_since: Mutex<Option<Outage>>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    at: DateTime<Utc>,
    monotonic: Duration,
}

impl Health {
    pub(crate) fn note_wake(&self, now: DateTime<Utc>) {
        self.last_wake_ms
            .store(now.timestamp_millis(), Ordering::Relaxed);
    }

    pub(crate) fn last_wake(&self) -> Option<DateTime<Utc>> {
        let ms = self.last_wake_ms.load(Ordering::Relaxed);
        (ms != 0)
            .then(|| DateTime::from_timestamp_millis(ms))
            .flatten()
    }

    pub(crate) fn store_down_since(&self) -> Option<DateTime<Utc>> {
        self.down().map(|outage| outage.at)
    }

    /// Notes a fault. True if it is the first one of this outage.
    pub(crate) fn store_failed(&self, at: DateTime<Utc>, monotonic: Duration) -> bool {
        let mut down = self.down();
        let is_first = down.is_none();
        down.get_or_insert(Outage { at, monotonic });
        is_first
    }

    /// Notes an answer. Says how long there had been none.
    pub(crate) fn store_answered(&self, monotonic: Duration) -> Option<Duration> {
        self.down()
            .take()
            .map(|outage| monotonic.saturating_sub(outage.monotonic))
    }

    fn down(&self) -> std::sync::MutexGuard<'_, Option<Outage>> {
        self.down_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
