//! The lock as the engine uses it: every answer timed, counted, and limited in time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, LockOperation, LockResults, Observers};
use crate::lock::{
    Acquired, Claim, ClockOffset, Completion, Diagnosis, FencingToken, Grant, LastFired, Lock,
    Released, Renewed, Unlocked,
};
use crate::scheduler::health::Health;
use crate::task::TaskName;
use crate::time::Clock;

/// A lock of any kind must answer in this time. Locks have shorter limits of their own; this one
/// is for those that have none.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct WatchedLock {
    pub(crate) lock: Arc<dyn Lock>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observers: Observers,
    pub(crate) health: Arc<Health>,
}

/// What one answer counts as.
enum Tally {
    Ok,
    Contended,
    Lost,
}

impl WatchedLock {
    async fn limited<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        tokio::time::timeout(LIMIT, answer).await.map_err(|_| {
            let text = format!("{} gave no answer within {LIMIT:?}", self.lock.describe());
            Error::new(ErrorKind::StoreAmbiguous, text)
        })
    }

    /// Asks for `count` answers at once, counts them, and notices when the store stops answering
    /// and when it answers again.
    async fn ask<T, F>(
        &self,
        operation: LockOperation,
        count: usize,
        answers: F,
        tally: impl Fn(&T) -> Tally,
    ) -> Vec<Result<T>>
    where
        F: Future<Output = Vec<Result<T>>>,
    {
        let sent_at = self.clock.monotonic();
        let mut answers = match self.limited(answers).await {
            Ok(answers) => answers,
            Err(late) => {
                let again = || Err(Error::new(late.kind(), late.to_string()));
                std::iter::repeat_with(again).take(count).collect()
            }
        };
        // A lock that answers less than it was asked must not leave a firing without its end.
        answers.resize_with(count, || {
            let text = format!("{} left a request without an answer", self.lock.describe());
            Err(Error::new(ErrorKind::StoreProtocol, text))
        });
        let took = self.clock.monotonic().saturating_sub(sent_at);

        let mut results = LockResults::default();
        let mut fault = None;
        for answer in &answers {
            match answer.as_ref().map(&tally) {
                Ok(Tally::Ok) => results.ok += 1,
                Ok(Tally::Contended) => results.contended += 1,
                Ok(Tally::Lost) => results.lost += 1,
                Err(e) => {
                    results.error += 1;
                    fault = fault.or(Some(e));
                }
            }
        }
        let has_answered = results.error < count as u64;
        if let Some(e) = fault.filter(|_| !has_answered) {
            if self
                .health
                .store_failed(self.clock.now(), self.clock.monotonic())
            {
                let error = Arc::new(Error::new(e.kind(), e.to_string()));
                self.observers
                    .announce(&Event::StoreDown { operation, error });
            }
        } else if let Some(down_for) = self.health.store_answered(self.clock.monotonic()) {
            self.observers.announce(&Event::StoreUp { down_for });
        }
        self.observers.announce(&Event::LockOperation {
            operation,
            results,
            took,
        });
        answers
    }
}

/// The only answer to a request for one.
fn only<T>(answers: Vec<Result<T>>) -> Result<T> {
    answers.into_iter().next().unwrap_or_else(|| {
        Err(Error::new(
            ErrorKind::StoreProtocol,
            "the lock left a request without an answer",
        ))
    })
}

#[async_trait]
impl Lock for WatchedLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        only(self.acquire_all(std::slice::from_ref(claim)).await)
    }

    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        let tally = |answer: &Acquired| match answer {
            Acquired::Granted(_) => Tally::Ok,
            _ => Tally::Contended,
        };
        let answers = self
            .ask(
                LockOperation::Acquire,
                claims.len(),
                self.lock.acquire_all(claims),
                tally,
            )
            .await;
        // Without an answer the lock knows only what it was at an earlier one.
        if answers.iter().any(Result::is_ok)
            && let Some(offset) = self.lock.clock_offset()
        {
            self.observers.announce(&Event::ClockOffset { offset });
        }
        answers
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        only(self.renew_all(std::slice::from_ref(grant)).await)
    }

    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        let tally = |answer: &Renewed| match answer {
            Renewed::Lost { .. } => Tally::Lost,
            _ => Tally::Ok,
        };
        self.ask(
            LockOperation::Renew,
            grants.len(),
            self.lock.renew_all(grants),
            tally,
        )
        .await
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        only(self.release_all(&[(grant.clone(), completion)]).await)
    }

    async fn release_all(&self, ended: &[(Grant, Completion)]) -> Vec<Result<Released>> {
        let tally = |answer: &Released| match answer {
            Released::Freed => Tally::Ok,
            _ => Tally::Lost,
        };
        let answers = self.lock.release_all(ended);
        self.ask(LockOperation::Release, ended.len(), answers, tally)
            .await
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        self.lock.resume(task).await
    }

    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        self.limited(self.lock.unlock(task, fence)).await?
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        self.limited(self.lock.last_fired(tasks)).await?
    }

    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        self.limited(self.lock.leases(tasks)).await?
    }

    async fn check(&self) -> Result<()> {
        self.limited(self.lock.check()).await?
    }

    async fn diagnose(&self) -> Result<Diagnosis> {
        self.limited(self.lock.diagnose()).await?
    }

    fn clock_offset(&self) -> Option<ClockOffset> {
        self.lock.clock_offset()
    }

    async fn store_changed(&self) {
        self.lock.store_changed().await;
        self.observers.announce(&Event::StoreChanged);
    }

    fn describe(&self) -> String {
        self.lock.describe()
    }
}
