//! What the metrics know of the fleet: who there is, and what is not the same everywhere.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, Metric as Sample, MetricFamily, MetricType};

use crate::event::Event;
use crate::metrics::table::INSTANCES;
use crate::metrics::tasks::Tasks;
use crate::task::TaskName;

/// Words for what an instance notices of its fleet.
pub(super) const EVENTS: [&str; 6] = [
    "joined",
    "left",
    "lost",
    "malformed",
    "task_ignored",
    "store_down",
];

/// The word for an event, if it is one of those.
pub(super) fn word(event: &Event) -> Option<&'static str> {
    match event {
        Event::InstanceJoined { .. } => Some("joined"),
        Event::InstanceLeft { .. } => Some("left"),
        Event::InstanceLost { .. } => Some("lost"),
        Event::RecordMalformed { .. } => Some("malformed"),
        Event::StoredTaskIgnored { .. } => Some("task_ignored"),
        Event::FleetStoreDown { .. } => Some("store_down"),
        _ => None,
    }
}

/// The fleet as it was seen last.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    // Held to look or to put a new one in.
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// By the monotonic clock.
    at: Duration,
    instances: usize,
    drifting: HashSet<TaskName>,
}

impl Fleet {
    pub(super) fn see(&self, at: Duration, instances: usize, drifting: &[TaskName]) {
        *self.seen() = Some(Seen {
            at,
            instances,
            drifting: drifting.iter().cloned().collect(),
        });
    }

    /// When it was seen, and how many instances there were.
    pub(super) fn instances(&self) -> Option<(Duration, f64)> {
        let seen = self.seen();
        seen.as_ref().map(|seen| (seen.at, seen.instances as f64))
    }

    /// When it was seen, and whether the task differed then.
    pub(super) fn drift(&self, task: &str) -> Option<(Duration, f64)> {
        let seen = self.seen();
        let differs = |seen: &Seen| f64::from(u8::from(seen.drifting.contains(task)));
        seen.as_ref().map(|seen| (seen.at, differs(seen)))
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        // Nothing that can panic happens while it is held.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `task_instances`: left out while nobody knows, and when it was seen too long ago.
#[derive(Clone)]
pub(super) struct Instances {
    desc: Desc,
    tasks: Arc<Tasks>,
}

impl Instances {
    pub(super) fn new(tasks: Arc<Tasks>) -> prometheus::Result<Self> {
        let (name, help) = (INSTANCES.name.to_owned(), INSTANCES.help.to_owned());
        let desc = Desc::new(name, help, Vec::new(), HashMap::new())?;
        Ok(Self { desc, tasks })
    }
}

impl Collector for Instances {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let seen = self.tasks.fleet.instances();
        let fresh = seen.filter(|(at, _)| !self.tasks.is_stale(*at));
        let Some((_, instances)) = fresh else {
            return Vec::new();
        };
        let mut gauge = Gauge::default();
        gauge.set_value(instances);
        let mut sample = Sample::default();
        sample.set_gauge(gauge);
        let mut family = MetricFamily::default();
        family.set_name(INSTANCES.name.to_owned());
        family.set_help(INSTANCES.help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(vec![sample]);
        vec![family]
    }
}
