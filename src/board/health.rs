//! How a task is, in one word. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How a task is. In their order the worst is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// It has not succeeded by its success deadline.
    Overdue,
    /// Its last run did not succeed.
    Failing,
    /// It was due, has not succeeded since, and its deadline is not over.
    Late,
    /// Somebody has paused it, or too many of its runs have failed.
    Paused,
    /// It has not run yet.
    New,
    /// None of the others.
    Healthy,
    /// It is defined at run time, and switched off.
    Disabled,
}

impl Health {
    /// All of them, worst first.
    pub(crate) const ALL: [Health; 7] = [
        Health::Overdue,
        Health::Failing,
        Health::Late,
        Health::Paused,
        Health::New,
        Health::Healthy,
        Health::Disabled,
    ];

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Health::Overdue => "overdue",
            Health::Failing => "failing",
            Health::Late => "late",
            Health::Paused => "paused",
            Health::New => "new",
            Health::Healthy => "healthy",
            Health::Disabled => "disabled",
        }
    }

    /// Whether somebody should look at it now.
    pub(crate) fn needs_attention(self) -> bool {
        matches!(self, Health::Overdue | Health::Failing)
    }
}

/// What a task's health follows from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signs {
    pub(crate) is_enabled: bool,
    pub(crate) is_paused: bool,
    pub(crate) is_running: bool,
    /// Its last fire time that nobody has held back, with what its policy lets it start later.
    pub(crate) last_due: Option<DateTime<Utc>>,
    pub(crate) last_start: Option<DateTime<Utc>>,
    pub(crate) last_success: Option<DateTime<Utc>>,
    pub(crate) has_ended: bool,
    pub(crate) consecutive_failures: u64,
    pub(crate) deadline: Option<DateTime<Utc>>,
}

/// So long after its fire time a run may not be known yet.
const UNKNOWN_FOR: TimeDelta = TimeDelta::seconds(10);

/// The word for it at `now`.
pub(crate) fn health(signs: &Signs, now: DateTime<Utc>) -> Health {
    let is_before = |a: Option<DateTime<Utc>>, b| a.is_none_or(|a| a < b);
    if !signs.is_enabled {
        return Health::Disabled;
    }
    if signs.is_paused {
        return Health::Paused;
    }
    if signs.deadline.is_some_and(|deadline| deadline < now) {
        return Health::Overdue;
    }
    if signs.consecutive_failures > 0 {
        return Health::Failing;
    }
    let is_known = signs.has_ended || signs.is_running;
    let is_late = signs.last_due.is_some_and(|due| {
        let has_begun = signs.is_running || !is_before(signs.last_start, due);
        let is_long_ago = due + UNKNOWN_FOR < now;
        is_long_ago && is_before(signs.last_success, due) && !has_begun
    });
    match (is_late, is_known) {
        (true, true) => Health::Late,
        (_, false) => Health::New,
        (false, true) => Health::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(format!("2026-11-21T{text}Z").parse().unwrap())
    }

    #[test]
    fn each_word_has_its_signs() {
        // Due at 10:00, asked at 10:05.
        let well = Signs {
            is_enabled: true,
            last_due: at("10:00:00"),
            last_start: at("10:00:00.1"),
            last_success: at("10:00:03"),
            has_ended: true,
            deadline: at("12:02:00"),
            ..Signs::default()
        };
        let none = None;
        for (signs, word) in [
            (well, Health::Healthy),
            (
                Signs {
                    is_enabled: false,
                    is_paused: true,
                    ..well
                },
                Health::Disabled,
            ),
            (
                Signs {
                    is_paused: true,
                    deadline: at("09:00:00"),
                    ..well
                },
                Health::Paused,
            ),
            (
                Signs {
                    deadline: at("10:04:59"),
                    consecutive_failures: 2,
                    ..well
                },
                Health::Overdue,
            ),
            (
                Signs {
                    consecutive_failures: 1,
                    ..well
                },
                Health::Failing,
            ),
            (
                Signs {
                    last_start: at("09:00:00"),
                    last_success: at("09:00:03"),
                    ..well
                },
                Health::Late,
            ),
            // It runs.
            (
                Signs {
                    last_start: at("09:00:00"),
                    last_success: at("09:00:03"),
                    is_running: true,
                    ..well
                },
                Health::Healthy,
            ),
            // It began and was cancelled: it did what it could.
            (
                Signs {
                    last_success: at("09:00:03"),
                    ..well
                },
                Health::Healthy,
            ),
            // Its run may not be known yet.
            (
                Signs {
                    last_due: at("10:04:55"),
                    last_success: at("09:00:03"),
                    ..well
                },
                Health::Healthy,
            ),
            (
                Signs {
                    has_ended: false,
                    last_start: none,
                    last_success: none,
                    ..well
                },
                Health::New,
            ),
        ] {
            assert_eq!(health(&signs, at("10:05:00").unwrap()), word, "{signs:?}");
        }
    }

    #[test]
    fn the_worst_comes_first() {
        assert!(Health::ALL.is_sorted());
        assert!(Health::Overdue.needs_attention() && !Health::Late.needs_attention());
    }
}
