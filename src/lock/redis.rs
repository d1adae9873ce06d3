//! The lock of a fleet: [`RedisLock`].

mod address;
mod builder;
mod changes;
mod check;
mod cluster;
mod connection;
mod diagnose;
mod dial;
mod fault;
mod info;
mod keys;
mod line;
#[cfg(test)]
mod model_test;
mod reply;
mod script;
mod sentinel;
mod server;
mod store;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use deadpool_redis::redis;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::redis::check::Demands;
use crate::lock::redis::keys::Keys;
use crate::lock::redis::script::{
    ACQUIRE, Answer, LEASES, Manner, READ, RELEASE, RENEW, RESUME, Request, Script, UNLOCK,
};
use crate::lock::redis::store::{Purpose, Store};
use crate::lock::state::State;
use crate::lock::{
    Acquired, Claim, ClockOffset, Completion, Diagnosis, FencingToken, Grant, LastFired, Lock,
    Released, Renewed, Unlocked,
};
use crate::task::TaskName;
use crate::time::Clock;

pub use builder::RedisLockBuilder;
pub(crate) use line::RedisLine;
pub(crate) use script::Script as RedisScript;

/// A lock in Redis, shared by all replicas that use the same server, database and prefix.
///
/// ```no_run
/// # async fn f() -> tasklock::Result<()> {
/// use tasklock::RedisLock;
///
/// // Reaches the server, and fails if it cannot.
/// let lock = RedisLock::connect("redis://127.0.0.1:6379").await?;
///
/// // Does not: for a service that must start while Redis is down.
/// let lock = RedisLock::builder("rediss://user:password@redis.example.org:6380/2")
///     .prefix("billing:")
///     .build()?;
/// # Ok(()) }
/// ```
///
/// A task's lock is the key `<prefix>task:lock:<name>`, with the TTL of the lease; any client that
/// takes that key with `SET … NX EX` is excluded, and excludes. The state beside it remembers the
/// last instant that was taken, so that no replica, however late, takes it again.
/// `docs/lock-protocol.md` has the keys, the scripts and what operators may do with them.
///
/// # What it needs
///
/// Redis 6.2 or later, or Valkey:
///
/// | servers | address |
/// |---|---|
/// | one, or a primary with replicas behind one address | `redis://[user:password@]host[:port][/database]` |
/// | the same by its socket | `redis+unix:///path[?db=…&user=…&pass=…]` |
/// | a primary that sentinels watch | `redis+sentinel://[user:password@]host[:port][,host…]/primary[/database]` |
/// | a Redis Cluster, by some of its nodes | `redis+cluster://[user:password@]host[:port][,host…]` |
///
/// With TLS the first word is `rediss`. User and password are those of the servers with the locks;
/// a sentinel gets them only if it wants a password.
///
/// The user needs `PING`, `SCRIPT LOAD`, `EVALSHA`, `TIME`, `MGET`, `SET`, `DEL`, `EXPIRE`,
/// `PEXPIRE` and `PTTL` on the keys `<prefix>task:lock:*` and `{<prefix>task:lock:*`, in a cluster
/// `CLUSTER SLOTS` and `ASKING` too; [`check`](Lock::check) tries them. `INFO` is worth having:
/// with it [`diagnose`](Lock::diagnose) says what is wrong with the server, and a failover is
/// noticed at once.
///
/// # What it does not promise
///
/// The lock is as durable as the server: a failover to a replica that had not received the last
/// writes, or a restart without the data, forgets the instants taken last. Runs that are still
/// going bring theirs back as soon as the change is noticed.
/// [`replica_acks`](RedisLockBuilder::replica_acks) makes a grant wait for replicas.
///
/// # Connections
///
/// Claims, looks, renewals and releases have a connection each, made when it is first used, on which any number of calls are under
/// way at once. A connection that breaks is replaced within the call; a server that was away
/// serves again from the first call after its return.
pub struct RedisLock {
    inner: Arc<Inner>,
    /// How many changes of the store this clone has told of.
    seen: AtomicU64,
}

/// Each clone tells of changes of the store for itself: two schedulers may share a lock.
impl Clone for RedisLock {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            seen: AtomicU64::new(self.seen.load(Ordering::Acquire)),
        }
    }
}

struct Inner {
    store: Store,
    keys: Keys,
    demands: Demands,
    clock: Arc<dyn Clock>,
    // Held to look or to set.
    offset: Mutex<Option<ClockOffset>>,
}

impl RedisLock {
    /// The lock on the servers at `url`, in one of the forms [above](Self#what-it-needs), after
    /// [checking](Lock::check) that it serves.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for an address that is none; what `check` says otherwise.
    pub async fn connect(url: &str) -> Result<Self> {
        let lock = Self::builder(url).build()?;
        lock.check().await?;
        Ok(lock)
    }

    /// Settings for a lock on the server at `url`.
    pub fn builder(url: &str) -> RedisLockBuilder {
        RedisLockBuilder::new(url)
    }

    fn new(store: Store, keys: Keys, demands: Demands, clock: Arc<dyn Clock>) -> Self {
        Self {
            seen: AtomicU64::new(0),
            inner: Arc::new(Inner {
                store,
                keys,
                demands,
                clock,
                offset: Mutex::default(),
            }),
        }
    }

    /// Asks a script about many tasks in one round trip.
    async fn ask<'a, I, T>(
        &self,
        (purpose, expected): (Purpose, Option<u64>),
        script: &Script,
        items: &'a [I],
        request: impl Fn(&Keys, &I) -> Request,
        read: impl Fn(&'a I, &Answer) -> Option<Result<T>>,
    ) -> Vec<Result<(i64, T)>> {
        if items.is_empty() {
            return Vec::new();
        }
        let Inner { keys, store, .. } = &*self.inner;
        let acks = self.inner.demands.replica_acks;
        let manner = Manner {
            acks: acks.filter(|_| purpose == Purpose::Claims),
            expected,
            ..Manner::default()
        };
        let requests: Vec<Request> = items.iter().map(|item| request(keys, item)).collect();
        let answers = store.run(purpose, script, &requests, manner).await;
        let mut results = Vec::with_capacity(items.len());
        for ((item, request), answer) in items.iter().zip(&requests).zip(answers) {
            results.push(answer.and_then(|answer| {
                let read = read(item, &answer).ok_or_else(|| script.misunderstood(request))?;
                Ok((answer.now_us, read?))
            }));
        }
        // One answer for each question, whatever the server said.
        while let Some(request) = requests.get(results.len()) {
            results.push(Err(script.misunderstood(request)));
        }
        results
    }

    /// Claims what the store can know of. What a server that is gone may have granted is not asked
    /// for, as its successor would grant it again.
    async fn claim_what_is_known(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        let Inner { store, keys, .. } = &*self.inner;
        let matters = claims.iter().any(Claim::is_at_most_once);
        let changes = if matters { store.changes() } else { None };
        let Some((count, doubts)) = changes else {
            return untimed(self.timed_acquire(claims, None).await);
        };
        if doubts.is_empty() {
            return untimed(self.timed_acquire(claims, Some(count)).await);
        }
        let is_in_doubt = |claim: &Claim| {
            let key = || keys.lock(claim.task());
            claim.is_at_most_once() && store.is_in_doubt(&doubts, key, claim.fire_time())
        };
        let in_doubt: Vec<bool> = claims.iter().map(is_in_doubt).collect();
        let known = claims.iter().zip(&in_doubt).filter(|(_, is)| !**is);
        let known: Vec<Claim> = known.map(|(claim, _)| claim.clone()).collect();
        let answers = untimed(self.timed_acquire(&known, Some(count)).await);
        let mut answers = answers.into_iter();
        let merged = in_doubt.into_iter().map(|is| match is {
            true => Some(Ok(Acquired::InDoubt)),
            false => answers.next(),
        });
        merged.flatten().collect()
    }

    /// The answers with the server's clock at each, epoch microseconds. Nothing is claimed once
    /// there have been more than the `expected` changes of the store.
    async fn timed_acquire(
        &self,
        claims: &[Claim],
        expected: Option<u64>,
    ) -> Vec<Result<(i64, Acquired)>> {
        let Inner {
            store,
            clock,
            demands,
            ..
        } = &*self.inner;
        let (sent, began) = (clock.now(), clock.monotonic());
        let request = reply::acquire_request;
        let read = |claim, answer: &Answer| {
            let acquired = reply::acquired(claim, &answer.entry)?;
            let is_grant = matches!(acquired, Acquired::Granted(_));
            Some(match demands.replica_acks {
                // The grant stands, for whoever repeats the claim or gives it back.
                Some(acks) if is_grant && !answer.is_replicated => Err(acks.missed(store)),
                _ => Ok(acquired),
            })
        };
        let answers = self
            .ask((Purpose::Claims, expected), &ACQUIRE, claims, request, read)
            .await;
        let took = clock.monotonic().saturating_sub(began);
        let seen = answers.iter().flatten().next();
        if let Some(store) = seen.and_then(|(now_us, _)| DateTime::from_timestamp_micros(*now_us)) {
            *self.offset() = Some(ClockOffset::new(store, sent, took));
        }
        answers
    }

    async fn timed_renew(&self, grants: &[Grant]) -> Vec<Result<(i64, Renewed)>> {
        let read = |_, answer: &Answer| reply::renewed(&answer.entry).map(Ok);
        let request = reply::renew_request;
        self.ask((Purpose::Renewals, None), &RENEW, grants, request, read)
            .await
    }

    async fn timed_release(&self, ended: &[(Grant, Completion)]) -> Vec<Result<(i64, Released)>> {
        let request = |keys: &Keys, (grant, how): &(Grant, Completion)| {
            reply::release_request(keys, grant, *how)
        };
        let read = |_, answer: &Answer| reply::released(&answer.entry).map(Ok);
        self.ask((Purpose::Releases, None), &RELEASE, ended, request, read)
            .await
    }

    fn offset(&self) -> MutexGuard<'_, Option<ClockOffset>> {
        // A value is set whole or not at all.
        let offset = self.inner.offset.lock();
        offset.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a batch of one.
fn only<T>(results: Vec<Result<T>>) -> Result<T> {
    results.into_iter().next().unwrap_or_else(|| {
        let text = "a request got no answer of its own";
        Err(Error::new(ErrorKind::StoreProtocol, text))
    })
}

#[async_trait]
impl Lock for RedisLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let claims = std::slice::from_ref(claim);
        only(self.claim_what_is_known(claims).await)
    }

    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        self.claim_what_is_known(claims).await
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        only(self.timed_renew(std::slice::from_ref(grant)).await).map(|(_, answer)| answer)
    }

    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        untimed(self.timed_renew(grants).await)
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        only(self.release_all(&[(grant.clone(), completion)]).await)
    }

    async fn release_all(&self, ended: &[(Grant, Completion)]) -> Vec<Result<Released>> {
        untimed(self.timed_release(ended).await)
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        let tasks = std::slice::from_ref(task);
        let request = |keys: &Keys, task: &TaskName| reply::resume_request(keys, task);
        let results = self
            .ask((Purpose::Rest, None), &RESUME, tasks, request, |_, _| {
                Some(Ok(()))
            })
            .await;
        only(results).map(drop)
    }

    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        let tasks = std::slice::from_ref(task);
        let request = |keys: &Keys, task: &TaskName| reply::unlock_request(keys, task, fence);
        let read = |_, answer: &Answer| reply::unlocked(&answer.entry).map(Ok);
        let results = self
            .ask((Purpose::Rest, None), &UNLOCK, tasks, request, read)
            .await;
        only(results).map(|(_, answer)| answer)
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let Inner { keys, store, .. } = &*self.inner;
        let request = |task| reply::read_request(keys, task);
        let requests: Vec<Request> = tasks.iter().map(request).collect();
        let manner = Manner::default();
        let replies = store
            .replies(Purpose::Looks, &READ, &requests, manner)
            .await;
        let mut found: Vec<Option<LastFired>> = tasks.iter().map(|_| None).collect();
        for (places, reply) in replies {
            let value = reply.map_err(|f| f.error(store))?.value;
            let texts: Vec<Option<Vec<u8>>> = redis::from_redis_value(value).map_err(|e| {
                let text = format!("{store}: MGET gave an answer of unknown shape");
                Error::new(ErrorKind::StoreProtocol, text).with_source(e)
            })?;
            if texts.len() != places.len() {
                let text = format!("{store}: MGET answered for another number of keys than asked");
                return Err(Error::new(ErrorKind::StoreProtocol, text));
            }
            for (place, text) in places.into_iter().zip(texts) {
                let state = text.and_then(|text| {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    // What is no state counts as none, as it does for a claim.
                    text.parse::<State>().ok()
                });
                if let Some(slot) = found.get_mut(place) {
                    *slot = state.map(|state| state.last_fired());
                }
            }
        }
        Ok(found)
    }

    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        let read = |_, answer: &Answer| reply::lease(&answer.entry).map(Ok);
        let results = self
            .ask(
                (Purpose::Looks, None),
                &LEASES,
                tasks,
                reply::read_request,
                read,
            )
            .await;
        let lease = |result: Result<(i64, Option<Duration>)>| result.map(|(_, lease)| lease);
        results.into_iter().map(lease).collect()
    }

    /// Tries everything that the lock will do, on keys of its own that end within a second.
    async fn check(&self) -> Result<()> {
        let Inner {
            store,
            keys,
            demands,
            ..
        } = &*self.inner;
        for (node, probe) in store.probes(keys).await? {
            check::check(&node.borrowed(), keys, demands, &probe).await?;
        }
        Ok(())
    }

    async fn diagnose(&self) -> Result<Diagnosis> {
        let Inner {
            store,
            keys,
            demands,
            clock,
            ..
        } = &*self.inner;
        let mut diagnosis = Diagnosis::new(self.describe());
        let probes = store.probes(keys).await?;
        let is_one = probes.len() == 1;
        for (node, probe) in probes {
            let mut of_node = Diagnosis::new(node.server.address.to_string());
            let channel = node.borrowed();
            diagnose::diagnose(&channel, keys, demands, &probe, &**clock, &mut of_node).await?;
            for finding in of_node.findings() {
                let text = match is_one {
                    true => finding.text.clone(),
                    false => format!("{}: {}", of_node.store(), finding.text),
                };
                diagnosis.add(finding.severity, &finding.subject, text);
            }
        }
        Ok(diagnosis)
    }

    fn clock_offset(&self) -> Option<ClockOffset> {
        *self.offset()
    }

    async fn store_changed(&self) {
        let mut changes = self.inner.store.watch();
        let seen = self.seen.load(Ordering::Acquire);
        loop {
            tokio::select! {
                biased;
                // The sender lives in the lock: there is no other end than a change.
                now = changes.wait_for(|now| *now != seen) => {
                    if let Ok(now) = now {
                        self.seen.store(*now, Ordering::Release);
                    }
                    return;
                }
                // Somebody has to notice, in a fleet that has nothing to do.
                () = self.inner.store.look_after_servers() => {}
            }
        }
    }

    fn describe(&self) -> String {
        self.inner.store.to_string()
    }
}

fn untimed<T>(results: Vec<Result<(i64, T)>>) -> Vec<Result<T>> {
    results
        .into_iter()
        .map(|result| result.map(|(_, answer)| answer))
        .collect()
}

impl fmt::Debug for RedisLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLock")
            .field("server", &format_args!("{}", self.inner.store))
            .field("keys", &self.inner.keys)
            .finish()
    }
}
