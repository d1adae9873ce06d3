//! The lock as an instance sees it: a connection to the store, and all that can go wrong with one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::{
    Acquired, Claim, Completion, Error, ErrorKind, Grant, LastFired, Lock, Released, Renewed,
    Result, TaskName, async_trait,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;
use tokio::time::timeout;
use turmoil::net::TcpStream;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::store;
use crate::wire;

/// How long a connection and an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// A lock on the store, through one connection that is kept and replaced.
#[derive(Debug, Default)]
pub struct SimLock {
    // Held while connecting or writing, so that one call connects and lines stay whole.
    connection: tokio::sync::Mutex<Option<Connection>>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    writer: OwnedWriteHalf,
}

// Held to look or to change, never across an await.
#[derive(Debug, Default)]
struct Shared {
    requests: u64,
    connections: u64,
    /// How often there was none.
    failures: u64,
    /// Who waits for an answer, by the number of the request, with that of the connection.
    waiting: BTreeMap<u64, (u64, oneshot::Sender<String>)>,
    /// Time-outs in a row.
    silent: u32,
    /// The connection to give up: the newest of those that broke, as old ones end too when the store
    /// goes down, in no order.
    broken: Option<u64>,
}

fn ambiguous(text: &str) -> Error {
    Error::new(ErrorKind::StoreAmbiguous, text)
}

fn unavailable(text: &str) -> Error {
    Error::new(ErrorKind::StoreUnavailable, text)
}

impl SimLock {
    /// Sends a request and waits for its reply: as many items as it had.
    async fn ask(&self, operation: &str, items: Vec<String>) -> Result<Vec<String>> {
        let (number, on, answer) = self.send(operation, &items).await?;
        let answer = timeout(PATIENCE, answer).await;
        let mut shared = self.shared.lock().unwrap();
        shared.waiting.remove(&number);
        match answer {
            Ok(Ok(line)) => {
                shared.silent = 0;
                Ok(line.split(' ').skip(1).map(str::to_owned).collect())
            }
            Ok(Err(_)) => Err(ambiguous("the connection broke")),
            Err(_) => {
                shared.silent += 1;
                if shared.silent >= 2 {
                    shared.silent = 0;
                    shared.broken = shared.broken.max(Some(on));
                }
                Err(ambiguous("no answer in time"))
            }
        }
    }

    async fn send(
        &self,
        operation: &str,
        items: &[String],
    ) -> Result<(u64, u64, oneshot::Receiver<String>)> {
        let failures = || self.shared.lock().unwrap().failures;
        let before = failures();
        let mut slot = self.connection.lock().await;
        if slot.is_none() && failures() != before {
            // Who waits for somebody's connection shares its failure.
            return Err(unavailable("no connection"));
        }
        let broken = self.shared.lock().unwrap().broken.take();
        if broken.is_some() && slot.as_ref().map(|c| c.number) == broken {
            *slot = None;
        }
        let connection = match &mut *slot {
            Some(connection) => connection,
            None => slot.insert(self.connect().await?),
        };
        let on = connection.number;
        let (number, answer) = {
            let mut shared = self.shared.lock().unwrap();
            shared.requests += 1;
            let (reply, answer) = oneshot::channel();
            let number = shared.requests;
            shared.waiting.insert(number, (on, reply));
            (number, answer)
        };
        let line = format!("{number} {operation} {}\n", items.join(" "));
        let written = timeout(PATIENCE, connection.writer.write_all(line.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            *slot = None;
            self.shared.lock().unwrap().waiting.remove(&number);
            return Err(ambiguous("the request could not be sent"));
        }
        Ok((number, on, answer))
    }

    async fn connect(&self) -> Result<Connection> {
        let opened = timeout(PATIENCE, TcpStream::connect((store::HOST, store::PORT))).await;
        let Ok(Ok(stream)) = opened else {
            self.shared.lock().unwrap().failures += 1;
            return Err(unavailable(
                "the connection was refused, or not made in time",
            ));
        };
        let number = {
            let mut shared = self.shared.lock().unwrap();
            shared.connections += 1;
            shared.silent = 0;
            shared.connections
        };
        let (reader, writer) = stream.into_split();
        tokio::spawn(receive(reader, number, self.shared.clone()));
        Ok(Connection { number, writer })
    }
}

/// Hands replies to those who wait, until the connection ends.
async fn receive(reader: OwnedReadHalf, number: u64, shared: Arc<Mutex<Shared>>) {
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let request = line.split(' ').next().unwrap().parse().unwrap();
        let waiting = shared.lock().unwrap().waiting.remove(&request);
        if let Some((_, reply)) = waiting {
            let _ = reply.send(line);
        }
    }
    let mut shared = shared.lock().unwrap();
    shared.waiting.retain(|_, (on, _)| *on != number);
    shared.broken = shared.broken.max(Some(number));
}

/// The answer to a request of one item.
async fn only(answer: impl Future<Output = Result<Vec<String>>>) -> Result<String> {
    Ok(answer.await?.remove(0))
}

/// The same error for each of `count` items.
fn to_all<T>(error: &Error, count: usize) -> Vec<Result<T>> {
    let again = || Err(Error::new(error.kind(), error.to_string()));
    std::iter::repeat_with(again).take(count).collect()
}

#[async_trait]
impl Lock for SimLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let item = only(self.ask("acquire", vec![wire::claim(claim)])).await?;
        Ok(wire::read_acquired(&item, claim))
    }

    async fn acquire_all(&self, claims: &[Claim]) -> Vec<Result<Acquired>> {
        match self
            .ask("acquire", claims.iter().map(wire::claim).collect())
            .await
        {
            Err(error) => to_all(&error, claims.len()),
            Ok(items) => std::iter::zip(items, claims)
                .map(|(item, claim)| Ok(wire::read_acquired(&item, claim)))
                .collect(),
        }
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        let item = only(self.ask("renew", vec![wire::grant(grant, None)])).await?;
        Ok(wire::read_renewed(&item))
    }

    async fn renew_all(&self, grants: &[Grant]) -> Vec<Result<Renewed>> {
        let items = grants.iter().map(|g| wire::grant(g, None)).collect();
        match self.ask("renew", items).await {
            Err(error) => to_all(&error, grants.len()),
            Ok(items) => items.iter().map(|i| Ok(wire::read_renewed(i))).collect(),
        }
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        let item = only(self.ask("release", vec![wire::grant(grant, Some(completion))])).await?;
        Ok(wire::read_released(&item))
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let items = self
            .ask("last", tasks.iter().map(ToString::to_string).collect())
            .await?;
        Ok(items.iter().map(|i| wire::read_last_fired(i)).collect())
    }

    async fn check(&self) -> Result<()> {
        self.ask("last", vec!["check".to_owned()]).await.map(drop)
    }

    fn describe(&self) -> String {
        "the simulated store".to_owned()
    }
}
