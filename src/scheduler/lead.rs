//! How far ahead of their fire times locks are taken.
//!
//! ```text
//!      lead
//! |<-------------->|
//! claim ── granted |                    the store's latency is over before the fire time
//!            armed : start              exactly on time
//! ```
//! Long enough for the store to answer, and no longer: a lock that is taken early is held longer,
//! and an instance that dies in between takes the firing with it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the first request may take, before anything is known of the store.
const FIRST_GUESS: Duration = Duration::from_millis(20);
/// What one of many firings may take.
const FIRST_GUESS_EACH: Duration = Duration::from_micros(20);
/// For timers, which are late by a millisecond or two, and for who runs beside us.
const SLACK: Duration = Duration::from_millis(5);
/// So many firings say what a request takes; more say what each of them does.
const FEW: usize = 32;

/// Keeps account of how long claims take.
#[derive(Debug)]
pub(crate) struct Lead {
    longest: Duration,
    // Held to read or to set.
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    request: Duration,
    each: Duration,
}

impl Lead {
    /// No lead is longer than `longest`.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest,
            seen: Mutex::new(Seen {
                request: FIRST_GUESS,
                each: FIRST_GUESS_EACH,
            }),
        }
    }

    /// The longest lead that is ever taken; zero if none is.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// How long before its fire time to claim one of `count` firings that are due together: twice
    /// as long as it should take.
    pub(crate) fn of(&self, count: usize) -> Duration {
        if self.longest.is_zero() {
            return Duration::ZERO;
        }
        let Seen { request, each } = *self.seen();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let lead = request.saturating_add(each.saturating_mul(count));
        lead.saturating_mul(2)
            .saturating_add(SLACK)
            .min(self.longest)
    }

    /// Takes note of how long `count` claims that were made together took.
    pub(crate) fn note(&self, count: usize, took: Duration) {
        let mut seen = self.seen();
        if count <= FEW {
            seen.request = follow(seen.request, took);
        } else {
            let each = took.saturating_sub(seen.request) / u32::try_from(count).unwrap_or(u32::MAX);
            seen.each = follow(seen.each, each);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A value is set whole or not at all.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is longer than expected is believed at once, what is shorter by and by.
fn follow(expected: Duration, took: Duration) -> Duration {
    match took > expected {
        true => took,
        false => expected - (expected - took) / 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_follows_the_store_up_at_once_and_down_slowly() {
        let lead = Lead::new(500 * MS);
        let at_first = lead.of(1);
        for _ in 0..200 {
            lead.note(1, MS);
        }
        let quick = lead.of(1);
        assert!(quick < 10 * MS && quick < at_first, "{quick:?}");
        lead.note(1, 40 * MS);
        assert!(lead.of(1) >= 85 * MS);
        lead.note(1, MS);
        assert!(lead.of(1) >= 75 * MS);
    }

    #[test]
    fn many_firings_take_longer_up_to_the_limit() {
        let lead = Lead::new(500 * MS);
        for _ in 0..200 {
            lead.note(1, MS);
            lead.note(1000, 11 * MS);
        }
        let thousand = lead.of(1000);
        assert!((22 * MS..40 * MS).contains(&thousand), "{thousand:?}");
        assert_eq!(lead.of(1_000_000), 500 * MS);
        assert_eq!(lead.of(usize::MAX), 500 * MS);
    }

    #[test]
    fn without_a_longest_lead_there_is_none() {
        let lead = Lead::new(Duration::ZERO);
        lead.note(1, 100 * MS);
        assert_eq!(lead.of(1000), Duration::ZERO);
    }
}
