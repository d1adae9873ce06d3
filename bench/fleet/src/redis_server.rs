//! A `redis-server` of the measurement's own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Starts a server, says its process id, and ends it when its own input ends: also when whoever started
/// it was killed.
const WATCHED: &str = r#"
    redis-server "$@" >/dev/null 2>&1 &
    pid=$!
    trap exit INT TERM
    trap 'kill -9 $pid; wait' EXIT
    echo $pid
    read -r _
"#;

/// A server on a free port of 127.0.0.1 that keeps nothing, stopped when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    watcher: Child,
    port: u16,
    // Removed after the server is gone.
    _dir: TempDir,
}

impl RedisServer {
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// A cluster of one primary, which has all slots: what a primary does for a request, without the
    /// others.
    pub fn start_cluster() -> Result<Self> {
        let port = free_port()?.to_string();
        let this = Self::start_with(&[
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &port,
            "--cluster-announce-ip",
            "127.0.0.1",
        ])?;
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
        let () = slots.query(&mut this.connection()?)?;
        let give_up = Instant::now() + Duration::from_secs(10);
        let mut info = redis::cmd("CLUSTER");
        info.arg("INFO");
        loop {
            let text: String = info.query(&mut this.connection()?)?;
            if text.contains("cluster_state:ok") {
                return Ok(this);
            }
            if Instant::now() > give_up {
                bail!("a cluster of one does not come up: {text}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn start_with(settings: &[&str]) -> Result<Self> {
        let mut last = None;
        for _ in 0..10 {
            let port = free_port()?;
            match Self::on(port, settings) {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        let last = last.context("no port was tried")?;
        Err(last.context("no redis-server came up on any of ten ports"))
    }

    fn on(port: u16, settings: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir().context("no directory for redis-server")?;
        let mut watcher = Command::new("sh")
            .args(["-c", WATCHED, "redis-server"])
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args([
                "--slowlog-log-slower-than",
                "500",
                "--slowlog-max-len",
                "10000",
            ])
            .arg("--dir")
            .arg(dir.path())
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("no shell to start redis-server in")?;
        let mut pid = String::new();
        let stdout = watcher.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut pid)?;
        let pid: f64 = pid.trim().parse().context("redis-server has no id")?;
        let this = Self {
            watcher,
            port,
            _dir: dir,
        };
        let give_up = Instant::now() + Duration::from_secs(3);
        // Its own process id, since a stranger may have taken the port.
        while this
            .info("server")
            .ok()
            .and_then(|i| i.number("process_id"))
            != Some(pid)
        {
            if Instant::now() > give_up {
                bail!("redis-server on port {port} does not answer: is it installed?");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(this)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The address of [`start_cluster`](Self::start_cluster).
    pub fn cluster_url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.port)
    }

    /// Forgets everything: keys, counts and slow calls.
    pub fn clear(&self) -> Result<()> {
        let mut connection = self.connection()?;
        for words in [
            &["FLUSHALL"][..],
            &["CONFIG", "RESETSTAT"],
            &["SLOWLOG", "RESET"],
        ] {
            let mut command = redis::Cmd::new();
            command.arg(words);
            let () = command.query(&mut connection)?;
        }
        Ok(())
    }

    pub fn info(&self, section: &str) -> Result<Info> {
        let mut connection = self.connection()?;
        let text: String = redis::cmd("INFO").arg(section).query(&mut connection)?;
        Ok(Info::of(&text))
    }

    /// The longest script that `SLOWLOG` has seen, microseconds; zero if none took half a
    /// millisecond.
    pub fn longest_script_us(&self) -> Result<i64> {
        type Entry = (i64, i64, i64, Vec<String>, String, String);
        let mut connection = self.connection()?;
        let mut get = redis::cmd("SLOWLOG");
        let slow: Vec<Entry> = get.arg("GET").arg(10_000).query(&mut connection)?;
        let scripts = slow
            .into_iter()
            .filter(|entry| entry.3.first().is_some_and(|word| word == "EVALSHA"));
        Ok(scripts.map(|entry| entry.2).max().unwrap_or(0))
    }

    fn connection(&self) -> Result<redis::Connection> {
        let client = redis::Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(Duration::from_secs(5));
        connection.with_context(|| format!("redis-server on port {}", self.port))
    }
}

/// Free now, and perhaps taken by somebody else before a server binds it.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    fn of(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Self(fields.map(|(k, v)| (k.into(), v.into())).collect())
    }

    pub fn number(&self, field: &str) -> Option<f64> {
        self.0.get(field)?.parse().ok()
    }

    /// How often each command was called, those of scripts included.
    pub fn calls(&self) -> BTreeMap<String, f64> {
        let calls = |(field, value): (&String, &String)| {
            let command = field.strip_prefix("cmdstat_")?.to_owned();
            let calls = value.strip_prefix("calls=")?.split(',').next()?;
            Some((command, calls.parse().ok()?))
        };
        self.0.iter().filter_map(calls).collect()
    }
}
