//! The engine: decides what is due, asks the lock, runs, and reports.

mod admit;
mod alarm;
mod attempt;
#[cfg(feature = "cli")]
mod beside;
mod builder;
mod claiming;
mod counting;
mod crowd;
mod driven;
mod engine;
mod firing;
mod handle;
mod health;
mod lead;
mod limits;
mod peers;
mod pool;
mod registration;
mod registry;
mod releases;
#[cfg(any(feature = "admin", feature = "cli"))]
mod shown;
mod shutdown;
mod slot;
mod spread;
mod steering;
#[cfg(feature = "dynamic")]
mod stored;
mod timeline;
mod timer;
mod trace;
mod watched_lock;

use std::future::Future;
use std::sync::Arc;

use crate::error::Result;
use crate::task::Task;

#[cfg(feature = "cli")]
pub(crate) use beside::Beside;
use engine::Engine;

pub use alarm::TimerEngine;
pub use builder::SchedulerBuilder;
#[cfg(feature = "tokio-cron-scheduler")]
pub(crate) use driven::{Driven, Driver};
#[cfg(feature = "dynamic")]
pub use handle::KindSnapshot;
pub use handle::{LastRun, SchedulerHandle, SchedulerState, TaskSnapshot};
pub use shutdown::StopReport;

/// Runs registered tasks when they are due, each instant on one instance of the fleet.
///
/// ```
/// use std::time::Duration;
/// use tasklock::{BaseTask, MemoryLock, Scheduler};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tasklock::Result<()> {
/// let scheduler = Scheduler::builder().lock(MemoryLock::new()).build()?;
/// scheduler.register(BaseTask::new("hello", "* * * * * *", Duration::from_secs(5), |ctx| async move {
///     println!("due at {}", ctx.fire_time());
///     Ok(())
/// }))?;
/// scheduler.start().await?;
/// let report = scheduler.stop().await;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
///
/// Dropping a scheduler that was not stopped takes no more firings and cancels its runs, without
/// waiting for them.
#[derive(Debug)]
pub struct Scheduler {
    engine: Arc<Engine>,
}

impl Scheduler {
    /// Settings for a scheduler; the lock is the only one without a default.
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder::new()
    }

    /// Adds a task, before or after the start.
    ///
    /// A task registered before the start catches up: the instants since the last one that the
    /// lock knows of, as far as they are younger than its
    /// [misfire threshold](crate::Policy::misfire_threshold), are due at once. One registered
    /// later fires from its next fire time on. People who look are told from where in the code this was
    /// called.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName),
    /// [`InvalidSpec`](crate::ErrorKind::InvalidSpec) with the place,
    /// [`InvalidTask`](crate::ErrorKind::InvalidTask) for a zero timeout, a policy out of range or
    /// with settings that contradict each other, or a group that the builder has not made,
    /// [`DuplicateTask`](crate::ErrorKind::DuplicateTask) for a name that is taken,
    /// [`WrongState`](crate::ErrorKind::WrongState) once the scheduler stops.
    #[track_caller]
    pub fn register(&self, task: impl Task) -> Result<()> {
        let source = std::panic::Location::caller();
        self.engine.register(Arc::new(task), Some(source))
    }

    /// Takes a task out: it fires no more. A run under way goes on to its end; firings that wait end as
    /// `draining`. False if there is no such task. Those defined at run time are deleted in their store
    /// instead.
    pub fn unregister(&self, name: &str) -> bool {
        self.engine.unregister(name)
    }

    /// Registers code under a kind, for tasks that are defined at run time: those whose
    /// [`kind`](crate::StoredTask::kind) is `kind` are run by `body`, which is given their parameters as
    /// `P`. Needs a [`fleet`](SchedulerBuilder::fleet), whose store the tasks are read from.
    ///
    /// ```
    /// # use tasklock::{MemoryFleet, MemoryLock, Scheduler};
    /// use tasklock::schemars::{self, JsonSchema};
    ///
    /// #[derive(serde::Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Ping { url: String }
    ///
    /// # let scheduler = Scheduler::builder().lock(MemoryLock::new()).fleet(MemoryFleet::new()).build()?;
    /// scheduler.handler("http_ping", |ctx, ping: Ping| async move {
    ///     println!("{} pings {}", ctx.task_name(), ping.url);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), tasklock::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName), or
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for a kind that is registered already.
    #[cfg(feature = "dynamic")]
    pub fn handler<P, F, Fut>(&self, kind: &str, body: F) -> Result<()>
    where
        P: serde::de::DeserializeOwned + schemars::JsonSchema + Send + 'static,
        F: Fn(crate::task::RunContext, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = crate::task::TaskResult> + Send + 'static,
    {
        self.engine.add_kind(kind, crate::store::closure(body))
    }

    /// Registers a kind that is more than a closure; see [`handler`](Self::handler).
    ///
    /// # Errors
    ///
    /// As [`handler`](Self::handler).
    #[cfg(feature = "dynamic")]
    pub fn kind(&self, name: &str, kind: impl crate::store::Kind) -> Result<()> {
        self.engine
            .add_kind(name, Arc::new(crate::store::Typed(kind)))
    }

    /// Registers a task of code in the place of the one that has its name, if there is one: what goes on
    /// of that goes on, and no instant is fired twice.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn register_again(&self, task: impl Task) -> Result<()> {
        self.engine.register_again(Arc::new(task))
    }

    /// Looks again at the tasks defined at run time, as their kinds may take others now.
    #[cfg(all(feature = "standalone", unix))]
    pub(crate) fn look_at_stored(&self) {
        self.engine.look_at_stored();
    }

    /// Leaves to others what has none of these tags: takes tasks of code out, and has those of the store
    /// not looked at. How many tasks are left.
    #[cfg(all(feature = "cli", unix))]
    pub(crate) fn only(&self, tags: &[String]) -> usize {
        let entries = self.engine.registry.all();
        let is_meant = |tag: &&str| tags.iter().any(|wanted| wanted == tag);
        for entry in &entries {
            if !entry.task.tags().iter().any(is_meant) {
                self.engine.unregister(entry.name.as_str());
            }
        }
        #[cfg(feature = "dynamic")]
        let store = &self.engine.leaves_stored;
        #[cfg(feature = "dynamic")]
        store.store(true, std::sync::atomic::Ordering::Release);
        self.engine.registry.len()
    }

    /// Registers a task that fires when what `make` makes of it says so.
    #[cfg(feature = "tokio-cron-scheduler")]
    pub(crate) fn register_driven<T>(
        &self,
        task: impl Task,
        make: impl FnOnce(Driven<'_>, Driver) -> Result<T>,
    ) -> Result<T> {
        driven::register(&self.engine, Arc::new(task), make)
    }

    /// Makes sure that the lock can serve, then fires until [`stop`](Scheduler::stop).
    ///
    /// Returns as soon as firing has begun. Must be called within a tokio runtime, which then runs
    /// the tasks; give it at least two threads if tasks may block.
    ///
    /// # Errors
    ///
    /// What the lock's check says, at once or after
    /// [`wait_for_lock`](SchedulerBuilder::wait_for_lock); the scheduler can be started again
    /// then. [`WrongState`](crate::ErrorKind::WrongState) if it was started before.
    ///
    /// # Cancellation
    ///
    /// Dropped before it returned, the scheduler is as if it had not been called.
    pub async fn start(&self) -> Result<()> {
        Engine::start(&self.engine).await
    }

    /// Goes quiet (takes no new firings), drains (waits for runs up to the
    /// [grace](SchedulerBuilder::shutdown_grace)), aborts (asks the rest to end, drops them after
    /// their [cancel grace](crate::Policy::cancel_grace)), and says what became of each.
    ///
    /// Locks are released before it returns, as far as the store answers. May be called more than
    /// once; all calls get the same report.
    ///
    /// # Cancellation
    ///
    /// Once begun, stopping goes on if the future is dropped.
    pub async fn stop(&self) -> StopReport {
        Engine::stop(&self.engine).await
    }

    /// Starts, waits for `signal`, whatever it returns, and stops.
    ///
    /// ```no_run
    /// # async fn f(scheduler: tasklock::Scheduler) -> tasklock::Result<()> {
    /// let report = scheduler.run_until(std::future::pending::<()>()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Scheduler::start).
    pub async fn run_until<F: Future>(&self, signal: F) -> Result<StopReport> {
        self.start().await?;
        signal.await;
        Ok(self.stop().await)
    }

    /// The names of the registered tasks, in the order of their registration.
    pub fn list_tasks(&self) -> Vec<String> {
        self.engine
            .registry
            .all()
            .iter()
            .filter(|entry| entry.is_first())
            .map(|entry| entry.name.to_string())
            .collect()
    }

    /// A view of the scheduler that can be cloned and handed around.
    pub fn handle(&self) -> SchedulerHandle {
        SchedulerHandle::new(self.engine.clone())
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.engine.abandon();
    }
}
