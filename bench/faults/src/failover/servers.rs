//! The servers of either topology, as the rounds see them.

use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::node::{Node, Topology};
use super::watched::Watched;

pub enum Servers {
    Watched(Watched),
    Cluster(Cluster),
}

impl Servers {
    pub async fn start(topology: Topology, users: &[String]) -> Self {
        match topology {
            Topology::Sentinel => Self::Watched(Watched::start(users).await),
            Topology::Cluster => Self::Cluster(Cluster::start().await),
        }
    }

    /// Where a replica of the service finds the locks.
    pub fn url(&self, user: &str) -> String {
        match self {
            Self::Watched(watched) => watched.url(user),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    pub fn nodes(&self) -> &[Node] {
        match self {
            Self::Watched(watched) => &watched.nodes,
            Self::Cluster(cluster) => &cluster.nodes,
        }
    }

    pub fn node(&mut self, n: usize) -> &mut Node {
        match self {
            Self::Watched(watched) => &mut watched.nodes[n],
            Self::Cluster(cluster) => &mut cluster.nodes[n],
        }
    }

    /// Those that have locks.
    pub fn primaries(&self) -> Vec<usize> {
        match self {
            Self::Watched(watched) => watched.named().into_iter().collect(),
            Self::Cluster(cluster) => cluster.primaries(),
        }
    }

    /// Those that have a copy of a primary's data.
    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        match self {
            Self::Watched(_) => (0..3).filter(|n| *n != primary).collect(),
            Self::Cluster(_) => vec![(primary + 3) % 6],
        }
    }

    /// Who took over from a primary.
    pub fn successor(&self, of: usize) -> Option<usize> {
        let next = match self {
            Self::Watched(watched) => watched.named()?,
            Self::Cluster(_) => (of + 3) % 6,
        };
        (next != of && self.nodes()[next].is_primary()).then_some(next)
    }

    /// Makes an old primary a replica of its successor.
    pub async fn demote(&self, old: usize, new: usize) -> Result<(), String> {
        let (node, port) = (&self.nodes()[old], self.nodes()[new].gate.port());
        if let Self::Watched(_) = self {
            // As the sentinels do, after some seconds.
            node.server.says(&format!("REPLICAOF 127.0.0.1 {port}"));
            node.server.says("CLIENT KILL TYPE normal");
        }
        let is_down = || node.replication("role") == "slave";
        until("the old primary is a replica", is_down).await
    }

    /// Waits until all is well, for the next round.
    pub async fn settle(&self) -> Result<(), String> {
        let is_settled = || match self {
            Self::Watched(watched) => watched.is_settled(),
            Self::Cluster(cluster) => cluster.is_settled(),
        };
        until("the servers are well", is_settled).await
    }
}

/// Waits for something, and not for ever.
pub async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        if Instant::now() > give_up {
            return Err(format!("waited for a minute in vain until {what}"));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}
