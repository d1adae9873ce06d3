//! From a task to entries of the registry, and what is wrong with it.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::scheduler::SchedulerState;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::{Defaults, Entry};
use crate::task::Task;

impl Engine {
    pub(crate) fn register(&self, task: Arc<dyn Task>) -> Result<()> {
        let entries = self.read(task)?;
        self.add(entries)
    }

    /// The entries of a task, if it may be registered.
    pub(crate) fn read(&self, task: Arc<dyn Task>) -> Result<Vec<Entry>> {
        if matches!(
            self.state(),
            SchedulerState::Draining | SchedulerState::Stopped
        ) {
            let text = "the scheduler is stopped: register tasks with a new one";
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        let now = self.settings.clock.now();
        let entries = Entry::new(
            task,
            Defaults {
                timezone: self.settings.timezone,
                dst: self.settings.dst,
                instance: &self.settings.instance,
                now,
            },
            &self.registry.pool,
        )?;
        let group = entries.first().and_then(|e| e.policy.group.as_deref());
        if let (Some(entry), Some(group)) = (entries.first(), group)
            && !self.limits.has_group(group)
        {
            let mut known: Vec<&str> = self.limits.groups().collect();
            known.sort_unstable();
            let text = format!(
                "task {}: there is no group {group:?}: make it with SchedulerBuilder::group; there are {known:?}",
                entry.name
            );
            return Err(Error::new(ErrorKind::InvalidTask, text));
        }
        Ok(entries)
    }

    /// Adds a task of these entries, unless its name is taken.
    pub(crate) fn add(&self, entries: Vec<Entry>) -> Result<()> {
        let Some(entry) = entries.first() else {
            return Ok(());
        };
        let now = entry.registered;
        let next_fire = match entry.depends_on_runs() {
            true => None,
            false => entry.schedule.next_after(now),
        };
        for entry in &entries {
            entry.slot().next_fire = next_fire;
        }
        self.registry.reserve(&entry.name)?;
        // Before the timer can see it, so that this is the first that is heard of the task.
        self.announce(&Event::TaskRegistered {
            task: entry.name.clone(),
            spec: entry.spec.clone(),
            timezone: entry.schedule.timezone(),
            overlap: entry.policy.overlap,
            next_fire,
            lints: entry.schedule.lint(now).into(),
        });
        self.registry.add(entries);
        self.changed.notify_one();
        Ok(())
    }
}
