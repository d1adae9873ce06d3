//! What a run knows about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::event::{RunFacts, Trigger};
use crate::lock::FencingToken;
use crate::task::{Progress, RunId, RunNotes, Shard};

/// What one run knows about itself, and how it hears that it should end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunContext {
    facts: Arc<Facts>,
    control: RunControl,
}

#[derive(Debug)]
struct Facts {
    run: RunFacts,
    deadline: DateTime<Utc>,
    notes: Arc<RunNotes>,
}

/// Why a run was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// It ran longer than the task's timeout.
    Timeout,
    /// The lease was lost, or could not be renewed in time: another instance may run the task now.
    LeaseLost,
    /// The scheduler stops, and the grace for running tasks is over.
    Shutdown,
    /// The task's next firing is due, and takes its place: [`Overlap::Replace`](crate::Overlap).
    Replaced,
    /// Somebody asked for it: [`ControlPlane::cancel`](crate::ControlPlane::cancel).
    Requested,
}

impl RunContext {
    pub(crate) fn new(
        run: RunFacts,
        deadline: DateTime<Utc>,
        control: RunControl,
        notes: Arc<RunNotes>,
    ) -> Self {
        Self {
            facts: Arc::new(Facts {
                run,
                deadline,
                notes,
            }),
            control,
        }
    }

    /// The task's name.
    pub fn task_name(&self) -> &str {
        self.facts.run.task.as_str()
    }

    /// The instant that the schedule named, the same on all instances; not the time it is now.
    pub fn fire_time(&self) -> DateTime<Utc> {
        self.facts.run.fire_time
    }

    /// Which attempt at this firing this is, from 1: which grant of it, one more for each rerun after an
    /// instance died, plus the retries within this run. A rerun of a run that was retried may repeat
    /// numbers.
    pub fn attempt(&self) -> u32 {
        self.facts.run.attempt
    }

    /// The run's id, unique in the fleet.
    pub fn run_id(&self) -> RunId {
        self.facts.run.run_id
    }

    /// A number that grows with every grant of this task's lock, in the whole fleet.
    ///
    /// Hand it to what the task writes to, and let that refuse a smaller one than it has seen:
    /// `UPDATE t SET …, fence = $f WHERE id = $1 AND fence <= $f`. Then a run that was paused
    /// beyond its lease cannot overwrite the work of its successor.
    pub fn fencing_token(&self) -> FencingToken {
        self.facts.run.fencing_token
    }

    /// Which part of the firing this run is to do, if the task's scope is
    /// [`Sharded`](crate::Scope::Sharded): `id % shard.count == shard.index` is ours.
    pub fn shard(&self) -> Option<Shard> {
        self.facts.run.shard
    }

    /// Why the run began: its schedule, or somebody who asked for it.
    pub fn trigger(&self) -> Trigger {
        self.facts.run.trigger
    }

    /// Who asked for this run, if somebody did.
    pub fn actor(&self) -> Option<&str> {
        Some(self.facts.run.request.as_ref()?.by.actor())
    }

    /// What whoever asked for this run tells it: [`RunNow::params`](crate::RunNow::params).
    pub fn params(&self) -> Option<&str> {
        self.facts.run.request.as_ref()?.params.as_deref()
    }

    /// Says how far the run is, for whoever looks at it: `done` of `total`, or 0 for a total that
    /// nobody knows. Readable in the [history](crate::History) within a second or two.
    ///
    /// ```
    /// # async fn upload(_: &str) -> tasklock::TaskResult { Ok(()) }
    /// use tasklock::{RunContext, TaskResult};
    ///
    /// async fn run(ctx: RunContext, files: Vec<String>) -> TaskResult {
    ///     for (n, file) in files.iter().enumerate() {
    ///         ctx.progress(n as u64, files.len() as u64);
    ///         ctx.status(format!("uploading {file}"));
    ///         upload(file).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Costs nothing to speak of and never waits; of what is said within a second the last is kept.
    /// Without a history nobody hears it.
    pub fn progress(&self, done: u64, total: u64) {
        self.facts.notes.progress(Progress::new(done, total));
    }

    /// Says in a few words what the run is doing, beside its [`progress`](Self::progress) and like
    /// it. Cut to 256 bytes; characters that would change how others are shown are escaped. Do not
    /// put secrets into it.
    pub fn status(&self, text: impl AsRef<str>) {
        self.facts.notes.status(text.as_ref());
    }

    /// When the timeout will cancel this run, by this instance's clock.
    pub fn deadline(&self) -> DateTime<Utc> {
        self.facts.deadline
    }

    /// Resolves when the run should end: its timeout, a lost lease, a shutdown, its replacement.
    ///
    /// Cancel-safe: it may be dropped and called again.
    pub async fn cancelled(&self) {
        self.control.token.cancelled().await;
    }

    /// Whether the run should end. For work in [`tokio::task::spawn_blocking`].
    pub fn is_cancelled(&self) -> bool {
        self.control.token.is_cancelled()
    }

    /// Why the run should end; `None` as long as it should not.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.control.reason()
    }
}

/// The engine's side of a run's cancellation: the first reason stays.
#[derive(Debug, Clone)]
pub(crate) struct RunControl {
    token: CancellationToken,
    reason: Arc<AtomicU8>,
    /// How long it may take to end, in milliseconds, if somebody has said so.
    grace_ms: Arc<AtomicU64>,
}

impl RunControl {
    pub(crate) fn new() -> Self {
        Self {
            token: CancellationToken::new(),
            reason: Arc::new(AtomicU8::new(0)),
            grace_ms: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    pub(crate) fn cancel(&self, reason: CancelReason) {
        let code = match reason {
            CancelReason::Timeout => 1,
            CancelReason::LeaseLost => 2,
            CancelReason::Shutdown => 3,
            CancelReason::Replaced => 4,
            CancelReason::Requested => 5,
        };
        // Only the first reason is kept; the token follows it, so that whoever sees the token
        // cancelled also sees why.
        let _ = self
            .reason
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.token.cancel();
    }

    /// Asks it to end because somebody wants that, and says how long it may take.
    pub(crate) fn request_end(&self, grace: Option<Duration>) {
        if let Some(grace) = grace {
            let ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            // The shortest that was asked for stays.
            self.grace_ms.fetch_min(ms, Ordering::AcqRel);
        }
        self.cancel(CancelReason::Requested);
    }

    /// How long it may take to end, if somebody has said so.
    pub(crate) fn grace(&self) -> Option<Duration> {
        match self.grace_ms.load(Ordering::Acquire) {
            u64::MAX => None,
            ms => Some(Duration::from_millis(ms)),
        }
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        match self.reason.load(Ordering::Acquire) {
            1 => Some(CancelReason::Timeout),
            2 => Some(CancelReason::LeaseLost),
            3 => Some(CancelReason::Shutdown),
            4 => Some(CancelReason::Replaced),
            5 => Some(CancelReason::Requested),
            _ => None,
        }
    }

    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}
