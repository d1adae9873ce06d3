//! The order of a task's firings: which one is before the lock, and which wait behind it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::defence::{self, Defence};
use crate::event::Decision;
use crate::scheduler::admit::{self, Admission, Facts};
use crate::scheduler::claiming::after;
use crate::scheduler::claiming::batch::Batch;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::Slot;

/// One occurrence of a task.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    pub(crate) entry: Arc<Entry>,
    pub(crate) fire_time: DateTime<Utc>,
}

impl Firing {
    pub(crate) fn new(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self { entry, fire_time }
    }

    pub(super) fn is_misfired(&self, now: DateTime<Utc>) -> bool {
        admit::lateness(self.fire_time, now) > self.entry.patience()
    }
}

/// Settles firings that have come due, those that need the lock in one request. Never waits.
pub(crate) fn dispatch(engine: &Arc<Engine>, mut firings: Vec<Firing>) {
    if !defence::holds(Defence::Order) {
        firings.reverse();
    }
    let mut to_claim = Vec::with_capacity(firings.len());
    for firing in firings {
        if let Some(displaced) = firing.entry.slot().displace_held() {
            engine.decide(&firing.entry, displaced, Decision::Overlap, None);
        }
        if admit_firing(engine, &firing) {
            to_claim.push(firing);
        }
    }
    if !to_claim.is_empty() {
        claim_together(engine, to_claim);
    }
}

/// Says whether the lock is to be asked for a firing now; otherwise it has been decided, or waits.
fn admit_firing(engine: &Engine, firing: &Firing) -> bool {
    let Firing { entry, fire_time } = firing;
    let mut decided = Vec::new();
    let may_claim = {
        let mut slot = entry.slot();
        match admit::admit(facts(engine, entry, &slot, *fire_time)) {
            Admission::Decide(decision) => {
                decided.push((*fire_time, decision));
                false
            }
            Admission::Claim if slot.try_front(*fire_time) => true,
            Admission::Claim | Admission::Wait => {
                decided = slot.wait(*fire_time);
                false
            }
        }
    };
    for (fire_time, decision) in decided {
        let holder = (decision == Decision::Overlap).then(|| engine.settings.instance.clone());
        engine.decide(entry, fire_time, decision, holder);
    }
    may_claim
}

fn facts(engine: &Engine, entry: &Entry, slot: &Slot, fire_time: DateTime<Utc>) -> Facts {
    Facts {
        fire_time,
        now: engine.settings.clock.now(),
        misfire_threshold: entry.patience(),
        spread: entry.spread,
        is_draining: engine.quiet.is_cancelled(),
        running_since: slot.running.as_ref().map(|r| r.facts.started),
    }
}

/// The firings of `entry` that wait get their turn: what was before them is settled.
pub(crate) fn next_in_line(engine: &Arc<Engine>, entry: &Arc<Entry>) {
    loop {
        let (fire_time, admission) = {
            let mut slot = entry.slot();
            let Some(fire_time) = slot.first_waiting() else {
                return;
            };
            let admission = admit::admit(facts(engine, entry, &slot, fire_time));
            match admission {
                Admission::Wait => return,
                Admission::Claim => slot.promote_waiting(),
                Admission::Decide(_) => slot.drop_waiting(),
            }
            (fire_time, admission)
        };
        if let Admission::Decide(decision) = admission {
            engine.decide(entry, fire_time, decision, None);
            continue;
        }
        return claim_together(engine, vec![Firing::new(entry.clone(), fire_time)]);
    }
}

fn claim_together(engine: &Arc<Engine>, firings: Vec<Firing>) {
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move { Batch::new(&engine, firings).settle().await });
}

/// Ends the front of a task's slot with `decision`, and lets the next one in.
pub(super) fn settle(
    engine: &Arc<Engine>,
    firing: &Firing,
    decision: Decision,
    holder: Option<Arc<str>>,
) {
    // Whoever took the front away has announced its decision.
    if firing.entry.slot().leave(firing.fire_time) {
        engine.decide(&firing.entry, firing.fire_time, decision, holder);
        next_in_line(engine, &firing.entry);
        after::look_later(engine, &firing.entry);
    }
}
