//! What runs: the [`Task`] trait and what surrounds one run of a task.

mod context;
mod name;
mod notes;
mod policy;
mod report;
mod run_id;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};

pub(crate) use context::RunControl;
pub use context::{CancelReason, RunContext};
pub use name::TaskName;
pub use notes::Progress;
pub(crate) use notes::{NoteReader, RunNotes};
pub use policy::{Misfire, OnStoreDown, Overlap, Policy, Recovery, Retry, Scope, Shard};
#[cfg(feature = "dynamic")]
pub(crate) use policy::{seconds, zone};
pub(crate) use report::Advice;
pub use report::{TaskError, TaskResult};
pub use run_id::RunId;

/// The timeout of a task that does not say otherwise: five minutes.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Refuses a timeout under which nothing could run.
pub(crate) fn check_timeout(timeout: Duration) -> Result<()> {
    if !timeout.is_zero() {
        return Ok(());
    }
    let text = "its timeout is zero, so that every run would be cancelled at once: give it one, or \
                leave the default of 5 minutes";
    Err(Error::new(ErrorKind::InvalidTask, text))
}

/// A named unit of work with a schedule.
///
/// ```
/// use std::time::Duration;
/// use tasklock::{RunContext, Task, TaskResult, async_trait};
///
/// struct Cleanup;
///
/// #[async_trait]
/// impl Task for Cleanup {
///     fn name(&self) -> &str { "cleanup" }
///     fn spec(&self) -> &str { "0 0 2 * * *" }
///     fn timeout(&self) -> Duration { Duration::from_secs(60) }
///     async fn run(&self, ctx: RunContext) -> TaskResult {
///         // … `?` works on any error …
///         let _ = ctx.fire_time();
///         Ok(())
///     }
/// }
/// ```
///
/// `name`, `spec`, `timeout` and `policy` are read once, when the task is registered.
#[async_trait]
pub trait Task: Send + Sync + 'static {
    /// The task's name, unique in the fleet: 1 to 128 characters of `A-Z a-z 0-9 _ . : -`.
    ///
    /// All instances that register a task under this name share its lock, `task:lock:<name>`.
    fn name(&self) -> &str;

    /// When the task is due: see [`Schedule`](crate::Schedule) for the grammar.
    fn spec(&self) -> &str;

    /// How long one run may take before it is cancelled. Default: [`DEFAULT_TIMEOUT`].
    ///
    /// At the timeout [`RunContext::cancelled`] resolves; a run that has not returned after the
    /// policy's [`cancel_grace`](Policy::cancel_grace) is dropped. Zero is refused at
    /// registration.
    fn timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }

    /// How the task behaves when things are not as planned. Default: [`Policy::default`].
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// What the task is for, for people. Default: nothing.
    fn description(&self) -> &str {
        ""
    }

    /// Words by which people find it among others: `["billing"]`. Default: none.
    fn tags(&self) -> &[&str] {
        &[]
    }

    /// Does the work of one firing.
    ///
    /// # Cancellation
    ///
    /// The future is dropped at any of its `.await` points when its lease is lost, and after a
    /// grace when its timeout or a shutdown has asked it to end through
    /// [`RunContext::cancelled`]. A future that blocks its thread cannot be stopped: move blocking
    /// work to [`tokio::task::spawn_blocking`] and watch [`RunContext::is_cancelled`] in it.
    ///
    /// # Errors
    ///
    /// Whatever the work returns: it makes the run's outcome `failure`.
    async fn run(&self, ctx: RunContext) -> TaskResult;
}
