//! A fleet, a nemesis, and what the history says when both are done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tasklock::{Clock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::checker::{self, Kind, Rules, Verdict};
use super::super::history::{self, History, What};
use super::super::holds::Leases;
use super::super::proxy::Proxy;
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
    let mut proxies = Vec::new();
    for _ in 0..plan.replicas {
        proxies.push(Proxy::start(server.port()).await);
    }
    let stores = proxies.iter().map(Proxy::url).collect();
    let clock = plan.clock_shim.as_ref().map(|_| clock_file);
    let (_servers, seen) = watch::channel(vec![server.url()]);
    let mut show = Show::begin(plan, dir, stores, seen);
    let mut nemesis = Nemesis::new(&mut show.fleet, &mut server, proxies, clock);
    nemesis.rage().await;
    let faults = std::mem::take(&mut nemesis.done);
    let proxies = std::mem::take(&mut nemesis.proxies);
    let mut outcome = show.end().await;
    outcome.faults = faults;
    outcome.lost_replies = proxies.iter().map(Proxy::lost_replies).sum();
    outcome
}

/// A fleet that runs, the resource it has effects on, and a look at the locks now and then.
pub struct Show {
    pub fleet: Fleet,
    path: PathBuf,
    resource: RedisServer,
    sampler: JoinHandle<()>,
}

impl Show {
    /// Starts a replica for each address of the store. The servers are those that have the locks
    /// now.
    pub fn begin(
        plan: Plan,
        dir: &Path,
        stores: Vec<String>,
        servers: watch::Receiver<Vec<String>>,
    ) -> Self {
        let path = dir.join("history");
        let resource = RedisServer::start();
        let mut fleet = Fleet::new(plan.clone(), path.clone(), stores, resource.url());
        for task in &plan.tasks {
            fleet.history.note(What::Task, &task.name, 0, 1000, "-");
        }
        let sampler = tokio::spawn(sample(plan, path.clone(), servers));
        for i in 0..fleet.replicas.len() {
            fleet.start(i, None);
        }
        Self {
            fleet,
            path,
            resource,
            sampler,
        }
    }

    /// Waits for what has to happen when all is calm, ends the fleet, and judges.
    pub async fn end(mut self) -> Outcome {
        let plan = self.fleet.plan.clone();
        // Leases of the dead, one period, one run.
        let calm = plan.lease_ttl + plan.longest_run() + Duration::from_secs(5);
        tokio::time::sleep(calm.max(plan.misfire_threshold + Duration::from_secs(3))).await;
        self.fleet.finish().await;
        tokio::time::sleep(plan.lease_ttl + Duration::from_secs(3)).await;
        self.sampler.abort();
        keep(&plan, &self.fleet.history, &self.resource.url()).await;

        let crashes = std::mem::take(&mut self.fleet.crashes);
        Outcome {
            crashes,
            ..judge(plan, &self.path)
        }
    }
}

/// What a history says that was kept on this machine, since it was started.
pub fn judge(plan: Plan, path: &Path) -> Outcome {
    let (lines, broken_lines) = history::read(path).unwrap();
    let points = ["after_acquire", "before_release", "renew_sent"];
    let is_point = |l: &&history::Line| points.contains(&l.word.as_str());
    let processes = super::super::lifetimes::processes(&lines);
    let stops = processes.values().map(|p| p.longest_stop(0, u64::MAX));
    Outcome {
        verdict: checker::check(&lines, &rules(&plan)),
        faults: BTreeMap::new(),
        deaths_at_points: lines.iter().filter(is_point).count(),
        longest_stop_ms: stops.max().unwrap_or(0) / 1000,
        lost_replies: 0,
        crashes: Default::default(),
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
async fn sample(plan: Plan, path: PathBuf, servers: watch::Receiver<Vec<String>>) {
    let history = History::open(&path, "*").unwrap();
    let mut open: BTreeMap<String, MultiplexedConnection> = BTreeMap::new();
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let urls = servers.borrow().clone();
        for url in &urls {
            if !open.contains_key(url) {
                let client = redis::Client::open(url.as_str()).unwrap();
                if let Ok(new) = client.get_multiplexed_async_connection().await {
                    open.insert(url.clone(), new);
                }
            }
            let Some(connection) = open.get_mut(url) else {
                continue;
            };
            if look(&plan, &history, connection).await.is_err() {
                open.remove(url);
            }
        }
    }
}

async fn look(
    plan: &Plan,
    history: &History,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    let mut ask = redis::pipe();
    // A node of a cluster has some of the tasks.
    ask.ignore_errors();
    for task in &plan.tasks {
        let key = format!("task:lock:{}", task.name);
        ask.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
    }
    // The time before, as a lock that is seen was there then or came later.
    let at = History::now();
    let values: Vec<RedisResult<redis::Value>> = ask.query_async(connection).await?;
    for (task, pair) in plan.tasks.iter().zip(values.chunks(2)) {
        let [
            Ok(redis::Value::BulkString(token)),
            Ok(redis::Value::Int(left)),
        ] = pair
        else {
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
    Ok(())
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
