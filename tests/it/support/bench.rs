//! A scheduler on a clock that the test moves, a lock in memory, and an observer that remembers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tasklock::testing::{RecordingObserver, TestClock};
use tasklock::{
    BaseTask, Clock, Lock, MemoryLock, Policy, RunContext, Scheduler, SchedulerBuilder, TaskResult,
    chrono,
};

use super::ScriptedLock;

/// When the clocks of these tests start: a Saturday.
pub const START: &str = "2026-11-21T10:00:00Z";

pub struct Bench {
    pub clock: Arc<TestClock>,
    pub seen: RecordingObserver,
    pub scheduler: Scheduler,
}

/// A clock, and a lock in memory that goes by it, for the instances of a fleet.
pub fn clock_and_lock() -> (Arc<TestClock>, MemoryLock) {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    (clock, lock)
}

/// One instance of a fleet.
pub fn instance(clock: &Arc<TestClock>, lock: impl Lock) -> Bench {
    Bench::on(clock.clone(), lock, |builder| builder)
}

impl Bench {
    /// The usual one. Use it in tests with tokio's time paused.
    pub fn new() -> Self {
        Self::with(|clock| MemoryLock::with_clock(clock), |builder| builder)
    }

    pub fn with<L: Lock>(
        lock: impl FnOnce(Arc<TestClock>) -> L,
        settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder,
    ) -> Self {
        let clock = Arc::new(TestClock::at(START));
        Self::on(clock.clone(), lock(clock), settings)
    }

    /// One on a lock whose answers go wrong as the test says.
    pub fn scripted(
        settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder,
    ) -> (Self, ScriptedLock) {
        let (clock, lock) = clock_and_lock();
        let lock = ScriptedLock::new(lock);
        (Self::on(clock, lock.clone(), settings), lock)
    }

    pub fn on(
        clock: Arc<TestClock>,
        lock: impl Lock,
        settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder,
    ) -> Self {
        let seen = RecordingObserver::new();
        let builder = Scheduler::builder()
            .lock(lock)
            .clock(clock.clone())
            .observer(seen.clone());
        let scheduler = settings(builder).build().unwrap();
        Self {
            clock,
            seen,
            scheduler,
        }
    }

    /// Registers a task with a timeout of a minute.
    pub fn task<F, Fut>(&self, name: &str, spec: &str, body: F)
    where
        F: Fn(RunContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = TaskResult> + Send + 'static,
    {
        self.task_with(name, spec, Duration::from_secs(60), Policy::default(), body);
    }

    pub fn task_with<F, Fut>(
        &self,
        name: &str,
        spec: &str,
        timeout: Duration,
        policy: Policy,
        body: F,
    ) where
        F: Fn(RunContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = TaskResult> + Send + 'static,
    {
        self.scheduler
            .register(BaseTask::new(name, spec, timeout, body).policy(policy))
            .unwrap();
    }

    pub async fn start(&self) {
        self.scheduler.start().await.unwrap();
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The instants that a task's runs ran for, in their order, as `10:00:05`.
    pub fn fired(&self, task: &str) -> Vec<String> {
        let runs = self.seen.starts(task);
        runs.iter()
            .map(|run| run.fire_time.format("%H:%M:%S").to_string())
            .collect()
    }
}

/// Lets `seconds` pass, by tokio's time.
pub async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
