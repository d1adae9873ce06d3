//! Who may run a firing: the [`Lock`] contract, and the locks that keep it.
//!
//! A lock decides two things in one atomic step: whether a task is free now, and whether this
//! instant of it has been taken before, by anybody, however late or skewed the asker is. It keeps
//! two records per task, a *lock* that ends by itself and the *state*: the last instant taken, how
//! that run ended, and the last fencing token. `docs/guarantees.md` says what follows from that.

mod claim;
mod clock_offset;
mod diagnosis;
mod file;
pub(crate) mod lease;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod state;
mod stored;
mod token;
pub(crate) mod transition;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::task::TaskName;

pub use claim::{Before, Claim, Grant};
pub use clock_offset::ClockOffset;
pub use diagnosis::{Diagnosis, Finding, Severity};
pub use file::FileLock;
pub use memory::MemoryLock;
#[cfg(feature = "redis")]
pub(crate) use redis::{RedisLine, RedisScript};
#[cfg(feature = "redis")]
pub use redis::{RedisLock, RedisLockBuilder};
pub use state::{LastFired, RunStatus};
pub use token::{FencingToken, Token};

/// Decides which instance runs a firing.
///
/// Implementations keep one promise: for one task, claims with the same or an older fire time than
/// one that was granted are never granted again (unless that grant was
/// [abandoned](Completion::Abandoned)), and no two grants are valid at once. Contention is an
/// answer; an error means that the store could not be asked. The conformance suite in
/// `tasklock::testing` (feature `testing`) says the rest.
///
/// # Cancellation
///
/// Every method may be dropped at any await point and its request still be executed. All of them
/// are safe to repeat with the same claim or grant, which is how an unknown outcome is resolved.
#[async_trait]
pub trait Lock: fmt::Debug + Send + Sync + 'static {
    /// Asks for one firing.
    async fn acquire(&self, claim: &Claim) -> Result<Acquired>;

    /// Asks for several firings of different tasks; one answer for each claim, in their order.
    /// Default: one by one. Stores that can answer all at once should.
    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        let mut answers = Vec::with_capacity(claims.len());
        for claim in claims {
            answers.push(self.acquire(claim).await);
        }
        answers
    }

    /// Extends a lease to its full TTL from now.
    async fn renew(&self, grant: &Grant) -> Result<Renewed>;

    /// Extends several leases; one answer for each grant, in their order. Default: one by one.
    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        let mut answers = Vec::with_capacity(grants.len());
        for grant in grants {
            answers.push(self.renew(grant).await);
        }
        answers
    }

    /// Ends a lease and records how the run ended.
    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released>;

    /// Ends many leases; one answer for each, in their order. Default: one after the other.
    async fn release_all(&self, ended: &[(Grant, Completion)]) -> Vec<Result<Released>> {
        let mut answers = Vec::with_capacity(ended.len());
        for (grant, completion) in ended {
            answers.push(self.release(grant, *completion).await);
        }
        answers
    }

    /// Forgets that runs of a task failed, so that it is not paused any more. Default: refused, for
    /// locks that keep no such count.
    async fn resume(&self, task: &TaskName) -> Result<()> {
        let text = format!(
            "{} keeps no count of failures: task {task} is not paused",
            self.describe()
        );
        Err(Error::new(ErrorKind::InvalidConfig, text))
    }

    /// Ends the lease of a task's run that was granted with this fencing token, whoever has it, unless
    /// the task was granted anew meanwhile. Its owner finds that it is lost. For a person who knows
    /// that the owner is gone. Default: refused.
    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        let text = format!(
            "{} cannot take the lease with fencing token {fence} of task {task} from its owner",
            self.describe()
        );
        Err(Error::new(ErrorKind::InvalidConfig, text))
    }

    /// What is known of the last instant taken of each task; `None` where nothing is.
    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>>;

    /// How long the lease of each task lasts if it is not renewed, for people who look; `None` where
    /// nobody has one, it never ends by itself, or that is not known. Of tasks that may run several
    /// times at once the first lease is meant. Default: nothing is known.
    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        Ok(tasks.iter().map(|_| None).collect())
    }

    /// Finds out whether the lock can serve at all: reaches the store and its rights.
    async fn check(&self) -> Result<()>;

    /// Looks at what the store is and what is wrong with it, for people. A scheduler asks once, at
    /// its start, and writes warnings and errors into the log. Default: nothing is known.
    async fn diagnose(&self) -> Result<Diagnosis> {
        Ok(Diagnosis::new(self.describe()))
    }

    /// How far the store's clock was from this machine's at the last [`acquire`](Lock::acquire)
    /// that was answered. Default: `None`, as for a store without a clock of its own.
    fn clock_offset(&self) -> Option<ClockOffset> {
        None
    }

    /// Resolves when the store was found to be another one since the last call: replaced, as by a
    /// failover, or restarted. It may have lost what it knew, so that leases should be renewed at
    /// once, which brings their records back. Changes that nobody waited for are told once, by the
    /// next call. Default: never.
    async fn store_changed(&self) {
        std::future::pending().await
    }

    /// What this lock is and where, for logs: `redis at 127.0.0.1:6379/0`. Never with a secret.
    fn describe(&self) -> String;
}

/// So that a lock can be chosen at run time: `Arc<dyn Lock>` is one.
#[async_trait]
impl<L: Lock + ?Sized> Lock for Arc<L> {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        (**self).acquire(claim).await
    }
    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        (**self).acquire_all(claims).await
    }
    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        (**self).renew(grant).await
    }
    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        (**self).renew_all(grants).await
    }
    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        (**self).release(grant, completion).await
    }
    async fn release_all(&self, ended: &[(Grant, Completion)]) -> Vec<Result<Released>> {
        (**self).release_all(ended).await
    }
    async fn resume(&self, task: &TaskName) -> Result<()> {
        (**self).resume(task).await
    }
    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        (**self).unlock(task, fence).await
    }
    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        (**self).last_fired(tasks).await
    }
    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        (**self).leases(tasks).await
    }
    async fn check(&self) -> Result<()> {
        (**self).check().await
    }
    async fn diagnose(&self) -> Result<Diagnosis> {
        (**self).diagnose().await
    }
    fn clock_offset(&self) -> Option<ClockOffset> {
        (**self).clock_offset()
    }
    async fn store_changed(&self) {
        (**self).store_changed().await
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// The answer to a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// The firing is ours, and the task is locked.
    Granted(Grant),
    /// This instant was taken before.
    AlreadyFired {
        /// Who took it.
        owner: String,
        /// How far that run has come.
        status: RunStatus,
        /// Which attempt at the instant it is, from 1: while there are fewer than
        /// [`Claim::max_attempts`], it is granted again should that run have died.
        attempt: u32,
        /// What the task's spec is for whoever took it: [`Claim::spec`].
        spec: String,
    },
    /// Too many runs of the task in a row have failed: see [`Claim::with_pause_after`].
    Paused {
        /// How many.
        failures: u32,
    },
    /// A later instant was taken before, so that this one will never be.
    Superseded {
        /// The instant taken last.
        last: DateTime<Utc>,
    },
    /// This very claim had been granted before, and its run is over or its lease gone to another.
    Burned,
    /// Another run of the task goes on: one of another instant, or of a client that takes
    /// `task:lock:<name>` for itself.
    Held(Holder),
    /// By the store's clock the instant is further ahead than the claim's tolerance.
    TooEarly {
        /// How long until it is due, by the store's clock.
        wait: Duration,
    },
    /// By the store's clock the instant is longer past than the claim's tolerance.
    TooLate {
        /// How long ago it was due, by the store's clock.
        lateness: Duration,
    },
    /// By the store's clock it is not yet as long after the end of the last run as the claim's
    /// [delay](Claim::delay), or its fire time was computed from another end.
    Delayed {
        /// The end of the last run and the delay: the instant to claim.
        fire_time: DateTime<Utc>,
        /// How long until then, by the store's clock.
        wait: Duration,
    },
    /// An earlier instant was taken by a run that died, and may be run again first.
    /// Only for claims of more than one [attempt](Claim::max_attempts).
    FinishEarlier {
        /// That instant.
        fire_time: DateTime<Utc>,
    },
    /// The store has been replaced since the instant came due, and may have lost that somebody was
    /// granted it. Only for claims that are to be granted [at most once](Claim::with_at_most_once).
    InDoubt,
}

/// Who holds a task's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its owner label; `None` when the lock was taken by a client that keeps no state.
    pub owner: Option<String>,
    /// How long until its lease ends if it is not renewed; `None` if it never ends by itself.
    pub remaining: Option<Duration>,
}

/// The answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewed {
    /// The lease goes on for its full TTL.
    Extended,
    /// The lock had vanished, nobody had taken it since, and it is ours again.
    Reasserted,
    /// The lease is gone.
    Lost {
        /// Who has it now, if anybody.
        owner: Option<String>,
    },
}

/// How a granted run ended, for the record that a release leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Completion {
    /// The run succeeded.
    Succeeded,
    /// The run failed or panicked.
    Failed,
    /// The run was ended by its timeout.
    TimedOut,
    /// The run was ended by a shutdown or the loss of its lease.
    Cancelled,
    /// The run was never started: the instant counts as not taken, and may be granted again.
    Abandoned,
}

/// The answer to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// The lock was ours and is free now.
    Freed,
    /// The lock had ended before; nobody has taken it since.
    WasGone,
    /// Another owner has taken the task since: two runs may have overlapped.
    NotOwner {
        /// Who.
        owner: Option<String>,
    },
}

/// The answer to [`Lock::unlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unlocked {
    /// The lease had that token, and is over.
    Freed,
    /// Nobody has the task.
    NotLocked,
    /// Another run has it, or a client that keeps no state.
    Other {
        /// The fencing token of that run, if it is a scheduled one.
        current: Option<FencingToken>,
    },
}
