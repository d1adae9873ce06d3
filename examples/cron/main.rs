//! A service with `cron start|stop|restart|state|list` in its own command line.
//!
//! ```text
//! cargo run --example cron --features cli -- cron start -d
//! cargo run --example cron --features cli -- cron state
//! cargo run --example cron --features cli -- cron stop
//! ```

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tasklock::{BaseTask, FileLock, Scheduler, cli};
use tracing::info;

/// A service with scheduled tasks.
#[derive(Parser)]
enum App {
    /// The tasks that are run at their times
    #[command(subcommand)]
    Cron(cli::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    let App::Cron(command) = App::parse();
    tracing_subscriber::fmt()
        .with_ansi(false)
        // Standard output is for what the commands answer.
        .with_writer(std::io::stderr)
        // A log that cannot be written is no reason to stop: its own complaint could not be either.
        .log_internal_errors(false)
        .init();
    command.run(build).await
}

async fn build() -> tasklock::Result<Scheduler> {
    let lock = FileLock::open(std::env::temp_dir().join("tasklock-example-cron"))?;
    let scheduler = Scheduler::builder().lock(lock).build()?;
    let second = Duration::from_secs(1);
    scheduler.register(BaseTask::new(
        "hello",
        "* * * * * *",
        second,
        |ctx| async move {
            info!("Hello at {}", ctx.fire_time());
            Ok(())
        },
    ))?;
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
    Ok(scheduler)
}
