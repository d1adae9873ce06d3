//! The registered tasks.

mod registered;

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::defence::{self, Defence};
use crate::error::{Error, Result};
use crate::lock::{LastFired, RunStatus};
use crate::schedule::{DstPolicy, Schedule};
use crate::scheduler::pool::{Plan, Pool};
use crate::scheduler::slot::Slot;
use crate::scheduler::spread::{self, Fingerprint};
use crate::task::{
    self, Misfire, OnStoreDown, Overlap, Policy, Recovery, Scope, Shard, Task, TaskName,
};

pub(crate) use registered::{News, Registry};

/// How many firings of one task wait behind another: enough for a clock that is ahead of the store's
/// by a minute.
const MOST_WAITING: usize = 64;
/// How late a firing may start that may start late.
const LONGEST_PATIENCE: Duration = Duration::from_secs(7 * 86_400);

/// What a task has that does not say otherwise, and where and when it is registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults<'a> {
    pub(crate) timezone: Tz,
    pub(crate) dst: DstPolicy,
    pub(crate) instance: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// One registered task, or one part of it: what it said at registration, and its place in the engine.
pub(crate) struct Entry {
    pub(crate) name: TaskName,
    /// The name under which the lock knows it: that of the task, or of its part.
    pub(crate) key: TaskName,
    pub(crate) shard: Option<Shard>,
    pub(crate) spec: Arc<str>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) timeout: Duration,
    pub(crate) policy: Arc<Policy>,
    /// By how much later than its fire times the task starts: its part of the policy's spread, and its
    /// turn among the parts of a task.
    pub(crate) spread: Duration,
    /// What its schedule is, in short: the same on all instances that have the same.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) registered: DateTime<Utc>,
    /// Its firings wait for somebody outside to say that it is time.
    pub(crate) is_driven: bool,
    /// The kind of a task defined at run time.
    pub(crate) kind: Option<Arc<str>>,
    /// Its kind is not known here, so that others have to run it.
    pub(crate) lacks_kind: bool,
    /// Where in the code it was registered, if that is known.
    #[cfg_attr(not(any(feature = "admin", feature = "cli")), allow(dead_code))]
    pub(crate) source: Option<&'static Location<'static>>,
    pub(crate) task: Arc<dyn Task>,
    /// It was taken out, or another entry has its place.
    is_retired: AtomicBool,
    /// Its number in the timer, which alone sets and reads it.
    pub(crate) place: AtomicUsize,
    // Held for a look or a change of a few fields, never across an await. An entry that takes the place
    // of another has the slot of that one.
    slot: Arc<Mutex<Slot>>,
}

impl Entry {
    /// Reads and checks what a task says of itself; `defaults` are for what it does not say. Of a
    /// task in parts, an entry for each.
    pub(crate) fn new(
        task: Arc<dyn Task>,
        defaults: Defaults<'_>,
        pool: &Pool,
    ) -> Result<Vec<Self>> {
        let name: TaskName = task.name().parse()?;
        let of_task = |e: Error| e.context(format_args!("task {name}"));
        let policy = task.policy();
        let timeout = task.timeout();
        task::check_timeout(timeout).map_err(of_task)?;
        let zone = policy.timezone.unwrap_or(defaults.timezone);
        let dst = policy.dst.unwrap_or(defaults.dst);
        let plan = pool.plan(task.spec(), zone, dst);
        let Plan { spec, timetable } = plan.map_err(|e| of_task(e.into()))?;
        let schedule = timetable.schedule;
        let fingerprint = match policy.scope {
            Scope::Sharded(count) => Fingerprint::of_parts(&schedule, count),
            _ => timetable.fingerprint,
        };
        let depends_on_runs = schedule.delay().is_some() || schedule.is_startup();
        policy.validate(depends_on_runs).map_err(of_task)?;
        let spread = spread::part(name.as_str(), policy.spread);
        let scope = policy.scope;
        let policy = pool.policy(policy);
        let entry = |shard: Option<Shard>, turn: Duration| Self {
            name: name.clone(),
            key: shard.map_or_else(|| name.clone(), |shard| name.part(shard.index)),
            shard,
            spec: spec.clone(),
            fingerprint,
            registered: defaults.now,
            is_driven: false,
            schedule: schedule.clone(),
            timeout,
            policy: policy.clone(),
            spread: spread + turn,
            kind: None,
            lacks_kind: false,
            source: None,
            task: task.clone(),
            is_retired: AtomicBool::new(false),
            place: AtomicUsize::new(usize::MAX),
            slot: Arc::default(),
        };
        let Scope::Sharded(count) = scope else {
            return Ok(vec![entry(None, Duration::ZERO)]);
        };
        let turns = spread::turns(defaults.instance, name.as_str(), count);
        let parts = (0..count).zip(turns).map(|(index, turn)| {
            let shard = Shard { index, count };
            entry(Some(shard), turn)
        });
        Ok(parts.collect())
    }

    /// Whether it stands for its task: it is the task, or the first of its parts.
    pub(crate) fn is_first(&self) -> bool {
        self.shard.is_none_or(|shard| shard.index == 0)
    }

    /// When a run that starts at `started` will time out; the end of time for one that never will.
    pub(crate) fn deadline(&self, started: DateTime<Utc>) -> DateTime<Utc> {
        let timeout = TimeDelta::from_std(self.timeout).ok();
        let at = timeout.and_then(|timeout| started.checked_add_signed(timeout));
        at.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Whether no clock alone tells when it is due: `@after` and `@startup`.
    pub(crate) fn depends_on_runs(&self) -> bool {
        self.schedule.delay().is_some() || self.schedule.is_startup()
    }

    /// Whether its lock may be taken before its fire time: that has to be known, and a lock needed.
    pub(crate) fn can_be_armed(&self) -> bool {
        !self.depends_on_runs() && self.policy.scope != Scope::EveryInstance && !self.lacks_kind
    }

    /// How long after its fire time a firing may be found, and may wait for the lock's store or for
    /// a place among the runs; longer than anything for those that wait until they can.
    pub(crate) fn patience(&self) -> Duration {
        match self.policy.misfire {
            Misfire::Skip if !self.depends_on_runs() => {
                self.policy.misfire_threshold + self.planned_delay()
            }
            _ => self.longest_patience(),
        }
    }

    /// How long after its fire time a firing may start at all: one that came in time and waited for
    /// another run, or one that is run again as its instance died.
    pub(crate) fn longest_patience(&self) -> Duration {
        if self.depends_on_runs() {
            return Duration::MAX;
        }
        let late = if self.policy.may_start_late() {
            self.policy.start_deadline.unwrap_or(LONGEST_PATIENCE)
        } else {
            self.policy.misfire_threshold
        };
        late + self.planned_delay()
    }

    fn planned_delay(&self) -> Duration {
        self.spread + self.policy.jitter
    }

    /// Whether its firings wait for the end of another run.
    pub(crate) fn queues(&self) -> bool {
        matches!(self.policy.overlap, Overlap::QueueOne | Overlap::Replace)
    }

    /// Whether a run whose instance died is run again.
    pub(crate) fn reruns(&self) -> bool {
        self.policy.recovery != Recovery::Skip
    }

    /// The last fire time, if its run has not ended and is run again should it have died.
    pub(crate) fn unfinished(&self, last: Option<&LastFired>) -> Option<DateTime<Utc>> {
        let last = last.filter(|_| self.reruns() && defence::holds(Defence::CatchUp))?;
        let has_ended = !matches!(last.status, RunStatus::Running | RunStatus::Cancelled);
        last.fire_time.filter(|_| !has_ended)
    }

    /// How many of its firings may wait at once.
    pub(crate) fn queue(&self) -> usize {
        match (self.policy.overlap, self.policy.misfire) {
            (Overlap::QueueOne | Overlap::Replace, _) => 1,
            (_, Misfire::RunAll(max)) => (max as usize).max(MOST_WAITING),
            _ => MOST_WAITING,
        }
    }

    /// How many of its firings may wait behind one that waits for a store that is down: when that is
    /// back, one catches up, and the newest. Those that run without it have their turn each; no more
    /// than come due within the misfire threshold.
    pub(crate) fn queue_in_outage(&self) -> usize {
        match (self.policy.on_store_down, self.policy.misfire) {
            (OnStoreDown::RunLocally, _) => usize::MAX,
            (_, Misfire::RunAll(_)) => self.queue(),
            _ => 1,
        }
    }

    /// Whether it is not to fire any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }

    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    /// Takes the place of `old`, with what goes on there.
    #[cfg(feature = "dynamic")]
    pub(crate) fn take_slot_of(&mut self, old: &Self) {
        self.slot = old.slot.clone();
    }

    /// Whether one has the place of the other.
    pub(crate) fn has_slot_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slot, &other.slot)
    }

    pub(crate) fn slot(&self) -> MutexGuard<'_, Slot> {
        // No code that can panic runs while it is held.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_waits_is_small() {
        assert!(size_of::<Entry>() <= 336, "{}", size_of::<Entry>());
        assert!(size_of::<Slot>() <= 160, "{}", size_of::<Slot>());
    }
}
