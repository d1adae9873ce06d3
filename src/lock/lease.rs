//! A grant while it lasts: trust window, renewal, loss. Written once, for all locks.
//!
//! ```text
//! request sent        reply                     renewed at ttl/3                 margin
//!     |-----------------|-----------------------------|------------------...|-----------|
//!     |<--------------------------- trust window: ttl − margin ------------->|           |
//!     |<----------------------------------- ttl, as the store counts it at the latest -->|
//! ```
//! The window counts from when the request was *sent*: the store may have handled it at once and
//! answered late. A renewal moves the window in the same way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::defence::{self, Defence};
use crate::event::LeaseLoss;
use crate::lock::{Grant, Lock, Renewed, Token};
use crate::time::Clock;

/// How much sooner than the store we stop believing in a lease: a tenth of the TTL, at least one
/// second (1 % clock drift, scheduling, the time to cancel), but never more than a third, so that
/// a renewal comes before it.
fn margin(ttl: Duration) -> Duration {
    if !defence::holds(Defence::Margin) {
        return Duration::ZERO;
    }
    (ttl / 10).max(Duration::from_secs(1)).min(ttl / 3)
}

/// One grant and how long it may be believed in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    grant: Grant,
    /// When it was asked for; monotonic.
    asked_at: Duration,
    /// Monotonic nanoseconds.
    trusted_until: AtomicU64,
    /// 0: not lost. The first loss stays.
    loss: AtomicU8,
    lost: CancellationToken,
}

impl Lease {
    /// A lease on `grant`, whose request was sent at `sent_at` (monotonic).
    pub(crate) fn new(grant: Grant, sent_at: Duration) -> Self {
        let until = (sent_at + grant.remaining).saturating_sub(margin(grant.ttl));
        Self {
            inner: Arc::new(Inner {
                grant,
                asked_at: sent_at,
                trusted_until: AtomicU64::new(nanos(until)),
                loss: AtomicU8::new(0),
                lost: CancellationToken::new(),
            }),
        }
    }

    /// A lease that nobody else knows of and that never ends: of a run without a lock.
    pub(crate) fn unlocked(grant: Grant) -> Self {
        let lease = Self::new(grant, Duration::ZERO);
        lease.inner.trusted_until.store(u64::MAX, Ordering::Release);
        lease
    }

    pub(crate) fn is_unlocked(&self) -> bool {
        self.inner.trusted_until.load(Ordering::Acquire) == u64::MAX
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.inner.grant
    }

    /// When it was asked for; monotonic. Of a run without a lock it says nothing.
    pub(crate) fn asked_at(&self) -> Duration {
        self.inner.asked_at
    }

    /// Until when the lease may be believed in, unless it is lost before; monotonic.
    pub(crate) fn trusted_until(&self) -> Duration {
        Duration::from_nanos(self.inner.trusted_until.load(Ordering::Acquire))
    }

    /// How the lease was lost, if it was. Past the trust window it is, from then on.
    pub(crate) fn loss(&self, now: Duration) -> Option<LeaseLoss> {
        if now >= self.trusted_until() {
            self.lose(LeaseLoss::Expired);
        }
        match self.inner.loss.load(Ordering::Acquire) {
            0 => None,
            1 => Some(LeaseLoss::Expired),
            _ => Some(LeaseLoss::Taken),
        }
    }

    /// Resolves when the lease was found lost. Who waits must look at the trust window itself.
    pub(crate) async fn lost(&self) {
        self.inner.lost.cancelled().await;
    }

    fn lose(&self, loss: LeaseLoss) {
        let code = match loss {
            LeaseLoss::Expired => 1,
            LeaseLoss::Taken => 2,
        };
        let _ = self
            .inner
            .loss
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.inner.lost.cancel();
    }

    fn extend(&self, sent_at: Duration) {
        let ttl = self.grant().ttl;
        let until = nanos((sent_at + ttl).saturating_sub(margin(ttl)));
        self.inner.trusted_until.fetch_max(until, Ordering::AcqRel);
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Renews all leases of one instance, those that are due together in one request.
#[derive(Debug)]
pub(crate) struct Renewer {
    lock: Arc<dyn Lock>,
    clock: Arc<dyn Clock>,
    // Held for a look-up or a sweep, never across an await.
    leases: Mutex<Leases>,
    added: Notify,
    /// In percent, of the renewal interval: instances that fired together do not renew together.
    spread: u32,
}

#[derive(Debug, Default)]
struct Leases {
    /// In an order that a simulation can repeat.
    entries: BTreeMap<Token, Entry>,
    /// When the renewer looks next, unless it is woken; `None` while it sleeps for good.
    wakes_at: Option<Duration>,
}

#[derive(Debug)]
struct Entry {
    lease: Lease,
    due: Duration,
}

impl Renewer {
    pub(crate) fn new(lock: Arc<dyn Lock>, clock: Arc<dyn Clock>, random: u128) -> Self {
        let spread = (random % 10) as u32;
        Self {
            lock,
            clock,
            leases: Mutex::default(),
            added: Notify::new(),
            spread,
        }
    }

    /// Renews `lease` from now on, until it is removed.
    pub(crate) fn add(&self, lease: &Lease) {
        let interval = self.interval(lease.grant());
        // A repeated claim may have been granted what was left of its lease.
        let used = lease.grant().ttl.saturating_sub(lease.grant().remaining);
        let due = self.clock.monotonic() + interval.saturating_sub(used);
        let entry = Entry {
            lease: lease.clone(),
            due,
        };
        let mut leases = self.leases();
        leases.entries.insert(lease.grant().token.clone(), entry);
        // A thousand leases granted together wake it once, not a thousand times.
        if leases.wakes_at.is_none_or(|at| due < at) {
            leases.wakes_at = Some(due);
            self.added.notify_one();
        }
    }

    /// Stops renewing `lease`. A renewal on its way does no harm: the lock does not bring a
    /// released lease back.
    pub(crate) fn remove(&self, lease: &Lease) {
        self.leases().entries.remove(&lease.grant().token);
    }

    /// Renews until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        loop {
            let now = self.clock.monotonic();
            let due = self.sweep(now);
            if !due.is_empty() {
                self.renew(due).await;
                continue;
            }
            let wait = self.wait(now);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // What the store has forgotten comes back before anybody else is granted it.
                () = self.lock.store_changed() => self.renew_all_soon(),
                () = self.added.notified() => {}
                () = sleep_or_forever(wait) => {}
            }
        }
    }

    /// Renews all leases without waiting for their turn: what the store holds of them may not be
    /// what we think.
    pub(crate) fn renew_all_soon(&self) {
        let now = self.clock.monotonic();
        for entry in self.leases().entries.values_mut() {
            entry.due = now;
        }
        self.added.notify_one();
    }

    /// Finds the leases to renew now; notices those that have ended.
    fn sweep(&self, now: Duration) -> Vec<Lease> {
        // Those due a little later go along, in the same request.
        let soon = now + Duration::from_millis(50);
        let leases = self.leases();
        let is_due = |e: &&Entry| {
            // Looking at the loss wakes the run of a lease that ended while nothing ran.
            e.lease.loss(now) != Some(LeaseLoss::Taken) && e.due <= soon
        };
        leases
            .entries
            .values()
            .filter(is_due)
            .map(|e| e.lease.clone())
            .collect()
    }

    /// How long until there is something to do. At most a second while there are leases, so that
    /// the end of one is seen even if the machine was suspended meanwhile.
    fn wait(&self, now: Duration) -> Option<Duration> {
        let mut leases = self.leases();
        let next = leases.entries.values().map(|e| e.due).min();
        let (shortest, longest) = (Duration::from_millis(1), Duration::from_secs(1));
        let wait = next.map(|next| next.saturating_sub(now).clamp(shortest, longest));
        leases.wakes_at = wait.map(|wait| now + wait);
        wait
    }

    async fn renew(&self, due: Vec<Lease>) {
        let grants: Vec<Grant> = due.iter().map(|lease| lease.grant().clone()).collect();
        let sent_at = self.clock.monotonic();
        let answers = self.lock.renew_all(&grants).await;
        let now = self.clock.monotonic();
        let counts = defence::holds(Defence::CountFromRequest);
        let sent_at = if counts { sent_at } else { now };
        let mut leases = self.leases();
        for (lease, answer) in due.iter().zip(answers) {
            let Some(entry) = leases.entries.get_mut(&lease.grant().token) else {
                continue;
            };
            entry.due = match answer {
                Ok(Renewed::Extended | Renewed::Reasserted) => {
                    lease.extend(sent_at);
                    sent_at + self.interval(lease.grant())
                }
                Ok(Renewed::Lost { .. }) => {
                    lease.lose(LeaseLoss::Taken);
                    now + lease.grant().ttl
                }
                // Until the trust window closes there is time for several more attempts.
                Err(_) => now + (lease.grant().ttl / 15).min(Duration::from_secs(1)),
            };
        }
    }

    fn interval(&self, grant: &Grant) -> Duration {
        grant.ttl / 3 * (100 - self.spread) / 100
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        // Every write is one insert, remove or field: nothing is left half done by a panic.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep_or_forever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
