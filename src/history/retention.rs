//! How much a history keeps.

use std::time::Duration;

/// How much a history keeps: by default 500 runs of each task, of the last 7 days, the logs of the
/// last 20 of them, and decisions on 200 fire times of each task.
///
/// ```
/// use std::time::Duration;
/// use tasklock::{MemoryHistory, Retention};
///
/// let retention = Retention::default().runs(100).age(Duration::from_secs(86_400));
/// let history = MemoryHistory::new().with_retention(retention);
/// ```
///
/// Counters are kept whatever becomes of the runs that they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub(crate) runs: usize,
    pub(crate) age: Duration,
    pub(crate) logs: usize,
    pub(crate) decisions: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs: 500,
            age: Duration::from_secs(7 * 86_400),
            logs: 20,
            decisions: 200,
        }
    }
}

impl Retention {
    /// So many runs of each task, 1 to 10 000. Default: 500.
    #[must_use]
    pub fn runs(mut self, most: usize) -> Self {
        self.runs = most.clamp(1, 10_000);
        self
    }

    /// Runs no older than this, a minute to 366 days. Default: 7 days.
    #[must_use]
    pub fn age(mut self, longest: Duration) -> Self {
        let day = Duration::from_secs(86_400);
        self.age = longest.clamp(Duration::from_secs(60), 366 * day);
        self
    }

    /// The logs of so many runs of each task, up to 1 000. Default: 20.
    #[must_use]
    pub fn logs(mut self, most: usize) -> Self {
        self.logs = most.min(1_000);
        self
    }

    /// Decisions on so many fire times of each task, 1 to 1 000. Default: 200. Of tasks that are due
    /// more often than every ten seconds, those of ten seconds count as one.
    #[must_use]
    pub fn decisions(mut self, most: usize) -> Self {
        self.decisions = most.clamp(1, 1_000);
        self
    }
}
