//! Servers that were found to be others than before, and what may be lost with those that are gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::lock::redis::cluster::{At, Slots};
use crate::time::Clock;

/// Of so many changes it is kept what may be lost with them.
const KEPT: usize = 16;

/// What is known of the changes of a store. Clones share it.
#[derive(Clone)]
pub(super) struct Changes(Arc<Shared>);

struct Shared {
    count: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    /// How far the copy that takes over may have been behind.
    window: Duration,
    /// How long a request may be on its way.
    response_timeout: Duration,
    // Held to look or to push.
    doubts: Mutex<Vec<Doubt>>,
}

/// Fire times that somebody may have been granted by a server that is gone, so that nobody knows.
#[derive(Clone)]
pub(super) struct Doubt {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// What was served: all tasks, or those of one node.
    pub(super) node: Option<At>,
    /// The map by which it served them; `None` if that has not changed.
    pub(super) slots: Option<Arc<Slots>>,
}

impl Doubt {
    pub(super) fn is_about(&self, fire_time: DateTime<Utc>) -> bool {
        (self.from..=self.to).contains(&fire_time)
    }
}

/// What a request says of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It lives.
    Answer,
    /// Nobody is there: it serves nobody.
    Refusal,
    /// We do not reach it. Others may.
    Nothing,
}

/// When a server was last heard of.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// When the last request was sent that it answered.
    answered: Option<DateTime<Utc>>,
    /// When nobody was found at its address for the first time after that.
    refused: Option<DateTime<Utc>>,
    /// When it was last tried to reach it, whether it answered or not; monotonic.
    tried: Option<Duration>,
}

impl Contact {
    /// Notes at `now` what became of a request that was sent at `sent`.
    pub(super) fn note(&mut self, sent: DateTime<Utc>, now: Duration, sign: Sign) {
        self.tried = Some(now);
        match sign {
            Sign::Answer => {
                self.answered = self.answered.max(Some(sent));
                self.refused = None;
            }
            Sign::Refusal => {
                self.refused.get_or_insert(sent);
            }
            Sign::Nothing => {}
        }
    }

    /// How long ago it was tried to reach it.
    pub(super) fn idle(&self, now: Duration) -> Option<Duration> {
        self.tried.map(|tried| now.saturating_sub(tried))
    }
}

impl Changes {
    pub(super) fn new(clock: Arc<dyn Clock>, window: Duration, response_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            count: watch::Sender::new(0),
            clock,
            window,
            response_timeout,
            doubts: Mutex::default(),
        }))
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// A server, last heard of as `contact` says, has been replaced.
    pub(super) fn add(&self, contact: &Contact, node: Option<At>, slots: Option<Arc<Slots>>) {
        let now = self.clock().now();
        if let Some(answered) = contact.answered.filter(|_| !self.0.window.is_zero()) {
            let plus = |at: DateTime<Utc>, by: Duration| {
                TimeDelta::from_std(by)
                    .ok()
                    .and_then(|by| at.checked_add_signed(by))
            };
            let window = TimeDelta::from_std(self.0.window).ok();
            let from = window.and_then(|window| answered.checked_sub_signed(window));
            let end = contact.refused.unwrap_or(now);
            let doubt = Doubt {
                from: from.unwrap_or(answered),
                to: plus(end, self.0.response_timeout).unwrap_or(end),
                node,
                slots,
            };
            let mut doubts = self.doubts();
            if doubts.len() == KEPT {
                doubts.remove(0);
            }
            doubts.push(doubt);
        }
        self.count();
    }

    /// Something has changed, with which nothing is lost.
    pub(super) fn count(&self) {
        self.0.count.send_modify(|n| *n += 1);
    }

    /// How many changes there have been.
    pub(super) fn counted(&self) -> u64 {
        *self.0.count.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.count.subscribe()
    }

    /// What may be lost, of the last changes.
    pub(super) fn in_doubt(&self) -> Vec<Doubt> {
        self.doubts().clone()
    }

    /// Whether claims have to be made by what is known of changes.
    pub(super) fn matter(&self) -> bool {
        !self.0.window.is_zero()
    }

    fn doubts(&self) -> MutexGuard<'_, Vec<Doubt>> {
        // Whoever panics while holding it has changed nothing, or pushed one whole.
        self.0.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
