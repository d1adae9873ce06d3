//! What becomes of a run whose instance died.

use serde::{Deserialize, Serialize};

/// What becomes of a firing whose run did not end: its instance died, lost its lease, or was stopped.
///
/// ```text
/// instance A  |==1==✗ killed
/// lease       |--------------| ends
/// Skip                            next fire time: 2
/// Rerun                      |==1, again==|      before any later firing
/// ```
///
/// An instance that watches asks for it within half a lease of that end. A run that ended is not run
/// again, however it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovery {
    /// It is not run again: a firing starts at most once.
    #[default]
    Skip,
    /// It is run again, on any instance, after its lease has ended and before later firings, at most
    /// `max` times: a firing ends at least once, unless that many runs died. The work may have been
    /// done already when its instance died, so it has to bear being done twice.
    Rerun {
        /// How many times.
        max: u32,
    },
}

impl Recovery {
    /// How often one firing may be granted.
    pub(crate) fn attempts(self) -> u32 {
        match self {
            Recovery::Skip => 1,
            Recovery::Rerun { max } => max.saturating_add(1),
        }
    }
}
