//! The servers that keep a lock's records, and who is asked about which task.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_redis::redis::Pipeline;
use deadpool_redis::redis::aio::PubSub;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::lock::redis::address::{Address, Place};
use crate::lock::redis::changes::{Changes, Doubt};
use crate::lock::redis::check::Probe;
use crate::lock::redis::cluster::{self, Cluster};
use crate::lock::redis::connection::Channel;
use crate::lock::redis::dial::Dial;
use crate::lock::redis::fault::{self, Phase};
use crate::lock::redis::keys::Keys;
use crate::lock::redis::script::{Answer, Call, Manner, Reply, Request, Script};
use crate::lock::redis::server::Server;

/// What a connection is kept for. None of them waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Claims,
    /// What others have taken: apart from claims, which may wait for replicas.
    Looks,
    Renewals,
    Releases,
    /// What a fleet shares beside its locks.
    Fleet,
    /// What is not urgent: a connection for one call.
    Rest,
}

/// One server, and the connections that are kept to it.
pub(super) struct Node {
    pub(super) server: Arc<Server>,
    claims: Channel,
    looks: Channel,
    renewals: Channel,
    releases: Channel,
    fleet: Channel,
}

impl Node {
    pub(super) fn new(server: Server) -> Self {
        let server = Arc::new(server);
        let channel = || Channel::new(server.clone());
        Self {
            claims: channel(),
            looks: channel(),
            renewals: channel(),
            releases: channel(),
            fleet: channel(),
            server,
        }
    }

    /// A connection for what is not urgent: taken from the pool for one call and given back.
    pub(super) fn borrowed(&self) -> Channel {
        Channel::new(self.server.clone())
    }

    /// Makes calls on the connection that is kept for them.
    pub(super) async fn run(
        &self,
        purpose: Purpose,
        script: &Script,
        calls: &[&Call<'_>],
        manner: Manner,
    ) -> Vec<Reply> {
        let channel = match purpose {
            Purpose::Claims => &self.claims,
            Purpose::Looks => &self.looks,
            Purpose::Renewals => &self.renewals,
            Purpose::Releases => &self.releases,
            Purpose::Fleet => &self.fleet,
            Purpose::Rest => &self.borrowed(),
        };
        script.run(channel, calls, manner).await
    }
}

/// All servers of a lock.
pub(super) struct Store {
    servers: Servers,
    dial: Dial,
    changes: Changes,
}

enum Servers {
    One(Arc<Node>),
    Many(Box<Cluster>),
}

impl Store {
    pub(super) fn new(address: Address, dial: Dial, changes: Changes) -> Result<Self> {
        let servers = match address.place() {
            Place::Cluster(seeds) => {
                let seeds = seeds.clone();
                let cluster = Cluster::new(address, &seeds, dial.clone(), changes.clone());
                Servers::Many(Box::new(cluster))
            }
            Place::Server | Place::Sentinels(..) => {
                let server = Server::new(address, None, &dial, changes.clone())?;
                Servers::One(Arc::new(Node::new(server)))
            }
        };
        Ok(Self {
            servers,
            dial,
            changes,
        })
    }

    /// Asks `script` about all requests; one answer for each, in their order.
    pub(super) async fn run(
        &self,
        purpose: Purpose,
        script: &Script,
        requests: &[Request],
        manner: Manner,
    ) -> Vec<Result<Answer, Error>> {
        let replies = self.replies(purpose, script, requests, manner).await;
        let mut answers: Vec<Option<Result<Answer, Error>>> =
            requests.iter().map(|_| None).collect();
        for (places, reply) in replies {
            let call = requests_at(requests, &places);
            let of_call = script.spread(self, &call, reply);
            for (place, answer) in places.into_iter().zip(of_call) {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
        }
        let answers = answers.into_iter().zip(requests);
        answers
            .map(|(answer, request)| answer.unwrap_or_else(|| Err(script.misunderstood(request))))
            .collect()
    }

    /// The replies to calls about all requests, with the places of the requests of each.
    pub(super) async fn replies(
        &self,
        purpose: Purpose,
        script: &Script,
        requests: &[Request],
        manner: Manner,
    ) -> Vec<(Vec<usize>, Reply)> {
        let mut by_slot: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (place, request) in requests.iter().enumerate() {
            // A server alone takes keys of any slot in one call.
            let slot = match &self.servers {
                Servers::One(_) => 0,
                Servers::Many(_) => cluster::slot(request.first_key()),
            };
            by_slot.entry(slot).or_default().push(place);
        }
        let mut places = Vec::new();
        let mut calls: Vec<(u16, Call<'_>)> = Vec::new();
        for (slot, of_slot) in by_slot {
            for chunk in of_slot.chunks(Script::TASKS_PER_CALL) {
                calls.push((slot, requests_at(requests, chunk)));
                places.push(chunk.to_vec());
            }
        }
        // Behind a pointer, so that what callers await is not nested too deep for the compiler.
        let asked: Pin<Box<dyn Future<Output = Vec<Reply>> + Send + '_>> = match &self.servers {
            Servers::One(node) => {
                let calls = calls.iter().map(|(_, call)| call);
                let calls: Vec<&Call<'_>> = calls.collect();
                Box::pin(async move { node.run(purpose, script, &calls, manner).await })
            }
            Servers::Many(cluster) => Box::pin(cluster.run(purpose, script, &calls, manner)),
        };
        places.into_iter().zip(asked.await).collect()
    }

    /// Every server that is written to, with a lock of nobody's that is kept there.
    pub(super) async fn probes(&self, keys: &Keys) -> Result<Vec<(Arc<Node>, Probe)>> {
        let cluster = match &self.servers {
            Servers::One(node) => return Ok(vec![(node.clone(), Probe::new()?)]),
            Servers::Many(cluster) => cluster,
        };
        let primaries = cluster.primaries().await.map_err(|f| f.error(self))?;
        let mut found: Vec<(Arc<Node>, Probe)> = Vec::new();
        // Random names soon meet every primary, unless a tag in the prefix keeps all at one.
        for _ in 0..primaries.len() * 50 {
            let probe = Probe::new()?;
            let slot = cluster::slot(&keys.lock(probe.task()));
            let node = cluster.owner(slot).map_err(|f| f.error(self))?;
            if !found.iter().any(|(known, _)| Arc::ptr_eq(known, &node)) {
                found.push((node, probe));
            }
            if found.len() == primaries.len() {
                break;
            }
        }
        Ok(found)
    }

    /// A connection of its own that hears what is published.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub> {
        let found = match &self.servers {
            Servers::One(node) => node.server.whereabouts().await,
            // Each node hears what is published at any.
            Servers::Many(cluster) => match cluster.primaries().await {
                Ok(nodes) => match nodes.first() {
                    Some(node) => node.server.whereabouts().await,
                    None => Err(fault::no_owner()),
                },
                Err(fault) => Err(fault),
            },
        };
        let address = found.map_err(|f| f.error(self))?;
        let heard = self.dial.subscribe(address.info(), channel).await;
        heard.map_err(|e| fault::classify(&e, Phase::Connect).error(self))
    }

    /// Tells how often a server was found to be another one.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.watch()
    }

    /// What claims have to know of changes, if they have to know of any: how many there have been,
    /// and what may be lost with them.
    pub(super) fn changes(&self) -> Option<(u64, Vec<Doubt>)> {
        let changes = &self.changes;
        // In this order: what comes between is found by the number.
        changes
            .matter()
            .then(|| (changes.counted(), changes.in_doubt()))
    }

    /// Whether a fire time of the task with that lock may have been granted by a server that is
    /// gone.
    pub(super) fn is_in_doubt(
        &self,
        doubts: &[Doubt],
        lock_key: impl Fn() -> String,
        fire_time: DateTime<Utc>,
    ) -> bool {
        let covers = |doubt: &Doubt| match (&self.servers, &doubt.node) {
            (Servers::Many(cluster), Some(node)) => {
                let slot = cluster::slot(&lock_key());
                cluster.served(doubt.slots.as_deref(), slot, node)
            }
            _ => true,
        };
        doubts.iter().any(|d| d.is_about(fire_time) && covers(d))
    }

    /// Asks servers that have not been asked anything for a while whether they are still there and
    /// the same; waits until there is one to ask.
    pub(super) async fn look_after_servers(&self) {
        let nodes = match &self.servers {
            Servers::One(node) => vec![node.clone()],
            Servers::Many(cluster) => cluster.nodes(),
        };
        let next = nodes.iter().min_by_key(|node| node.server.until_look());
        let Some(node) = next else {
            // Nothing is known of the cluster, and so nothing is to be lost.
            return tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::time::sleep(node.server.until_look()).await;
        let mut ping = Pipeline::new();
        ping.ignore_errors().cmd("PING");
        let is_there = node.renewals.send(&ping, None).await.is_ok();
        if let (false, Servers::Many(cluster)) = (is_there, &self.servers) {
            cluster.look_again().await;
        }
    }
}

fn requests_at<'a>(requests: &'a [Request], places: &[usize]) -> Call<'a> {
    places.iter().filter_map(|n| requests.get(*n)).collect()
}

/// As the lock is described: never with a secret.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match &self.servers {
            Servers::One(node) => &node.server.address,
            Servers::Many(cluster) => cluster.address(),
        };
        fmt::Display::fmt(address, f)
    }
}
