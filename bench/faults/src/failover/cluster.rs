//! A cluster of three primaries with a replica each.

use std::time::Duration;

use super::node::{Node, Topology};

/// Slots are 0 to 16383.
const SLOTS: usize = 16384;

pub struct Cluster {
    /// The node at `n` and that at `n + 3` have the same slots.
    pub nodes: Vec<Node>,
}

impl Cluster {
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..6 {
            nodes.push(Node::start(Topology::Cluster, &[]).await);
        }
        let told = |node: &Node, command: &str| {
            let said = node.server.says(command);
            assert!(said.starts_with("+OK"), "{command}: {said}");
        };
        for (n, node) in nodes.iter().enumerate() {
            told(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
            let (port, bus) = (node.gate.port(), node.bus);
            told(&nodes[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        for (n, node) in nodes[..3].iter().enumerate() {
            let (from, to) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
            told(node, &format!("CLUSTER ADDSLOTSRANGE {from} {to}"));
        }
        let this = Self { nodes };
        this.wait_until(|node| {
            node.server
                .says("CLUSTER INFO")
                .contains("cluster_known_nodes:6\r")
        })
        .await;
        for n in 3..6 {
            let id = this.nodes[n - 3].server.says("CLUSTER MYID");
            let id = id.lines().nth(1).unwrap_or_default().to_owned();
            // Not before it has heard of that one.
            while !this.nodes[n]
                .server
                .says(&format!("CLUSTER REPLICATE {id}"))
                .starts_with("+OK")
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        this
    }

    /// The addresses of all nodes.
    pub fn url(&self) -> String {
        let hosts = self
            .nodes
            .iter()
            .map(|n| format!("127.0.0.1:{}", n.gate.port()));
        let hosts: Vec<String> = hosts.collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The primaries, by their places; the one that answers, of two that say so.
    pub fn primaries(&self) -> Vec<usize> {
        (0..6).filter(|n| self.nodes[*n].is_primary()).collect()
    }

    /// Whether each primary has a replica with all of its data, and all know each other.
    pub fn is_settled(&self) -> bool {
        let primaries = self.primaries();
        let is_well = |node: &Node| {
            let known = node.server.says("CLUSTER NODES");
            node.server
                .says("CLUSTER INFO")
                .contains("cluster_state:ok")
                && known.matches(" connected").count() == 6
                && !known.contains("fail")
        };
        let is_followed = |n: &usize| {
            let port = self.nodes[*n].gate.port();
            self.nodes[(*n + 3) % 6].follows(port) && self.nodes[*n].replicas() == 1
        };
        primaries.len() == 3 && primaries.iter().all(is_followed) && self.nodes.iter().all(is_well)
    }

    async fn wait_until(&self, is_so: impl Fn(&Node) -> bool) {
        while !self.nodes.iter().all(&is_so) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
