//! Tasks that are not due for ages.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::instance;
use crate::options::Options;
use crate::trial::start_self;

/// How many tasks have metrics of their own unless it is said otherwise.
const USUAL_LIMIT: usize = 5_000;

/// What so many tasks cost that do nothing.
#[derive(Debug)]
pub struct Idle {
    pub tasks: usize,
    /// Of how many tasks apart, if at all.
    pub metrics: Option<usize>,
    pub register_s: f64,
    pub start_s: f64,
    /// Why it could not be started, if so: what it uses then is that of registered tasks alone.
    pub start_error: Value,
    pub cpu_percent: f64,
    /// With everything in the process.
    pub memory_mb: f64,
    pub bytes_per_task: f64,
    /// How long a scrape took at the end, and how large it was.
    pub scrape: Option<(f64, f64)>,
}

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    let seconds = options.seconds(10, 5);
    for tasks in options.tasks(&[100_000, 1_000_000], &[10_000]) {
        for metrics in [None, Some(USUAL_LIMIT), Some(tasks)] {
            println!("{}", report(&server, tasks, metrics, seconds));
        }
    }
    Ok(())
}

/// A line for what was measured, or for why it could not be: others may work.
pub fn report(server: &RedisServer, tasks: usize, metrics: Option<usize>, seconds: u32) -> Value {
    match measure(server, tasks, metrics, seconds) {
        Ok(idle) => idle.line(),
        Err(error) => json!({
            "work": "idle", "tasks": tasks, "metrics": metrics, "error": format!("{error:#}"),
        }),
    }
}

pub fn measure(
    server: &RedisServer,
    tasks: usize,
    metrics: Option<usize>,
    seconds: u32,
) -> Result<Idle> {
    server.clear()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("instance");
    let settings = instance::Settings {
        redis: server.url(),
        tasks,
        spec: "0 0 0 1 1 * 2199".to_owned(),
        room: 0,
        metrics,
        waking: instance::Waking::default(),
        file: file.clone(),
    };
    let child = start_self("instance", settings.words(), &file)?;
    std::thread::sleep(Duration::from_secs(2));
    let settled = child.usage()?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let end = child.usage()?;
    let said = |key: &str| child.ready.get(key).and_then(Value::as_f64);
    let said = |key: &str| said(key).unwrap_or(f64::NAN);
    let mut idle = Idle {
        tasks,
        metrics,
        register_s: said("register_s"),
        start_s: said("start_s"),
        start_error: child.ready.get("start_error").cloned().unwrap_or_default(),
        cpu_percent: (end.cpu_s - settled.cpu_s) / f64::from(seconds) * 100.0,
        memory_mb: end.memory_mb,
        bytes_per_task: (end.memory_mb - said("before_mb")) * 1024.0 * 1024.0 / tasks as f64,
        scrape: None,
    };
    let ended = child.end()?.said;
    let number = |key: &str| ended.get(key).and_then(Value::as_f64);
    idle.scrape = number("scrape_s").zip(number("scrape_mb"));
    Ok(idle)
}

impl Idle {
    pub fn line(&self) -> Value {
        let mut line = json!({
            "work": "idle",
            "tasks": self.tasks,
            "metrics": self.metrics,
            "register_s": self.register_s,
            "start_s": self.start_s,
            "cpu_percent": round(self.cpu_percent),
            "memory_mb": round(self.memory_mb),
            "bytes_per_task": round(self.bytes_per_task),
        });
        if let Some((took_s, mb)) = self.scrape {
            line["scrape_s"] = json!(took_s);
            line["scrape_mb"] = json!(mb);
        }
        if !self.start_error.is_null() {
            line["start_error"] = self.start_error.clone();
        }
        line
    }
}
