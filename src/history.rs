//! What was run, and what was not: the [`History`] contract, and the stores that keep it.
//!
//! ```text
//! engine ── events ──> HistoryWriter ── in batches ──> History ──> pages, command line, metrics
//!                      (bounded queue)                  (memory, Redis)
//! ```
//! The engine never waits for a history and decides nothing by it: what cannot be written is
//! dropped and counted. `docs/history.md` says what is kept for how long.

mod change;
mod counters;
mod deadline;
mod decided;
mod hearing;
mod line;
mod log_buffer;
mod memory;
mod query;
mod queue;
mod redact;
#[cfg(feature = "redis")]
mod redis;
mod retention;
mod run;
#[cfg(feature = "run-logs")]
mod run_log_layer;
mod stored;
mod sweep;
mod why;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::task::{RunId, TaskName};

pub use change::HistoryWrite;
#[cfg(feature = "admin")]
pub(crate) use counters::is_failure;
pub use counters::{Counters, TaskCounters};
pub(crate) use deadline::success_deadline;
pub use decided::DecisionRecord;
pub use line::{LogLine, LogTail};
pub(crate) use log_buffer::RunLogs;
pub use memory::MemoryHistory;
pub(crate) use query::runs_since;
pub use query::{RunPage, RunQuery};
#[cfg(feature = "redis")]
pub use redis::RedisHistory;
pub use retention::Retention;
pub use run::{AttemptRecord, Failure, RunRecord};
#[cfg(feature = "run-logs")]
pub use run_log_layer::RunLogLayer;
pub(crate) use sweep::gone;
pub(crate) use why::why;
pub use why::{Because, Why};
pub(crate) use writer::HistoryWriter;

/// Keeps what was run in a fleet, and what was not.
///
/// Nothing that decides whether a firing runs twice is kept here: that is the lock's. Writes come in
/// batches, in the order of what one instance did; those of several instances may come in any order.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> tasklock::Result<()> {
/// use tasklock::{History, MemoryHistory, Outcome, RunQuery, TaskName};
///
/// let history = MemoryHistory::new(); // or that of a scheduler: scheduler.handle().history()
/// let task: TaskName = "invoices.sync".parse()?;
///
/// // Runs of a task that failed, newest first; the next page; one of them, and what it logged.
/// let failures = RunQuery::of(task.clone()).outcome(Outcome::Failure).limit(20);
/// let page = history.runs(&failures).await?;
/// let older = page.next.map(|next| failures.before(next));
/// for run in &page.runs {
///     println!("{} on {}: {:?}", run.run_id, run.instance, run.error);
///     let log = history.log(run.run_id, 0).await?;
/// }
///
/// // What goes on, and what it says of itself.
/// for run in history.running(None).await? {
///     println!("{}: {:?} {:?}", run.task, run.status, run.progress);
/// }
///
/// // What did not run, and what is counted, of many tasks in one round trip.
/// let decisions = history.decisions(&task).await?;
/// let counters = history.counters(&[task]).await?;
/// # Ok(()) }
/// ```
///
/// Calls are cancel-safe, and safe to repeat: a record that is written twice is there once, and counts
/// once. An error of a kind that [`is_transient`](crate::Error::is_transient) may be asked again.
/// Records that cannot be read are left out of answers, and stop nothing.
#[async_trait]
pub trait History: fmt::Debug + Send + Sync + 'static {
    /// Writes records, in their order.
    ///
    /// The record of a run replaces the one before it, unless that one has ended: an end is written
    /// once, but for one that somebody else [has found](History::end) to be `abandoned`, which the
    /// run's own instance knows better.
    async fn write(&self, writes: &[HistoryWrite]) -> Result<()>;

    /// One run, with what it said of itself last.
    async fn run(&self, id: RunId) -> Result<Option<RunRecord>>;

    /// Runs of a task, or of all, newest first.
    async fn runs(&self, query: &RunQuery) -> Result<RunPage>;

    /// Runs that have not ended, of one instance or of all, oldest first, with what they said of
    /// themselves last; no more than 1 000.
    async fn running(&self, instance: Option<&str>) -> Result<Vec<RunRecord>>;

    /// What was decided of firings of a task that did not run, latest fire time first.
    async fn decisions(&self, task: &TaskName) -> Result<Vec<DecisionRecord>>;

    /// What a run has logged after a line, or from the first that is kept.
    async fn log(&self, run: RunId, after: u64) -> Result<LogTail>;

    /// What is counted of some tasks, in their order; `None` where nothing is.
    async fn counters(&self, tasks: &[TaskName]) -> Result<Vec<Option<Counters>>>;

    /// Runs that have not ended, of instances that have not been [heard of](HistoryWrite::Alive) for
    /// so long, by the store's clock; no more than 1 000.
    async fn silent(&self, quiet: Duration) -> Result<Vec<RunRecord>>;

    /// Writes the end of a run that its own instance cannot write any more, unless it has ended.
    /// False if it has: of several who try, one succeeds.
    async fn end(&self, ended: &RunRecord) -> Result<bool>;

    /// What this history is and where, for logs. Never with a secret.
    fn describe(&self) -> String;
}

/// So that a history can be chosen at run time: `Arc<dyn History>` is one.
#[async_trait]
impl<H: History + ?Sized> History for Arc<H> {
    async fn write(&self, writes: &[HistoryWrite]) -> Result<()> {
        (**self).write(writes).await
    }
    async fn run(&self, id: RunId) -> Result<Option<RunRecord>> {
        (**self).run(id).await
    }
    async fn runs(&self, query: &RunQuery) -> Result<RunPage> {
        (**self).runs(query).await
    }
    async fn running(&self, instance: Option<&str>) -> Result<Vec<RunRecord>> {
        (**self).running(instance).await
    }
    async fn decisions(&self, task: &TaskName) -> Result<Vec<DecisionRecord>> {
        (**self).decisions(task).await
    }
    async fn log(&self, run: RunId, after: u64) -> Result<LogTail> {
        (**self).log(run, after).await
    }
    async fn counters(&self, tasks: &[TaskName]) -> Result<Vec<Option<Counters>>> {
        (**self).counters(tasks).await
    }
    async fn silent(&self, quiet: Duration) -> Result<Vec<RunRecord>> {
        (**self).silent(quiet).await
    }
    async fn end(&self, ended: &RunRecord) -> Result<bool> {
        (**self).end(ended).await
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}
