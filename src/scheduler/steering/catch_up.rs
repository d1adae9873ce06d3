//! Firings that a pause has held back, of which the last one runs when it ends.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::control::Pause;
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::task::{Scope, TaskName};

/// Pauses whose end was acted on here.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    done: HashSet<(Option<TaskName>, DateTime<Utc>)>,
}

impl CatchUps {
    /// Makes up for pauses that have ended. Every instance does: the lock lets one run each instant, as
    /// ever.
    pub(super) fn look(&mut self, engine: &Arc<Engine>) {
        let rules = engine.steering.rules();
        let now = engine.settings.clock.now();
        let ended: Vec<Pause> = rules.to_catch_up(now).cloned().collect();
        self.done
            .retain(|(task, from)| ended.iter().any(|p| p.task == *task && p.from == *from));
        for pause in ended {
            if engine.quiet.is_cancelled() || !self.done.insert((pause.task.clone(), pause.from)) {
                continue;
            }
            let entries = engine.registry.all();
            let meant = entries
                .iter()
                .filter(|e| pause.task.as_ref().is_none_or(|t| *t == e.name));
            let firings = meant.filter_map(|entry| {
                let last = last_held_back(engine, entry, &pause)?;
                Some(Firing::made_up(entry.clone(), last))
            });
            claiming::dispatch(engine, firings.collect());
        }
    }
}

/// The last fire time of a task that a pause has held back, if it is to be made up for.
fn last_held_back(engine: &Engine, entry: &Entry, pause: &Pause) -> Option<DateTime<Utc>> {
    if entry.depends_on_runs() || entry.is_driven || entry.policy.scope == Scope::EveryInstance {
        return None;
    }
    let last = match engine.steering.overridden(entry) {
        Some(other) => other.prev_before(&entry.schedule, pause.until),
        None => entry.schedule.prev_before(pause.until),
    };
    // What another pause holds back still is not for this one.
    let name = entry.name.as_str();
    let is_free = |last: &DateTime<Utc>| {
        let rules = engine.steering.rules();
        let now = engine.settings.clock.now();
        rules.pause_of(name, now).is_none()
            && rules.pause_of(name, *last).is_none_or(|p| p.until <= now)
    };
    last.filter(|last| *last >= pause.from).filter(is_free)
}
