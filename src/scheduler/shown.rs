//! What a scheduler shows of itself and its tasks to people, beside what it tells its fleet.

use std::panic::Location;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::board::{Board, Facts, Local, Parts};
use crate::control::Instance;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::steering::own_record;
use crate::scheduler::{SchedulerHandle, SchedulerState};
use crate::text::contained_line;

impl SchedulerHandle {
    /// What people look at, read through this scheduler's stores.
    pub(crate) fn board(&self) -> Board {
        let engine = self.engine().clone();
        Board::new(Parts {
            control: self.control(),
            history: self.history(),
            lock: Some(engine.settings.lock.clone()),
            #[cfg(feature = "dynamic")]
            store: self.task_store(),
            clock: engine.settings.clock.clone(),
            zone: engine.settings.timezone,
            local: Some(Arc::new(Shown(engine))),
        })
    }
}

/// An instance that shows itself.
struct Shown(Arc<Engine>);

impl Local for Shown {
    fn instance(&self) -> Option<Instance> {
        let is_started = self.0.state() != SchedulerState::Idle;
        is_started.then(|| own_record(&self.0))
    }

    fn tasks(&self) -> Vec<Facts> {
        let entries = self.0.registry.all();
        let first = entries.iter().filter(|entry| entry.is_first());
        first.map(|entry| facts(entry)).collect()
    }

    fn store_down_since(&self) -> Option<DateTime<Utc>> {
        self.0.health.store_down_since()
    }
}

/// `src/jobs/invoices.rs:42`; of a path from the root its end is enough.
fn place(source: &Location<'_>) -> String {
    let file = source.file();
    let path = std::path::Path::new(file);
    let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
    let from = if path.is_absolute() {
        names.len().saturating_sub(3)
    } else {
        0
    };
    let shown = names.get(from..).unwrap_or_default().join("/");
    format!("{}:{}", contained_line(&shown, 200), source.line())
}

fn facts(entry: &Entry) -> Facts {
    let next_fire = entry.slot().next_fire;
    Facts {
        name: entry.name.clone(),
        spec: entry.spec.clone(),
        timezone: entry.schedule.timezone(),
        dst: entry.schedule.dst(),
        policy: Some((entry.policy.clone(), entry.timeout)),
        kind: entry.kind.clone(),
        description: entry.task.description().to_owned(),
        tags: entry
            .task
            .tags()
            .iter()
            .map(|tag| (*tag).to_owned())
            .collect(),
        source: entry.source.map(place),
        is_enabled: true,
        version: None,
        next_fire,
    }
}
