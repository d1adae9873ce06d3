//! `@every D`: instants on a grid of D from the Unix epoch.
//!
//! Robfig counts from the start of the process, which no two replicas share, and rounds to seconds.
//! A grid is the same for all of them and after a restart.

use std::fmt;

use chrono::{DateTime, Utc};

use super::duration::GoDuration;
use super::field::Fault;

const SECOND: i128 = 1_000_000_000;

/// The period of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Every(GoDuration);

impl Every {
    /// Reads the period: a Go duration.
    pub(super) fn parse(text: &str) -> Result<Self, Fault<'_>> {
        GoDuration::parse(text).map(Self)
    }

    /// The first instant of the grid after `after`.
    pub(super) fn next(self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let period = i128::from(self.0.nanoseconds());
        at((nanoseconds(after).div_euclid(period) + 1) * period)
    }

    /// The last instant of the grid before `before`.
    pub(super) fn prev(self, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let period = i128::from(self.0.nanoseconds());
        at((nanoseconds(before) - 1).div_euclid(period) * period)
    }
}

/// Nanoseconds from the Unix epoch.
fn nanoseconds(at: DateTime<Utc>) -> i128 {
    i128::from(at.timestamp()) * SECOND + i128::from(at.timestamp_subsec_nanos())
}

fn at(nanoseconds: i128) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(nanoseconds.div_euclid(SECOND)).ok()?;
    DateTime::from_timestamp(seconds, nanoseconds.rem_euclid(SECOND) as u32)
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fire_times_are_multiples_of_the_period_from_the_epoch_whoever_asks_and_when() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (period, after, next) in [
            ("90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"),
            ("90s", "2026-01-01T00:00:31.7Z", "2026-01-01T00:01:30Z"),
            ("7s", "1970-01-01T00:00:00Z", "1970-01-01T00:00:07Z"),
            ("7s", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z"),
            ("100ms", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.2Z"),
        ] {
            let every = Every::parse(period).unwrap();
            assert_eq!(every.next(at(after)), Some(at(next)), "{period} {after}");
            assert!(
                every.prev(at(next)).unwrap() <= at(after),
                "{period} {after}"
            );
            assert_eq!(every.next(every.prev(at(next)).unwrap()), Some(at(next)));
        }
    }
}
