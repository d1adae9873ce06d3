//! Tasks whose firings wait for somebody outside, such as the job of another scheduler, to say that
//! it is time.
//!
//! ```text
//! another scheduler ── Driver::fire ── Nudges ──> timer: the instants of our schedule up to now
//! ```
//! Which instant that is, and what becomes of those that nobody has said anything of, is the timer's
//! business, as for all tasks.

use std::collections::HashSet;
#[cfg(feature = "tokio-cron-scheduler")]
use std::sync::{Arc, Weak};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "tokio-cron-scheduler")]
use crate::error::Result;
#[cfg(feature = "tokio-cron-scheduler")]
use crate::schedule::Schedule;
#[cfg(feature = "tokio-cron-scheduler")]
use crate::scheduler::engine::Engine;
#[cfg(feature = "tokio-cron-scheduler")]
use crate::task::Task;
use crate::task::TaskName;

/// Tasks whose time has come.
#[derive(Debug, Default)]
pub(crate) struct Nudges {
    // Held to insert or to take. As many as there are tasks, at the most.
    tasks: Mutex<HashSet<TaskName>>,
}

impl Nudges {
    pub(crate) fn take(&self) -> HashSet<TaskName> {
        std::mem::take(&mut *self.tasks())
    }

    fn tasks(&self) -> MutexGuard<'_, HashSet<TaskName>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is about to be registered.
#[cfg(feature = "tokio-cron-scheduler")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Driven<'a> {
    pub(crate) name: &'a TaskName,
    pub(crate) spec: &'a str,
    pub(crate) schedule: &'a Schedule,
    pub(crate) now: chrono::DateTime<chrono::Utc>,
}

/// Says that it is time for a task. Does nothing once its scheduler is gone or stopped.
#[cfg(feature = "tokio-cron-scheduler")]
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    engine: Weak<Engine>,
    /// The task, or its parts.
    keys: Arc<[TaskName]>,
}

#[cfg(feature = "tokio-cron-scheduler")]
impl Driver {
    pub(crate) fn fire(&self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.nudges.tasks().extend(self.keys.iter().cloned());
            engine.changed.notify_one();
        }
    }
}

/// Registers a task that fires when its driver is told, if `make` finds something to tell it.
#[cfg(feature = "tokio-cron-scheduler")]
pub(crate) fn register<T>(
    engine: &Arc<Engine>,
    task: Arc<dyn Task>,
    make: impl FnOnce(Driven<'_>, Driver) -> Result<T>,
) -> Result<T> {
    let mut entries = engine.read(task)?;
    for entry in &mut entries {
        entry.is_driven = true;
    }
    let driver = Driver {
        engine: Arc::downgrade(engine),
        keys: entries.iter().map(|entry| entry.key.clone()).collect(),
    };
    // There is an entry for each task, at least.
    let Some(entry) = entries.first() else {
        unreachable!("a task without entries")
    };
    let driven = Driven {
        name: &entry.name,
        spec: &entry.spec,
        schedule: &entry.schedule,
        now: entry.registered,
    };
    let made = make(driven, driver)?;
    engine.add(entries)?;
    Ok(made)
}
