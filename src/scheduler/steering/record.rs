//! What this instance says of itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::control::{
    INSTANCES, Instance, MOST_RUNS, MOST_TASKS, RunningRun, TaskFacts, instance_key,
};
use crate::error::Result;
use crate::fleet::{FleetStore, Version, Write};
use crate::lock::Lock;
use crate::scheduler::SchedulerState;
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::spread;
use crate::scheduler::steering::limited;
use crate::task::Policy;

/// How often the record is written.
pub(super) const REFRESH: Duration = Duration::from_secs(5);
/// How long it is there after it was written last: with the margin of those who read it, an instance that
/// is not heard of is lost after two refreshes.
pub(super) const TTL: Duration = Duration::from_secs(9);
/// The longest spec that it has room for, in characters.
const LONGEST_SPEC: usize = 200;
/// So many tags of a task it has room for, and so many characters of each.
const MOST_TAGS: usize = 8;
const LONGEST_TAG: usize = 40;

/// Our record in the store.
#[derive(Debug)]
pub(super) struct Record {
    key: String,
    started: DateTime<Utc>,
    /// When it was written last; monotonic.
    written: Option<Duration>,
    /// It says something new.
    is_urgent: bool,
    round_trip: Option<Duration>,
    /// What it said of whether it takes firings.
    was_ready: Option<bool>,
}

impl Record {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            key: instance_key(&engine.settings.instance),
            started: engine.steering.started(engine.settings.clock.now()),
            written: None,
            is_urgent: false,
            round_trip: None,
            was_ready: None,
        }
    }

    pub(super) fn note_round_trip(&mut self, took: Duration) {
        self.round_trip = Some(took);
    }

    /// It is to be written at the next look.
    pub(super) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Writes it, if it is time.
    pub(super) async fn write(
        &mut self,
        engine: &Engine,
        store: &dyn FleetStore,
        follows: Version,
    ) -> Result<()> {
        let now = engine.settings.clock.monotonic();
        let is_due = self
            .written
            .is_none_or(|at| now.saturating_sub(at) >= REFRESH);
        if !is_due && !self.is_urgent {
            return Ok(());
        }
        let instance = self.instance(engine, follows);
        let is_ready = Some(instance.is_ready());
        let write = Write::put(INSTANCES, &self.key, instance.into_text()?).lasting(TTL);
        let write = match self.was_ready == is_ready {
            true => write.quietly(),
            false => write,
        };
        limited(store.write(&write)).await?;
        (self.written, self.is_urgent, self.was_ready) = (Some(now), false, is_ready);
        Ok(())
    }

    /// Takes it away.
    pub(super) async fn remove(&self, _engine: &Engine, store: &dyn FleetStore) {
        // It ends by itself if the store is away.
        let _ = limited(store.write(&Write::remove(INSTANCES, &self.key))).await;
    }

    fn instance(&self, engine: &Engine, follows: Version) -> Instance {
        let settings = &engine.settings;
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let (mut running, run_count): (Vec<RunningRun>, usize) = {
            let live = engine.steering.live();
            let runs = live.values().take(MOST_RUNS).map(|live| RunningRun {
                task: live.facts.task.clone(),
                run_id: live.facts.run_id,
                fencing_token: live.facts.fencing_token.get(),
                started: live.facts.started,
            });
            (runs.collect(), live.len())
        };
        running.sort_by_key(|run| run.run_id);
        Instance {
            id: settings.instance.to_string(),
            host: settings.host.clone(),
            application: settings.application.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            said: settings.clock.now(),
            limit: settings.max_concurrent,
            running,
            run_count: Some(run_count),
            tasks: tasks(&engine.registry.first(MOST_TASKS)),
            task_count: engine.registry.len(),
            clock_offset_ms: engine.lock.clock_offset().map(|offset| {
                let ms = (offset.seconds() * 1000.0).round();
                ms as i64
            }),
            store_round_trip_ms: self.round_trip.map(ms),
            is_stopping: engine.state() != SchedulerState::Running,
            is_drained: engine.steering.is_drained(),
            follows: follows.get(),
        }
    }
}

/// What this instance would say of itself now.
#[cfg(any(feature = "admin", feature = "cli"))]
pub(crate) fn own(engine: &Engine) -> Instance {
    Record::new(engine).instance(engine, Version::default())
}

/// What each task is, in short.
fn tasks(entries: &[Arc<Entry>]) -> Vec<TaskFacts> {
    // Many tasks have one policy.
    let mut policies: HashMap<(*const Policy, Duration), String> = HashMap::new();
    let facts = entries
        .iter()
        .filter(|entry| entry.is_first())
        .map(|entry| {
            let policy = policies
                .entry((Arc::as_ptr(&entry.policy), entry.timeout))
                .or_insert_with(|| {
                    let text = format!("{:?} {:?}", entry.policy, entry.timeout);
                    format!("{:016x}", spread::hash(&text))
                });
            let spec = entry.spec.chars().filter(|c| !c.is_control());
            TaskFacts {
                name: entry.name.clone(),
                spec: spec.take(LONGEST_SPEC).collect(),
                schedule: entry.fingerprint.to_string(),
                policy: policy.clone(),
                timezone: Some(entry.schedule.timezone()),
                timeout: Some(entry.timeout),
                kind: entry.kind.as_deref().map(str::to_owned),
                tags: tags(entry),
                lacks_kind: entry.lacks_kind,
                settings: Some((*entry.policy).clone()),
            }
        });
    facts.collect()
}

/// The words by which people find a task, as far as there is room.
fn tags(entry: &Entry) -> Vec<String> {
    let fit = |tag: &&str| {
        let chars = tag.chars().filter(|c| !c.is_control());
        chars.take(LONGEST_TAG).collect()
    };
    let tags = entry.task.tags();
    tags.iter().take(MOST_TAGS).map(fit).collect()
}
