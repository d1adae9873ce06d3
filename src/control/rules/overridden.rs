//! What an override makes of a schedule.

use chrono::{DateTime, TimeDelta, Utc};

use crate::control::rules::Override;
use crate::schedule::{DstPolicy, Schedule};

/// An override as the engine follows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overridden {
    pub(crate) schedule: Schedule,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

impl Overridden {
    /// One that is read with the code's policy for changes of the clock.
    pub(super) fn of(other: &Override) -> Option<Self> {
        Some(Self {
            schedule: other.schedule().ok()?,
            from: other.from,
            until: other.until,
        })
    }

    pub(crate) fn with_dst(mut self, dst: DstPolicy) -> Self {
        self.schedule = self.schedule.with_dst(dst);
        self
    }

    fn covers(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    /// The first fire time after `after` of a task whose code has the schedule `code`.
    pub(crate) fn next_after(
        &self,
        code: &Schedule,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let just_before = |at: DateTime<Utc>| after.max(at - TimeDelta::nanoseconds(1));
        if after < self.from
            && let Some(next) = code.next_after(after).filter(|next| *next < self.from)
        {
            return Some(next);
        }
        if after < self.until
            && let Some(next) = self.schedule.next_after(just_before(self.from))
            && self.covers(next)
        {
            return Some(next);
        }
        code.next_after(just_before(self.until))
    }

    /// The last fire time before `before`.
    pub(crate) fn prev_before(
        &self,
        code: &Schedule,
        before: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if before > self.until
            && let Some(last) = code.prev_before(before).filter(|last| *last >= self.until)
        {
            return Some(last);
        }
        if before > self.from
            && let Some(last) = self.schedule.prev_before(before.min(self.until))
            && self.covers(last)
        {
            return Some(last);
        }
        code.prev_before(before.min(self.from))
    }
}

/// The first `count` fire times after `after`.
pub(crate) fn upcoming(
    code: &Schedule,
    over: Option<&Overridden>,
    after: DateTime<Utc>,
    count: usize,
) -> Vec<DateTime<Utc>> {
    let next = |after: &DateTime<Utc>| match over {
        Some(over) => over.next_after(code, *after),
        None => code.next_after(*after),
    };
    std::iter::successors(next(&after), next)
        .take(count)
        .collect()
}
