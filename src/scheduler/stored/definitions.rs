//! What has become of each stored task here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::event::{Event, Ignored};
use crate::fleet::{Listing, Version};
use crate::scheduler::engine::Engine;
use crate::scheduler::stored::body::Body;
use crate::store::{Malformed, StoredTask, TaskStore};

/// The stored tasks as they were read last.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    /// Up to where they were read.
    pub(super) version: Version,
    /// They cannot be read.
    pub(super) is_down: bool,
    known: HashMap<Arc<str>, Known>,
}

#[derive(Debug)]
enum Known {
    /// The engine has it.
    Registered(Body),
    /// It cannot be run here, as long as it and what is here are as they are.
    Ignored(Arc<StoredTask>, Ignored),
    /// Its record says nothing, at this version.
    Malformed(Version),
}

impl Definitions {
    /// Goes by what was read.
    pub(super) fn take(&mut self, engine: &Arc<Engine>, store: &TaskStore, listing: &Listing) {
        if listing.is_whole {
            let listed: HashSet<&str> = listing.records.iter().map(|r| r.key.as_str()).collect();
            let gone = self.known.keys().filter(|name| !listed.contains(&***name));
            for name in gone.cloned().collect::<Vec<_>>() {
                self.forget(engine, &name);
            }
        }
        for name in &listing.removed {
            self.forget(engine, name);
        }
        for record in &listing.records {
            match store.read(record) {
                Ok(task) if task.enabled => self.define(engine, Arc::new(task)),
                Ok(task) => self.forget(engine, &task.name),
                Err(malformed) => self.leave_out(engine, &record.key, record.version, malformed),
            }
        }
        self.version = listing.version;
    }

    /// Looks again at those that are not run here, as a kind or a task of code has come or gone.
    pub(super) fn look_again(&mut self, engine: &Arc<Engine>) {
        let mut again = Vec::new();
        for (name, known) in &self.known {
            match known {
                Known::Registered(body) => {
                    let is_there = engine
                        .registry
                        .kind(name)
                        .is_some_and(|kind| kind.is_some());
                    if !is_there || !body.is_runnable() {
                        again.push(body.task());
                    }
                }
                Known::Ignored(task, _) => again.push(task.clone()),
                Known::Malformed(_) => {}
            }
        }
        for task in again {
            self.define(engine, task);
        }
    }

    /// Has the engine run a task as it is now.
    fn define(&mut self, engine: &Arc<Engine>, task: Arc<StoredTask>) {
        let kind = engine.stored.kinds.get(&task.kind);
        if let Some(kind) = &kind
            && let Err(error) = kind.check(&task.parameters)
        {
            return self.ignore(engine, task, Ignored::Invalid, &error.to_string());
        }
        let registered = engine.registry.kind(&task.name);
        let is_there = matches!(registered, Some(Some(_)));
        if let Some(Known::Registered(body)) = self.known.get(&*task.name)
            && is_there
            && body.is_runnable() == kind.is_some()
            && body.task().is_planned_as(&task)
        {
            return body.set(task);
        }
        let body = Body::new(task.clone(), kind);
        match self.register(engine, &body, &task.kind) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WrongState => return,
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::DuplicateTask => Ignored::OwnedByCode,
                    _ => Ignored::Invalid,
                };
                return self.ignore(engine, task, why, &error.to_string());
            }
        }
        let is_news = match self.known.get(&*task.name) {
            Some(Known::Registered(before)) => {
                before.is_runnable() || before.task().version != task.version
            }
            _ => true,
        };
        if is_news && !body.is_runnable() {
            let detail = format!("no code is registered under the kind {}", task.kind);
            announce(engine, &task.name, Ignored::UnknownKind, &detail);
        }
        let known = Known::Registered(body);
        self.known.insert(task.name.as_str().into(), known);
    }

    fn register(&self, engine: &Arc<Engine>, body: &Body, kind: &str) -> Result<(), Error> {
        let mut entries = engine.read(Arc::new(body.clone()))?;
        let kind: Arc<str> = kind.into();
        for entry in &mut entries {
            entry.kind = Some(kind.clone());
            entry.lacks_kind = !body.is_runnable();
        }
        engine.put(entries)
    }

    fn ignore(&mut self, engine: &Arc<Engine>, task: Arc<StoredTask>, why: Ignored, detail: &str) {
        let name: Arc<str> = task.name.as_str().into();
        let is_known = matches!(self.known.get(&name),
            Some(Known::Ignored(before, reason)) if *before == task && *reason == why);
        if is_known {
            return;
        }
        self.forget(engine, &name);
        announce(engine, &name, why, detail);
        self.known.insert(name, Known::Ignored(task, why));
    }

    fn leave_out(&mut self, engine: &Arc<Engine>, key: &str, at: Version, malformed: Malformed) {
        if matches!(self.known.get(key), Some(Known::Malformed(before)) if *before == at) {
            return;
        }
        self.forget(engine, key);
        announce(
            engine,
            &malformed.name,
            Ignored::Malformed,
            &malformed.error,
        );
        self.known.insert(key.into(), Known::Malformed(at));
    }

    /// There is no such task any more.
    fn forget(&mut self, engine: &Arc<Engine>, name: &str) {
        if let Some(Known::Registered(_)) = self.known.remove(name) {
            let entries = engine.registry.remove(name, |entry| entry.kind.is_some());
            engine.take_out(entries);
        }
        if self.known.capacity() > 4 * self.known.len().max(64) {
            self.known.shrink_to_fit();
        }
    }
}

fn announce(engine: &Engine, task: &str, why: Ignored, detail: &str) {
    engine.announce(&Event::StoredTaskIgnored {
        task: task.into(),
        why,
        detail: detail.into(),
    });
}
