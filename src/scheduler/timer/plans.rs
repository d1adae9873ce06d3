//! What the timer waits for: the next firing of each task, as schedules, people and ended runs have it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use super::Timer;
use super::fire_time::{first_fire_time, jitter};
use crate::event::Event;
use crate::lock::LastFired;
use crate::scheduler::registry::{Entry, News};
use crate::scheduler::timeline::Timetable;

/// A task is not driven earlier than this before its fire time, as clocks that differ may do.
const EARLIEST_NUDGE: TimeDelta = TimeDelta::milliseconds(500);

/// A task, and what the timer waits for.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entry: Arc<Entry>,
    pub(super) next: Option<Planned>,
    /// The fire time whose run had not ended when the scheduler started, to be run again if its
    /// instance died.
    pub(super) unfinished: Option<DateTime<Utc>>,
    /// The last fire time that was handed on.
    pub(super) fired: Option<DateTime<Utc>>,
}

impl Known {
    pub(super) fn is_idle(&self) -> bool {
        self.entry.slot().is_idle()
    }
}

/// A fire time, and when its firing starts: later by spread and jitter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) fire_time: DateTime<Utc>,
    pub(super) start: DateTime<Utc>,
}

impl Timer {
    /// Puts a task into the timeline.
    pub(super) fn adopt(&mut self, entry: Arc<Entry>, last: Option<LastFired>, now: DateTime<Utc>) {
        let unfinished = entry.unfinished(last.as_ref());
        let next = self.first(&entry, last, now);
        let known = Known {
            entry,
            next: None,
            unfinished,
            fired: None,
        };
        let task = match self.free.pop() {
            Some(task) => task,
            None => {
                self.tasks.push(None);
                self.tasks.len() - 1
            }
        };
        known.entry.place.store(task, Ordering::Relaxed);
        if let Some(place) = self.tasks.get_mut(task) {
            *place = Some(known);
        }
        self.set_next(task, next);
    }

    /// The first fire time of a task, by its schedule or what overrides it.
    fn first(
        &self,
        entry: &Entry,
        last: Option<LastFired>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let over = self.engine.steering.overridden(entry);
        let timetable = Timetable::new(&entry.schedule, over.as_ref());
        first_fire_time(entry, timetable, last, now)
    }

    pub(super) fn known(&mut self, task: usize) -> Option<&mut Known> {
        self.tasks.get_mut(task)?.as_mut()
    }

    /// The number of a task, if it is known.
    fn number(&self, entry: &Arc<Entry>) -> Option<usize> {
        let task = entry.place.load(Ordering::Relaxed);
        let known = self.tasks.get(task)?.as_ref()?;
        Arc::ptr_eq(&known.entry, entry).then_some(task)
    }

    /// Hears of tasks that came, changed and went.
    pub(super) fn take_news(&mut self, now: DateTime<Utc>) {
        for news in self.engine.registry.news() {
            match news {
                News::Added(entry) => self.adopt(entry, None, now),
                #[cfg(feature = "dynamic")]
                News::Replaced(old, entry) => self.replace(&old, entry, now),
                News::Removed(entry) => self.forget(&entry),
            }
        }
    }

    fn forget(&mut self, entry: &Arc<Entry>) {
        let Some(task) = self.number(entry) else {
            return;
        };
        self.unplan(task);
        if let Some(place) = self.tasks.get_mut(task) {
            *place = None;
            self.free.push(task);
        }
    }

    /// Puts an entry in the place of another, whose next firing is its own if they have the same
    /// schedule.
    #[cfg(feature = "dynamic")]
    fn replace(&mut self, old: &Arc<Entry>, entry: Arc<Entry>, now: DateTime<Utc>) {
        let Some(task) = self.number(old) else {
            return;
        };
        let planned = self.unplan(task);
        entry.place.store(task, Ordering::Relaxed);
        let mut since = now;
        if let Some(known) = self.known(task) {
            known.entry = entry.clone();
            // What was handed on of the old one is decided, here or elsewhere.
            since = known.fired.map_or(now, |fired| fired.max(now));
        }
        let is_same = *entry.fingerprint == *old.fingerprint;
        let kept = planned.map(|planned| planned.fire_time);
        if entry.lacks_kind && entry.depends_on_runs() {
            self.set_next(task, None);
        } else if entry.schedule.delay().is_some() {
            // The lock knows how long it still is; of a run that goes on here, its end tells.
            let is_under_way = old.schedule.delay().is_some() && kept.is_none() && !old.lacks_kind;
            let look = (!is_under_way).then_some(now);
            self.plan(task, look, look, false);
        } else if is_same && !(entry.schedule.is_startup() && old.lacks_kind) {
            self.set_next(task, kept);
        } else {
            let next = self.first(&entry, None, since);
            self.set_next(task, next);
        }
    }

    /// Takes a task's next firing out of the timeline.
    fn unplan(&mut self, task: usize) -> Option<Planned> {
        let planned = self.known(task)?.next.take()?;
        self.timeline.remove(planned.start, task);
        self.ahead.remove(planned.start, task);
        Some(planned)
    }

    pub(super) fn set_next(&mut self, task: usize, next: Option<DateTime<Utc>>) {
        self.plan(task, next, next, true);
    }

    /// Plans a task's next firing for `due`, and later by spread and jitter.
    pub(super) fn plan(
        &mut self,
        task: usize,
        fire_time: Option<DateTime<Utc>>,
        due: Option<DateTime<Utc>>,
        is_known: bool,
    ) {
        self.unplan(task);
        let Some(Some(Known { entry, next, .. })) = self.tasks.get_mut(task) else {
            return;
        };
        let at = fire_time.filter(|_| is_known);
        entry.slot().next_fire = at;
        if entry.is_first() && !entry.is_retired() {
            self.engine.announce(&Event::NextFire {
                task: entry.name.clone(),
                at,
            });
        }
        if let (Some(fire_time), Some(due)) = (fire_time, due) {
            let start = due + entry.spread + jitter(&self.engine, entry, fire_time);
            *next = Some(Planned { fire_time, start });
            if entry.is_driven {
                return;
            }
            let group = entry.policy.group.as_deref();
            let has_room = !self.engine.limits.apply_to(group);
            // One that comes so soon is looked at when it is due: its predecessor was late.
            let longest = TimeDelta::from_std(self.engine.lead.longest()).unwrap_or_default();
            let is_far = self.last_look.is_none_or(|look| start - look.now > longest);
            let is_ahead = has_room && is_known && is_far && entry.can_be_armed();
            match is_ahead && !self.engine.lead.longest().is_zero() {
                true => self.ahead.insert(start, task),
                false => self.timeline.insert(start, task),
            }
        }
    }

    /// Plans tasks whose next fire time depended on a run, as soon as it is known.
    pub(super) fn take_rearms(&mut self) {
        for rearm in self.engine.take_rearms() {
            let task = rearm.entry.place.load(Ordering::Relaxed);
            // Another entry may have its place by now, or its spec may be another.
            let is_meant = |t: &mut Known| {
                t.entry.key == rearm.entry.key && t.entry.schedule.delay().is_some()
            };
            if self.known(task).is_some_and(is_meant) {
                self.plan(task, Some(rearm.fire_time), Some(rearm.due), rearm.is_known);
            }
        }
    }

    /// Plans tasks anew that somebody gave another schedule, or their own one back.
    pub(super) fn take_replans(&mut self, now: DateTime<Utc>) {
        let replans = self.engine.steering.take_replans();
        if replans.is_empty() {
            return;
        }
        for task in 0..self.tasks.len() {
            let Some(Some(Known { entry, fired, .. })) = self.tasks.get(task) else {
                continue;
            };
            if !replans.contains(&entry.name) || entry.depends_on_runs() || entry.is_driven {
                continue;
            }
            let over = self.engine.steering.overridden(entry);
            let timetable = Timetable::new(&entry.schedule, over.as_ref());
            let next = timetable.next_after(fired.map_or(now, |fired| fired.max(now)));
            self.set_next(task, next);
        }
    }

    /// Puts tasks into the timeline whose time has come, as somebody outside says.
    pub(super) fn take_nudges(&mut self, now: DateTime<Utc>) {
        let nudged = self.engine.nudges.take();
        if nudged.is_empty() {
            return;
        }
        for (task, known) in self.tasks.iter().enumerate() {
            let Some(Known { entry, next, .. }) = known else {
                continue;
            };
            // What is far away is not meant: it is said twice, or too late, of the one before.
            let is_near = |planned: &Planned| planned.fire_time - now < EARLIEST_NUDGE;
            if let (true, Some(planned)) = (nudged.contains(&entry.key), next.filter(is_near)) {
                self.timeline.insert(planned.start, task);
            }
        }
    }
}
