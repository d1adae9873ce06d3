//! Locks that do not keep the promise: the checker must find each of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use tasklock::{
    Acquired, Claim, Clock, Completion, FencingToken, Grant, LastFired, Lock, MemoryLock, Released,
    Renewed, Result, RunStatus, TaskName, async_trait, chrono,
};

use crate::clock::SimClock;

/// Which lock the store runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The crate's own.
    Sound,
    /// Forgets the state before each claim, as `SET NX`, run, `DEL` does.
    WithoutMarker,
    /// Releases whoever holds the lock.
    WithoutOwnerCheck,
    /// Counts fencing tokens from 1, and starts again after ten.
    CountsAnew,
    /// Says of some firings that they were started, and they were not.
    Refuses,
    /// Grants a firing that comes after a delay before that.
    Impatient,
}

impl Variant {
    pub fn lock(self, clock: Arc<SimClock>) -> Arc<dyn Lock> {
        let inner = MemoryLock::with_clock(clock.clone());
        match self {
            Variant::Sound => Arc::new(inner),
            _ => Arc::new(Broken {
                variant: self,
                clock,
                tasks: Mutex::default(),
            }),
        }
    }
}

/// One sound lock for each task, used in the wrong way.
#[derive(Debug)]
struct Broken {
    variant: Variant,
    clock: Arc<SimClock>,
    // Held to look or to change, never across an await.
    tasks: Mutex<BTreeMap<String, Records>>,
}

#[derive(Debug)]
struct Records {
    lock: MemoryLock,
    /// The last grant, and when its lease ends by the store's clock.
    holder: Option<(Grant, DateTime<Utc>)>,
    granted: u64,
}

impl Broken {
    fn with<T>(&self, task: &TaskName, f: impl FnOnce(&mut Records) -> T) -> T {
        let mut tasks = self.tasks.lock().unwrap();
        let new = || Records {
            lock: MemoryLock::with_clock(self.clock.clone()),
            holder: None,
            granted: 0,
        };
        f(tasks.entry(task.to_string()).or_insert_with(new))
    }

    fn lock_of(&self, task: &TaskName) -> MemoryLock {
        self.with(task, |records| records.lock.clone())
    }

    fn ends(&self, grant: &Grant) -> DateTime<Utc> {
        self.clock.now() + grant.ttl()
    }
}

fn without_delay(claim: &Claim) -> Claim {
    let (token, owner) = (claim.token().clone(), claim.owner());
    Claim::new(claim.task().clone(), claim.fire_time(), token, owner)
        .with_ttl(claim.ttl())
        .with_early(claim.early())
        .with_late(claim.late())
}

#[async_trait]
impl Lock for Broken {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let now = self.clock.now();
        if self.variant == Variant::WithoutMarker {
            self.with(claim.task(), |records| {
                records.holder.take_if(|(_, ends)| *ends <= now);
                if records.holder.is_none() {
                    records.lock = MemoryLock::with_clock(self.clock.clone());
                }
            });
        }
        if self.variant == Variant::Refuses && claim.fire_time().timestamp() % 10 == 0 {
            return Ok(Acquired::AlreadyFired {
                owner: "nobody".to_owned(),
                status: RunStatus::Succeeded,
                attempt: 1,
                spec: String::new(),
            });
        }
        let answer = match self.variant {
            Variant::Impatient => {
                let impatient = without_delay(claim);
                self.lock_of(claim.task()).acquire(&impatient).await?
            }
            _ => self.lock_of(claim.task()).acquire(claim).await?,
        };
        let Acquired::Granted(mut grant) = answer else {
            return Ok(answer);
        };
        let ends = self.ends(&grant);
        self.with(claim.task(), |records| {
            records.granted += 1;
            if self.variant == Variant::CountsAnew {
                let count = FencingToken::new(records.granted % 10 + 1);
                grant = Grant::new(claim, count, grant.attempt(), grant.remaining());
            }
            records.holder = Some((grant.clone(), ends));
        });
        Ok(Acquired::Granted(grant))
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        let answer = self.lock_of(grant.task()).renew(grant).await?;
        if !matches!(answer, Renewed::Lost { .. }) {
            let ends = self.ends(grant);
            self.with(grant.task(), |r| r.holder = Some((grant.clone(), ends)));
        }
        Ok(answer)
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        let lock = self.lock_of(grant.task());
        let holder = self.with(grant.task(), |records| records.holder.take());
        match holder {
            Some((holder, ends)) if holder.token() != grant.token() => {
                if self.variant == Variant::WithoutOwnerCheck {
                    lock.release(&holder, Completion::Cancelled).await?;
                } else {
                    self.with(grant.task(), |r| r.holder = Some((holder, ends)));
                }
            }
            _ => {}
        }
        lock.release(grant, completion).await
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let mut found = Vec::new();
        for task in tasks {
            let lock = self.lock_of(task);
            found.extend(lock.last_fired(std::slice::from_ref(task)).await?);
        }
        Ok(found)
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self) -> String {
        format!("a lock that is broken: {:?}", self.variant)
    }
}
