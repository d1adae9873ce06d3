//! How servers are connected to.

use std::fmt;
use std::time::Duration;

use deadpool_redis::redis::aio::PubSub;
use deadpool_redis::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, RedisResult,
};
use deadpool_redis::{Manager, Pool, Runtime, Timeouts};

use crate::error::{Error, ErrorKind, Result};

/// Time limits and sizes, the same for every server.
#[derive(Clone)]
pub(super) struct Dial {
    connect_timeout: Duration,
    response_timeout: Duration,
    pool_size: usize,
}

impl Dial {
    pub(super) fn new(
        connect_timeout: Duration,
        response_timeout: Duration,
        pool_size: usize,
    ) -> Self {
        Self {
            connect_timeout,
            response_timeout,
            pool_size,
        }
    }

    /// Connections to one server.
    pub(super) fn pool(&self, info: &ConnectionInfo, name: &impl fmt::Display) -> Result<Pool> {
        let manager = Manager::new_with_config(on_the_wire(info), self.config())
            .map_err(|e| invalid(format!("{name} cannot be used: {e}")).with_source(e))?;
        Pool::builder(manager)
            .max_size(self.pool_size)
            .timeouts(self.limits())
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| invalid("no pool of connections can be built").with_source(e))
    }

    /// How one connection is made.
    pub(super) fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
    }

    /// One question over a connection of its own.
    pub(super) async fn ask_once<T: FromRedisValue>(
        &self,
        info: &ConnectionInfo,
        question: &Cmd,
    ) -> RedisResult<T> {
        let asked = async {
            let client = Client::open(on_the_wire(info))?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&self.config())
                .await?;
            question.query_async(&mut connection).await
        };
        let answer = tokio::time::timeout(self.first_answer(), asked).await;
        answer.map_err(|_elapsed| took_too_long())?
    }

    /// A connection of its own that hears what is published.
    pub(super) async fn subscribe(
        &self,
        info: &ConnectionInfo,
        channel: &str,
    ) -> RedisResult<PubSub> {
        let subscribed = async {
            let client = Client::open(on_the_wire(info))?;
            let mut heard = client.get_async_pubsub().await?;
            heard.subscribe(channel).await?;
            Ok(heard)
        };
        let answer = tokio::time::timeout(self.first_answer(), subscribed).await;
        answer.map_err(|_elapsed| took_too_long())?
    }

    /// How long a connection and its first answer may take.
    pub(super) fn first_answer(&self) -> Duration {
        self.connect_timeout + self.response_timeout
    }

    /// How long getting a connection from a pool may take in all, the first answer included.
    pub(super) fn limit(&self) -> Duration {
        let limits = self.limits();
        [limits.wait, limits.create, limits.recycle]
            .into_iter()
            .flatten()
            .sum::<Duration>()
            + self.response_timeout
    }

    fn limits(&self) -> Timeouts {
        Timeouts {
            wait: Some(Duration::from_millis(500)),
            create: Some(self.connect_timeout * 2),
            recycle: Some(Duration::from_millis(250)),
        }
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

fn took_too_long() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, what)
}
