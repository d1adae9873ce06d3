//! A replica of a service as a process of its own: killed, stopped and counted by tests.
//!
//! The process is this very test binary, started again with one test selected,
//! [`replica_process`], and told what to do in its environment.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tasklock::chrono::TimeDelta;
use tasklock::testing::SkewedClock;
use tasklock::{
    BaseTask, Clock, Event, FileLock, Lock, Observer, Policy, RedisLock, Scheduler, SystemClock,
    TimerEngine,
};
use tokio::signal::unix::{SignalKind, signal};

use super::Unmarked;

const CONFIG: &str = "TASKLOCK_TEST_REPLICA";

/// What a replica does. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Replica {
    pub name: String,
    /// A Redis URL, or the directory of a file lock.
    pub lock: String,
    /// Forgets which instants have been fired: the scheme without the marker.
    pub unmarked: bool,
    pub skew_ms: i64,
    /// Name, spec, and how long a run takes.
    pub tasks: Vec<(String, String, u64)>,
    pub lease_ttl_s: u64,
    pub engine: TimerEngine,
}

impl Replica {
    pub fn new(name: &str, lock: &str) -> Self {
        Self {
            name: name.to_owned(),
            lock: lock.to_owned(),
            unmarked: false,
            skew_ms: 0,
            tasks: Vec::new(),
            lease_ttl_s: 30,
            engine: TimerEngine::Own,
        }
    }

    pub fn task(mut self, name: &str, spec: &str, takes_ms: u64) -> Self {
        self.tasks
            .push((name.to_owned(), spec.to_owned(), takes_ms));
        self
    }

    /// Starts the process, which writes its history to the end of the file at `history`.
    pub fn start(&self, history: &Path) -> Process {
        let tasks: Vec<Value> = self.tasks.iter().map(|t| json!([t.0, t.1, t.2])).collect();
        let config = json!({
            "name": self.name, "lock": self.lock, "unmarked": self.unmarked, "skew": self.skew_ms,
            "tasks": tasks, "ttl": self.lease_ttl_s, "history": history,
            "tokio_cron": self.engine == TimerEngine::TokioCron,
        });
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "support::replica::replica_process",
            "--nocapture",
        ]);
        command.env(CONFIG, config.to_string());
        // Its output is only of interest when something goes wrong.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Process {
            child: command.spawn().unwrap(),
        }
    }
}

/// A running replica. Killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end in order, and waits until it has.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "a replica ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Appends events to a file: one `write` for each line, so that lines of several processes do not
/// mix. Times are of the machine's monotonic clock, the same for all processes.
struct History {
    file: File,
    replica: String,
}

impl History {
    fn note(&self, what: &str, run: &tasklock::RunFacts, more: &str) {
        let line = json!({
            "at": SystemClock.monotonic().as_micros() as u64,
            "replica": self.replica,
            "what": what,
            "task": run.task.as_str(),
            "fire_time": run.fire_time.timestamp_millis(),
            "token": run.fencing_token.get(),
            "more": more,
        });
        (&self.file)
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }
}

impl Observer for History {
    fn on_event(&self, event: &Event) {
        match event {
            Event::RunStarted { run } => self.note("start", run, ""),
            Event::RunFinished { run, outcome, .. } => self.note("end", run, outcome.as_str()),
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                count,
                ..
            } => {
                let line = json!({
                    "at": SystemClock.monotonic().as_micros() as u64,
                    "replica": self.replica,
                    "what": "decision",
                    "task": task.as_str(),
                    "fire_time": fire_time.timestamp_millis(),
                    "token": count,
                    "more": decision.as_str(),
                });
                (&self.file)
                    .write_all(format!("{line}\n").as_bytes())
                    .unwrap();
            }
            _ => {}
        }
    }
}

/// Not a test: what a replica's process runs. Does nothing unless it was started as one.
#[test]
fn replica_process() {
    let Ok(config) = std::env::var(CONFIG) else {
        return;
    };
    let config: Value = serde_json::from_str(&config).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // A test that dies must not leave its replicas behind for long.
        tokio::select! {
            () = serve(&config) => {}
            () = tokio::time::sleep(Duration::from_secs(120)) => {}
        }
    });
}

async fn serve(config: &Value) {
    let mut end = signal(SignalKind::terminate()).unwrap();
    let text = |key: &str| config[key].as_str().unwrap().to_owned();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(text("history"))
        .unwrap();
    let history = History {
        file: file.try_clone().unwrap(),
        replica: text("name"),
    };
    let target = text("lock");
    let lock: Arc<dyn Lock> = if target.starts_with("redis") {
        let lock = RedisLock::builder(&target).build().unwrap();
        if config["unmarked"].as_bool().unwrap() {
            Arc::new(Unmarked::new(lock, &target))
        } else {
            Arc::new(lock)
        }
    } else {
        Arc::new(FileLock::open(target).unwrap())
    };
    let skew = TimeDelta::milliseconds(config["skew"].as_i64().unwrap());
    let engine = match config["tokio_cron"].as_bool().unwrap() {
        true => TimerEngine::TokioCron,
        false => TimerEngine::Own,
    };
    let scheduler = Scheduler::builder()
        .engine(engine)
        .lock(lock)
        .clock(Arc::new(SkewedClock::new(skew)))
        .observer(history)
        .instance_id(text("name"))
        .wait_for_lock(Duration::from_secs(20))
        .build()
        .unwrap();
    let ttl = Duration::from_secs(config["ttl"].as_u64().unwrap());
    for task in config["tasks"].as_array().unwrap() {
        let takes = Duration::from_millis(task[2].as_u64().unwrap());
        let effects = Arc::new(History {
            file: file.try_clone().unwrap(),
            replica: text("name"),
        });
        let counter = Arc::new(AtomicU64::new(0));
        let body = move |ctx: tasklock::RunContext| {
            let (effects, counter) = (effects.clone(), counter.clone());
            async move {
                // Many small steps, so that a stop of the process falls between two of them.
                let until = tokio::time::Instant::now() + takes;
                loop {
                    tokio::time::sleep(takes.min(Duration::from_millis(5))).await;
                    counter.fetch_add(1, Ordering::Relaxed);
                    let line = json!({
                        "at": SystemClock.monotonic().as_micros() as u64,
                        "replica": effects.replica, "what": "effect", "task": ctx.task_name(),
                        "fire_time": ctx.fire_time().timestamp_millis(),
                        "token": ctx.fencing_token().get(), "more": "",
                    });
                    (&effects.file).write_all(format!("{line}\n").as_bytes())?;
                    if tokio::time::Instant::now() >= until {
                        return Ok(());
                    }
                }
            }
        };
        let name = task[0].as_str().unwrap();
        let spec = task[1].as_str().unwrap();
        let policy = Policy::default().lease_ttl(ttl);
        let task = BaseTask::new(name, spec, Duration::from_secs(100), body).policy(policy);
        scheduler.register(task).unwrap();
    }
    scheduler.run_until(end.recv()).await.unwrap();
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub at_us: u64,
    pub replica: String,
    pub what: String,
    pub task: String,
    pub fire_time: i64,
    pub token: u64,
    pub more: String,
}

/// Reads all whole lines of a history; a process killed while it wrote may leave half of one.
pub fn read_history(path: &Path) -> Vec<Line> {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    let parse = |line: &str| -> Option<Line> {
        let v: Value = serde_json::from_str(line).ok()?;
        Some(Line {
            at_us: v["at"].as_u64()?,
            replica: v["replica"].as_str()?.to_owned(),
            what: v["what"].as_str()?.to_owned(),
            task: v["task"].as_str()?.to_owned(),
            fire_time: v["fire_time"].as_i64()?,
            token: v["token"].as_u64()?,
            more: v["more"].as_str()?.to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Waits, in real time, until the history shows what is looked for.
pub fn wait_for_history<T>(
    path: &Path,
    patience: Duration,
    mut look: impl FnMut(&[Line]) -> Option<T>,
) -> T {
    let begun = SystemClock.monotonic();
    loop {
        let lines = read_history(path);
        if let Some(found) = look(&lines) {
            return found;
        }
        if SystemClock.monotonic() - begun > patience {
            let last = &lines[lines.len().saturating_sub(30)..];
            panic!(
                "not seen within {patience:?}; the last of {} lines: {last:#?}",
                lines.len()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a history says about the promises.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub starts: usize,
    /// Instants that started more than once.
    pub duplicates: usize,
    /// Runs of one task that went on at once: a run lasts from its start to its last effect.
    pub overlaps: usize,
    /// Starts whose fencing token is not larger than that of the start before.
    pub token_regressions: usize,
    /// Effects that came after a start with a larger token.
    pub stale_effects: usize,
}

pub fn judge(lines: &[Line]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut tasks: Vec<&str> = lines.iter().map(|l| l.task.as_str()).collect();
    tasks.sort();
    tasks.dedup();
    for task in tasks {
        let mut of_task: Vec<&Line> = lines.iter().filter(|l| l.task == task).collect();
        of_task.sort_by_key(|l| l.at_us);
        let starts: Vec<&&Line> = of_task.iter().filter(|l| l.what == "start").collect();
        verdict.starts += starts.len();
        let mut instants: Vec<i64> = starts.iter().map(|l| l.fire_time).collect();
        instants.sort();
        instants.dedup();
        verdict.duplicates += starts.len() - instants.len();
        for pair in starts.windows(2) {
            verdict.token_regressions += usize::from(pair[1].token <= pair[0].token);
            let last_effect = of_task
                .iter()
                .filter(|l| l.what == "effect" && l.token == pair[0].token);
            let until = last_effect.map(|l| l.at_us).max().unwrap_or(0);
            verdict.overlaps += usize::from(until > pair[1].at_us);
        }
        let mut newest = 0;
        for line in &of_task {
            match line.what.as_str() {
                "start" => newest = newest.max(line.token),
                "effect" if line.token < newest => verdict.stale_effects += 1,
                _ => {}
            }
        }
    }
    verdict
}
