//! What others may see of a running scheduler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::control::{ControlPlane, Rules};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Outcome, RunFacts};
use crate::history::{History, Why, runs_since, why};
use crate::lock::Lock;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
#[cfg(feature = "dynamic")]
use crate::store::TaskStore;
use crate::task::{RunId, TaskName};
use crate::text::contained_line;

/// A view of a scheduler. Cheap to clone; it does not keep the scheduler running.
#[derive(Debug, Clone)]
pub struct SchedulerHandle {
    engine: Arc<Engine>,
}

impl SchedulerHandle {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    #[cfg(any(feature = "admin", feature = "cli"))]
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What the scheduler is doing.
    pub fn state(&self) -> SchedulerState {
        self.engine.state()
    }

    /// The instance's id.
    pub fn instance(&self) -> &str {
        &self.engine.settings.instance
    }

    /// The time, by the scheduler's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.engine.settings.clock.now()
    }

    /// When the timer last looked at what is due. It does so at least every second while the
    /// scheduler runs; `None` before the start.
    pub fn last_wake(&self) -> Option<DateTime<Utc>> {
        self.engine.health.last_wake()
    }

    /// Since when the lock's store has not answered; `None` if it has.
    pub fn store_down_since(&self) -> Option<DateTime<Utc>> {
        self.engine.health.store_down_since()
    }

    /// All tasks, in the order of their registration.
    pub fn tasks(&self) -> Vec<TaskSnapshot> {
        let entries = self.engine.registry.all();
        let mut tasks: Vec<TaskSnapshot> = Vec::new();
        for entry in &entries {
            match tasks.last_mut() {
                // The parts of a task follow each other.
                Some(task) if !entry.is_first() => task.add_part(entry),
                _ => tasks.push(TaskSnapshot::of(entry)),
            }
        }
        tasks
    }

    /// Ends the pause of a task that [`Policy::pause_after`](crate::Policy::pause_after) has paused, on
    /// all instances: forgets that its runs failed.
    ///
    /// # Errors
    ///
    /// There is no task of that name here, or the lock's store could not be asked.
    pub async fn resume(&self, name: &str) -> Result<()> {
        let mut entries = self.engine.registry.all();
        entries.retain(|e| e.name == *name);
        if entries.is_empty() {
            let text = format!("no task {name:?} is registered here");
            return Err(Error::new(ErrorKind::InvalidName, text));
        }
        for entry in entries {
            self.engine.lock.resume(&entry.key).await?;
        }
        Ok(())
    }

    /// The control of the fleet, if the scheduler has a store for it. It works on after the scheduler has
    /// stopped.
    pub fn control(&self) -> Option<ControlPlane> {
        let store = self.engine.steering.store.clone()?;
        let clock = self.engine.settings.clock.clone();
        let observers = &self.engine.settings.observers;
        Some(ControlPlane::with_clock(store, clock).heard_by(observers))
    }

    /// What this instance follows: pauses, skips, overrides, drains. What it knew last, while the
    /// fleet's store is away.
    pub fn rules(&self) -> Arc<Rules> {
        self.engine.steering.rules()
    }

    /// Whether this instance takes no new firings, as somebody asked for it.
    pub fn is_drained(&self) -> bool {
        self.engine.steering.is_drained()
    }

    /// How many records of the fleet could not be read so far.
    pub fn malformed_records(&self) -> u64 {
        self.engine.steering.malformed()
    }

    /// The tasks defined at run time, to be changed and listed; `None` without a
    /// [`fleet`](crate::SchedulerBuilder::fleet). It refuses names that belong to code here, and
    /// parameters that do not fit a kind that is known here.
    #[cfg(feature = "dynamic")]
    pub fn task_store(&self) -> Option<TaskStore> {
        let store = self.engine.stored.store.as_ref()?;
        Some(store.owned_by(self.engine.clone()))
    }

    /// The kinds of work that code has registered here, by their names.
    #[cfg(feature = "dynamic")]
    pub fn kinds(&self) -> Vec<KindSnapshot> {
        self.engine.stored.kinds.all()
    }

    /// What was run in the fleet and what was not, if the scheduler [keeps](crate::SchedulerBuilder::history)
    /// that.
    pub fn history(&self) -> Option<Arc<dyn History>> {
        let writer = self.engine.settings.history.as_ref();
        writer.map(|writer| writer.history.clone())
    }

    /// Why a task ran at an instant, or did not: by what the history knows, and by the schedule that the
    /// task has here.
    ///
    /// ```
    /// # async fn f(scheduler: tasklock::Scheduler) -> tasklock::Result<()> {
    /// let at = "2026-11-21T14:00:00Z".parse().unwrap();
    /// let why = scheduler.handle().why("reports.daily", at).await?;
    /// // reports.daily at 2026-11-21T14:00:00Z: ran on api-1: success (run 01JD9A4F2C6Q8V0Y3M5N7P9R1T)
    /// println!("{why}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no task of that name here, the scheduler has no history, or that could not be asked.
    pub async fn why(&self, name: &str, at: DateTime<Utc>) -> Result<Why> {
        let entries = self.engine.registry.all();
        let Some(entry) = entries.iter().find(|entry| entry.name == *name) else {
            let text = format!("no task {:?} is registered here", contained_line(name, 128));
            return Err(Error::new(ErrorKind::InvalidName, text));
        };
        let Some(history) = self.history() else {
            let text = "the scheduler keeps no history: give it one with SchedulerBuilder::history";
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        };
        let runs = runs_since(&*history, &entry.name, at).await?;
        let decisions = history.decisions(&entry.name).await?;
        let counters = history.counters(std::slice::from_ref(&entry.name)).await?;
        let known_since = counters.into_iter().flatten().next();
        let known_since = known_since.and_then(|counters| counters.known_since);
        // What somebody has put in the place of the schedule counts while it lasts.
        let other = self.engine.steering.overridden(entry);
        let other = other.filter(|other| other.from <= at && at < other.until);
        let schedule = other
            .as_ref()
            .map_or(&*entry.schedule, |other| &other.schedule);
        let task = (entry.name.clone(), schedule);
        Ok(why(task, at, (self.now(), known_since), (runs, decisions)))
    }

    /// One task.
    pub fn task(&self, name: &str) -> Option<TaskSnapshot> {
        self.tasks().into_iter().find(|task| task.name == *name)
    }
}

/// What a scheduler is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchedulerState {
    /// Built, not started.
    Idle,
    /// Waiting for its lock.
    Starting,
    /// Firing.
    Running,
    /// Taking no new firings; runs go on.
    Draining,
    /// At its end.
    Stopped,
}

impl SchedulerState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            SchedulerState::Idle => "idle",
            SchedulerState::Starting => "starting",
            SchedulerState::Running => "running",
            SchedulerState::Draining => "draining",
            SchedulerState::Stopped => "stopped",
        }
    }
}

impl fmt::Display for SchedulerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A task as it is at one moment, on this instance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskSnapshot {
    /// Its name.
    pub name: TaskName,
    /// Its spec, as given.
    pub spec: Arc<str>,
    /// The zone in which the spec is read.
    pub timezone: Tz,
    /// Its timeout.
    pub timeout: Duration,
    /// The kind of a task that is defined at run time; `None` of one of code.
    pub kind: Option<Arc<str>>,
    /// Its kind is not known here, so that it is left to other instances.
    pub lacks_kind: bool,
    /// When it is due next; `None` if never, or if nobody knows yet: an `@after` while it runs.
    pub next_fire: Option<DateTime<Utc>>,
    /// The runs that go on here: more than one only of a task in parts, or whose policy allows more.
    pub running: Vec<RunFacts>,
    /// The last run that ended here.
    pub last_run: Option<LastRun>,
}

/// A kind of work that stored tasks may name.
#[cfg(feature = "dynamic")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KindSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// What its parameters look like, as a JSON schema.
    pub schema: serde_json::Value,
}

/// The last run of a task on this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRun {
    /// Its id.
    pub run_id: RunId,
    /// The instant it ran for.
    pub fire_time: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
}

impl TaskSnapshot {
    fn of(entry: &Entry) -> Self {
        let slot = entry.slot();
        Self {
            name: entry.name.clone(),
            spec: entry.spec.clone(),
            timezone: entry.schedule.timezone(),
            timeout: entry.timeout,
            kind: entry.kind.clone(),
            lacks_kind: entry.lacks_kind,
            next_fire: slot.next_fire,
            running: slot.running.iter().map(|r| r.facts.clone()).collect(),
            last_run: slot.last_run.as_deref().cloned(),
        }
    }

    fn add_part(&mut self, entry: &Entry) {
        let slot = entry.slot();
        self.running
            .extend(slot.running.iter().map(|r| r.facts.clone()));
        let last = slot.last_run.as_deref();
        let ended = |run: Option<&LastRun>| run.map(|run| run.ended_at);
        if ended(last) > ended(self.last_run.as_ref()) {
            self.last_run = last.cloned();
        }
    }
}
