//! When a task is due: [`Schedule`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// A parsed spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    zone: Tz,
}

impl Schedule {
    /// Reads `spec` in `zone` unless the spec names its own.
    pub fn parse_in(spec: &str, zone: Tz) -> Result<Self, SpecError> {
        let _ = spec;
        Ok(Self { zone })
    }
    /// The first fire time strictly after `after`.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(after)
    }
    /// The zone.
    pub fn timezone(&self) -> Tz {
        self.zone
    }
}

impl FromStr for Schedule {
    type Err = SpecError;
    fn from_str(s: &str) -> Result<Self, SpecError> {
        Self::parse_in(s, Tz::UTC)
    }
}

/// Where and why a spec could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad")
    }
}

impl std::error::Error for SpecError {}
