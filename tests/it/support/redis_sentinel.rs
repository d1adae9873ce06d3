//! Real sentinels of a test's own.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::redis_server::{RedisServer, exchange, free_port};

/// A primary called `main`, two replicas, and three sentinels that watch them.
#[derive(Debug)]
pub struct Watched {
    /// The first is the primary until it is killed.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<Sentinel>,
}

/// One sentinel on a free port of 127.0.0.1, stopped when it is dropped.
#[derive(Debug)]
pub struct Sentinel {
    child: Child,
    pub port: u16,
    _dir: TempDir,
}

impl Watched {
    pub fn start() -> Self {
        let primary = RedisServer::start();
        let replicas = [primary.replica(), primary.replica()];
        let sentinels: Vec<Sentinel> = (0..3)
            .map(|_| Sentinel::start(primary.port(), 1500))
            .collect();
        let give_up = Instant::now() + Duration::from_secs(30);
        let knows_all = |s: &Sentinel| s.says("INFO sentinel").contains("slaves=2,sentinels=3");
        while !sentinels.iter().all(knows_all) {
            assert!(
                Instant::now() < give_up,
                "the sentinels do not find each other"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let servers = [primary].into_iter().chain(replicas).collect();
        Self { servers, sentinels }
    }

    /// The address by its sentinels.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .sentinels
            .iter()
            .map(|s| format!("127.0.0.1:{}", s.port))
            .collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

impl Sentinel {
    /// One that watches the primary at a port of this host, and calls it down when it has not
    /// answered for so many milliseconds.
    pub fn start(primary: u16, down_after_ms: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = dir.path().display();
        let lines = [
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("dir {path}"),
            format!("logfile {path}/log"),
            format!("sentinel monitor main 127.0.0.1 {primary} 2"),
            format!("sentinel down-after-milliseconds main {down_after_ms}"),
            "sentinel failover-timeout main 3000".to_owned(),
        ];
        let config = dir.path().join("sentinel.conf");
        std::fs::write(&config, lines.join("\n")).unwrap();
        let child = Command::new("redis-server")
            .arg(&config)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            _dir: dir,
        }
    }

    /// Its answer to a command, or nothing.
    pub fn says(&self, command: &str) -> String {
        ask(self.port, command).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends one command to a port of this host and reads the answer.
pub fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    exchange(stream, command)
}
