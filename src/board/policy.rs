//! A task's policy, for people.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::seconds;
use crate::task::{self, OnStoreDown, Recovery, Scope};

/// So many fire times without a success are a missed deadline.
pub(crate) const DEADLINE_FIRES: u32 = 2;
/// So much later.
pub(crate) const GRACE: Duration = Duration::from_secs(120);

/// A task's policy and timeout, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Policy {
    /// What becomes of a firing that is due while the run before it goes on: `skip`, `queue_one`,
    /// `replace`, `allow`.
    pub(crate) overlap: String,
    /// What becomes of firings that could not start in time: `skip`, `run_once`, `run_all`.
    pub(crate) misfire: String,
    /// How late a firing may start before it counts as missed, in seconds.
    pub(crate) misfire_threshold_s: f64,
    /// How long a run may take, in seconds.
    pub(crate) timeout_s: f64,
    /// How often its code is called within one run at the most.
    pub(crate) max_attempts: u32,
    /// What becomes of a run whose instance died: `skip`, `rerun`.
    pub(crate) recovery: String,
    /// On how many instances a firing runs: `once`, `every_instance`, `sharded`.
    pub(crate) scope: String,
    /// In how many parts it is done, if it is.
    pub(crate) shards: Option<u32>,
    /// What becomes of a firing when the lock's store is away: `skip`, `fail`, `run_locally`.
    pub(crate) on_store_down: String,
    /// How long a lease lasts without renewal, in seconds.
    pub(crate) lock_ttl_s: f64,
    /// By how much later its firings start at the most, at random, in seconds.
    pub(crate) jitter_s: f64,
    /// By how much later its firings start at the most, by its name, in seconds.
    pub(crate) spread_s: f64,
    /// How long a run may take to end when it is asked to, in seconds.
    pub(crate) cancel_grace_s: f64,
    /// After so many failures in a row it is paused, if at all.
    pub(crate) pause_after: Option<u32>,
    /// The group whose runs are limited together, if it is in one.
    pub(crate) group: Option<String>,
    /// So many fire times without a success are a missed deadline.
    pub(crate) deadline_fires: u32,
    /// So much later, in seconds.
    pub(crate) grace_s: f64,
}

impl Policy {
    pub(crate) fn of(policy: &task::Policy, timeout: Duration) -> Self {
        let word = |word: &str| word.to_owned();
        Self {
            overlap: word(policy.overlap.as_str()),
            misfire: word(policy.misfire.as_str()),
            misfire_threshold_s: seconds(policy.misfire_threshold),
            timeout_s: seconds(timeout),
            max_attempts: policy.retry.times.saturating_add(1),
            recovery: word(match policy.recovery {
                Recovery::Skip => "skip",
                Recovery::Rerun { .. } => "rerun",
            }),
            scope: word(match policy.scope {
                Scope::Once => "once",
                Scope::EveryInstance => "every_instance",
                Scope::Sharded(_) => "sharded",
            }),
            shards: match policy.scope {
                Scope::Sharded(count) => Some(count),
                _ => None,
            },
            on_store_down: word(match policy.on_store_down {
                OnStoreDown::Skip => "skip",
                OnStoreDown::RunLocally => "run_locally",
                OnStoreDown::Fail => "fail",
            }),
            lock_ttl_s: seconds(policy.lease_ttl),
            jitter_s: seconds(policy.jitter),
            spread_s: seconds(policy.spread),
            cancel_grace_s: seconds(policy.cancel_grace),
            pause_after: policy.pause_after,
            group: policy.group.as_deref().map(str::to_owned),
            deadline_fires: DEADLINE_FIRES,
            grace_s: seconds(GRACE),
        }
    }
}
