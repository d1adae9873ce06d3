//! `@after`: the fire time depends on the end of the last run, which the lock knows.
//!
//! Instances learn the end by claiming. As long as a run goes on they look again at least once in
//! every delay, so that none is late: the run cannot have ended before the last look, and what comes
//! next is a whole delay after its end.
//!
//! ```text
//! run on A   |=======|<----- delay ----->|=====
//! B looks    ^held       ^delayed until  ^claims with A: the same instant for both
//!            |<- delay ->|
//! ```
//!
//! A look that finds no fire time decides nothing: a fire time is one that the lock has named.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::error::Error;
use crate::lock::{Acquired, Holder, LastFired, Lock, RunStatus};
use crate::scheduler::claiming::line::{Firing, next_in_line};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::timer::Rearm;

/// The least time between two looks at a run that goes on elsewhere. Its owner knows its end at
/// once, so that this can make only the others late.
const SHORTEST_LOOK: Duration = Duration::from_millis(250);

/// When to claim next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    wait: Duration,
    /// The fire time, if the lock has named it.
    fire_time: Option<DateTime<Utc>>,
}

/// What the lock's answer says of the next fire time of an `@after`; `None` if it settles the one
/// claimed, or if the task is none.
pub(super) fn look(entry: &Entry, answer: &Result<Acquired, Error>) -> Option<Look> {
    let delay = entry.schedule.delay()?;
    Some(match answer {
        Ok(Acquired::Delayed { fire_time, wait }) => Look {
            wait: *wait,
            fire_time: Some(*fire_time),
        },
        Ok(Acquired::Held(Holder { remaining, .. })) => {
            // A little after the end of a lease whose owner may be dead.
            let lease = remaining.map(|left| left + Duration::from_millis(10));
            Look {
                wait: lease
                    .map_or(delay, |lease| lease.min(delay))
                    .max(SHORTEST_LOOK),
                fire_time: None,
            }
        }
        Ok(Acquired::TooLate { .. }) => Look {
            wait: SHORTEST_LOOK,
            fire_time: None,
        },
        _ => return None,
    })
}

/// Takes a firing out whose fire time turned out to be another.
pub(super) fn leave(engine: &Arc<Engine>, firing: &Firing, look: Look) {
    if firing.entry.slot().leave(firing.fire_time) {
        rearm(engine, &firing.entry, look, engine.settings.clock.now());
        next_in_line(engine, &firing.entry);
    }
}

/// A firing of an `@after` was settled without a run here: looks again when a run elsewhere may have
/// ended.
pub(super) fn look_later(engine: &Arc<Engine>, entry: &Arc<Entry>) {
    if let Some(delay) = entry.schedule.delay() {
        let look = Look {
            wait: delay.min(entry.policy.lease_ttl).max(SHORTEST_LOOK),
            fire_time: None,
        };
        rearm(engine, entry, look, engine.settings.clock.now());
    }
}

/// A run has ended here: finds out what the lock has noted as its end, so that this instance names
/// the same fire time as the others.
pub(crate) async fn plan_next(engine: &Arc<Engine>, entry: &Arc<Entry>) {
    let Some(delay) = entry.schedule.delay() else {
        return;
    };
    if engine.quiet.is_cancelled() {
        return;
    }
    let now = engine.settings.clock.now();
    let known = engine
        .lock
        .last_fired(std::slice::from_ref(&entry.key))
        .await;
    let last = known
        .ok()
        .and_then(|known| known.into_iter().next().flatten());
    // While our release is on its way, the end noted is that of the run before, and would name the
    // instant that has just run here.
    let has_ended = |last: &LastFired| last.status != RunStatus::Running;
    let end = last.filter(has_ended).and_then(|last| last.ended_at);
    let look = Look {
        wait: delay,
        fire_time: end.and_then(|end| entry.schedule.next_after(end)),
    };
    rearm(engine, entry, look, now);
}

/// Has the timer look again, counted from `now`.
fn rearm(engine: &Engine, entry: &Arc<Entry>, look: Look, now: DateTime<Utc>) {
    let wait = TimeDelta::from_std(look.wait).unwrap_or(TimeDelta::MAX);
    // A time that chrono cannot count does not come.
    if let Some(due) = now.checked_add_signed(wait) {
        engine.rearm(Rearm {
            entry: entry.clone(),
            // Locks count milliseconds.
            fire_time: look.fire_time.unwrap_or(due).trunc_subsecs(3),
            due,
            is_known: look.fire_time.is_some(),
        });
    }
}
