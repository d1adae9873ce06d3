//! A real Prometheus scrapes three real replicas: the dead man's switch fires for the task that stops
//! succeeding, and for nothing else; each panel of the dashboard has something to show.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklock::{
    BaseTask, By, ControlPlane, Metrics, PauseFor, Policy, RedisFleet, RedisHistory, RedisLock,
    RunContext, Scheduler, TaskError, TaskResult, admin,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::ops::panel_queries;
use crate::support::RedisServer;
use crate::support::redis_server::free_port;

const CONFIG: &str = "TASKLOCK_TEST_SCRAPED";
/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much later than its second fire time a task has to have succeeded. The deadline is read every ten
/// seconds.
const GRACE: Duration = Duration::from_secs(25);
const EVERY_SECOND: &str = "* * * * * *";

/// A process of this test's own. Killed when dropped.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a replica: this very test binary, with one test selected.
fn replica(redis: &str, port: u16, stops: &Path) -> Owned {
    let config = json!({ "redis": redis, "port": port, "stops": stops });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "prometheus::scraped_process", "--nocapture"])
        .env(CONFIG, config.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Owned(child.unwrap())
}

/// What [`replica`] starts; nothing in the tests' own process.
#[test]
fn scraped_process() {
    let Ok(config) = std::env::var(CONFIG) else {
        return;
    };
    let config: Value = serde_json::from_str(&config).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(&config));
}

async fn serve(config: &Value) {
    let mut end = signal(SignalKind::terminate()).unwrap();
    let lock = RedisLock::connect(config["redis"].as_str().unwrap()).await;
    let lock = lock.unwrap();
    let metrics = Metrics::new().unwrap();
    let scheduler = Scheduler::builder()
        .lock(lock.clone())
        .fleet(RedisFleet::beside(&lock))
        .history(RedisHistory::beside(&lock))
        .metrics(metrics.clone())
        .success_grace(GRACE)
        .build()
        .unwrap();
    let task = |name: &str, spec: &str| (name.to_owned(), spec.to_owned());
    for ((name, spec), fails) in [
        (task("steady", EVERY_SECOND), Fails::Never),
        (task("stops", EVERY_SECOND), Fails::WhileThereIs(config)),
        // It fails now and then, and by chance on the same instance twice.
        (task("flaky", EVERY_SECOND), Fails::EverySecondTime),
        // Both never succeed, for reasons that are in order.
        (task("paused", EVERY_SECOND), Fails::Always),
        (task("never", "0 0 31 2 *"), Fails::Always),
        (task("yearly", "0 0 1 1 *"), Fails::Always),
    ] {
        let fails = fails.by();
        let run = move |ctx: RunContext| {
            let has_failed = fails(&ctx);
            async move { TaskResult::Ok(()).and(has_failed) }
        };
        // Short, so that what a killed replica holds is soon free.
        let policy = Policy::default().lease_ttl(Duration::from_secs(3));
        let task = BaseTask::new(name, spec, Duration::from_secs(60), run);
        scheduler.register(task.policy(policy)).unwrap();
    }
    let port = config["port"].as_u64().unwrap() as u16;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let routes = admin::routes(scheduler.handle(), metrics);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    scheduler.run_until(end.recv()).await.unwrap();
}

/// When a task fails.
enum Fails<'a> {
    Never,
    Always,
    EverySecondTime,
    /// A file, which the test makes.
    WhileThereIs(&'a Value),
}

impl Fails<'_> {
    fn by(self) -> Box<dyn Fn(&RunContext) -> TaskResult + Send + Sync> {
        let failed = || Err(TaskError::new("sold out"));
        match self {
            Fails::Never => Box::new(|_| Ok(())),
            Fails::Always => Box::new(move |_| failed()),
            Fails::EverySecondTime => Box::new(move |ctx| match ctx.fire_time().timestamp() % 2 {
                0 => Ok(()),
                _ => failed(),
            }),
            Fails::WhileThereIs(config) => {
                let file = config["stops"].as_str().unwrap().to_owned();
                Box::new(move |_| match Path::new(&file).exists() {
                    true => failed(),
                    false => Ok(()),
                })
            }
        }
    }
}

/// The rules as they ship, but for how long something has to last: a minute becomes two seconds.
fn hurried(rules: &str) -> String {
    let hurried = AtomicU64::new(0);
    let line = |line: &str| {
        let Some((indent, minutes)) = line.split_once("for: ") else {
            return line.replace("interval: 30s", "interval: 1s");
        };
        let minutes: u64 = minutes.strip_suffix('m').unwrap().parse().unwrap();
        hurried.fetch_add(1, Ordering::Relaxed);
        format!("{indent}for: {}s", minutes * 2)
    };
    let lines: Vec<String> = rules.lines().map(line).collect();
    assert!(hurried.into_inner() >= 8, "no rule has a `for` any more");
    lines.join("\n")
}

/// A server that scrapes these ports every second.
struct Prometheus {
    _process: Owned,
    port: u16,
}

impl Prometheus {
    fn start(dir: &Path, replicas: &[u16]) -> Self {
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/ops/tasklock.rules.yml");
        let rules = hurried(&fs::read_to_string(rules).unwrap());
        fs::write(dir.join("rules.yml"), rules).unwrap();
        let targets: Vec<String> = replicas.iter().map(|p| format!("127.0.0.1:{p}")).collect();
        // JSON is YAML.
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [dir.join("rules.yml")],
            "scrape_configs": [{ "job_name": "svc", "static_configs": [{ "targets": targets }] }],
        });
        let file = dir.join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let log = dir.join("log");
        for _ in 0..5 {
            // Free now, and perhaps taken by somebody else before the server binds it.
            let port = free_port();
            let child = Command::new("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    dir.join("data").display()
                ))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(&log).unwrap())
                .spawn()
                .expect("prometheus is missing: scripts/test installs it");
            let mut process = Owned(child);
            let give_up = Instant::now() + PATIENCE;
            while process.0.try_wait().unwrap().is_none() {
                if get(port, "/-/ready").is_some_and(|(status, _)| status == 200) {
                    let _process = process;
                    return Self { _process, port };
                }
                assert!(Instant::now() < give_up, "prometheus is not ready");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        panic!("{}", fs::read_to_string(log).unwrap());
    }

    fn ask(&self, path: &str) -> Value {
        let (status, body) = get(self.port, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The value that a query without blanks gives, if it gives one.
    fn value(&self, query: &str) -> Option<f64> {
        let answer = self.ask(&format!("/api/v1/query?query={query}"));
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }

    /// Whether a query has an answer with a number in it.
    fn answers(&self, query: &str) -> bool {
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let answer = self.ask(&format!("/api/v1/query?query={encoded}"));
        let found = answer["data"]["result"].as_array().unwrap();
        found.iter().any(|series| series["value"][1] != "NaN")
    }

    /// What fires, as `alert task`.
    fn firing(&self) -> BTreeSet<String> {
        let answer = self.ask("/api/v1/alerts");
        let alerts = answer["data"]["alerts"].as_array().unwrap();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        firing
            .map(|alert| {
                let labels = &alert["labels"];
                text(&labels["alertname"]) + " " + &text(&labels["task_name"])
            })
            .collect()
    }

    /// Waits until these fire; until then and for three seconds more nothing fires but `also`.
    fn wait_until_fires(&self, expected: &[&str], also: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|s| (*s).to_owned()).collect();
        let may: BTreeSet<String> = also.iter().map(|s| (*s).to_owned()).collect();
        let may = &may | &expected;
        let give_up = Instant::now() + PATIENCE;
        let mut since: Option<Instant> = None;
        loop {
            let firing = self.firing();
            assert!(firing.is_subset(&may), "{firing:?} fire, {may:?} may");
            since = (firing == expected).then(|| since.unwrap_or_else(Instant::now));
            if since.is_some_and(|since| since.elapsed() > Duration::from_secs(3)) {
                return;
            }
            assert!(
                Instant::now() < give_up,
                "{firing:?} fire, not {expected:?}"
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// Status and body, if somebody answers.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    // By this version the body is not in pieces.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

async fn pause(redis: &str, task: &str) {
    let lock = RedisLock::connect(redis).await.unwrap();
    let control = ControlPlane::new(RedisFleet::beside(&lock));
    let by = By::new("ana", "a test").unwrap();
    control.pause(PauseFor::task(task, &by)).await.unwrap();
}

/// Three replicas, and a server that scrapes them.
struct Site {
    prometheus: Prometheus,
    replicas: [Owned; 3],
    /// While there is such a file, the task `stops` fails.
    stops: PathBuf,
    _dir: TempDir,
    _redis: RedisServer,
}

impl Site {
    fn start() -> Self {
        let redis = RedisServer::start();
        let dir = tempfile::tempdir().unwrap();
        let stops = dir.path().join("stops");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        // Before anybody could run it.
        runtime.block_on(pause(&redis.url(), "paused"));
        let ports = [(); 3].map(|()| free_port());
        let replicas = ports.map(|port| replica(&redis.url(), port, &stops));
        let prometheus = Prometheus::start(dir.path(), &ports);
        wait_until("three replicas with what they share", || {
            let running = prometheus.value("count(task_scheduler_running==1)");
            let deadlines = prometheus
                .value("count(task_success_deadline_timestamp_seconds{task_name=\"steady\"})");
            running == Some(3.0) && deadlines == Some(3.0)
        });
        Self {
            prometheus,
            replicas,
            stops,
            _dir: dir,
            _redis: redis,
        }
    }
}

#[test]
fn each_panel_of_the_dashboard_is_answered_by_a_fleet_at_work() {
    let site = Site::start();
    let queries = panel_queries("10s", "30s");
    assert!(queries.len() > 30);
    let give_up = Instant::now() + PATIENCE;
    loop {
        let unanswered: Vec<_> = queries
            .iter()
            .filter(|(_, query)| !site.prometheus.answers(query))
            .collect();
        if unanswered.is_empty() {
            return;
        }
        assert!(Instant::now() < give_up, "{unanswered:#?}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn the_dead_mans_switch_fires_for_the_task_that_stops_succeeding_and_for_nothing_else() {
    let mut site = Site::start();
    let prometheus = &site.prometheus;
    let switch = "max(task_success_deadline_timestamp_seconds{task_name=\"stops\"})";
    wait_until("stops has succeeded", || {
        let last = "max(task_last_success_timestamp_seconds{task_name=\"stops\"})";
        prometheus.value(last).is_some_and(|at| at > 0.0)
    });
    assert!(prometheus.value(switch).is_some_and(f64::is_finite));
    prometheus.wait_until_fires(&[], &[]);

    // It fails from now on; and one of three replicas dies, which is nobody's alarm.
    fs::write(&site.stops, "").unwrap();
    drop(site.replicas[0].0.kill());
    let [failing, missed] = ["TaskFailing stops", "TaskMissedDeadline stops"];
    prometheus.wait_until_fires(&[failing, missed], &[]);

    fs::remove_file(&site.stops).unwrap();
    prometheus.wait_until_fires(&[], &[failing, missed]);
}
