//! The other instances: who comes, who goes, what differs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::control::{Drift, INSTANCES, Instance, Malformed, decode, drifts, instance_key};
use crate::event::Event;
use crate::fleet::Listing;
use crate::scheduler::engine::Engine;
use crate::scheduler::steering::chronicle::Chronicle;
use crate::scheduler::steering::following::Told;
use crate::scheduler::steering::record::TTL;
use crate::task::TaskName;

/// How much later than its record ends an instance counts as lost, for a listing that was late.
const MARGIN: Duration = Duration::from_secs(1);

/// How often it is told who there is, though nothing has changed.
const SAY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Roster {
    others: HashMap<String, Seen>,
    own: Option<Arc<Instance>>,
    /// Differences that were told of.
    drifts: HashSet<String>,
    /// The tasks that they are about.
    drifting: Arc<[TaskName]>,
    /// When it was told last who there is; monotonic.
    seen: Option<Duration>,
}

#[derive(Debug)]
struct Seen {
    instance: Arc<Instance>,
    /// When its last record was read; monotonic. Nobody's wall clock matters.
    at: Duration,
}

impl Roster {
    /// Takes note of what has changed, and announces it.
    pub(super) fn read(
        &mut self,
        engine: &Engine,
        listing: Listing,
        (told, chronicle): (&mut Told, &mut Chronicle),
    ) {
        let now = engine.settings.clock.monotonic();
        let (mut has_changed, mut may_drift) = (false, false);
        for key in &listing.removed {
            if let Some(seen) = self.others.remove(key) {
                (has_changed, may_drift) = (true, true);
                let instance = seen.instance;
                engine.announce(&Event::InstanceLeft { instance });
            }
        }
        for record in &listing.records {
            let read = decode::<Instance>(&record.value).and_then(|instance| {
                match instance.is_sound() && instance_key(&instance.id) == record.key {
                    true => Ok(instance),
                    false => Err(Malformed("it is not what its key says".to_owned())),
                }
            });
            let instance = match read {
                Ok(instance) if *instance.id == *engine.settings.instance => {
                    let instance = Arc::new(instance);
                    may_drift |= self
                        .own
                        .as_ref()
                        .is_none_or(|own| own.tasks != instance.tasks);
                    self.own = Some(instance);
                    continue;
                }
                Ok(instance) => Arc::new(instance),
                Err(malformed) => {
                    told.tell(engine, INSTANCES, (&record.key, record.version), malformed);
                    continue;
                }
            };
            has_changed = true;
            let seen = Seen {
                instance: instance.clone(),
                at: now,
            };
            match self.others.insert(record.key.clone(), seen) {
                Some(before) => may_drift |= before.instance.tasks != instance.tasks,
                None => {
                    may_drift = true;
                    engine.announce(&Event::InstanceJoined { instance });
                }
            }
        }
        let mut lost = Vec::new();
        self.others.retain(|_, seen| {
            let is_here = now.saturating_sub(seen.at) < TTL + MARGIN;
            if !is_here {
                lost.push(seen.instance.clone());
            }
            is_here
        });
        for instance in lost {
            (has_changed, may_drift) = (true, true);
            chronicle.lost(engine, &instance);
            engine.announce(&Event::InstanceLost { instance });
        }
        if has_changed {
            self.publish(engine);
        }
        if may_drift {
            self.compare(engine, chronicle);
        }
        let is_due = self.seen.is_none_or(|seen| now.saturating_sub(seen) >= SAY);
        if may_drift || is_due {
            self.seen = Some(now);
            engine.announce(&Event::FleetSeen {
                instances: self.others.len() + 1,
                drifting: self.drifting.clone(),
            });
        }
    }

    fn publish(&self, engine: &Engine) {
        let mut others: Vec<Arc<Instance>> = self
            .others
            .values()
            .map(|seen| seen.instance.clone())
            .collect();
        others.sort_by(|a, b| a.id.cmp(&b.id));
        let mut list = engine
            .steering
            .others
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *list = others;
    }

    /// Finds out what is not the same on all instances, and tells of what it has not told of.
    fn compare(&mut self, engine: &Engine, chronicle: &mut Chronicle) {
        let others = self.others.values().map(|seen| &seen.instance);
        let all = others.chain(&self.own).map(AsRef::as_ref);
        let found: Vec<Drift> = drifts(all);
        let mut drifting: Vec<TaskName> = found.iter().map(|drift| drift.task.clone()).collect();
        drifting.dedup();
        self.drifting = drifting.into();
        let print = |drift: &Drift| format!("{drift:?}");
        let told: HashSet<String> = found.iter().map(print).collect();
        let is_new = |drift: &Drift| !self.drifts.contains(&print(drift));
        let new: Vec<Drift> = found.into_iter().filter(is_new).collect();
        chronicle.drift(engine, &new);
        for drift in new {
            let drift = Arc::new(drift);
            engine.announce(&Event::TaskDrifts { drift });
        }
        self.drifts = told;
    }
}
