//! What the store forgot, and what may follow from that.

use super::history::{Line, What};

/// Between a write and the line about its answer, and back.
const SLACK: u64 = 1_000_000;

/// The store lost its data, or the writes of some time. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataLoss {
    /// Older writes are kept; 0 if nothing is.
    of: u64,
    /// From when on, and until when, there was a server that did not have what another took.
    from: u64,
    to: u64,
    /// Whether grants are among what is lost. Those that waited for replicas are not.
    has_grants: bool,
}

/// The word of a loss that leaves the grants.
pub const BUT_GRANTS: &str = "but_grants";

impl DataLoss {
    pub fn read(line: &Line) -> Option<Self> {
        (line.what == What::Loss).then(|| Self {
            of: line.number,
            from: if line.number > 0 {
                line.number
            } else {
                line.at
            },
            to: line.at,
            has_grants: line.word != BUT_GRANTS,
        })
    }

    /// Whether an instant that started once may have been granted a second time for this.
    pub fn forgets_start(&self, first: u64, second: u64) -> bool {
        let is_of_it = self.of <= first && first < self.to + SLACK;
        self.has_grants && is_of_it && self.from < second
    }

    /// Whether the lease of a run may have been forgotten before another run started.
    pub fn forgets_lease(&self, first: u64, second: u64) -> bool {
        first.saturating_sub(SLACK) < self.to && self.from < second
    }

    /// Whether a release was answered by a server that was not believed later: the lock is then
    /// kept up to its end. What loses everything loses the lock too.
    pub fn forgets_release(&self, at: u64) -> bool {
        self.is_failover() && self.is_forked(at)
    }

    /// Whether two servers may have answered then, each for itself.
    pub fn is_forked(&self, at: u64) -> bool {
        self.is_failover() && (self.from..self.to + SLACK).contains(&at)
    }

    /// Whether it was over within this.
    pub fn is_within(&self, from: u64, to: u64) -> bool {
        (from..to).contains(&self.to)
    }

    fn is_failover(&self) -> bool {
        self.of > 0
    }
}
