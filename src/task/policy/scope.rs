//! On how many instances a firing runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// On how many instances a firing runs.
///
/// ```text
/// instances A and B
///
/// Once            A |===1===|    B  –
/// EveryInstance   A |===1===|    B |===1===|
/// Sharded(4)      A |=1, part 2=|    B |=1, part 1=|
///                   |=1, part 0=|      |=1, part 3=|
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// On one.
    #[default]
    Once,
    /// On each, without asking the lock: to refresh a cache, to clean a local directory. Each
    /// instance keeps its own runs from overlapping; the fencing token is the instance's own.
    EveryInstance,
    /// In so many parts, each on one instance: each run finds its part in
    /// [`RunContext::shard`](crate::RunContext::shard). Each part is locked, fired and counted like a
    /// task of its own. Instances begin with different parts, so that a fleet shares them about
    /// evenly. 2 to 1 024.
    Sharded(u32),
}

/// The part of a firing that a run is to do, of a task whose scope is
/// [`Sharded`](Scope::Sharded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Shard {
    /// Which part, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl fmt::Display for Shard {
    /// `3/12`: the index, from 0, and how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}
