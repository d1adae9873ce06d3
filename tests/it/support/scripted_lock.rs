//! A lock in memory whose answers go wrong as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::{
    Acquired, Claim, Completion, Error, ErrorKind, FencingToken, Grant, LastFired, Lock,
    LockOperation, MemoryLock, Released, Renewed, Result, TaskName, Unlocked, async_trait,
};

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not executed, and fails.
    NotSent,
    /// It is executed, and its answer is lost.
    ReplyLost,
    /// It is executed, and its answer comes late.
    Late(Duration),
    /// The store refuses us.
    Denied,
    /// For a renewal: the lease belongs to somebody else.
    Taken,
    /// No answer ever comes.
    Hangs,
}

/// Takes the next fault of an operation's script for each request; with an empty script, the
/// standing fault.
#[derive(Debug, Clone)]
pub struct ScriptedLock {
    pub inner: MemoryLock,
    scripts: Arc<Mutex<Scripts>>,
}

#[derive(Debug, Default)]
struct Scripts {
    next: Vec<(LockOperation, VecDeque<Fault>)>,
    standing: Vec<(LockOperation, Fault)>,
    checks: Option<Fault>,
    reads: Option<Fault>,
    unlocks: VecDeque<Fault>,
    asked: Vec<(LockOperation, String)>,
    states: Vec<usize>,
}

impl ScriptedLock {
    pub fn new(inner: MemoryLock) -> Self {
        Self {
            inner,
            scripts: Arc::default(),
        }
    }

    /// The next requests of this operation meet these faults.
    pub fn next(&self, operation: LockOperation, faults: impl IntoIterator<Item = Fault>) {
        let mut scripts = self.scripts.lock().unwrap();
        scripts.next.push((operation, faults.into_iter().collect()));
    }

    /// All requests of this operation meet this fault from now on.
    pub fn always(&self, operation: LockOperation, fault: Fault) {
        let mut scripts = self.scripts.lock().unwrap();
        scripts.standing.retain(|(o, _)| *o != operation);
        scripts.standing.push((operation, fault));
    }

    /// What reading the last firings meets from now on.
    pub fn reads(&self, fault: Fault) {
        self.scripts.lock().unwrap().reads = Some(fault);
    }

    /// The next leases that are ended by hand meet these faults.
    pub fn unlocks(&self, faults: impl IntoIterator<Item = Fault>) {
        self.scripts.lock().unwrap().unlocks.extend(faults);
    }

    pub fn everything(&self, fault: Fault) {
        for operation in LockOperation::ALL {
            self.always(*operation, fault.clone());
        }
        self.scripts.lock().unwrap().checks = Some(fault);
    }

    /// How often the lock was asked this of this task.
    pub fn asked(&self, operation: LockOperation, task: &str) -> usize {
        let scripts = self.scripts.lock().unwrap();
        scripts
            .asked
            .iter()
            .filter(|(o, t)| *o == operation && t == task)
            .count()
    }

    /// Of how many tasks each question for their last instants was.
    pub fn asked_for_states(&self) -> Vec<usize> {
        self.scripts.lock().unwrap().states.clone()
    }

    fn take(&self, operation: LockOperation, task: &TaskName) -> Fault {
        let mut scripts = self.scripts.lock().unwrap();
        scripts.asked.push((operation, task.to_string()));
        let scripted = scripts
            .next
            .iter_mut()
            .find(|(o, q)| *o == operation && !q.is_empty());
        if let Some(fault) = scripted.and_then(|(_, queue)| queue.pop_front()) {
            return fault;
        }
        let standing = scripts.standing.iter().find(|(o, _)| *o == operation);
        standing.map_or(Fault::None, |(_, fault)| fault.clone())
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::StoreUnavailable, "connection refused")
}

async fn meet<T>(fault: Fault, answer: impl Future<Output = Result<T>>) -> Result<T> {
    match fault {
        Fault::None | Fault::Taken => answer.await,
        Fault::NotSent => Err(unavailable()),
        Fault::Denied => Err(Error::new(ErrorKind::StoreDenied, "wrong password")),
        Fault::Hangs => std::future::pending().await,
        Fault::ReplyLost => {
            let _ = answer.await;
            Err(Error::new(ErrorKind::StoreAmbiguous, "timed out"))
        }
        Fault::Late(by) => {
            let answer = answer.await;
            tokio::time::sleep(by).await;
            answer
        }
    }
}

#[async_trait]
impl Lock for ScriptedLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let fault = self.take(LockOperation::Acquire, claim.task());
        meet(fault, self.inner.acquire(claim)).await
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        match self.take(LockOperation::Renew, grant.task()) {
            Fault::Taken => Ok(Renewed::Lost {
                owner: Some("other".to_owned()),
            }),
            fault => meet(fault, self.inner.renew(grant)).await,
        }
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        let fault = self.take(LockOperation::Release, grant.task());
        meet(fault, self.inner.release(grant, completion)).await
    }

    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        let fault = self.scripts.lock().unwrap().unlocks.pop_front();
        let answer = self.inner.unlock(task, fence);
        meet(fault.unwrap_or(Fault::None), answer).await
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        self.inner.resume(task).await
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let fault = {
            let mut scripts = self.scripts.lock().unwrap();
            scripts.states.push(tasks.len());
            scripts.reads.clone()
        };
        meet(fault.unwrap_or(Fault::None), self.inner.last_fired(tasks)).await
    }

    async fn check(&self) -> Result<()> {
        let fault = self
            .scripts
            .lock()
            .unwrap()
            .checks
            .clone()
            .unwrap_or(Fault::None);
        meet(fault, async { Ok(()) }).await
    }

    fn describe(&self) -> String {
        "a scripted lock".to_owned()
    }
}
