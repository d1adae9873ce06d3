//! The first fire time of a task, from its past, and the part of a start that is left to chance.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::defence::{self, Defence};
use crate::lock::LastFired;
use crate::scheduler::admit;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::spread;
use crate::scheduler::timeline::Timetable;

/// How much later a firing starts by chance: before the task's next fire time, so that firings stay
/// in their order.
pub(super) fn jitter(engine: &Engine, entry: &Entry, fire_time: DateTime<Utc>) -> Duration {
    let max = entry.policy.jitter;
    if max.is_zero() {
        return max;
    }
    let next = entry.schedule.next_after(fire_time);
    let room = next.and_then(|next| (next - fire_time).to_std().ok());
    spread::draw(room.map_or(max, |room| max.min(room)), engine.random())
}

/// The first fire time of a task of whose past `last` tells: from its last firing on, as far as that
/// is not misfired by now, or from now on if it has never fired.
pub(super) fn first_fire_time(
    entry: &Entry,
    timetable: Timetable<'_>,
    last: Option<LastFired>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    if entry.lacks_kind && entry.depends_on_runs() {
        return None;
    }
    if entry.schedule.is_startup() {
        return Some(now);
    }
    if entry.schedule.delay().is_some() {
        // A first run has nothing to wait for. One that goes on now is found out by claiming.
        let after_last = last
            .and_then(|last| last.ended_at)
            .and_then(|end| entry.schedule.next_after(end));
        return Some(after_last.map_or(now, |next| next.max(now)));
    }
    // It may be for us to run it again: the lock knows whether somebody still does.
    if let Some(fired) = entry.unfinished(last.as_ref())
        && admit::lateness(fired, now) <= entry.longest_patience()
        && let before = fired - TimeDelta::milliseconds(1)
        && timetable.next_after(before) == Some(fired)
    {
        return Some(fired);
    }
    let threshold = TimeDelta::from_std(entry.patience()).unwrap_or_default();
    let Some(LastFired {
        fire_time: Some(fired),
        ..
    }) = last.filter(|_| defence::holds(Defence::CatchUp))
    else {
        return timetable.next_after(now);
    };
    timetable.next_after(fired.max(now - threshold))
}
