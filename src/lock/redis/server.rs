//! A server: the pool of connections to it, and whether it is still the same one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Pipeline, RedisResult, Value};
use deadpool_redis::{Connection, Pool};
use tokio::sync::watch;

use crate::lock::redis::address::Address;
use crate::lock::redis::fault::{self, Fault, Phase};
use crate::lock::redis::info::Info;

/// A server, and the pool of connections to it.
pub(super) struct Server {
    pub(super) address: Address,
    pool: Pool,
    /// How long getting a connection may take in all, another call's attempt included.
    pub(super) connect_limit: Duration,
    // Held to compare and set.
    run_id: Mutex<Option<String>>,
    /// How often it was found to be another one.
    changes: watch::Sender<u64>,
}

impl Server {
    pub(super) fn new(address: Address, pool: Pool, connect_limit: Duration) -> Self {
        Self {
            address,
            pool,
            connect_limit,
            run_id: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// How often the server was found to be another one.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A connection that has answered, to a server that is no replica.
    pub(super) async fn connection(&self) -> Result<Connection, Fault> {
        let connection = self
            .pool
            .get()
            .await
            .map_err(|e| fault::classify_pool(&e))?;
        match self.greet(&connection).await {
            Ok(()) => Ok(connection),
            Err(fault) => {
                drop(Connection::take(connection));
                self.empty_pool();
                Err(fault)
            }
        }
    }

    pub(super) fn empty_pool(&self) {
        self.pool.retain(|_, _| false);
    }

    async fn greet(&self, connection: &Connection) -> Result<(), Fault> {
        let mut pipeline = Pipeline::new();
        // A server that wants a password hangs up at a request of more than ten words, without
        // saying why. Short ones are answered.
        pipeline.ignore_errors().cmd("PING");
        for section in ["server", "replication"] {
            pipeline.cmd("INFO").arg(section);
        }
        let mut wire: MultiplexedConnection = (**connection).clone();
        let answer: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut wire).await;
        let classify = |error| fault::classify(&error, Phase::Connect);
        let mut values = answer.map_err(classify)?.into_iter();
        if let Some(Err(error)) = values.next() {
            return Err(classify(error));
        }
        // A user without the right to INFO is served all the same: a replica refuses to write.
        let mut info = || {
            let text = redis::from_redis_value(values.next()?.ok()?).ok()?;
            Some(Info::new(text))
        };
        let (server, replication) = (info(), info());
        if replication.is_some_and(|info| info.get("role") == Some("slave")) {
            return Err(fault::is_a_replica());
        }
        if let Some(run_id) = server.as_ref().and_then(|info| info.get("run_id")) {
            self.note(run_id);
        }
        Ok(())
    }

    /// Every process of a server has an id of its own.
    fn note(&self, run_id: &str) {
        let mut known = self.run_id.lock().unwrap_or_else(PoisonError::into_inner);
        let is_another = known.as_deref().is_some_and(|known| known != run_id);
        *known = Some(run_id.to_owned());
        drop(known);
        if is_another {
            self.changes.send_modify(|n| *n += 1);
        }
    }
}
