//! What it costs to keep a history of a thousand runs a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tasklock::{BaseTask, Event, MemoryLock, Observer, RedisHistory, RedisLock, Scheduler};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::options::Options;

/// What was seen of a round.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Round>>);

#[derive(Default)]
struct Round {
    late: Vec<Duration>,
    ended: u64,
    dropped: u64,
}

impl Observer for Seen {
    fn on_event(&self, event: &Event) {
        let mut round = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::RunStarted { run } => round.late.push(run.lateness),
            Event::RunFinished { .. } => round.ended += 1,
            Event::HistoryDropped { count, .. } => round.dropped += count,
            _ => {}
        }
    }
}

/// Rounds without a history and with one in turn, so that a machine that is busy for a while is busy for
/// both.
pub fn run(options: &Options) -> Result<()> {
    let tasks = options.tasks(&[1_000], &[100]);
    let seconds = options.seconds(30, 3);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    for tasks in tasks {
        let server = RedisServer::start()?;
        let rounds = options.rounds(4, 2);
        runtime.block_on(measure(&server, tasks, seconds, rounds))?;
    }
    Ok(())
}

async fn measure(server: &RedisServer, tasks: usize, seconds: u32, rounds: u32) -> Result<()> {
    let history = RedisHistory::beside(&RedisLock::connect(&server.url()).await?);
    let (mut ended, mut dropped) = (0, 0);
    for n in 0..rounds {
        let with = n % 2 == 1;
        let mut round = burst(with.then(|| history.clone()), tasks, seconds).await?;
        round.late.sort_unstable();
        let at = |part: f64| {
            let place = (round.late.len() as f64 * part) as usize;
            let late = round.late.get(place).copied().unwrap_or_default();
            self::round(late.as_secs_f64() * 1e3)
        };
        println!(
            "{}",
            json!({
                "work": "history", "tasks": tasks, "seconds": seconds, "with": with,
                "runs": round.late.len(), "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99),
                "dropped": round.dropped,
            })
        );
        if with {
            ended += round.ended;
            dropped += round.dropped;
        }
    }
    let ask = |words: &[String]| -> Result<u64> {
        let mut connection = redis::Client::open(server.url())?.get_connection()?;
        Ok(redis::Cmd::new().arg(words).query(&mut connection)?)
    };
    let key = |name: &str| format!("{{task:history}}:{name}");
    let written = ask(&["ZCARD".to_owned(), key("all")])?;
    let memory = |name: &str| {
        let words = ["MEMORY", "USAGE"].map(str::to_owned);
        ask(&[
            &words[..],
            &[key(name), "SAMPLES".to_owned(), "0".to_owned()],
        ]
        .concat())
    };
    let mut of_tasks = 0;
    for n in 0..tasks {
        of_tasks += memory(&format!("task:load.{n}"))?;
    }
    let per_run = |bytes: u64| bytes / written.max(1);
    println!(
        "{}",
        json!({
            "work": "history", "ended": ended, "written": written, "dropped": dropped,
            "record_bytes": per_run(memory("runs")?), "place_among_all_bytes": per_run(memory("all")?),
            "place_in_task_bytes": per_run(of_tasks),
            "counters_bytes_per_task": memory("counters")? / tasks as u64,
        })
    );
    ensure!(
        written + dropped == ended,
        "something is lost that is not counted"
    );
    Ok(())
}

/// So many tasks that are due each second.
async fn burst(history: Option<RedisHistory>, tasks: usize, seconds: u32) -> Result<Round> {
    let seen = Seen::default();
    let mut builder = Scheduler::builder()
        .lock(MemoryLock::new())
        .observer(seen.clone());
    if let Some(history) = history {
        builder = builder.history(history);
    }
    let scheduler = builder.build()?;
    for n in 0..tasks {
        let name = format!("load.{n}");
        let limit = Duration::from_secs(9);
        scheduler.register(BaseTask::new(name, "* * * * * *", limit, |_| async {
            Ok(())
        }))?;
    }
    scheduler.start().await?;
    tokio::time::sleep(Duration::from_millis(u64::from(seconds) * 1_000 + 500)).await;
    scheduler.stop().await;
    drop(scheduler);
    let round = std::mem::take(&mut *seen.0.lock().ok().context("an observer panicked")?);
    Ok(round)
}
