//! The lock's store: a host of its own, which runs the crate's transitions on its own clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tasklock::{Acquired, Completion, Lock, Released, Renewed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use turmoil::net::{TcpListener, TcpStream};

use crate::broken::Variant;
use crate::clock::SimClock;
use crate::fleet;
use crate::history::{Firing, History, What};
use crate::wire;

pub const HOST: &str = "store";
pub const PORT: u16 = 6379;

/// What outlives the store's process: its data, its clock, and what is counted. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    variant: Variant,
    clock: Arc<SimClock>,
    history: History,
    // Held to look, or to put a new one there.
    lock: Mutex<Arc<dyn Lock>>,
    // Held to count.
    answers: Mutex<BTreeMap<String, u64>>,
}

impl Store {
    pub fn new(variant: Variant, clock: Arc<SimClock>, history: History) -> Self {
        let lock = Mutex::new(variant.lock(clock.clone()));
        let answers = Mutex::default();
        let inner = Inner {
            variant,
            clock,
            history,
            lock,
            answers,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Forgets everything.
    pub fn lose_data(&self) {
        *self.inner.lock.lock().unwrap() = self.inner.variant.lock(self.inner.clock.clone());
    }

    pub fn clock(&self) -> &SimClock {
        &self.inner.clock
    }

    /// How often each kind of answer was given.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.inner.answers.lock().unwrap().clone()
    }

    /// The store's process.
    pub async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let reply = self.answer(&line).await;
            if writer.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let mut reply = words.next().unwrap().to_owned();
        let operation = words.next().unwrap();
        for item in words {
            let answer = self.item(operation, item).await;
            let kind = answer.split(',').next().unwrap();
            let kind = match operation {
                "last" => "last".to_owned(),
                _ => format!("{operation}:{kind}"),
            };
            *self.inner.answers.lock().unwrap().entry(kind).or_default() += 1;
            reply.push(' ');
            reply.push_str(&answer);
        }
        reply.push('\n');
        reply
    }

    async fn item(&self, operation: &str, item: &str) -> String {
        let lock = self.inner.lock.lock().unwrap().clone();
        match operation {
            "acquire" => {
                let claim = wire::read_claim(item);
                let token = claim.token().as_str().to_owned();
                let answer = lock.acquire(&claim).await.unwrap();
                if let Acquired::Granted(grant) = &answer {
                    let again = grant.remaining() < claim.ttl();
                    self.note(What::Granted {
                        firing: firing(item),
                        instance: fleet::number_of(claim.owner()),
                        token,
                        fence: grant.fencing_token().get(),
                        again,
                    });
                }
                wire::acquired(&answer)
            }
            "renew" => {
                let (grant, _) = wire::read_grant(item);
                let answer = lock.renew(&grant).await.unwrap();
                if !matches!(answer, Renewed::Lost { .. }) {
                    self.note(What::Renewed {
                        firing: firing(item),
                        token: grant.token().as_str().to_owned(),
                    });
                }
                wire::renewed(&answer)
            }
            "release" => {
                let (grant, completion) = wire::read_grant(item);
                let completion = completion.unwrap();
                let answer = lock.release(&grant, completion).await.unwrap();
                if !matches!(answer, Released::NotOwner { .. }) {
                    self.note(What::Released {
                        firing: firing(item),
                        token: grant.token().as_str().to_owned(),
                        abandoned: completion == Completion::Abandoned,
                    });
                }
                wire::released(&answer)
            }
            "last" => {
                let last = lock.last_fired(&[wire::task(item)]).await.unwrap();
                wire::last_fired(last[0].as_ref())
            }
            other => panic!("{other:?} is no operation"),
        }
    }

    fn note(&self, what: What) {
        self.inner.history.note(what);
    }
}

/// What a claim or a grant is about: its first two fields.
fn firing(item: &str) -> Firing {
    let mut fields = item.split(',');
    Firing {
        task: fleet::task_number(fields.next().unwrap()),
        instant: fields.next().unwrap().parse().unwrap(),
    }
}
