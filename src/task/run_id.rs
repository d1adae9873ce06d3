//! Identities of runs.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind};

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

    /// The smallest id of a run that began at `at` or later.
    pub(crate) fn first_at(at: DateTime<Utc>) -> Self {
        let ms = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        Self(ulid::Ulid::from_parts(ms, 0))
    }
}

impl std::str::FromStr for RunId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let id = ulid::Ulid::from_string(text)
            .ok()
            .filter(|_| text.len() == 26);
        id.map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let text = format!("{shown:?} is no id of a run: 26 letters and digits");
            Error::new(ErrorKind::InvalidConfig, text)
        })
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
