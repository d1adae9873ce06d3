//! One replica of a service: the process that is measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tasklock::{BaseTask, Metrics, RedisLock, Scheduler, TimerEngine};
use tasklock_fleet::child;
use tasklock_fleet::lateness::round;
use tasklock_fleet::starts::Starts;
use tasklock_fleet::usage::Usage;

use crate::tally::Tally;

/// The text of more tasks than these takes gigabytes to make.
const MOST_SCRAPED: usize = 10_000;

/// What wakes the instances.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    #[default]
    Own,
    TokioCron,
}

impl Engine {
    pub fn word(self) -> &'static str {
        match self {
            Engine::Own => "own",
            Engine::TokioCron => "tokio-cron",
        }
    }
}

/// When the instances are woken.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct Waking {
    #[arg(long, value_enum, default_value = "own")]
    pub engine: Engine,
    /// The longest lead, instead of the scheduler's own
    #[arg(long)]
    pub lead_ms: Option<u64>,
}

#[derive(Args, Clone)]
pub struct Settings {
    #[arg(long)]
    pub redis: String,
    #[arg(long)]
    pub tasks: usize,
    #[arg(long)]
    pub spec: String,
    /// How many starts to have room for
    #[arg(long)]
    pub room: usize,
    /// Keep metrics, of so many tasks apart
    #[arg(long)]
    pub metrics: Option<usize>,
    #[command(flatten)]
    pub waking: Waking,
    #[arg(long)]
    pub file: PathBuf,
}

impl Settings {
    /// As words for a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["instance".to_owned()];
        for (name, value) in [
            ("--redis", self.redis.clone()),
            ("--tasks", self.tasks.to_string()),
            ("--spec", self.spec.clone()),
            ("--room", self.room.to_string()),
            ("--engine", self.waking.engine.word().to_owned()),
            ("--file", self.file.display().to_string()),
        ] {
            words.extend([name.to_owned(), value]);
        }
        if let Some(lead_ms) = self.waking.lead_ms {
            words.extend(["--lead-ms".to_owned(), lead_ms.to_string()]);
        }
        if let Some(limit) = self.metrics {
            words.extend(["--metrics".to_owned(), limit.to_string()]);
        }
        words
    }
}

#[tokio::main]
pub async fn run(settings: &Settings) -> Result<()> {
    let starts = Starts::with_room(settings.room);
    let lock = RedisLock::connect(&settings.redis).await?;
    let tally = Tally::default();
    let mut builder = Scheduler::builder().lock(lock).observer(tally.clone());
    builder = builder.engine(match settings.waking.engine {
        Engine::Own => TimerEngine::Own,
        Engine::TokioCron => TimerEngine::TokioCron,
    });
    if let Some(lead_ms) = settings.waking.lead_ms {
        builder = builder.lead(Duration::from_millis(lead_ms));
    }
    let metrics = match settings.metrics {
        Some(limit) => Some(Metrics::new()?.with_task_limit(limit)),
        None => None,
    };
    if let Some(metrics) = &metrics {
        builder = builder.metrics(metrics.clone());
    }
    let scheduler = builder.build()?;

    let before = Usage::own()?;
    let begun = Instant::now();
    for number in 0..u32::try_from(settings.tasks)? {
        scheduler.register(task(number, &settings.spec, &starts))?;
    }
    let registered_s = begun.elapsed().as_secs_f64();
    let registered = Usage::own()?;
    let begun = Instant::now();
    let started = scheduler.start().await;
    let started_s = begun.elapsed().as_secs_f64();
    say(&json!({
        "register_s": round(registered_s),
        "start_s": round(started_s),
        // Said rather than returned: what registration took is worth knowing even then.
        "start_error": started.err().map(|error| error.to_string()),
        "before_mb": before.memory_mb,
        "registered_mb": registered.memory_mb,
    }));

    let (sender, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        child::wait_for_end();
        sender.send(())
    });
    end.await.context("nobody waits for the end")?;
    scheduler.stop().await;
    starts.write(&settings.file)?;
    let mut line = tally.json();
    if let Some(metrics) = metrics.filter(|_| settings.metrics <= Some(MOST_SCRAPED)) {
        let begun = Instant::now();
        let text = metrics.encode()?;
        line["scrape_s"] = json!(round(begun.elapsed().as_secs_f64()));
        line["scrape_mb"] = json!(round(text.len() as f64 / 1024.0 / 1024.0));
    }
    say(&line);
    Ok(())
}

fn task(number: u32, spec: &str, starts: &Starts) -> BaseTask {
    let starts = starts.clone();
    let timeout = Duration::from_secs(30);
    BaseTask::new(format!("bench_{number}"), spec, timeout, move |ctx| {
        let starts = starts.clone();
        async move {
            starts.note(number, ctx.fire_time().timestamp());
            Ok(())
        }
    })
}

/// A line for the harness.
pub fn say(line: &Value) {
    println!("{line}");
}
