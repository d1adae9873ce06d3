//! A lock that is held, for people.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::board::{Stamp, seconds};
use crate::control;
use crate::history::RunRecord;
use crate::task::{RunId, TaskName};
use crate::text::contained_line;

/// A lock that is held for a run that goes on, or whose instance has not said how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Lock {
    /// Its task.
    pub(crate) task: String,
    /// The instance that has it.
    pub(crate) holder: String,
    /// Whether that was heard of lately.
    pub(crate) holder_lives: bool,
    /// The run it is held for.
    pub(crate) run_id: String,
    /// Its fencing token.
    pub(crate) fencing_token: u64,
    /// Since when it is held.
    pub(crate) since: Stamp,
    /// How long a lease lasts without renewal, in seconds, if that is known: so long a holder that died
    /// blocks the others.
    pub(crate) ttl_s: Option<f64>,
    /// When the lease ends if it is not renewed, if that is known.
    #[serde(default)]
    pub(crate) lease_ends_at: Option<Stamp>,
}

/// Those of the runs that instances tell of and that the history knows, by task.
pub(crate) fn locks(
    instances: &[control::Instance],
    running: &[RunRecord],
    ttl: impl Fn(&str) -> Option<Duration>,
    lease: impl Fn(&TaskName) -> Option<DateTime<Utc>>,
) -> Vec<Lock> {
    let mut found: BTreeMap<(String, RunId), Lock> = BTreeMap::new();
    let living: HashSet<&str> = instances.iter().map(|i| i.id.as_str()).collect();
    let ttl_s = |task: &str| ttl(task).map(seconds);
    let ends = |task: &TaskName| lease(task).map(Stamp);
    for instance in instances {
        for run in &instance.running {
            let lock = Lock {
                task: run.task.to_string(),
                holder: contained_line(&instance.id, 64),
                holder_lives: true,
                run_id: run.run_id.to_string(),
                fencing_token: run.fencing_token,
                since: run.started.into(),
                ttl_s: ttl_s(run.task.as_str()),
                lease_ends_at: ends(&run.task),
            };
            found.insert((lock.task.clone(), run.run_id), lock);
        }
    }
    for run in running {
        let key = (run.task.to_string(), run.run_id);
        // Of one that lives its own word is newer, but for the runs that it has no room to tell of.
        found.entry(key).or_insert_with(|| Lock {
            task: run.task.to_string(),
            holder: contained_line(&run.instance, 64),
            holder_lives: living.contains(run.instance.as_str()),
            run_id: run.run_id.to_string(),
            fencing_token: run.fencing_token.get(),
            since: run.started.into(),
            ttl_s: ttl_s(run.task.as_str()),
            lease_ends_at: ends(&run.task),
        });
    }
    found.into_values().collect()
}
