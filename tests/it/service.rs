//! The example service as its users start it: processes, their logs, their metrics, their end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::RedisServer;
use crate::support::promtool::check_metrics;
use crate::support::redis_server::free_port;

const PATIENCE: Duration = Duration::from_secs(40);

/// The example, which cargo builds beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().unwrap().parent().unwrap();
    let program = target.join("examples").join("tasks");
    assert!(
        program.exists(),
        "{} is missing: cargo build --examples",
        program.display()
    );
    program
}

struct Service {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    port: u16,
}

impl Service {
    /// Starts it with all tasks due every second or two.
    fn start(data: &Path, redis: Option<&str>, more: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(program());
        command
            .arg("--data")
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")]);
        for task in [
            "example_task",
            "cleanup_task",
            "stats_task",
            "simple_task",
            "heartbeat",
        ] {
            command.args(["--spec", &format!("{task}=*/2 * * * * *")]);
        }
        command
            .args(more)
            .env_remove("REDIS_URL")
            .env("RUST_LOG", "info,tasklock=debug");
        if let Some(url) = redis {
            command.env("REDIS_URL", url);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            port,
        }
    }

    /// Waits for a line that contains all of `parts`.
    fn wait_for(&mut self, parts: &[&str]) -> String {
        let fits = |line: &str| parts.iter().all(|part| line.contains(part));
        if let Some(line) = self.seen.iter().find(|line| fits(line)) {
            return line.clone();
        }
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                let last = &self.seen[self.seen.len().saturating_sub(20)..];
                panic!("no line with {parts:?}; the last ones: {last:#?}");
            };
            self.seen.push(line.clone());
            if fits(&line) {
                return line;
            }
        }
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.get_as(path, "x")
    }

    fn get_as(&self, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// Asks it to end; returns all that it said.
    fn stop(mut self, signal: Signal) -> Vec<String> {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "it ended with {status}");
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For each task and fire time, how often a log says that it started.
fn starts(logs: &[Vec<String>]) -> BTreeMap<(String, String), usize> {
    let part = |line: &str, key: &str| {
        let rest = line.rsplit_once(key)?.1;
        Some(rest.split([' ', '"']).find(|w| !w.is_empty())?.to_owned())
    };
    let mut found = BTreeMap::new();
    for line in logs.iter().flatten().filter(|l| l.contains("Task started")) {
        let key = part(line, " task=").zip(part(line, " due="));
        *found
            .entry(key.unwrap_or_else(|| panic!("{line}")))
            .or_default() += 1;
    }
    found
}

fn the_service_works(redis: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path(), redis, &[]);
    service.wait_for(&["INFO", "Task registered", "name=cleanup_task", "spec="]);
    service.wait_for(&["INFO", "Task scheduler started", "tasks=5"]);
    for task in [
        "example_task",
        "cleanup_task",
        "stats_task",
        "simple_task",
        "heartbeat",
    ] {
        let task = format!(" task={task}");
        service.wait_for(&["INFO", "Task started", &task]);
        service.wait_for(&["INFO", "Task completed", &task, "duration="]);
    }
    let (status, metrics) = service.get("/metrics");
    assert_eq!(status, 200);
    check_metrics(&metrics);
    for name in [
        "task_duration_seconds_count{task_name=\"heartbeat\"}",
        "task_errors_total{task_name=\"heartbeat\"} 0",
        "task_runs_total{outcome=\"timeout\",task_name=\"heartbeat\"} 0",
        "task_firings_total{decision=\"store_down\",task_name=\"heartbeat\"} 0",
        "task_start_delay_seconds_bucket",
        "task_running{",
        "task_retries_total{",
        "task_lease_lost_total{",
        "task_lock_operations_total{operation=\"renew\",result=\"lost\"} 0",
        "task_next_fire_timestamp_seconds{",
        "task_last_success_timestamp_seconds{",
        "task_scheduler_running 1",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    assert_eq!(service.get("/livez").0, 200);
    assert_eq!(service.get("/readyz").0, 200);
    assert_eq!(service.get("/nothing").0, 404);
    let log = service.stop(Signal::TERM);
    assert!(log.iter().any(|l| l.contains("Task scheduler stopped")));
    assert!(!log.iter().any(|l| l.contains("Task failed")), "{log:#?}");
}

#[test]
fn the_service_works_without_a_server() {
    the_service_works(None);
}

#[test]
fn the_service_works_on_redis() {
    let redis = RedisServer::start();
    the_service_works(Some(&redis.url()));
}

fn two_processes_share_the_firings(redis: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    let mut one = Service::start(dir.path(), redis, &[]);
    one.wait_for(&["Task scheduler started"]);
    let mut two = Service::start(dir.path(), redis, &[]);
    two.wait_for(&["Task scheduler started"]);
    for service in [&mut one, &mut two] {
        service.wait_for(&["DEBUG", "Task already running on another instance", "task="]);
    }
    let logs = [one.stop(Signal::INT), two.stop(Signal::TERM)];
    let starts = starts(&logs);
    assert!(starts.len() >= 5, "{starts:?}");
    let twice: Vec<_> = starts.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn two_processes_share_the_firings_on_files() {
    two_processes_share_the_firings(None);
}

#[test]
fn two_processes_share_the_firings_on_redis() {
    let redis = RedisServer::start();
    two_processes_share_the_firings(Some(&redis.url()));
}

#[test]
fn the_demo_opens_with_a_page_of_tasks_of_every_health() {
    let dir = tempfile::tempdir().unwrap();
    let own = ["--demo", "yes", "--spec", "cleanup_task=0 0 2 1 1 *"];
    let mut service = Service::start(dir.path(), None, &own);
    service.wait_for(&["page: http://127.0.0.1:"]);
    let begun = Instant::now();
    let missing = loop {
        let (status, page) = service.get_as("/admin", "localhost");
        assert_eq!(status, 200);
        let words = [
            "overdue", "failing", "late", "running", "paused", "new", "healthy",
        ];
        let is_there = |word: &&str| page.contains(&format!("</i>{word}</span>"));
        let missing: Vec<&str> = words.into_iter().filter(|word| !is_there(word)).collect();
        if missing.is_empty() || begun.elapsed() > PATIENCE {
            break missing;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(missing, [""; 0]);
    // Whoever is not at this machine, or comes by another name, sees nothing.
    assert_eq!(service.get_as("/admin", "rebound.example").0, 401);
    service.stop(Signal::TERM);
}

#[test]
fn a_port_that_is_taken_gives_way_to_the_next_and_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut service = Service::start(dir.path(), None, &["--listen", &address]);
    let line = service.wait_for(&["metrics: http://127.0.0.1:"]);
    assert!(!line.contains(&address), "{line}");
    service.stop(Signal::INT);
}

#[test]
fn a_mistake_on_the_command_line_is_a_sentence_and_exit_code_two() {
    for (args, part) in [
        (&["--spec", "nobody=* * * * *"][..], "nobody"),
        (&["--spec", "heartbeat=* * 25 * * *"], "above maximum"),
        (&["--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (&["--wrong"], "--wrong"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(program())
            .arg("--data")
            .arg(dir.path())
            .args(["--listen", &format!("127.0.0.1:{}", free_port())])
            .args(args)
            .env_remove("REDIS_URL")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(part) && !said.contains("panicked"), "{said}");
    }
}
