//! A way to the servers of a lock, for what a fleet keeps there beside its locks.

use std::fmt;
use std::sync::Arc;

use deadpool_redis::redis::Value;
use deadpool_redis::redis::aio::PubSub;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::RedisLock;
use crate::lock::redis::Inner;
use crate::lock::redis::script::{Manner, Request, Script};
use crate::lock::redis::store::Purpose;

/// The servers of a lock, wherever they move, on a connection that claims do not use.
#[derive(Clone)]
pub(crate) struct RedisLine {
    inner: Arc<Inner>,
}

impl RedisLine {
    pub(crate) fn beside(lock: &RedisLock) -> Self {
        Self {
            inner: lock.inner.clone(),
        }
    }

    /// Calls a script where its keys are, which are of one slot. It must be safe to repeat: it is,
    /// if the connection breaks before the answer.
    pub(crate) async fn call(
        &self,
        script: &Script,
        keys: impl Into<Vec<String>>,
        args: Vec<String>,
    ) -> Result<Value> {
        let store = &self.inner.store;
        let request = [Request {
            keys: keys.into(),
            args,
        }];
        let manner = Manner::default();
        let mut replies = store
            .replies(Purpose::Fleet, script, &request, manner)
            .await;
        match replies.pop() {
            Some((_, Ok(said))) => Ok(said.value),
            Some((_, Err(fault))) => Err(fault.error(store)),
            // There is a reply for each request.
            None => Err(self.misunderstood(script)),
        }
    }

    /// The same for several keys at once, of a script that takes the keys of all, then the arguments of
    /// all, and gives a list of answers. In their order.
    pub(crate) async fn call_each(
        &self,
        script: &Script,
        calls: Vec<(Vec<String>, Vec<String>)>,
    ) -> Result<Vec<Value>> {
        let store = &self.inner.store;
        let request = |(keys, args)| Request { keys, args };
        let requests: Vec<Request> = calls.into_iter().map(request).collect();
        let manner = Manner::default();
        let replies = store.replies(Purpose::Fleet, script, &requests, manner);
        let mut answers: Vec<Option<Value>> = requests.iter().map(|_| None).collect();
        for (places, reply) in replies.await {
            let Value::Array(said) = reply.map_err(|fault| fault.error(store))?.value else {
                return Err(self.misunderstood(script));
            };
            for (place, said) in places.into_iter().zip(said) {
                if let Some(answer) = answers.get_mut(place) {
                    *answer = Some(said);
                }
            }
        }
        let answers: Option<Vec<Value>> = answers.into_iter().collect();
        answers.ok_or_else(|| self.misunderstood(script))
    }

    /// The error for an answer of another shape than the script gives.
    pub(crate) fn misunderstood(&self, script: &Script) -> Error {
        let text = format!(
            "{self}: script {} gave an answer of unknown shape: is another program between this one \
             and redis?",
            script.name()
        );
        Error::new(ErrorKind::StoreProtocol, text)
    }

    /// A connection of its own that hears when something was written.
    pub(crate) async fn subscribe(&self) -> Result<PubSub> {
        self.inner.store.subscribe(&self.channel()).await
    }

    /// Tells how often a server was found to be another one.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.store.watch()
    }

    /// The keys of a shelf.
    pub(crate) fn shelf(&self, name: &str) -> [String; 2] {
        self.inner.keys.shelf(name)
    }

    /// The key of a journal.
    pub(crate) fn journal(&self, name: &str) -> String {
        self.inner.keys.journal(name)
    }

    /// The name that all keys of a history begin with: of one slot.
    pub(crate) fn history(&self) -> String {
        self.inner.keys.history()
    }

    /// The channel on which it is told that something was written.
    pub(crate) fn channel(&self) -> String {
        self.inner.keys.changes()
    }
}

/// As the lock is described: never with a secret.
impl fmt::Display for RedisLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner.store, f)
    }
}

impl fmt::Debug for RedisLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisLine({self})")
    }
}
