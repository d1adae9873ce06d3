//! The lock of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::lock::transition::{self, Stored};
use crate::lock::{
    Acquired, Claim, Completion, FencingToken, Grant, LastFired, Lock, Released, Renewed, Unlocked,
};
use crate::task::TaskName;
use crate::time::{Clock, SystemClock};

/// A lock that lives in this process's memory: for tests, and for a service of one process.
///
/// Clones share their records, so that several schedulers of one process can be guarded by one.
/// Nothing survives the process: an instant that it fired just before a restart can be fired again
/// just after. Processes do not see each other: replicas need
/// [`RedisLock`](crate::RedisLock), or [`FileLock`](crate::FileLock) on one host.
#[derive(Debug, Clone)]
pub struct MemoryLock {
    records: Arc<Mutex<HashMap<TaskName, Stored>>>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryLock {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLock {
    /// An empty lock on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty lock whose leases end by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            records: Arc::default(),
            clock,
        }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<TaskName, Stored>> {
        // A transition is a pure function on a value taken out of the map: a panic in it cannot
        // leave a half-written record behind.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply<T>(&self, task: &TaskName, f: impl FnOnce(Stored, i64) -> (Stored, T)) -> T {
        let mut records = self.records();
        let stored = records.get(task).cloned().unwrap_or_default();
        let (new, reply) = f(stored, self.clock.now().timestamp_micros());
        records.insert(task.clone(), new);
        reply
    }
}

#[async_trait]
impl Lock for MemoryLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        Ok(self.apply(claim.task(), |stored, now| {
            transition::acquire(stored, claim, now)
        }))
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        Ok(self.apply(grant.task(), |stored, now| {
            transition::renew(stored, grant, now)
        }))
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        Ok(self.apply(grant.task(), |stored, now| {
            transition::release(stored, grant, completion, now)
        }))
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        self.apply(task, transition::resume);
        Ok(())
    }

    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        Ok(self.apply(task, |stored, now| transition::unlock(stored, fence, now)))
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let now_ms = self.clock.now().timestamp_millis();
        let records = self.records();
        let last = |task| -> Option<LastFired> {
            let stored = records.get(task).cloned()?.at(now_ms);
            Some(stored.parsed_state()?.last_fired())
        };
        Ok(tasks.iter().map(last).collect())
    }

    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        let now_ms = self.clock.now().timestamp_millis();
        let records = self.records();
        let lease = |task| records.get(task).cloned()?.lease(now_ms);
        Ok(tasks.iter().map(lease).collect())
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        "memory of this process".to_owned()
    }
}
