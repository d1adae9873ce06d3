//! `@after D`: so long after the end of the last run, which no schedule knows.
//!
//! The lock keeps the end, and the engine asks for it. As a function of an instant alone, it answers
//! as if the last run had ended at that instant.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::duration::GoDuration;
use super::field::Fault;

/// The delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct After(GoDuration);

impl After {
    /// Reads the delay: a Go duration.
    pub(super) fn parse(text: &str) -> Result<Self, Fault<'_>> {
        GoDuration::parse(text).map(Self)
    }

    /// The fire time after a run that ended at `end`.
    pub(super) fn next(self, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
        end.checked_add_signed(TimeDelta::from_std(self.delay()).ok()?)
    }

    pub(super) fn delay(self) -> Duration {
        self.0.to_std()
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
