//! `@at T`: one instant.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

use super::cron::{FIRST_YEAR, LAST_YEAR};
use super::error::{SpecErrorKind as Kind, shown};
use super::field::Fault;

/// The instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Once(DateTime<Utc>);

impl Once {
    /// Reads an RFC 3339 date and time with its offset.
    pub(super) fn parse(text: &str) -> Result<Self, Fault<'_>> {
        let fault = |why: String| {
            let reason = format!("failed to parse time {}: {why}", shown(text));
            Fault::new(Kind::BadInstant, text, reason)
        };
        let at = match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.to_utc(),
            Err(error) => {
                let why = format!("{error}; expected RFC 3339, such as 2030-01-31T09:00:00Z");
                return Err(fault(why));
            }
        };
        if at.timestamp_subsec_nanos() >= 1_000_000_000 {
            return Err(fault(
                "a leap second cannot be told from the next one".into(),
            ));
        }
        if !(FIRST_YEAR..=LAST_YEAR).contains(&i64::from(at.year())) {
            return Err(fault(format!(
                "year outside of {FIRST_YEAR} to {LAST_YEAR}"
            )));
        }
        Ok(Self(at))
    }

    pub(super) fn next(self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.0 > after).then_some(self.0)
    }

    pub(super) fn prev(self, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.0 < before).then_some(self.0)
    }
}

impl fmt::Display for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}
