//! How a [`RedisLock`] is configured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::redis::RedisLock;
use crate::lock::redis::address::Address;
use crate::lock::redis::changes::Changes;
use crate::lock::redis::check::{Demands, ReplicaAcks};
use crate::lock::redis::dial::Dial;
use crate::lock::redis::keys::Keys;
use crate::lock::redis::store::Store;
use crate::time::{Clock, SystemClock};

/// Settings of a [`RedisLock`]; made by [`RedisLock::builder`].
#[must_use = "a builder does nothing until build() is called"]
#[derive(Clone)]
pub struct RedisLockBuilder {
    url: String,
    prefix: String,
    response_timeout: Duration,
    connect_timeout: Duration,
    pool_size: usize,
    ca_certificate: Option<Vec<u8>>,
    demands: Demands,
    failover_window: Duration,
    clock: Arc<dyn Clock>,
}

impl RedisLockBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: String::new(),
            response_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            pool_size: 6,
            ca_certificate: None,
            demands: Demands::default(),
            failover_window: Duration::from_secs(2),
            clock: Arc::new(SystemClock),
        }
    }

    /// What all keys begin with, such as `app:`, so that applications can share a server without
    /// sharing locks. Default: nothing.
    ///
    /// A prefix with a tag, `{app}:`, puts all of an application's locks in one slot of a Redis
    /// Cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long one answer may take. Default: 500 ms.
    ///
    /// A request without an answer in time is an [`ErrorKind::StoreAmbiguous`]; two in a row
    /// replace the connection.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How long connecting may take, TLS and authentication included. Default: 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The most connections to have at once, to each server. Default, and least: 6.
    ///
    /// One is kept for claims, one for renewals and one for releases, so that none of them waits
    /// for another; what is left serves [`last_fired`](crate::Lock::last_fired) and
    /// [`check`](crate::Lock::check).
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Trusts the certificate authorities in `pem`, and no others, for a `rediss://` address.
    /// Default: the public ones of the Mozilla list.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Whether [`check`](crate::Lock::check), and so the start of a scheduler, fails with
    /// [`ErrorKind::InvalidConfig`] on a server that throws keys away when its memory is full.
    /// Default: no; [`diagnose`](crate::Lock::diagnose) warns of it. Needs the right to `INFO`.
    pub fn deny_eviction(mut self, deny: bool) -> Self {
        self.demands.no_eviction = deny;
        self
    }

    /// A grant counts only when so many replicas of the server have confirmed it in so long: a
    /// failover to one of them then knows of it. Default: 0, none is waited for.
    ///
    /// With fewer in time, or with fewer connected, a claim is an [`ErrorKind::StoreAmbiguous`]
    /// ("not replicated"), to be repeated or given back as any other: a scheduler does both.
    /// `timeout` is at most half of the [response time-out](Self::response_timeout). Needs the
    /// right to `WAIT`.
    pub fn replica_acks(mut self, count: usize, timeout: Duration) -> Self {
        self.demands.replica_acks = (count > 0).then_some(ReplicaAcks { count, timeout });
        self
    }

    /// How far the copy may be behind that takes over from a server: when the server is found to be
    /// another one, replaced or restarted, claims on fire times from so long before its last answer
    /// until just after it was found gone (nobody at its address, or another one) are answered with
    /// [`Acquired::InDoubt`](crate::Acquired::InDoubt), as somebody may have been granted them by
    /// the server that is gone. Default: 2 s. Zero: never, so that they are granted, perhaps twice.
    ///
    /// Only for [claims](crate::Claim::with_at_most_once) that want it so: a scheduler's, for tasks
    /// whose [`Recovery`](crate::Recovery) is `Skip`; they end as `store_down`. Needs the right to
    /// `INFO`, or a cluster.
    pub fn failover_window(mut self, window: Duration) -> Self {
        self.failover_window = window;
        self
    }

    /// The clock of this machine, with which the server's is compared. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The lock. Does not talk to the server, so that a service can start while Redis is down.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for an address that is none, and for values that cannot work.
    pub fn build(self) -> Result<RedisLock> {
        for (name, value) in [
            ("response_timeout", self.response_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if value.is_zero() {
                return Err(invalid(format!("{name} of a RedisLock is zero")));
            }
        }
        if self.pool_size < 6 {
            return Err(invalid(format!(
                "pool_size of a RedisLock is {}: it needs 6 connections, for claims, looks, renewals, \
                 releases, what a fleet shares, and the rest",
                self.pool_size
            )));
        }
        if let Some(ReplicaAcks { timeout, .. }) = self.demands.replica_acks
            && (timeout.is_zero() || timeout > self.response_timeout / 2)
        {
            return Err(invalid(format!(
                "the timeout of replica_acks of a RedisLock is {timeout:?}: it has to be more than \
                 0, and at most half of response_timeout, which is {:?}",
                self.response_timeout
            )));
        }
        let keys = Keys::new(self.prefix)?;
        let mut address = Address::parse(&self.url)?;
        if let Some(pem) = self.ca_certificate {
            address = address.trusting(pem)?;
        }
        if address.is_tls() {
            install_crypto_provider();
        }
        let dial = Dial::new(self.connect_timeout, self.response_timeout, self.pool_size);
        let clock = self.clock.clone();
        let changes = Changes::new(clock, self.failover_window, self.response_timeout);
        let store = Store::new(address, dial, changes)?;
        Ok(RedisLock::new(store, keys, self.demands, self.clock))
    }
}

/// Prints no address, which may hold a password.
impl fmt::Debug for RedisLockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLockBuilder")
            .field("prefix", &self.prefix)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

/// TLS panics at the first connection of a process that has no provider of cryptography.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have installed theirs meanwhile: as good as ours.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, what)
}
