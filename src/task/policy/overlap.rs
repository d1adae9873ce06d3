//! What becomes of a firing that is due while the run before it goes on.

use serde::{Deserialize, Serialize};

/// What becomes of a firing that is due while the task's run before it goes on, here or on another
/// instance.
///
/// ```text
/// every 10 s; the first run takes 35 s, the others 3 s
///
/// due         10        20        30        40        50        60
/// Skip        |===============10=================|    |50|      |60|
/// QueueOne    |===============10=================||40||50|      |60|
///             40 has taken the place of 20 and 30
///
/// every 10 s; each run would take longer, and needs 1 s to end when it is asked (x)
///
/// Replace     |===10====x||==20====x||==30====x||==40====x|
///
/// every 10 s; each run takes 25 s
///
/// Allow(2)    |==========10============|    |==========40============|
///                       |==========20============|    |==========50============|
///             30 is one too many
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// It does not run. Only if the other instance died meanwhile, it does.
    #[default]
    Skip,
    /// It waits for the end of that run. A newer firing takes its place: one waits at most.
    QueueOne,
    /// That run is cancelled as by its timeout, with its grace; then this one runs. The instance that
    /// runs it does so itself when its own timer finds the new firing due, so all instances have to
    /// have the task registered with the same spec.
    Replace,
    /// It runs beside that run, as long as no more than so many go on in the whole fleet; beyond that it
    /// does not run. 2 to 64. Each run has a lock of its own, of which only the first is
    /// `task:lock:<name>`.
    Allow(u32),
}

impl Overlap {
    /// The word for it in metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::QueueOne => "queue_one",
            Overlap::Replace => "replace",
            Overlap::Allow(_) => "allow",
        }
    }
}
