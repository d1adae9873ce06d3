//! A fire time to come, for people. Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::board::{Entry, Stamp};
use crate::control::Rules;

/// A fire time to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Fire {
    /// When.
    pub(crate) at: Stamp,
    /// The same on the clock of the schedule's zone: `2026-11-20T15:30:00+01:00`.
    pub(crate) local: String,
    /// What is odd about it: the clock changes there.
    pub(crate) note: Option<String>,
    /// Who holds it back, and why, if somebody does.
    pub(crate) held_back: Option<String>,
}

impl Entry {
    /// The fire times after `from` and up to `to`, `limit` at the most. None of a task that depends on
    /// its runs.
    pub(crate) fn fires(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        limit: usize,
        rules: &Rules,
    ) -> Vec<Fire> {
        let Some(plan) = self.plan.as_ref().filter(|plan| !plan.depends_on_runs()) else {
            return Vec::new();
        };
        let mut times = plan.upcoming(self.over.as_ref(), from, limit);
        times.retain(|at| *at <= to);
        times.into_iter().map(|at| self.fire(at, rules)).collect()
    }

    fn fire(&self, at: DateTime<Utc>, rules: &Rules) -> Fire {
        let name = self.facts.name.as_str();
        let zone = match (rules.override_of(name, at), &self.over, &self.plan) {
            (Some(_), Some(over), _) => over.schedule.timezone(),
            (_, _, Some(plan)) => plan.schedule.timezone(),
            _ => self.facts.timezone,
        };
        let held_back = match rules.pause_of(name, at) {
            Some(pause) => Some(format!("paused by {}", pause.by)),
            None => rules
                .skip_of(name)
                .filter(|skip| skip.fire_times.contains(&at))
                .map(|skip| format!("skipped by {}", skip.by)),
        };
        Fire::at(at, zone, held_back)
    }
}

impl Fire {
    /// One on the clock of `zone`.
    pub(crate) fn at(at: DateTime<Utc>, zone: chrono_tz::Tz, held_back: Option<String>) -> Self {
        let local = at.with_timezone(&zone);
        let offset_at = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
        let hours = chrono::TimeDelta::hours(3);
        let (before, here) = (offset_at(at - hours), offset_at(at));
        let change = here - before;
        let note = match change.num_minutes() {
            0 => None,
            by if by > 0 => Some(format!("the clock has just gone forward by {by} min")),
            by => Some(format!("the clock has just gone back by {} min", -by)),
        };
        Self {
            at: at.into(),
            local: local.to_rfc3339_opts(SecondsFormat::Secs, false),
            note,
            held_back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_clock_is_told_near_it() {
        let zone = chrono_tz::Europe::Berlin;
        for (at, local, note) in [
            ("2026-11-20T14:30:00Z", "2026-11-20T15:30:00+01:00", None),
            (
                "2026-03-29T01:00:00Z",
                "2026-03-29T03:00:00+02:00",
                Some("the clock has just gone forward by 60 min"),
            ),
            (
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30:00+01:00",
                Some("the clock has just gone back by 60 min"),
            ),
        ] {
            let fire = Fire::at(at.parse().unwrap(), zone, None);
            assert_eq!((fire.local.as_str(), fire.note.as_deref()), (local, note));
        }
    }
}
