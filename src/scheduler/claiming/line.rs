//! The order of a task's firings: which one is before the lock, and which wait behind it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::defence::{self, Defence};
use crate::error::Error;
use crate::event::{Decision, Event, RunRequest, Trigger};
use crate::lock::Acquired;
use crate::scheduler::admit::{self, Admission, Facts};
use crate::scheduler::claiming::after;
use crate::scheduler::claiming::batch::Batch;
use crate::scheduler::engine::Engine;
use crate::scheduler::firing;
use crate::scheduler::limits::Permit;
use crate::scheduler::peers::Turns;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::{Hold, Slot, Waiting};
use crate::task::{OnStoreDown, Recovery, RunId, Scope};

/// One occurrence of a task.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    pub(crate) entry: Arc<Entry>,
    pub(crate) fire_time: DateTime<Utc>,
    /// It was taken before by an instance that died, and decided here then.
    pub(crate) is_rerun: bool,
    /// Its instance may have died, so that it may be run again: by then it may be old.
    pub(crate) is_unfinished: bool,
    /// When it could first have started: its fire time, or the end of a run that it waited for.
    pub(crate) since: DateTime<Utc>,
    /// It runs without asking the lock, whose store is down.
    pub(crate) is_local: bool,
    /// When its run starts, if its lock is asked before.
    pub(crate) starts_at: Option<DateTime<Utc>>,
    /// Its place among the runs that may go on at once; it needs one to be claimed.
    pub(crate) permit: Option<Arc<Permit>>,
    /// Why it runs, if not as it is due.
    pub(crate) trigger: Trigger,
    /// It is no firing of the schedule: somebody asked for it, under this id.
    pub(crate) manual: Option<Arc<Manual>>,
}

/// A run that somebody asked for.
#[derive(Debug)]
pub(crate) struct Manual {
    pub(crate) run_id: RunId,
    pub(crate) request: Arc<RunRequest>,
}

impl Firing {
    pub(crate) fn new(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self {
            entry,
            fire_time,
            is_rerun: false,
            is_unfinished: false,
            since: fire_time,
            is_local: false,
            starts_at: None,
            permit: None,
            trigger: Trigger::Schedule,
            manual: None,
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

    /// One that an instance has taken that may have died.
    pub(crate) fn unfinished(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self {
            is_unfinished: true,
            ..Self::new(entry, fire_time)
        }
    }

    /// The last one that a pause held back, to be made up for: it was decided then.
    pub(crate) fn made_up(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self {
            is_rerun: true,
            trigger: Trigger::CatchUp,
            ..Self::new(entry, fire_time)
        }
    }

    /// One that somebody asked for, beside the schedule.
    pub(crate) fn manual(entry: Arc<Entry>, fire_time: DateTime<Utc>, manual: Manual) -> Self {
        Self {
            is_rerun: true,
            trigger: match manual.request.again {
                Some(_) => Trigger::RetryOf,
                None => Trigger::Manual,
            },
            manual: Some(Arc::new(manual)),
            ..Self::new(entry, fire_time)
        }
    }

    /// Whether it makes up for what a pause has held back.
    pub(crate) fn is_made_up(&self) -> bool {
        self.is_rerun && self.trigger == Trigger::CatchUp
    }

    /// One that waited for those before it.
    fn of(entry: Arc<Entry>, Waiting { fire_time, since }: Waiting) -> Self {
        Self {
            since: if entry.queues() { since } else { fire_time },
            ..Self::new(entry, fire_time)
        }
    }

    pub(super) fn as_waiting(&self) -> Waiting {
        Waiting {
            fire_time: self.fire_time,
            since: self.since,
        }
    }

    /// Another run goes on. By its policy it may be waited for, however long that takes.
    pub(super) fn note_other_run(&mut self, now: DateTime<Utc>) {
        if self.entry.queues() {
            self.since = now;
        }
    }

    /// Whether others go first: there is time to look whether they have, and nothing more to know than
    /// that.
    pub(super) fn is_for_others(&self, turns: &Turns) -> bool {
        let is_plain = self.entry.policy.recovery == Recovery::Skip && !self.is_rerun;
        self.starts_at.is_some() && is_plain && !turns.is_ours(self.entry.key.as_str())
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

    /// Whether it has waited for the store for as long as it may: since it could have started, or since
    /// its fire time if the store has been down for as long.
    pub(super) fn has_asked_enough(&self, engine: &Engine) -> bool {
        let now = engine.settings.clock.now();
        let patience = self.entry.patience();
        let is_long = |since| admit::lateness(since, now) > patience;
        let is_old = is_long(self.fire_time) && !self.is_unfinished;
        self.is_misfired(now) || is_old && engine.health.store_down_since().is_some_and(is_long)
    }

    pub(super) fn is_misfired(&self, now: DateTime<Utc>) -> bool {
        if self.is_made_up() {
            return false;
        }
        let Self { entry, since, .. } = self;
        let is_over = admit::lateness(self.fire_time, now) > entry.longest_patience();
        let is_late = admit::lateness(*since, now) > entry.patience();
        (is_over && !self.is_local) || (is_late && !self.is_unfinished)
    }
}

/// Settles firings that have come due, those that need the lock in one request. Never waits.
pub(crate) fn dispatch(engine: &Arc<Engine>, mut firings: Vec<Firing>) {
    if !defence::holds(Defence::Order) {
        firings.reverse();
    }
    let mut to_claim = Vec::with_capacity(firings.len());
    for mut firing in firings {
        if firing.entry.is_retired() {
            match engine.registry.current(&firing.entry) {
                Some(entry) => firing.entry = entry,
                None => continue,
            }
        }
        if firing.entry.lacks_kind {
            if !firing.is_made_up() {
                engine.decide(&firing.entry, firing.fire_time, Decision::Limited, None);
            }
            continue;
        }
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
    let (may_claim, runs_here) = {
        let mut slot = entry.slot();
        let runs_here = !slot.running.is_empty();
        let may_claim = match admit::admit(facts(engine, firing, &slot)) {
            Admission::Decide(decision) => {
                if !firing.is_made_up() {
                    decided.push((*fire_time, decision));
                }
                false
            }
            Admission::Claim if slot.try_front(*fire_time) => true,
            // What goes on or waits here is newer.
            _ if firing.is_made_up() => false,
            admission @ (Admission::Claim | Admission::Wait | Admission::Replace) => {
                if admission == Admission::Replace {
                    slot.replace_running();
                }
                let (most, most_in_outage) = (entry.queue(), entry.queue_in_outage());
                decided = slot.wait(firing.as_waiting(), most, most_in_outage);
                false
            }
        };
        (may_claim, runs_here)
    };
    for (fire_time, decision) in decided {
        if decision == Decision::StoreDown {
            announce_failure(engine, entry, fire_time);
        }
        let is_local = runs_here && decision == Decision::Overlap;
        let holder = is_local.then(|| engine.settings.instance.clone());
        engine.decide(entry, fire_time, decision, holder);
    }
    may_claim
}

fn facts(engine: &Engine, firing: &Firing, slot: &Slot) -> Facts {
    let entry = &firing.entry;
    Facts {
        fire_time: firing.fire_time,
        is_misfired: firing.is_misfired(engine.settings.clock.now()),
        spread: entry.spread,
        is_draining: engine.quiet.is_cancelled() || engine.steering.is_drained(),
        is_held_back: !firing.is_made_up()
            && engine.steering.holds_back(&entry.name, firing.fire_time),
        overlap: entry.policy.overlap,
        running_since: slot.running.last().map(|r| r.facts.started),
        running: slot.running.len(),
    }
}

/// The firings of `entry` that wait get their turn: what was before them is settled.
///
/// If another entry has its place, they are that one's; if its task was taken out, they end here.
pub(crate) fn next_in_line(engine: &Arc<Engine>, entry: &Arc<Entry>) {
    let current = engine.registry.current(entry);
    let Some(entry) = current.as_ref().filter(|entry| !entry.lacks_kind) else {
        let decision = match current {
            Some(_) => Decision::Limited,
            None => Decision::Draining,
        };
        let (held, waiting) = {
            let mut slot = entry.slot();
            (slot.displace_held(), slot.clear_waiting())
        };
        if let Some((fire_time, decision)) = held {
            engine.decide(entry, fire_time, decision, None);
        }
        for fire_time in waiting {
            engine.decide(entry, fire_time, decision, None);
        }
        return engine.see_off(entry);
    };
    loop {
        let (firing, admission) = {
            let mut slot = entry.slot();
            let Some(waiting) = slot.first_waiting() else {
                return;
            };
            let firing = Firing::of(entry.clone(), waiting);
            let admission = admit::admit(facts(engine, &firing, &slot));
            match admission {
                Admission::Wait | Admission::Replace => return,
                Admission::Claim => slot.promote_waiting(),
                Admission::Decide(_) => slot.drop_waiting(),
            }
            (firing, admission)
        };
        if let Admission::Decide(decision) = admission {
            let is_local = decision == Decision::Overlap;
            let holder = is_local.then(|| engine.settings.instance.clone());
            engine.decide(entry, firing.fire_time, decision, holder);
            continue;
        }
        return claim_together(engine, vec![firing]);
    }
}

/// Claims firings that are the fronts of their tasks.
pub(crate) fn claim_together(engine: &Arc<Engine>, firings: Vec<Firing>) {
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
    let is_local = |f: &Firing| f.is_local || f.entry.policy.scope == Scope::EveryInstance;
    let (local, firings): (Vec<_>, Vec<_>) = firings.into_iter().partition(is_local);
    if !local.is_empty() {
        for firing in local {
            firing::start_unlocked(engine, &firing);
        }
        firing::wake_another_thread();
    }
    if firings.is_empty() {
        return;
    }
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move { Batch::new(&engine, firings).settle().await });
}

/// Runs the front of a task's slot without the lock, as soon as it has a place.
pub(super) fn run_locally(engine: &Arc<Engine>, firing: Firing) {
    if engine.quiet.is_cancelled() {
        return settle(engine, &firing, Decision::Draining, None);
    }
    let (entry, fire_time) = (firing.entry.clone(), firing.fire_time);
    if entry.slot().hold(fire_time, Hold::Answer) {
        let firing = Firing {
            is_local: true,
            since: engine.settings.clock.now(),
            ..firing
        };
        claim_together(engine, vec![firing]);
    }
}

/// Counts a firing that ends because of the store as a failure, if its policy says so.
pub(super) fn announce_failure(engine: &Engine, entry: &Entry, fire_time: DateTime<Utc>) {
    if entry.policy.on_store_down == OnStoreDown::Fail {
        engine.announce(&Event::FiringFailed {
            task: entry.name.clone(),
            fire_time,
            error: "its lock's store could not be asked in time, or was replaced meanwhile".into(),
        });
    }
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
        if let Some(entry) = engine.registry.current(&firing.entry) {
            after::look_later(engine, &entry);
        }
    }
}
