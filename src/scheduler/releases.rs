//! Leases that end together are given back together.
//!
//! The first go at once. Those that end while a few requests are on their way go with the next one: a
//! thousand short runs cost a few requests, and one run waits for nobody.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::error::Result;
use crate::lock::{Completion, Grant, Lock, Released};
use crate::scheduler::watched_lock::WatchedLock;

/// How many leases are given back in one request.
const AT_ONCE: usize = 1024;

/// How many requests are on their way at once, so that a part of the store that does not answer
/// holds up little else.
const UNDER_WAY: usize = 4;

/// The leases on their way back.
#[derive(Debug)]
pub(crate) struct Releases {
    queue: mpsc::UnboundedSender<Item>,
    // Held to take it, once.
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Item>>>,
}

#[derive(Debug)]
struct Item {
    grant: Grant,
    completion: Completion,
    answer: oneshot::Sender<Result<Released>>,
}

impl Default for Releases {
    fn default() -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }
}

impl Releases {
    /// Gives a lease back, with others if there are any.
    pub(crate) async fn release(
        &self,
        lock: &WatchedLock,
        grant: &Grant,
        completion: Completion,
    ) -> Result<Released> {
        let (answer, answered) = oneshot::channel();
        let item = Item {
            grant: grant.clone(),
            completion,
            answer,
        };
        if self.queue.send(item).is_ok()
            && let Ok(answer) = answered.await
        {
            return answer;
        }
        // Nobody sends them together, before the start and after the end. A lease that was given
        // back already says so.
        lock.release(grant, completion).await
    }

    /// Gives back what is to be given back, until it is dropped.
    pub(crate) async fn run(&self, lock: &Arc<WatchedLock>) {
        let waiting = self.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else {
            return;
        };
        let mut under_way = JoinSet::new();
        let mut items = Vec::new();
        while waiting.recv_many(&mut items, AT_ONCE).await > 0 {
            under_way.spawn(give_back(lock.clone(), std::mem::take(&mut items)));
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= UNDER_WAY {
                under_way.join_next().await;
            }
        }
    }
}

async fn give_back(lock: Arc<WatchedLock>, items: Vec<Item>) {
    let ended: Vec<(Grant, Completion)> = items
        .iter()
        .map(|item| (item.grant.clone(), item.completion))
        .collect();
    let answers = lock.release_all(&ended).await;
    for (item, answer) in items.into_iter().zip(answers) {
        // Who does not wait any more does not want to know.
        let _ = item.answer.send(answer);
    }
}
