//! The one loop that waits for time to pass.
//!
//! It sleeps until the next fire time, but never longer than [`LONGEST_SLEEP`]: a step of the wall
//! clock and the end of a suspend are noticed within that. It never waits for a task nor for the
//! lock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{Decision, Event};
use crate::lock::LastFired;
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::timeline::{self, Timeline};

const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// By how much the wall clock must part from the monotonic clock to be called a step.
const STEP: Duration = Duration::from_millis(500);

/// A wall clock that steps back by more than this has been wrong: fire times are computed anew from
/// it. A smaller step back is waited out, so that no instant comes twice. Cron daemons draw the
/// line at three hours too.
const CORRECTION: TimeDelta = TimeDelta::hours(3);

#[derive(Debug)]
pub(crate) struct Timer {
    engine: Arc<Engine>,
    /// All tasks that the timer knows, by their number in the timeline.
    entries: Vec<Arc<Entry>>,
    timeline: Timeline,
    last_look: Option<Look>,
}

/// What both clocks said at the same moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: DateTime<Utc>,
    monotonic: Duration,
}

impl Timer {
    /// A timer for the tasks registered so far, of whose past `known` tells, in their order.
    pub(crate) fn new(engine: Arc<Engine>, known: Vec<Option<LastFired>>) -> Self {
        let mut this = Self {
            engine,
            entries: Vec::new(),
            timeline: Timeline::default(),
            last_look: None,
        };
        let now = this.engine.settings.clock.now();
        let mut known = known.into_iter();
        for entry in this.engine.registry.since(0) {
            let last = known.next().flatten().and_then(|last| last.fire_time);
            this.adopt(entry, last, now);
        }
        this
    }

    /// Puts a task into the timeline: from its last firing on, as far as that is not misfired by
    /// now, or from now on if it has never fired.
    fn adopt(&mut self, entry: Arc<Entry>, last: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let threshold = TimeDelta::from_std(entry.policy.misfire_threshold).unwrap_or_default();
        let from = last.map_or(now, |last| last.max(now - threshold));
        let task = self.entries.len();
        let next = entry.schedule.next_after(from);
        self.entries.push(entry);
        self.set_next(task, next);
    }

    fn set_next(&mut self, task: usize, next: Option<DateTime<Utc>>) {
        let Some(entry) = self.entries.get(task) else {
            return;
        };
        entry.slot().next_fire = next;
        self.engine.announce(&Event::NextFire {
            task: entry.name.clone(),
            at: next,
        });
        if let Some(at) = next {
            self.timeline.insert(at, task);
        }
    }

    /// Looks at the clocks and at what is due. Returns how long to sleep.
    fn look(&mut self) -> Duration {
        let clock = &self.engine.settings.clock;
        let look = Look {
            now: clock.now(),
            monotonic: clock.monotonic(),
        };
        self.engine.health.note_wake(look.now);
        self.engine.announce(&Event::TimerWoke { at: look.now });
        self.notice_step(look);
        for entry in self.engine.registry.since(self.entries.len()) {
            self.adopt(entry, None, look.now);
        }
        let mut firings = Vec::new();
        while let Some((first, task)) = self.timeline.pop_due(look.now) {
            let Some(entry) = self.entries.get(task).cloned() else {
                continue;
            };
            let threshold = entry.policy.misfire_threshold;
            let due = timeline::due(&entry.schedule, first, look.now, threshold);
            if let Some((count, fire_time)) = due.passed {
                let task = entry.name.clone();
                let decision = Decision::Misfired;
                let passed = Event::FiringDecided {
                    task,
                    fire_time,
                    decision,
                    count,
                    holder: None,
                };
                self.engine.announce(&passed);
            }
            firings.extend(due.fresh.into_iter().map(|t| Firing::new(entry.clone(), t)));
            self.set_next(task, due.next);
        }
        claiming::dispatch(&self.engine, firings);
        match self.timeline.next() {
            Some(next) => (next - look.now)
                .to_std()
                .unwrap_or_default()
                .min(LONGEST_SLEEP),
            None => LONGEST_SLEEP,
        }
    }

    fn notice_step(&mut self, look: Look) {
        let Some(last) = self.last_look.replace(look) else {
            return;
        };
        let passed = TimeDelta::from_std(look.monotonic.saturating_sub(last.monotonic));
        let by = (look.now - last.now) - passed.unwrap_or_default();
        if by.abs().to_std().unwrap_or_default() < STEP {
            return;
        }
        self.engine.announce(&Event::ClockStepped {
            by_ms: by.num_milliseconds(),
        });
        if by < -CORRECTION {
            for (_, task) in self.timeline.drain().collect::<Vec<_>>() {
                let next = self
                    .entries
                    .get(task)
                    .and_then(|e| e.schedule.next_after(look.now));
                self.set_next(task, next);
            }
        }
    }
}

/// Runs until the scheduler goes quiet.
pub(crate) async fn run(mut timer: Timer) {
    let engine = timer.engine.clone();
    loop {
        if engine.quiet.is_cancelled() {
            return;
        }
        let sleep = timer.look();
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => return,
            () = engine.registered.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}
