//! A fleet, a nemesis, and what the history says when both are done.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tasklock::{Clock, SystemClock};

use super::super::checker::{self, Kind, Rules, Verdict};
use super::super::history::{self, History, What};
use super::super::holds::Leases;
use super::super::redis_server::{RedisOptions, RedisServer};
use super::fleet::Fleet;
use super::nemesis::Nemesis;
use super::plan::{FaultKind, Plan, Scheme};

/// What a run has come to.
#[derive(Debug)]
pub struct Outcome {
    pub plan: Plan,
    pub verdict: Verdict,
    pub faults: BTreeMap<FaultKind, usize>,
    /// Processes that killed themselves at a named point.
    pub deaths_at_points: usize,
    pub longest_stop_ms: u64,
    pub lost_replies: usize,
    /// Processes that ended as nobody had wanted.
    pub crashes: Vec<String>,
    pub lines: usize,
    pub broken_lines: usize,
}

impl Outcome {
    /// Whether all that is promised was kept.
    pub fn is_clean(&self) -> bool {
        self.verdict.violations().is_empty() && self.crashes.is_empty() && self.broken_lines == 0
    }

    /// What was not kept, in words, at most so many.
    pub fn complaints(&self, most: usize) -> String {
        let breaches = self.verdict.violations().into_iter().map(|b| &b.text);
        let texts: Vec<&String> = breaches.chain(&self.crashes).collect();
        let mut all: Vec<&str> = texts.iter().take(most).map(|t| t.as_str()).collect();
        let more = format!("and {} more", texts.len().saturating_sub(most));
        if texts.len() > most {
            all.push(&more);
        }
        all.join("\n")
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.verdict.count(kind)
    }
}

/// Runs a plan; the history is left in `dir`.
pub async fn run(plan: Plan, dir: &Path) -> Outcome {
    let path = dir.join("history");
    let clock_file = dir.join("clock");
    std::fs::write(&clock_file, 0_i64.to_ne_bytes()).unwrap();
    let mut options = RedisOptions::default();
    if let Some(shim) = &plan.clock_shim {
        let file = clock_file.display().to_string();
        options.environment = vec![
            ("LD_PRELOAD".to_owned(), shim.clone()),
            ("TASKLOCK_CLOCK_FILE".to_owned(), file),
        ];
    }
    let mut server = options.start();
    let resource = RedisServer::start();
    let rules = rules(&plan);
    let mut fleet = Fleet::new(plan.clone(), path.clone(), server.port(), resource.url()).await;
    for task in &plan.tasks {
        fleet.history.note(What::Task, &task.name, 0, 1000, "-");
    }
    let sampler = tokio::spawn(sample(plan.clone(), path.clone(), server.url()));
    for i in 0..plan.replicas {
        fleet.start(i, None);
    }
    let clock = plan.clock_shim.as_ref().map(|_| clock_file);
    let mut nemesis = Nemesis::new(&mut fleet, &mut server, clock);
    nemesis.rage().await;
    let faults = std::mem::take(&mut nemesis.done);
    // Leases of the dead, one period, one run.
    let calm = plan.lease_ttl + plan.longest_run() + Duration::from_secs(5);
    tokio::time::sleep(calm.max(plan.misfire_threshold + Duration::from_secs(3))).await;
    fleet.finish().await;
    tokio::time::sleep(plan.lease_ttl + Duration::from_secs(3)).await;
    sampler.abort();
    keep(&plan, &fleet.history, &resource.url()).await;

    let (lines, broken_lines) = history::read(&path).unwrap();
    let points = ["after_acquire", "before_release", "renew_sent"];
    let is_point = |l: &&history::Line| points.contains(&l.word.as_str());
    let processes = super::super::lifetimes::processes(&lines);
    let stops = processes.values().map(|p| p.longest_stop(0, u64::MAX));
    Outcome {
        verdict: checker::check(&lines, &rules),
        faults,
        deaths_at_points: lines.iter().filter(is_point).count(),
        longest_stop_ms: stops.max().unwrap_or(0) / 1000,
        lost_replies: fleet.replicas.iter().map(|r| r.proxy.lost_replies()).sum(),
        crashes: std::mem::take(&mut fleet.crashes),
        lines: lines.len(),
        broken_lines,
        plan,
    }
}

fn rules(plan: &Plan) -> Rules {
    let micros = |d: Duration| d.as_micros() as u64;
    Rules {
        leases: Leases {
            ttl: micros(plan.lease_ttl),
            margin: micros(plan.margin()),
            delay: 2_000_000,
        },
        misfire_threshold: micros(plan.misfire_threshold),
        skew: 180_000,
        able: 2_500_000,
        longest_run: micros(plan.longest_run()),
        offset: SystemClock.now().timestamp_micros()
            - i64::try_from(SystemClock.monotonic().as_micros()).unwrap(),
        is_fenced: plan.scheme == Scheme::Tasklock,
    }
}

/// Looks at the locks in the store, again and again.
async fn sample(plan: Plan, path: std::path::PathBuf, url: String) {
    let history = History::open(&path, "*").unwrap();
    let client = redis::Client::open(url).unwrap();
    let mut connection: Option<MultiplexedConnection> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        if connection.is_none() {
            connection = client.get_multiplexed_async_connection().await.ok();
        }
        let Some(open) = &mut connection else {
            continue;
        };
        let mut ask = redis::pipe();
        for task in &plan.tasks {
            let key = format!("task:lock:{}", task.name);
            ask.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
        }
        // The time before, as a lock that is seen was there then or came later.
        let at = History::now();
        let Ok(values) = ask.query_async::<Vec<redis::Value>>(open).await else {
            connection = None;
            continue;
        };
        for (task, pair) in plan.tasks.iter().zip(values.chunks(2)) {
            let [redis::Value::BulkString(token), redis::Value::Int(left)] = pair else {
                continue;
            };
            let token = String::from_utf8_lossy(token);
            let number = token
                .get(..15)
                .and_then(|t| u64::from_str_radix(t, 16).ok());
            let line = history::Line {
                at,
                who: "*".to_owned(),
                what: What::Lock,
                task: task.name.clone(),
                instant: 0,
                number: number.unwrap_or(0),
                word: left.to_string(),
            };
            history.append(&line);
        }
    }
}

/// Adds what the resource has accepted to the history.
async fn keep(plan: &Plan, history: &History, url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for task in &plan.tasks {
        let mut ask = redis::cmd("LRANGE");
        ask.arg(format!("{}:kept", task.name)).arg(0).arg(-1);
        let kept: Vec<u64> = ask.query_async(&mut connection).await.unwrap();
        for fence in kept {
            history.note(What::Kept, &task.name, 0, fence, "-");
        }
    }
}
