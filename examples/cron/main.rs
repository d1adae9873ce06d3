//! A service with `cron start`, `cron list`, `cron run` and the others in its own command line.
//!
//! ```text
//! cargo run --example cron --features cli,run-logs -- cron start -d
//! cargo run --example cron --features cli,run-logs -- cron list
//! cargo run --example cron --features cli,run-logs -- cron stop
//! ```
//!
//! With `REDIS_URL`, several of them are a fleet, which each of them can ask and steer.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tasklock::{
    BaseTask, FileLock, RedisFleet, RedisHistory, RedisLock, RunContext, RunLogLayer, Scheduler,
    TaskResult, cli,
};
use tracing::info;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A service with scheduled tasks.
#[derive(Parser)]
enum App {
    /// The tasks that are run at their times
    #[command(subcommand)]
    Cron(cli::Command),
    /// Writes the report, once
    Report {
        /// Of which day
        #[arg(long, default_value = "today")]
        day: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let logs = RunLogLayer::new();
    let to_people = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        // Standard output is for what the commands answer.
        .with_writer(std::io::stderr)
        // A log that cannot be written is no reason to stop: its own complaint could not be either.
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(logs.clone());
    match App::parse() {
        App::Cron(command) => {
            registry.with(command.fires().then_some(to_people)).init();
            command.run(async || build(&logs).await).await
        }
        App::Report { day } => {
            println!("Report of {day}");
            ExitCode::SUCCESS
        }
    }
}

async fn build(logs: &RunLogLayer) -> tasklock::Result<Scheduler> {
    let builder = match std::env::var("REDIS_URL") {
        Ok(url) => {
            let lock = RedisLock::connect(&url).await?;
            Scheduler::builder()
                .fleet(RedisFleet::beside(&lock))
                .history(RedisHistory::beside(&lock))
                .run_logs(logs)
                .lock(lock)
        }
        Err(_) => {
            let locks = std::env::temp_dir().join("tasklock-example-cron");
            Scheduler::builder().lock(FileLock::open(locks)?)
        }
    };
    let scheduler = builder.application_version("1.8.2").build()?;
    let second = Duration::from_secs(1);
    scheduler.register(
        BaseTask::new("hello", "* * * * * *", second, |ctx| async move {
            info!("Hello at {}", ctx.fire_time());
            Ok(())
        })
        .tag("often"),
    )?;
    // Takes as long as somebody wishes who wants to see a drain.
    let takes = std::env::var("SLOW_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let takes = Duration::from_secs(takes.unwrap_or(2));
    scheduler.register(BaseTask::new(
        "slow",
        "*/5 * * * * *",
        takes + second,
        move |_| async move {
            tokio::time::sleep(takes).await;
            Ok(())
        },
    ))?;
    scheduler.register(BaseTask::new(
        "reindex",
        "TZ=Europe/Berlin 0 30 4 * * *",
        60 * second,
        reindex,
    ))?;
    // A command of this program, as a task: one line.
    scheduler.register(cli::scheduled(
        "report",
        "TZ=Europe/Berlin 0 0 6 * * *",
        60 * second,
        ["report", "--day", "yesterday"],
    ))?;
    Ok(scheduler)
}

/// Does what `cron run reindex --params '{"parts": 3}'` says; of no parts there is nothing to do.
async fn reindex(ctx: RunContext) -> TaskResult {
    #[derive(serde::Deserialize)]
    struct Wanted {
        parts: u64,
    }
    let wanted: Wanted = serde_json::from_str(ctx.params().unwrap_or(r#"{"parts": 2}"#))?;
    if wanted.parts == 0 {
        return Err(tasklock::TaskError::new("there is nothing to index"));
    }
    for part in 1..=wanted.parts {
        tokio::time::sleep(Duration::from_millis(400)).await;
        ctx.progress(part, wanted.parts);
        info!("Indexed part {part} of {}", wanted.parts);
    }
    Ok(())
}
