//! How much the metrics say of how long something takes.

/// What becomes of the histograms of tasks: `task_duration_seconds` and `task_start_delay_seconds`.
///
/// There are no native histograms: the crate [`prometheus`] cannot write them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Histograms {
    /// Buckets, a sum and a count: 30 of the 56 series of a task with the default buckets.
    #[default]
    Classic,
    /// A sum and a count, so that means are known and quantiles are not: 4 series. They are summaries
    /// then, which have no buckets.
    Off,
}
