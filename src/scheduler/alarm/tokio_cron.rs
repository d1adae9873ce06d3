//! An alarm that is a `JobScheduler`, with one-shot jobs for what comes next.
//!
//! One job for an instant, not one for each task: what is due together is found by one look, and the
//! channels between the parts of a `JobScheduler` lose what does not fit into them.
//!
//! ```text
//! |           |     due: 10:00:05     |
//! 10:00:04    job   10:00:05                  jobs are for whole seconds,
//!   ^     ^     ^     ^     ^                 and are looked at twice in each:
//!   looks         lead: 500 ms before         the last of these looks finds it
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::error::{Error, ErrorKind, Result};
use crate::scheduler::alarm::Alarm;
use crate::time::Clock;

/// How often a `JobScheduler` looks at its jobs.
const TICK: Duration = Duration::from_millis(500);
/// How long it may take to put up a job: one whose parts have stopped never answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// A job that is so much too late was lost. Seconds.
const LOST: i64 = 10;
/// No job is put up for longer, so that adding seconds up cannot overflow.
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) struct OneShots {
    jobs: JobScheduler,
    /// Stops the `JobScheduler` when set.
    is_off: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rung: Notify,
    /// The seconds for which there are jobs. Held to look or to change one.
    seconds: Mutex<BTreeSet<i64>>,
}

impl OneShots {
    /// Starts a `JobScheduler` of its own.
    pub(super) async fn set_up(clock: Arc<dyn Clock>) -> Result<Self> {
        let refuse = |error: JobSchedulerError| {
            let text = format!("tokio-cron-scheduler cannot start: {error}");
            Error::new(ErrorKind::InvalidConfig, text).with_source(error)
        };
        let jobs = JobScheduler::new().await.map_err(refuse)?;
        let is_off = jobs.scheduler.read().await.shutdown.clone();
        let this = Self {
            jobs,
            is_off,
            clock,
            shared: Arc::default(),
        };
        this.jobs.start().await.map_err(refuse)?;
        Ok(this)
    }

    /// Sees to it that there is a job for the second in which `wait` ends, or sooner.
    fn put_up(&self, wait: Duration) {
        let wait = wait.min(LONGEST).as_secs();
        let now = self.clock.now().timestamp();
        let second = now.saturating_add_unsigned(wait);
        {
            let mut seconds = self.shared.seconds();
            *seconds = seconds.split_off(&now.saturating_sub(LOST));
            if !seconds.insert(second) {
                return;
            }
        }
        let shared = self.shared.clone();
        let job = Job::new_one_shot(Duration::from_secs(wait), move |_, _| {
            shared.seconds().remove(&second);
            shared.rung.notify_one();
        });
        let Ok(job) = job else {
            return;
        };
        let jobs = self.jobs.clone();
        tokio::spawn(async move {
            // If it fails, the timer looks all the same, a little later.
            let _ = tokio::time::timeout(PATIENCE, jobs.add(job)).await;
        });
    }
}

impl Shared {
    fn seconds(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        // Whatever is in it is some set of seconds.
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Alarm for OneShots {
    fn slack(&self) -> Duration {
        TICK
    }

    async fn ring(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.put_up(wait);
        }
        self.shared.rung.notified().await;
    }
}

impl Drop for OneShots {
    fn drop(&mut self) {
        self.is_off.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for OneShots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneShots")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
