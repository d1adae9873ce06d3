//! Identities of runs.

use std::fmt;

use chrono::{DateTime, Utc};

/// The id of one run: a ULID, 26 characters that sort by the time the run began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(ulid::Ulid);

impl RunId {
    pub(crate) fn new(now: DateTime<Utc>, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(
            now.timestamp_millis().unsigned_abs(),
            random,
        ))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
