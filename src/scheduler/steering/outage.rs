//! Whether the fleet's store answers: told once, whoever finds out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::event::Event;
use crate::scheduler::engine::Engine;

/// Who reads the store, each at a pace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Of the control of the fleet.
    Control,
    /// Of the tasks that are defined at run time.
    #[cfg(feature = "dynamic")]
    Tasks,
}

/// What is known of an outage.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    // Held for a look or a change.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Since when nobody could read it; monotonic.
    since: Option<Duration>,
    /// Those who have not read it since.
    missing: Vec<Reading>,
}

impl Outage {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whoever panics while holding it has changed nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Somebody could not read the fleet's store.
    pub(crate) fn note_fleet_down(&self, who: Reading, error: Error) {
        let now = self.settings.clock.monotonic();
        let is_new = {
            let mut outage = self.steering.outage.inner();
            if !outage.missing.contains(&who) {
                outage.missing.push(who);
            }
            let is_new = outage.since.is_none();
            outage.since.get_or_insert(now);
            is_new
        };
        if is_new {
            let error = Arc::new(error);
            self.announce(&Event::FleetStoreDown { error });
        }
    }

    /// Somebody could: the outage is over when all those could who could not.
    pub(crate) fn note_fleet_up(&self, who: Reading) {
        let since = {
            let mut outage = self.steering.outage.inner();
            outage.missing.retain(|reading| *reading != who);
            match outage.missing.is_empty() {
                true => outage.since.take(),
                false => None,
            }
        };
        if let Some(since) = since {
            let down_for = self.settings.clock.monotonic().saturating_sub(since);
            self.announce(&Event::FleetStoreUp { down_for });
        }
    }
}
