//! Clocks that are wrong: off by a constant, too fast or too slow, and stepped.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tasklock::{Clock, chrono};

use crate::history::{History, Millis};

/// What a clock without fault says when the simulation begins: a Saturday, in epoch milliseconds.
pub const EPOCH: i64 = 1_795_255_200_000;

/// The clock of one host.
#[derive(Debug)]
pub struct SimClock {
    history: History,
    rate_ppm: i64,
    /// In milliseconds; steps change it.
    offset: AtomicI64,
}

impl SimClock {
    pub fn new(history: History, rate_ppm: i64, offset: Millis) -> Self {
        Self {
            history,
            rate_ppm,
            offset: AtomicI64::new(offset),
        }
    }

    pub fn step(&self, by: Millis) {
        self.offset.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        let offset = self.offset.load(Ordering::Relaxed);
        let start = DateTime::from_timestamp_millis(EPOCH + offset).unwrap();
        start + TimeDelta::from_std(self.monotonic()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        let micros = self.history.now().as_micros() as i64;
        Duration::from_micros((micros + micros * self.rate_ppm / 1_000_000).unsigned_abs())
    }
}

/// A clock as the checker knows it afterwards.
#[derive(Debug, Clone, Default)]
pub struct ClockModel {
    pub rate_ppm: i64,
    pub offset: Millis,
    /// When, and by how much.
    pub steps: Vec<(Millis, Millis)>,
}

impl ClockModel {
    /// What it says at a true time.
    pub fn read(&self, at: Millis) -> i64 {
        let steps = self.steps.iter().filter(|(when, _)| *when <= at);
        let stepped: Millis = steps.map(|(_, by)| by).sum();
        EPOCH + self.offset + stepped + at + at * self.rate_ppm / 1_000_000
    }

    /// The first true time from `from` on at which it says `reading` or more, if no step comes
    /// after `from`.
    pub fn when(&self, reading: i64, from: Millis) -> Millis {
        let mut at = from;
        // The rate is so small that a second round is exact to the millisecond.
        for _ in 0..3 {
            at = (at + reading - self.read(at)).max(from);
        }
        at
    }

    pub fn has_stepped(&self, from: Millis, to: Millis) -> bool {
        self.steps.iter().any(|(at, _)| (from..=to).contains(at))
    }
}
