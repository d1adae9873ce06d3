//! Clocks for tests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::time::{Clock, SystemClock};

/// A clock that follows tokio's time, paused or not, from a start that the test chooses; its wall
/// time can be stepped.
#[derive(Debug)]
pub struct TestClock {
    origin: Instant,
    // Held to read or add.
    wall: Mutex<DateTime<Utc>>,
    // Held to read or add: for how long it was suspended.
    suspended: Mutex<Duration>,
}

impl TestClock {
    /// A clock that says `start` (RFC 3339) now.
    ///
    /// # Panics
    ///
    /// If `start` is no RFC 3339 time.
    #[allow(clippy::panic)] // a test's constant is wrong
    pub fn at(start: &str) -> Self {
        match start.parse() {
            Ok(wall) => Self {
                origin: Instant::now(),
                wall: Mutex::new(wall),
                suspended: Mutex::default(),
            },
            Err(e) => panic!("{start:?} is no RFC 3339 time: {e}"),
        }
    }

    /// Steps the wall time, and leaves the monotonic time alone: what an operator or NTP does.
    pub fn step(&self, by: TimeDelta) {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Moves both clocks on while tokio's timers stand still: what a machine sees that was suspended.
    pub fn suspend(&self, length: Duration) {
        *self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += length;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let wall = *self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        wall + TimeDelta::from_std(self.monotonic()).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        let suspended = self.suspended.lock();
        self.origin.elapsed() + *suspended.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's clock with a wall time that is off by a constant: a replica without NTP.
#[derive(Debug, Clone, Copy)]
pub struct SkewedClock {
    offset: TimeDelta,
}

impl SkewedClock {
    /// A clock that is ahead of the system's by `offset`.
    pub fn new(offset: TimeDelta) -> Self {
        Self { offset }
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.offset
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }
}
