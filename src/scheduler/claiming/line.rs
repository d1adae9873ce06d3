//! The order of a task's firings: which one is before the lock, and which wait behind it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::defence::{self, Defence};
use crate::error::Error;
use crate::event::Decision;
use crate::lock::Acquired;
use crate::scheduler::admit::{self, Admission, Facts};
use crate::scheduler::claiming::after;
use crate::scheduler::claiming::batch::Batch;
use crate::scheduler::engine::Engine;
use crate::scheduler::firing;
use crate::scheduler::limits::Permit;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::Slot;
use crate::task::{Misfire, Scope};

/// One occurrence of a task.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    pub(crate) entry: Arc<Entry>,
    pub(crate) fire_time: DateTime<Utc>,
    /// It was taken before by an instance that died, and decided here then.
    pub(crate) is_rerun: bool,
    /// When its run starts, if its lock is asked before.
    pub(crate) starts_at: Option<DateTime<Utc>>,
    /// Its place among the runs that may go on at once; it needs one to be claimed.
    pub(crate) permit: Option<Arc<Permit>>,
}

impl Firing {
    pub(crate) fn new(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self {
            entry,
            fire_time,
            is_rerun: false,
            starts_at: None,
            permit: None,
        }
    }

    /// One that is to start at `starts_at`, and whose lock is asked now.
    pub(crate) fn ahead(
        entry: Arc<Entry>,
        fire_time: DateTime<Utc>,
        starts_at: DateTime<Utc>,
    ) -> Self {
        Self {
            starts_at: Some(starts_at),
            ..Self::new(entry, fire_time)
        }
    }

    /// How long to wait before the lock is asked again, if it was asked ahead of time and may say
    /// something else then.
    pub(super) fn too_soon(
        &self,
        answer: &Result<Acquired, Error>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let left = (self.starts_at? - now).to_std().ok();
        let left = left.filter(|left| !left.is_zero())?;
        match answer {
            Ok(Acquired::Held(_)) => Some(left),
            Ok(Acquired::TooEarly { wait }) => Some(left.min(*wait)),
            _ => None,
        }
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
        let displaced = firing.entry.slot().displace_held();
        if let Some((fire_time, decision)) = displaced {
            engine.decide(&firing.entry, fire_time, decision, None);
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
    let Firing {
        entry, fire_time, ..
    } = firing;
    let mut decided = Vec::new();
    let may_claim = {
        let mut slot = entry.slot();
        match admit::admit(facts(engine, entry, &slot, *fire_time)) {
            Admission::Decide(decision) => {
                decided.push((*fire_time, decision));
                false
            }
            Admission::Claim if slot.try_front(*fire_time) => true,
            admission @ (Admission::Claim | Admission::Wait | Admission::Replace) => {
                if admission == Admission::Replace {
                    slot.replace_running();
                }
                let keeps_all = matches!(entry.policy.misfire, Misfire::RunAll(_));
                decided = slot.wait(*fire_time, entry.queue(), keeps_all);
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
        patience: entry.patience(),
        spread: entry.spread,
        is_draining: engine.quiet.is_cancelled(),
        overlap: entry.policy.overlap,
        running_since: slot.running.last().map(|r| r.facts.started),
        running: slot.running.len(),
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
                Admission::Wait | Admission::Replace => return,
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

/// Claims firings that are the fronts of their tasks.
pub(super) fn claim_together(engine: &Arc<Engine>, firings: Vec<Firing>) {
    claim_admitted(engine, engine.limits.admit(firings));
}

/// Firings that waited for others to end, of which some may have: claims those that may run now.
pub(crate) fn claim_those_ready(engine: &Arc<Engine>) {
    let now = engine.settings.clock.now();
    let (ready, late) = engine.limits.take_ready(|firing| firing.is_misfired(now));
    for firing in late {
        settle(engine, &firing, Decision::Limited, None);
    }
    claim_admitted(engine, ready);
}

fn claim_admitted(engine: &Arc<Engine>, firings: Vec<Firing>) {
    let is_local = |f: &Firing| f.entry.policy.scope == Scope::EveryInstance;
    let (local, firings): (Vec<_>, Vec<_>) = firings.into_iter().partition(is_local);
    for firing in local {
        firing::start_unlocked(engine, &firing);
    }
    if firings.is_empty() {
        return;
    }
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move { Batch::new(&engine, firings).settle().await });
}

/// Ends the front of a task's slot with `decision`, and lets the next one in.
pub(crate) fn settle(
    engine: &Arc<Engine>,
    firing: &Firing,
    decision: Decision,
    holder: Option<Arc<str>>,
) {
    // Whoever took the front away has announced its decision.
    if firing.entry.slot().leave(firing.fire_time) {
        if !firing.is_rerun {
            engine.decide(&firing.entry, firing.fire_time, decision, holder);
        }
        next_in_line(engine, &firing.entry);
        after::look_later(engine, &firing.entry);
    }
}
