//! A real Redis Cluster of a test's own.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::redis_server::{RedisOptions, RedisServer, free_port};

/// Servers that make up a cluster; the primaries first.
#[derive(Debug)]
pub struct RedisCluster {
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Three primaries with so many replicas each.
    pub fn start(replicas: usize) -> Self {
        let servers: Vec<RedisServer> = (0..3 + 3 * replicas).map(|_| node()).collect();
        let output = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(servers.iter().map(|s| format!("127.0.0.1:{}", s.port())))
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let is_ready = |s: &RedisServer| {
            let known = format!("cluster_known_nodes:{}\r", servers.len());
            let info = s.says("CLUSTER INFO");
            info.contains("cluster_state:ok")
                && info.contains(&known)
                && !s
                    .says("INFO replication")
                    .contains("master_link_status:down")
        };
        let give_up = Instant::now() + Duration::from_secs(30);
        while !servers.iter().all(is_ready) {
            assert!(Instant::now() < give_up, "no cluster: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { servers }
    }

    /// The address by two of its nodes, the last of which may be a replica.
    pub fn url(&self) -> String {
        let ports = [&self.servers[0], &self.servers[self.servers.len() - 1]];
        let [a, b] = ports.map(RedisServer::port);
        format!("redis+cluster://127.0.0.1:{a},127.0.0.1:{b}")
    }

    /// The server that serves a key now, by its place.
    pub fn owner(&self, key: &str) -> Option<usize> {
        let serves = |s: &RedisServer| s.says(&format!("EXISTS {key}")).starts_with(':');
        self.servers.iter().position(serves)
    }
}

fn node() -> RedisServer {
    let settings = [
        "cluster-enabled yes",
        "cluster-node-timeout 2000",
        // The rest goes on when one primary is gone.
        "cluster-require-full-coverage no",
    ];
    let mut settings = settings.map(str::to_owned).to_vec();
    settings.push(format!("cluster-port {}", free_port()));
    let options = RedisOptions {
        settings,
        ..RedisOptions::default()
    };
    options.start()
}
