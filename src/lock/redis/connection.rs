//! Connections that are kept, and replaced when they no longer serve.
//!
//! One kept connection carries many requests at once: they are written one behind the other and
//! their answers come back in that order, so that nobody waits for another's round trip. It is
//! taken from a pool, which does the connecting, and stays out of it for good.
//!
//! - A connection that breaks is dropped, and the request sent once more over a new one: every
//!   request of the lock may be repeated. An idle connection that died unnoticed costs no call.
//! - A request that times out is not repeated: its caller decides. Two time-outs in a row drop the
//!   connection, since a path that swallows packets never says that it is gone.
//! - Whenever a connection is dropped the pool is emptied, so that the next call connects anew and
//!   does not try one dead connection after the other.
//! - One call connects, others wait for it and share its failure, so that a server that is away
//!   costs every call one attempt at most. There is no pause after a failure: the first call after
//!   the server's return succeeds.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_redis::Connection;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Pipeline, RedisResult, Value};

use crate::lock::redis::address::Address;
use crate::lock::redis::changes::Sign;
use crate::lock::redis::fault::{self, Fault, Phase, Remedy};
use crate::lock::redis::server::Server;

/// So many time-outs in a row mean that the path is dead.
const TIMEOUTS: u32 = 2;

/// A place for one connection of a [`Server`].
pub(super) struct Channel {
    server: Arc<Server>,
    // Held for a look or an exchange only, never across an await.
    slot: Mutex<Slot>,
    // Held by the one call that connects.
    connecting: tokio::sync::Mutex<()>,
    // Held by the one pipeline at a time that makes the server wait.
    waiting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    kept: Option<Kept>,
    /// How many attempts to connect have ended.
    attempts: u64,
    /// Why the last one failed.
    failure: Option<Fault>,
}

struct Kept {
    connection: Connection,
    /// The server's when it was made.
    generation: u64,
    /// Tells it from its predecessors: the attempt that made it.
    number: u64,
    /// Requests in a row that got no answer in time.
    timeouts: Arc<AtomicU32>,
}

/// What a call needs of the kept connection.
struct Lent {
    connection: MultiplexedConnection,
    number: u64,
    timeouts: Arc<AtomicU32>,
}

/// The answers to a pipeline.
pub(super) struct Replies {
    pub(super) values: Vec<RedisResult<Value>>,
    /// Whether the pipeline was sent twice: an answer that says "not done" means only the second.
    pub(super) resent: bool,
}

impl Channel {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            slot: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            waiting: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.server.address
    }

    /// Waits until no other pipeline makes the server wait.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.waiting.lock().await
    }

    /// Sends `pipeline`, which must be safe to repeat, and waits for all its answers.
    ///
    /// With `expected`, it is not sent once there have been more changes of the store than that.
    pub(super) async fn send(
        &self,
        pipeline: &Pipeline,
        expected: Option<u64>,
    ) -> Result<Replies, Fault> {
        match self.send_once(pipeline, expected).await {
            Ok(values) => Ok(Replies {
                values,
                resent: false,
            }),
            Err(Failed::Broken(_)) => match self.send_once(pipeline, expected).await {
                Ok(values) => Ok(Replies {
                    values,
                    resent: true,
                }),
                Err(failed) => Err(failed.fault().after_a_lost_request()),
            },
            Err(failed) => Err(failed.fault()),
        }
    }

    async fn send_once(
        &self,
        pipeline: &Pipeline,
        expected: Option<u64>,
    ) -> Result<Vec<RedisResult<Value>>, Failed> {
        let sent = self.server.now();
        let lent = self.lent().await.inspect_err(|fault| {
            let sign = match fault.is_refusal() {
                true => Sign::Refusal,
                false => Sign::Nothing,
            };
            self.server.heard(sent, sign);
        });
        let Lent {
            mut connection,
            number,
            timeouts,
        } = lent.map_err(Failed::Final)?;
        if expected.is_some_and(|expected| self.server.changes() != expected) {
            return Err(Failed::Final(fault::was_replaced()));
        }
        // The connection brings its own limit for the answer, the response time-out.
        let answer: RedisResult<Vec<RedisResult<Value>>> =
            pipeline.query_async(&mut connection).await;
        let has_answered = answer.is_ok();
        let sign = if has_answered {
            Sign::Answer
        } else {
            Sign::Nothing
        };
        self.server.heard(sent, sign);
        let values = match answer {
            Ok(values) => values,
            Err(error) => {
                let fault = fault::classify(&error, Phase::Request);
                let is_broken = error.is_connection_dropped();
                self.treat(fault.remedy, number, &timeouts);
                return Err(if is_broken {
                    Failed::Broken(fault)
                } else {
                    Failed::Final(fault)
                });
            }
        };
        timeouts.store(0, Ordering::Relaxed);
        for error in values.iter().filter_map(|value| value.as_ref().err()) {
            let remedy = fault::classify(error, Phase::Request).remedy;
            self.treat(remedy, number, &timeouts);
        }
        Ok(values)
    }

    fn treat(&self, remedy: Remedy, number: u64, timeouts: &AtomicU32) {
        let is_over = match remedy {
            Remedy::Keep => false,
            Remedy::Suspect => timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS,
            Remedy::Drop => true,
        };
        if !is_over {
            return;
        }
        let dropped = {
            let mut slot = self.slot();
            // Another call may have replaced it already.
            slot.kept.take_if(|kept| kept.number == number)
        };
        if let Some(kept) = dropped {
            tracing::warn!(address = %self.server.address, "dropped a connection to redis");
            // Not back into the pool.
            drop(Connection::take(kept.connection));
            self.server.empty_pool();
        }
    }

    async fn lent(&self) -> Result<Lent, Fault> {
        let seen = {
            let slot = self.slot();
            if let Some(kept) = self.kept(&slot) {
                return Ok(kept.lend());
            }
            slot.attempts
        };
        let limit = self.server.connect_limit;
        // Behind a pointer: few calls connect, and all would carry it.
        let connecting: Pin<Box<dyn Future<Output = Result<Lent, Fault>> + Send + '_>> =
            Box::pin(self.connect(seen));
        tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_elapsed| Err(fault::connecting_took_too_long()))
    }

    /// Connects, unless another call did so, or failed to, since `seen` attempts had ended.
    async fn connect(&self, seen: u64) -> Result<Lent, Fault> {
        let _only_one = self.connecting.lock().await;
        {
            let mut slot = self.slot();
            if let Some(kept) = self.kept(&slot) {
                return Ok(kept.lend());
            }
            if let Some(old) = slot.kept.take() {
                // It leads to what the server was, and its place in the pool is for the new one: those
                // of several channels would take them all.
                drop(Connection::take(old.connection));
            }
            if let Some(failure) = slot.failure.as_ref().filter(|_| slot.attempts != seen) {
                return Err(failure.clone());
            }
        }
        let connected = self.server.connection().await;
        let mut slot = self.slot();
        slot.attempts += 1;
        match connected {
            Ok((connection, generation)) => {
                slot.failure = None;
                let number = slot.attempts;
                let kept = slot.kept.insert(Kept {
                    connection,
                    generation,
                    number,
                    timeouts: Arc::default(),
                });
                Ok(kept.lend())
            }
            Err(fault) => {
                slot.failure = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// The kept connection, unless it leads to what the server was before it became another one:
    /// an old primary may go on answering.
    fn kept<'a>(&self, slot: &'a Slot) -> Option<&'a Kept> {
        let generation = self.server.generation();
        let kept = slot.kept.as_ref();
        kept.filter(|kept| kept.generation == generation)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // No section that holds it can leave it half changed.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn lend(&self) -> Lent {
        Lent {
            connection: self.connection.clone(),
            number: self.number,
            timeouts: self.timeouts.clone(),
        }
    }
}

/// Why a pipeline got no answers.
enum Failed {
    /// The connection broke under it.
    Broken(Fault),
    /// There was no connection, or no answer in time.
    Final(Fault),
}

impl Failed {
    fn fault(self) -> Fault {
        match self {
            Failed::Broken(fault) | Failed::Final(fault) => fault,
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.server.address)
    }
}
