//! How a [`RedisLock`] is configured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use deadpool_redis::redis::{AsyncConnectionConfig, ConnectionInfo};
use deadpool_redis::{Manager, Pool, Runtime, Timeouts};

use crate::error::{Error, ErrorKind, Result};
use crate::lock::redis::RedisLock;
use crate::lock::redis::address::Address;
use crate::lock::redis::check::Demands;
use crate::lock::redis::keys::Keys;
use crate::lock::redis::server::Server;
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
    clock: Arc<dyn Clock>,
}

impl RedisLockBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: String::new(),
            response_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            pool_size: 4,
            ca_certificate: None,
            demands: Demands::default(),
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

    /// The most connections to have at once. Default, and least: 4.
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
        if self.pool_size < 4 {
            return Err(invalid(format!(
                "pool_size of a RedisLock is {}: it needs 4 connections, for claims, renewals, \
                 releases and the rest",
                self.pool_size
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
        let connecting = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        let manager = Manager::new_with_config(on_the_wire(address.info()), connecting)
            .map_err(|e| invalid(format!("{address} cannot be used: {e}")).with_source(e))?;
        let limits = Timeouts {
            wait: Some(Duration::from_millis(500)),
            create: Some(self.connect_timeout * 2),
            recycle: Some(Duration::from_millis(250)),
        };
        // The pool's own limits, and the first answer.
        let connect_limit = [limits.wait, limits.create, limits.recycle]
            .into_iter()
            .flatten()
            .sum::<Duration>()
            + self.response_timeout;
        let pool = Pool::builder(manager)
            .max_size(self.pool_size)
            .timeouts(limits)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| invalid("no pool of connections can be built").with_source(e))?;
        let server = Arc::new(Server::new(address, pool, connect_limit));
        Ok(RedisLock::new(server, keys, self.demands, self.clock))
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

/// Requests are small and wait for nothing; and a peer that vanished is noticed.
fn on_the_wire(info: &ConnectionInfo) -> ConnectionInfo {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2));
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    info.clone().set_tcp_settings(settings)
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
