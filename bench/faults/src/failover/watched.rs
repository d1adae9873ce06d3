//! A primary, two replicas, and three sentinels.

use std::time::Duration;

use crate::support::redis_sentinel::Sentinel;

use super::node::{Node, PASSWORD, Topology};

pub struct Watched {
    pub nodes: Vec<Node>,
    sentinels: Vec<Sentinel>,
}

impl Watched {
    pub async fn start(users: &[String]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Node::start(Topology::Sentinel, users).await);
        }
        let primary = nodes[0].gate.port();
        for node in &nodes[1..] {
            node.server.says(&format!("REPLICAOF 127.0.0.1 {primary}"));
        }
        for node in &nodes[1..] {
            while !node.follows(primary) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let sentinels = (0..3).map(|_| Sentinel::start(primary, 1000)).collect();
        Self { nodes, sentinels }
    }

    /// The address by its sentinels, for a user.
    pub fn url(&self, user: &str) -> String {
        let hosts = self
            .sentinels
            .iter()
            .map(|s| format!("127.0.0.1:{}", s.port));
        let hosts: Vec<String> = hosts.collect();
        format!(
            "redis+sentinel://{user}:{PASSWORD}@{}/main",
            hosts.join(",")
        )
    }

    /// The node that more than half of the sentinels name.
    pub fn named(&self) -> Option<usize> {
        let count = |node: &Node| {
            let port = format!("\r\n{}\r\n", node.gate.port());
            let names = |s: &&Sentinel| {
                s.says("SENTINEL get-master-addr-by-name main")
                    .contains(&port)
            };
            self.sentinels.iter().filter(names).count()
        };
        self.nodes.iter().position(|n| count(n) >= 2)
    }

    /// Whether all sentinels know of all that there is, and that it is well.
    pub fn is_settled(&self) -> bool {
        let Some(primary) = self.named() else {
            return false;
        };
        let port = self.nodes[primary].gate.port();
        let known = format!("status=ok,address=127.0.0.1:{port},slaves=2,sentinels=3");
        let knows = |s: &Sentinel| {
            let replicas = s.says("SENTINEL replicas main");
            s.says("INFO sentinel").contains(&known)
                && !replicas.contains("_down")
                && replicas.matches("master-link-status\r\n$2\r\nok").count() == 2
        };
        let others = self.nodes.iter().enumerate().filter(|(n, _)| *n != primary);
        self.nodes[primary].is_primary()
            && others.into_iter().all(|(_, node)| node.follows(port))
            && self.nodes[primary].replicas() == 2
            && self.sentinels.iter().all(knows)
    }
}
