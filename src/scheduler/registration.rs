//! From a task to entries of the registry, and what is wrong with it.

use std::panic::Location;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Decision, Event};
use crate::scheduler::SchedulerState;
use crate::scheduler::claiming;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::{Defaults, Entry};
#[cfg(feature = "dynamic")]
use crate::store::{AnyKind, Owner, StoredTask};
use crate::task::Task;

impl Engine {
    /// Adds a task of code, which was registered there.
    pub(crate) fn register(
        self: &Arc<Self>,
        task: Arc<dyn Task>,
        source: Option<&'static Location<'static>>,
    ) -> Result<()> {
        let mut entries = self.read(task)?;
        for entry in &mut entries {
            entry.source = source;
        }
        // Code owns its names: one defined at run time gives way.
        if let Some(entry) = entries.first() {
            let of_store = |entry: &Entry| entry.kind.is_some();
            let given_way = self.registry.remove(entry.name.as_str(), of_store);
            if self.take_out(given_way) {
                self.look_at_stored();
            }
        }
        self.add(entries)
    }

    /// What is here has changed, so that other tasks defined at run time may be run here.
    pub(crate) fn look_at_stored(&self) {
        #[cfg(feature = "dynamic")]
        self.stored.nudged.notify_one();
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
        let next_fire = next_fire(entry);
        for entry in &entries {
            entry.slot().next_fire = next_fire;
        }
        self.registry.reserve(&entry.name)?;
        // Before the timer can see it, so that this is the first that is heard of the task.
        self.announce_registered(entry, next_fire);
        self.registry.add(entries);
        self.changed.notify_one();
        Ok(())
    }

    fn announce_registered(&self, entry: &Entry, next_fire: Option<DateTime<Utc>>) {
        self.announce(&Event::TaskRegistered {
            task: entry.name.clone(),
            spec: entry.spec.clone(),
            timezone: entry.schedule.timezone(),
            overlap: entry.policy.overlap,
            next_fire,
            lints: entry.schedule.lint(entry.registered).into(),
        });
    }

    #[cfg(feature = "dynamic")]
    pub(crate) fn add_kind(&self, name: &str, kind: Arc<dyn AnyKind>) -> Result<()> {
        self.stored.kinds.add(name, kind)?;
        self.look_at_stored();
        Ok(())
    }

    /// Adds a task of code, or puts it in the place of the one of code that has its name.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn register_again(self: &Arc<Self>, task: Arc<dyn Task>) -> Result<()> {
        let entries = self.read(task.clone())?;
        let name = entries.first().map(|entry| entry.name.clone());
        match name.and_then(|name| self.registry.kind(name.as_str())) {
            Some(None) => self.put(entries),
            // One of the store gives way.
            _ => self.register(task, None),
        }
    }

    /// Adds a task, or puts it in the place of the one that has its name, if both are of code or both
    /// are defined at run time.
    #[cfg(feature = "dynamic")]
    pub(crate) fn put(self: &Arc<Self>, entries: Vec<Entry>) -> Result<()> {
        let Some(entry) = entries.first() else {
            return Ok(());
        };
        let name = entry.name.as_str();
        let before = self.registry.kind(name);
        if before.is_none_or(|kind| kind.is_some() != entry.kind.is_some()) {
            return self.add(entries);
        }
        self.announce_registered(entry, next_fire(entry));
        if let Some(removed) = self.registry.replace(entries) {
            self.take_out(removed);
        }
        self.registry.pool.let_go();
        self.changed.notify_one();
        Ok(())
    }

    /// Takes a task of code out. Whether there was one of that name.
    pub(crate) fn unregister(self: &Arc<Self>, name: &str) -> bool {
        let removed = self.registry.remove(name, |entry| entry.kind.is_none());
        let was_there = self.take_out(removed);
        if was_there {
            self.look_at_stored();
        }
        was_there
    }

    /// Brings to an end what waits of entries that were taken out. Whether there were any.
    pub(crate) fn take_out(self: &Arc<Self>, entries: Vec<Arc<Entry>>) -> bool {
        for firing in self.limits.take(|firing| firing.entry.is_retired()) {
            claiming::settle(self, &firing, Decision::Draining, None);
        }
        for entry in &entries {
            claiming::next_in_line(self, entry);
            self.registry.pool.let_go();
        }
        self.changed.notify_one();
        !entries.is_empty()
    }

    /// An entry may have come to its last end: tells of its task if it was taken out.
    pub(crate) fn see_off(&self, entry: &Arc<Entry>) {
        if entry.is_retired() && self.registry.forget(entry) {
            self.announce(&Event::TaskUnregistered {
                task: entry.name.clone(),
            });
        }
    }
}

/// The first fire time of a task that is registered now, if that is known.
fn next_fire(entry: &Entry) -> Option<DateTime<Utc>> {
    match entry.depends_on_runs() {
        true => None,
        false => entry.schedule.next_after(entry.registered),
    }
}

#[cfg(feature = "dynamic")]
impl Owner for Engine {
    fn owns(&self, name: &str) -> bool {
        matches!(self.registry.kind(name), Some(None))
    }

    fn check_parameters(&self, task: &StoredTask) -> Result<()> {
        self.stored.kinds.check_parameters(task)
    }
}
