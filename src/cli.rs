//! Commands for an application's own binary (feature `cli`): `app cron start -d`, `app cron stop`.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::time::Duration;
//! use clap::Parser;
//! use tasklock::{BaseTask, FileLock, Scheduler, cli};
//!
//! #[derive(Parser)]
//! enum App {
//!     /// Scheduled tasks
//!     #[command(subcommand)]
//!     Cron(cli::Command),
//! }
//!
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     let App::Cron(command) = App::parse();
//!     command.run(build).await
//! }
//!
//! async fn build() -> tasklock::Result<Scheduler> {
//!     let scheduler = Scheduler::builder().lock(FileLock::open("data/locks")?).build()?;
//!     let minute = Duration::from_secs(60);
//!     scheduler.register(BaseTask::new("report", "0 30 9 * * *", minute, |_| async { Ok(()) }))?;
//!     Ok(scheduler)
//! }
//! ```

#[cfg(unix)]
mod daemon;
mod list;
#[cfg(unix)]
mod pid_file;
#[cfg(unix)]
mod service;
#[cfg(all(feature = "standalone", unix))]
pub mod standalone;
mod status;
#[cfg(unix)]
mod supervisor;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::scheduler::Scheduler;
use status::{Failure, Status};

/// What can be done with an application's scheduled tasks. A subcommand for its own command line, as
/// `cron` or `tasks`.
#[derive(Debug, Clone, clap::Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Fires the tasks, in the foreground or as a daemon
    #[cfg(unix)]
    Start(Start),
    /// Stops the daemon: no new firings, then waits for its runs
    #[cfg(unix)]
    Stop(Stop),
    /// Stops the daemon and starts one; also starts one if there is none
    #[cfg(unix)]
    Restart(Restart),
    /// Says whether the daemon is running
    #[cfg(unix)]
    State(State),
    /// Lists the tasks of this program
    List(List),
}

pub use list::List;
#[cfg(unix)]
pub use service::{Restart, Start, State, Stop};

impl Command {
    /// Carries it out. `build` makes the scheduler with its tasks, not started; it is called if the
    /// command needs one.
    ///
    /// Exit statuses: 0 done, 1 failed, 2 wrong usage (by clap), 3 not running, 4 refused, 124 timed out.
    pub async fn run<E: fmt::Display>(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, E>,
    ) -> ExitCode {
        let build = async || {
            let built = build().await;
            built.map_err(|e| Failure::failed(e.to_string()))
        };
        let done = match self {
            #[cfg(unix)]
            Command::Start(start) => start.run(build).await,
            #[cfg(unix)]
            Command::Stop(stop) => stop.run().await,
            #[cfg(unix)]
            Command::Restart(restart) => restart.run(build).await,
            #[cfg(unix)]
            Command::State(state) => state.run(),
            Command::List(list) => list.run(build).await,
        };
        exit(done)
    }
}

/// How a command ended, for whoever called it.
fn exit(done: Result<Status, Failure>) -> ExitCode {
    match done {
        Ok(status) => status.into(),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.status.into()
        }
    }
}

/// A line for whoever called. That nobody reads it is no reason to stop.
fn say(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
