//! A server behind its gate.

use crate::support::redis_server::{RedisOptions, RedisServer, free_port};

use super::gate::Gate;

/// Others know the server by the port of the gate; the harness talks to it by its socket.
pub struct Node {
    pub server: RedisServer,
    pub gate: Gate,
    /// Where the other nodes of a cluster reach it.
    pub bus: u16,
}

/// What a node is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    Sentinel,
    Cluster,
}

impl Topology {
    pub const ALL: [Topology; 2] = [Topology::Sentinel, Topology::Cluster];

    pub fn as_str(self) -> &'static str {
        match self {
            Topology::Sentinel => "sentinel",
            Topology::Cluster => "cluster",
        }
    }
}

/// The password of all users.
pub const PASSWORD: &str = "pw";

impl Node {
    /// A server that says that it is at its gate, and knows users of these names.
    pub async fn start(topology: Topology, users: &[String]) -> Self {
        let mut gate = Gate::new().await;
        let port = gate.port();
        let bus = free_port();
        // A replica says who it is by that port in a cluster too.
        let mut settings = vec![
            "replica-announce-ip 127.0.0.1".to_owned(),
            format!("replica-announce-port {port}"),
        ];
        if topology == Topology::Cluster {
            settings.extend([
                "cluster-enabled yes".to_owned(),
                "cluster-node-timeout 1000".to_owned(),
                "cluster-require-full-coverage no".to_owned(),
                "cluster-allow-replica-migration no".to_owned(),
                format!("cluster-port {bus}"),
                "cluster-announce-ip 127.0.0.1".to_owned(),
                format!("cluster-announce-port {port}"),
                format!("cluster-announce-bus-port {bus}"),
            ]);
        }
        let options = RedisOptions {
            users: users
                .iter()
                .map(|user| format!("{user} on >{PASSWORD} ~* &* +@all"))
                .collect(),
            settings,
            ..RedisOptions::default()
        };
        let server = options.start();
        gate.open(server.port());
        Self { server, gate, bus }
    }

    /// A line of `INFO replication`; empty if it does not answer.
    pub fn replication(&self, key: &str) -> String {
        let text = self.server.says("INFO replication");
        let value = text
            .lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    }

    pub fn is_primary(&self) -> bool {
        self.replication("role") == "master"
    }

    /// How many replicas have all of its data.
    pub fn replicas(&self) -> usize {
        self.server
            .says("INFO replication")
            .matches("state=online")
            .count()
    }

    /// Whether so many replicas confirm what is written here, as soon as a client wants that.
    pub fn has_acks(&self, acks: usize) -> bool {
        if acks == 0 {
            return true;
        }
        // In a cluster, one of those that are kept here.
        let mut keys = (0..500).map(|n| format!("probe:{n}"));
        let Some(key) = keys.find(|key| self.serves(key)) else {
            return false;
        };
        let said = self.server.says(&format!("SET {key} 1\r\nWAIT {acks} 200"));
        let count = said.lines().nth(1).and_then(|n| n.strip_prefix(':'));
        count.and_then(|n| n.trim().parse::<usize>().ok()) >= Some(acks)
    }

    /// Whether it follows the server behind a gate, and has its data.
    pub fn follows(&self, port: u16) -> bool {
        self.replication("role") == "slave"
            && self.replication("master_port") == port.to_string()
            && self.replication("master_link_status") == "up"
    }

    pub fn serves(&self, key: &str) -> bool {
        self.server.says(&format!("EXISTS {key}")).starts_with(':')
    }
}
