//! Guarded jobs for an application that already runs a
//! [`JobScheduler`](tokio_cron_scheduler::JobScheduler).
//!
//! ```text
//! your JobScheduler ── job ──> tasklock: which instant is it? ── lock ──> run
//!  on every replica                                    one of them: the lease, the timeout,
//!                                                      metrics, spans, policies
//! ```
//! The `JobScheduler` says *when*, by its own reading of the spec. tasklock says *which instant* that
//! is, by the schedule of the same spec: the last fire time up to now, which is the same on all
//! replicas however late each of them is.
//!
//! ```
//! use std::time::Duration;
//! use tasklock::tokio_cron_scheduler::JobScheduler;
//! use tasklock::{BaseTask, MemoryLock, Scheduler, tokio_cron};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scheduler = Scheduler::builder().lock(MemoryLock::new()).build()?;
//! let report = BaseTask::new("report", "0 30 9 * * MON-FRI", Duration::from_secs(60), |ctx| async move {
//!     println!("report for {}", ctx.fire_time());
//!     Ok(())
//! });
//! let mut jobs = JobScheduler::new().await?; // yours
//! jobs.add(tokio_cron::guarded_job(&scheduler, report)?).await?;
//!
//! scheduler.start().await?;
//! jobs.start().await?;
//! // …
//! jobs.shutdown().await?;
//! println!("{}", scheduler.stop().await);
//! # Ok(())
//! # }
//! ```

mod reading;

use tokio_cron_scheduler::Job;

use crate::error::{Error, ErrorKind, Result};
use crate::scheduler::Scheduler;
use crate::task::Task;

/// Registers a task with `scheduler` and makes the job that fires it.
///
/// The task is as any other of the scheduler's, which has to be started and stopped, except that
/// it fires only when the job does: a job that is never added to a `JobScheduler`, or is removed from it,
/// fires nothing. Each firing asks the lock and is guarded as all are. Instants that the `JobScheduler`
/// passed over are settled with its next one, by the task's misfire policy. The job itself ends at
/// once, while the run goes on in the scheduler.
///
/// Firings are late by as much as the `JobScheduler` is: up to half a second and more. Their locks are
/// not taken ahead of time.
///
/// # Errors
///
/// Those of [`Scheduler::register`]. [`InvalidTask`](ErrorKind::InvalidTask) if
/// tokio-cron-scheduler cannot read the task's spec, or would fire at other times than tasklock within
/// the next two years; the text says at which. It cannot read specs of five fields, with a zone before
/// them, nor `@every`, `@after`, `@at` and `@startup`. It keeps the offset that a zone has when the job
/// is made, so that zones that change their clocks will hardly do. Such tasks are for
/// [`Scheduler::register`].
///
/// The comparison takes some milliseconds, and a second for a spec that never fires.
pub fn guarded_job(scheduler: &Scheduler, task: impl Task) -> Result<Job> {
    scheduler.register_driven(task, |driven, driver| {
        let zone = driven.schedule.timezone();
        let refuse = |text: String| {
            let text = format!(
                "task {}: its spec {:?} is not for a guarded job: {text}; Scheduler::register takes it",
                driven.name, driven.spec
            );
            Error::new(ErrorKind::InvalidTask, text)
        };
        let job = Job::new_tz(driven.spec, zone, move |_, _| driver.fire());
        let mut job = job.map_err(|error| {
            let text = format!(
                "tokio-cron-scheduler cannot read it ({error}): it wants a field of seconds first"
            );
            refuse(text).with_source(error)
        })?;
        match reading::difference(&mut job, driven.schedule, driven.now) {
            None => Ok(job),
            Some(difference) => Err(refuse(difference.to_string())),
        }
    })
}
