//! A request for the locks of firings, on its way to the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Acquired, Claim, Lock};
use crate::scheduler::claiming::batch::Open;
use crate::scheduler::engine::Engine;

/// How many firings are claimed in one request: so many that a store that answers late is asked for
/// all of them in time, and not so many that one that is slow is given up.
pub(super) const AT_ONCE: usize = 1024;

/// How many requests are on their way together: the store works on one while this instance reads
/// the answers to the one before.
pub(super) const UNDER_WAY: usize = 2;

/// Firings that are claimed, and what will be said to that.
pub(super) struct Request {
    pub(super) asked: Vec<Open>,
    /// Before it was sent; monotonic.
    pub(super) sent_at: Duration,
    answers: Pin<Box<dyn Future<Output = Vec<Result<Acquired>>> + Send>>,
}

impl Request {
    /// Claims `asked`, once it is awaited.
    pub(super) fn new(engine: &Engine, asked: Vec<Open>) -> Self {
        let claims: Vec<Claim> = asked.iter().map(|open| open.claim.clone()).collect();
        let lock = engine.lock.clone();
        Self {
            sent_at: engine.settings.clock.monotonic(),
            answers: Box::pin(async move { lock.acquire_all(&claims).await }),
            asked,
        }
    }

    /// Claims `asked` at once, whether or not anybody waits for it.
    pub(super) fn send(engine: &Arc<Engine>, asked: Vec<Open>) -> Self {
        let request = Self::new(engine, asked);
        let answers = tokio::spawn(request.answers);
        let count = request.asked.len();
        Self {
            // It ends without answers only if the lock panics, or the runtime ends.
            answers: Box::pin(async move {
                answers
                    .await
                    .unwrap_or_else(|e| (0..count).map(|_| Err(no_answer(&e))).collect())
            }),
            ..request
        }
    }

    /// Each firing with its answer, and when they were asked for.
    pub(super) async fn answered(
        self,
    ) -> (impl Iterator<Item = (Open, Result<Acquired>)>, Duration) {
        let answers = self.answers.await;
        (self.asked.into_iter().zip(answers), self.sent_at)
    }
}

fn no_answer(error: &tokio::task::JoinError) -> Error {
    let text = format!("the lock was asked and did not come back: {error}");
    Error::new(ErrorKind::StoreAmbiguous, text)
}
