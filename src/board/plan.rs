//! A schedule, and what is said of it. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::board::Lint;
use crate::control::{Overridden, Rules, upcoming};
use crate::schedule::{self, DstPolicy, Schedule};
use crate::task::TaskName;

/// So many fire times that somebody holds back are passed over to find one that nobody does.
const HELD_BACK: usize = 2_000;

/// A schedule that was read, and what costs more than a look at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) schedule: Schedule,
    /// In words.
    pub(crate) text: String,
    pub(crate) lint: Vec<Lint>,
    /// It is never due any more, and was last due then.
    over: Option<Option<DateTime<Utc>>>,
}

impl Plan {
    /// `None` for a spec that cannot be read.
    pub(crate) fn read(spec: &str, zone: Tz, dst: DstPolicy, now: DateTime<Utc>) -> Option<Self> {
        let schedule = Schedule::parse_in(spec, zone).ok()?.with_dst(dst);
        let found = schedule.lint(now);
        let over = found.iter().find_map(|lint| match lint {
            schedule::Lint::NeverFires => Some(None),
            schedule::Lint::Past { last } => Some(Some(*last)),
            _ => None,
        });
        Some(Self {
            text: schedule.explain(),
            lint: found.iter().map(Lint::of).collect(),
            over,
            schedule,
        })
    }

    /// Whether no clock alone tells when it is due.
    pub(crate) fn depends_on_runs(&self) -> bool {
        self.schedule.delay().is_some() || self.schedule.is_startup()
    }

    /// The first `count` fire times after `after`, under an override.
    pub(crate) fn upcoming(
        &self,
        over: Option<&Overridden>,
        after: DateTime<Utc>,
        count: usize,
    ) -> Vec<DateTime<Utc>> {
        // To find that there is none takes long.
        if over.is_none()
            && self
                .over
                .is_some_and(|last| last.is_none_or(|last| last <= after))
        {
            return Vec::new();
        }
        upcoming(&self.schedule, over, after, count)
    }

    /// The first fire time after `now` that nobody holds back.
    pub(crate) fn next(
        &self,
        task: &TaskName,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if self.depends_on_runs() {
            return None;
        }
        let over = self.overridden(task, rules);
        let mut after = now;
        for _ in 0..HELD_BACK {
            let next = self.upcoming(over.as_ref(), after, 1).into_iter().next()?;
            if let Some(pause) = rules.pause_of(task.as_str(), next) {
                after = next.max(pause.until - TimeDelta::nanoseconds(1));
            } else if rules.holds_back(task.as_str(), next) {
                after = next;
            } else {
                return Some(next);
            }
        }
        None
    }

    /// The last fire time up to `now` that nobody has held back.
    pub(crate) fn last(
        &self,
        task: &TaskName,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if self.depends_on_runs() || self.over == Some(None) {
            return None;
        }
        let over = self.overridden(task, rules);
        let before = now + TimeDelta::nanoseconds(1);
        let last = match &over {
            Some(over) => over.prev_before(&self.schedule, before),
            None => self.schedule.prev_before(before),
        };
        last.filter(|last| !rules.holds_back(task.as_str(), *last))
    }

    /// The last `count` fire times up to `now` by the schedule alone, latest first.
    #[cfg_attr(not(feature = "admin"), allow(dead_code))] // of the page
    pub(crate) fn past(&self, now: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let mut before = now + TimeDelta::nanoseconds(1);
        let mut past = Vec::new();
        while past.len() < count && !self.depends_on_runs() && self.over != Some(None) {
            let Some(last) = self.schedule.prev_before(before) else {
                break;
            };
            past.push(last);
            before = last;
        }
        past
    }

    /// By when it has to succeed, one grace after its second fire time since its last success.
    pub(crate) fn deadline(
        &self,
        over: Option<&Overridden>,
        since: DateTime<Utc>,
        grace: Duration,
    ) -> Option<DateTime<Utc>> {
        let due = match (over, self.over) {
            (None, Some(None)) => None,
            (None, Some(Some(last))) => Some(last).filter(|last| since < *last),
            _ => self.upcoming(over, since, 2).pop(),
        };
        due?.checked_add_signed(TimeDelta::from_std(grace).ok()?)
    }

    /// What somebody has put in its place, with its own way with changes of the clock.
    pub(crate) fn overridden(&self, task: &TaskName, rules: &Rules) -> Option<Overridden> {
        if self.depends_on_runs() {
            return None;
        }
        let over = rules.overridden(task.as_str())?;
        Some(over.clone().with_dst(self.schedule.dst()))
    }
}
