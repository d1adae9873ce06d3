//! What becomes of a firing for which the lock could not be asked.

use serde::{Deserialize, Serialize};

/// What becomes of a firing for which the lock's store could not be asked within the task's
/// [misfire threshold](crate::Policy::misfire_threshold), or which a store that was replaced meanwhile
/// may have granted to somebody without its successor knowing.
///
/// ```text
/// store               down ---------------------------------------->
/// firing 1 is due          |<-- misfire threshold -->|
/// Skip               A, B   asks again and again      –
/// RunLocally         A      asks again and again      |===1===|
///                    B      asks again and again      |===1===|
/// Fail               A, B   asks again and again      – failed
/// ```
///
/// While one firing of a task waits for the store, one newer one waits behind it, the newest; the others
/// end at once, as the policy says. Under `RunLocally` all wait, and each runs at its own threshold,
/// though not beside a run of its task that goes on here, unless
/// [`Overlap::Allow`](crate::Overlap::Allow) lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnStoreDown {
    /// It does not run. Its decision is `store_down`.
    #[default]
    Skip,
    /// It runs, on every instance that cannot ask either: rather several times than not at all.
    RunLocally,
    /// It does not run, and counts as a failure of the task: logged as `Task failed`, counted in
    /// `task_errors_total`.
    Fail,
}
