//! What becomes of firings that could not start in time.

use serde::{Deserialize, Serialize};

/// What becomes of a firing that could not start within the task's
/// [misfire threshold](crate::Policy::misfire_threshold): no instance was up, all were busy, the
/// store was down.
///
/// ```text
/// every hour          down from 01:30 to 04:10, threshold 60 s
///                     02:00   03:00   04:00 | 04:10 up        05:00
/// Skip                  –       –       –   |                  run
/// RunOnce               –       –     at 04:10                 run
/// RunAll(2)             –     at 04:10, then 04:00's           run
/// ```
///
/// What was missed is judged from the last instant that the lock has noted, whoever took it: a
/// restart neither forgets an instant nor replays one. A task that never fired has missed nothing.
/// [`Policy::start_deadline`](crate::Policy::start_deadline) says how late is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Misfire {
    /// They do not run.
    #[default]
    Skip,
    /// Of those missed, the newest runs, unless a newer firing is in time.
    RunOnce,
    /// The newest so many of those missed run, one after the other, oldest first. At most 1 000.
    RunAll(u32),
}

impl Misfire {
    /// The word for it in metrics and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Misfire::Skip => "skip",
            Misfire::RunOnce => "run_once",
            Misfire::RunAll(_) => "run_all",
        }
    }
}
