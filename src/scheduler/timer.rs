//! The one loop that waits for time to pass.
//!
//! An alarm wakes it at the next fire time, but it never sleeps longer than [`LONGEST_SLEEP`]: a step
//! of the wall clock, the end of a suspend and an alarm that did not ring are noticed within that. It
//! never waits for a task nor for the lock.

mod fire_time;
mod plans;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{Decision, Event, Trigger};
use crate::lock::LastFired;
use crate::scheduler::alarm::Alarm;
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::timeline::{self, Timeline, Timetable};
use crate::task::Policy;

use plans::{Known, Planned};

const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// By how much the wall clock must part from the monotonic clock to be called a step.
const STEP: Duration = Duration::from_millis(500);

/// By how much the timer must oversleep to be called stalled. A busy runtime is late by less.
const STALL: Duration = Duration::from_secs(1);

/// Of those that start together so many are counted, to know how early to claim them.
const MOST_COUNTED: usize = 100_000;

/// A wall clock that steps back by more than this has been wrong: fire times are computed anew from
/// it. A smaller step back is waited out, so that no instant comes twice. Cron daemons draw the
/// line at three hours too.
const CORRECTION: TimeDelta = TimeDelta::hours(3);

#[derive(Debug)]
pub(crate) struct Timer {
    engine: Arc<Engine>,
    /// All tasks that the timer knows, by their number in the timeline.
    tasks: Vec<Option<Known>>,
    /// Numbers that are free again.
    free: Vec<usize>,
    timeline: Timeline,
    /// Those whose lock is to be taken before they start.
    ahead: Timeline,
    last_look: Option<Look>,
    /// For how long it has asked to sleep since.
    asked: Duration,
    /// By how much later than asked its alarm may ring.
    slack: Duration,
}

/// A new fire time of a task that the timer cannot compute, as it depends on a run.
#[derive(Debug)]
pub(crate) struct Rearm {
    pub(crate) entry: Arc<Entry>,
    /// The instant to claim, by the store's clock.
    pub(crate) fire_time: DateTime<Utc>,
    /// When it is due, by our clock.
    pub(crate) due: DateTime<Utc>,
    /// Whether it is that instant; otherwise a look at what has become of it.
    pub(crate) is_known: bool,
}

/// What both clocks said at the same moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: DateTime<Utc>,
    monotonic: Duration,
}

impl Timer {
    /// A timer for the tasks registered so far, of whose past `known` tells, in the order of their
    /// registration. What wakes it may be late by `slack`.
    pub(crate) fn new(
        engine: Arc<Engine>,
        known: Vec<(Arc<Entry>, Option<LastFired>)>,
        slack: Duration,
    ) -> Self {
        let mut this = Self {
            engine,
            tasks: Vec::new(),
            free: Vec::new(),
            timeline: Timeline::default(),
            ahead: Timeline::default(),
            last_look: None,
            asked: Duration::ZERO,
            slack,
        };
        let now = this.engine.settings.clock.now();
        let mut known = known.into_iter().peekable();
        for entry in this.engine.registry.follow() {
            // Those are not there any more that were taken out since they were asked for.
            while known.next_if(|(e, _)| e.is_retired()).is_some() {}
            let last = known.next_if(|(e, _)| Arc::ptr_eq(e, &entry));
            this.adopt(entry, last.and_then(|(_, last)| last), now);
        }
        this
    }

    /// Looks at the clocks and at what is due. Returns in how long something will be, if anything is
    /// planned.
    fn look(&mut self) -> Option<Duration> {
        let clock = &self.engine.settings.clock;
        let look = Look {
            now: clock.now(),
            monotonic: clock.monotonic(),
        };
        self.engine.health.note_wake(look.now);
        self.engine.announce(&Event::TimerWoke { at: look.now });
        if let Some(last) = self.last_look.replace(look) {
            self.notice_stall(last, look);
            self.notice_step(last, look);
        }
        self.take_news(look.now);
        self.take_rearms();
        self.take_nudges(look.now);
        let mut firings = Vec::new();
        while let Some((_, task)) = self.timeline.pop_due(look.now) {
            self.fire(task, look.now, &mut firings);
        }
        let lead = self.lead(look.now);
        while let Some((start, task)) = self.ahead.pop_due(look.now + lead) {
            if start <= look.now {
                self.fire(task, look.now, &mut firings);
            } else if self.known(task).is_some_and(|known| known.is_idle()) {
                self.fire(task, start, &mut firings);
            } else {
                // What becomes of it is to be seen when it is due.
                self.timeline.insert(start, task);
            }
        }
        self.take_replans(look.now);
        claiming::claim_those_ready(&self.engine);
        claiming::dispatch(&self.engine, firings);
        let lead = self.lead(look.now);
        let next = self.ahead.next().map(|start| start - lead);
        let next = [self.timeline.next(), next].into_iter().flatten().min();
        let wait = next.map(|next| (next - look.now).to_std().unwrap_or_default());
        self.asked = wait.map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP));
        wait
    }

    /// How long before they start the locks of those that start next are taken.
    fn lead(&self, now: DateTime<Utc>) -> TimeDelta {
        let lead = &self.engine.lead;
        let longest = TimeDelta::from_std(lead.longest()).unwrap_or_default();
        let Some(first) = self.ahead.next() else {
            return longest;
        };
        if !self.slack.is_zero() {
            // By the next look the fire time may have passed.
            return longest;
        }
        if first - now > longest {
            return longest;
        }
        let count = self.ahead.count(first, MOST_COUNTED);
        let lead = lead.of(count);
        // Who knows nobody comes a little later, and so meets those at whose tasks they go first.
        let is_alone = self
            .engine
            .peers
            .knows_nobody(self.engine.settings.clock.monotonic());
        let lead = if is_alone { lead / 8 * 7 } else { lead };
        TimeDelta::from_std(lead).unwrap_or_default()
    }

    /// Fires what has come due of a task, and plans what comes next.
    fn fire(&mut self, task: usize, now: DateTime<Utc>, firings: &mut Vec<Firing>) {
        let Some(Some(Known {
            entry,
            next,
            unfinished,
            fired,
        })) = self.tasks.get_mut(task)
        else {
            return;
        };
        let Some(Planned { fire_time, start }) = next.take() else {
            return;
        };
        let entry = entry.clone();
        let unfinished = unfinished.take().filter(|t| *t == fire_time);
        if entry.depends_on_runs() {
            // What comes next is found out when this one is settled.
            self.set_next(task, None);
            firings.push(Firing::new(entry, fire_time));
            return;
        }
        let is_ahead = self.last_look.is_some_and(|look| start > look.now);
        let late = start - fire_time;
        let mut first = fire_time;
        *fired = Some(fire_time);
        let over = self.engine.steering.overridden(&entry);
        let timetable = Timetable::new(&entry.schedule, over.as_ref());
        if unfinished.is_some() && !is_ahead {
            firings.push(Firing::unfinished(entry.clone(), fire_time));
            match timetable.next_after(fire_time) {
                Some(next) => first = next,
                None => return self.set_next(task, None),
            }
        }
        let Policy {
            misfire,
            misfire_threshold,
            ..
        } = *entry.policy;
        let due = timeline::due(timetable, first, now - late, misfire_threshold, misfire);
        if let Some((count, fire_time)) = due.passed {
            self.engine.announce(&Event::FiringDecided {
                task: entry.name.clone(),
                fire_time,
                decision: Decision::Misfired,
                count,
                holder: None,
            });
        }
        if let (Some(last), Some(known)) = (due.fresh.last(), self.known(task)) {
            known.fired = Some(*last);
        }
        // By so much a look may be late without anything being wrong.
        let usual = TimeDelta::from_std(LONGEST_SLEEP + self.slack).unwrap_or_default();
        firings.extend(due.fresh.into_iter().map(|t| match is_ahead {
            true => Firing::ahead(entry.clone(), t, start),
            false if t + late + usual < now => Firing {
                trigger: Trigger::CatchUp,
                ..Firing::new(entry.clone(), t)
            },
            false => Firing::new(entry.clone(), t),
        }));
        self.set_next(task, due.next);
    }

    fn notice_stall(&self, last: Look, look: Look) {
        let slept = look.monotonic.saturating_sub(last.monotonic);
        let by = slept.saturating_sub(self.asked + self.slack);
        if by >= STALL {
            self.engine.announce(&Event::TimerStalled { by });
        }
    }

    fn notice_step(&mut self, last: Look, look: Look) {
        let passed = TimeDelta::from_std(look.monotonic.saturating_sub(last.monotonic));
        let by = (look.now - last.now) - passed.unwrap_or_default();
        if by.abs().to_std().unwrap_or_default() < STEP {
            return;
        }
        self.engine.announce(&Event::ClockStepped {
            by_ms: by.num_milliseconds(),
        });
        // A store on this machine counts its leases by the clock that has stepped.
        self.engine.renewer.renew_all_soon();
        for task in 0..self.tasks.len() {
            let waits = |t: &mut Known| t.entry.schedule.delay().is_some() && t.next.is_some();
            if self.known(task).is_some_and(waits) {
                // The lock knows how long it still is, by its own clock.
                self.plan(task, Some(look.now), Some(look.now), false);
            }
        }
        if by < -CORRECTION {
            self.engine.corrections.fetch_add(1, Ordering::AcqRel);
            self.timeline.clear();
            self.ahead.clear();
            for task in 0..self.tasks.len() {
                let Some(Known {
                    entry, next, fired, ..
                }) = self.known(task)
                else {
                    continue;
                };
                *fired = None;
                if next.is_none() {
                    continue;
                }
                let next = match entry.depends_on_runs() {
                    true => Some(look.now),
                    false => entry.schedule.next_after(look.now),
                };
                self.set_next(task, next);
            }
        }
    }
}

/// Runs until the scheduler goes quiet.
pub(crate) async fn run(mut timer: Timer, mut alarm: Box<dyn Alarm>) {
    let engine = timer.engine.clone();
    loop {
        if engine.quiet.is_cancelled() {
            return;
        }
        let wait = timer.look();
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => return,
            () = engine.changed.notified() => {}
            () = alarm.ring(wait) => {}
            () = tokio::time::sleep(LONGEST_SLEEP) => {}
        }
    }
}
