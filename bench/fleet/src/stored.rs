//! Thousands of tasks defined at run time: how soon they are there, and how soon a change is everywhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tasklock::schemars::{self, JsonSchema};
use tasklock::{Event, Observer, RedisFleet, RedisLock, Saved, Scheduler, StoredTask, TaskStore};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::options::Options;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(serde::Deserialize, JsonSchema)]
pub struct Nothing {}

/// The specs that tasks were registered with last.
#[derive(Clone, Default)]
struct Specs(Arc<Mutex<HashMap<String, Arc<str>>>>);

impl Specs {
    fn of(&self, task: &str) -> Option<Arc<str>> {
        let specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        specs.get(task).cloned()
    }
}

impl Observer for Specs {
    fn on_event(&self, event: &Event) {
        if let Event::TaskRegistered { task, spec, .. } = event {
            let mut specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            specs.insert(task.to_string(), spec.clone());
        }
    }
}

struct Instance {
    scheduler: Scheduler,
    specs: Specs,
}

impl Instance {
    async fn start(server: &RedisServer) -> Result<Self> {
        let lock = RedisLock::connect(&server.url()).await?;
        let specs = Specs::default();
        let builder = Scheduler::builder().fleet(RedisFleet::beside(&lock));
        let scheduler = builder.lock(lock).observer(specs.clone()).build()?;
        scheduler.handler("none", |_, _: Nothing| async { Ok(()) })?;
        scheduler.start().await?;
        Ok(Self { scheduler, specs })
    }
}

pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    for tasks in options.tasks(&[10_000], &[500]) {
        runtime.block_on(measure(tasks, options.rounds(50, 5)))?;
    }
    Ok(())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so() {
        ensure!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Ok(())
}

pub async fn save(store: &TaskStore, task: &StoredTask) -> Result<()> {
    let saved = store.save(task).await?;
    ensure!(matches!(saved, Saved::Done(_)), "{saved:?}");
    Ok(())
}

async fn measure(tasks: usize, rounds: u32) -> Result<()> {
    let server = RedisServer::start()?;
    let first = Instance::start(&server).await?;
    let store = first.scheduler.handle().task_store().context("a fleet")?;
    let begun = Instant::now();
    for n in 0..tasks {
        let spec = format!("{} {} {} * * *", n % 60, n / 60 % 60, n / 3_600 % 24);
        save(&store, &StoredTask::new(format!("t{n}"), "none", spec)).await?;
    }
    let saved_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    until("all are there", || {
        first.scheduler.list_tasks().len() == tasks
    })
    .await?;
    let caught_up_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let second = Instance::start(&server).await?;
    let start_s = begun.elapsed().as_secs_f64();
    ensure!(
        second.scheduler.list_tasks().len() == tasks,
        "not all are there"
    );
    let third = Instance::start(&server).await?;
    let fleet = [first, second, third];
    let mut reached = Vec::new();
    for n in 0..rounds {
        // At any moment between two looks of the instances.
        tokio::time::sleep(Duration::from_millis(5 + u64::from(n) * 37 % 100)).await;
        let mut task = store.get("t7").await?.context("t7")?;
        task.spec = format!("@every {}h", n + 1);
        let begun = Instant::now();
        save(&store, &task).await?;
        let has = |i: &Instance| i.specs.of("t7").as_deref() == Some(&*task.spec);
        until("a change is everywhere", || fleet.iter().all(has)).await?;
        reached.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    reached.sort_by(f64::total_cmp);
    let at = |part: f64| reached[((reached.len() as f64 * part) as usize).min(reached.len() - 1)];
    println!(
        "{}",
        json!({
            "work": "stored", "tasks": tasks, "saved_s": round(saved_s),
            "caught_up_s": round(caught_up_s), "start_s": round(start_s), "changes": rounds,
            "change_p50_ms": round(at(0.5)), "change_p99_ms": round(at(0.99)),
        })
    );
    for instance in fleet {
        instance.scheduler.stop().await;
    }
    Ok(())
}
