//! A server: the pool of connections to it, and whether it is still the same one.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Pipeline, RedisResult, Value};
use deadpool_redis::{Connection, Pool};

use crate::error::Error;
use crate::lock::redis::address::{Address, Place};
use crate::lock::redis::changes::{Changes, Contact, Sign};
use crate::lock::redis::cluster::At;
use crate::lock::redis::dial::Dial;
use crate::lock::redis::fault::{self, Fault, Phase};
use crate::lock::redis::info::Info;
use crate::lock::redis::sentinel::Sentinels;

/// How long a server is left alone before it is asked whether it is still there.
const PAUSE: Duration = Duration::from_secs(1);

/// A server, and the pool of connections to it.
pub(super) struct Server {
    pub(super) address: Address,
    way: Way,
    /// How long getting a connection may take in all, another call's attempt included.
    pub(super) connect_limit: Duration,
    // Held to compare and set.
    identity: Mutex<Identity>,
    /// How often it was found to be another one, for all servers of a store.
    changes: Changes,
    // Held to compare and set.
    contact: Mutex<Contact>,
    /// Its place, if it is a node of a cluster.
    node: Option<At>,
}

/// Which server it is.
#[derive(Default)]
struct Identity {
    run_id: Option<String>,
    /// Grows when it is found to be another one.
    generation: u64,
}

/// How a server is found.
enum Way {
    /// It stays where it is.
    Direct(Pool),
    /// The sentinels know.
    Sentinels(Box<Sentinels>),
}

impl Server {
    /// The server at `address`, or the primary that the sentinels there know.
    pub(super) fn new(
        address: Address,
        node: Option<At>,
        dial: &Dial,
        changes: Changes,
    ) -> Result<Self, Error> {
        let mut connect_limit = dial.limit();
        let way = match address.place() {
            Place::Sentinels(hosts, name) => {
                connect_limit += dial.first_answer() * 2;
                Way::Sentinels(Box::new(Sentinels::new(&address, hosts, name, dial)))
            }
            Place::Server | Place::Cluster(_) => Way::Direct(dial.pool(address.info(), &address)?),
        };
        Ok(Self {
            address,
            way,
            connect_limit,
            identity: Mutex::default(),
            changes,
            contact: Mutex::default(),
            node,
        })
    }

    /// The time, for [`heard`](Self::heard).
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.changes.clock().now()
    }

    /// Notes what became of a request that was sent at `sent`.
    pub(super) fn heard(&self, sent: DateTime<Utc>, sign: Sign) {
        let now = self.changes.clock().monotonic();
        self.contact().note(sent, now, sign);
    }

    /// How long until it is to be asked whether it is still there, if nothing else is asked.
    pub(super) fn until_look(&self) -> Duration {
        let now = self.changes.clock().monotonic();
        let idle = self.contact().idle(now).unwrap_or(PAUSE);
        PAUSE.saturating_sub(idle)
    }

    /// When it was last heard of. Forgotten by this.
    pub(super) fn take_contact(&self) -> Contact {
        std::mem::take(&mut *self.contact())
    }

    /// How often a server of the store was found to be another one.
    pub(super) fn changes(&self) -> u64 {
        self.changes.counted()
    }

    fn contact(&self) -> MutexGuard<'_, Contact> {
        // Whoever panics while holding it has changed nothing, or one field whole.
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows when the server is found to be another one: connections of an earlier generation
    /// lead to what it was.
    pub(super) fn generation(&self) -> u64 {
        self.identity().generation
    }

    /// A connection that has answered, to a server that is no replica, and its generation.
    pub(super) async fn connection(&self) -> Result<(Connection, u64), Fault> {
        let pool = match &self.way {
            Way::Direct(pool) => pool.clone(),
            Way::Sentinels(sentinels) => {
                // Behind a pointer, since every call holds it, and few use it.
                let asked: Pin<Box<dyn Future<Output = _> + Send + '_>> =
                    Box::pin(sentinels.pool());
                asked.await?
            }
        };
        let connection = pool.get().await.map_err(|e| fault::classify_pool(&e))?;
        match self.greet(&connection).await {
            Ok(generation) => Ok((connection, generation)),
            Err(fault) => {
                drop(Connection::take(connection));
                self.empty_pool();
                Err(fault)
            }
        }
    }

    /// Where it is now.
    pub(super) async fn whereabouts(&self) -> Result<Address, Fault> {
        match &self.way {
            Way::Direct(_) => Ok(self.address.clone()),
            Way::Sentinels(sentinels) => sentinels.primary_address().await,
        }
    }

    pub(super) fn empty_pool(&self) {
        let pool = match &self.way {
            Way::Direct(pool) => Some(pool.clone()),
            Way::Sentinels(sentinels) => sentinels.known(),
        };
        if let Some(pool) = pool {
            pool.retain(|_, _| false);
        }
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        // Whoever panics while holding it has changed nothing.
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn greet(&self, connection: &Connection) -> Result<u64, Fault> {
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
        let run_id = server.as_ref().and_then(|info| info.get("run_id"));
        Ok(run_id.map_or_else(|| self.generation(), |run_id| self.note(run_id)))
    }

    /// Compares: every process of a server has an id of its own. Answers the generation.
    fn note(&self, run_id: &str) -> u64 {
        let mut identity = self.identity();
        let known = identity.run_id.as_deref();
        let is_another = known.is_some_and(|known| known != run_id);
        if known != Some(run_id) {
            identity.run_id = Some(run_id.to_owned());
        }
        if is_another {
            identity.generation += 1;
        }
        let generation = identity.generation;
        drop(identity);
        if is_another {
            // What idles there leads to the old one.
            self.empty_pool();
            self.changes
                .add(&self.take_contact(), self.node.clone(), None);
        }
        generation
    }
}
