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
mod fleet;
mod format;
#[cfg(unix)]
mod pid_file;
mod scheduled;
#[cfg(unix)]
mod service;
mod specs;
#[cfg(all(feature = "standalone", unix))]
pub mod standalone;
mod status;
#[cfg(unix)]
mod supervisor;
mod table;
mod terminal;
mod verb;
mod verbs;
mod when;

use std::fmt;
use std::process::ExitCode;

use crate::scheduler::Scheduler;
use format::{note, say};
use status::{Failure, Status};

pub use fleet::Place;
pub use scheduled::scheduled;
#[cfg(unix)]
pub use service::{Restart, Start, State, Stop};
pub use verb::Verb;

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
    /// What is asked of the fleet, and done with it.
    #[command(flatten)]
    Verb(Verb),
}

impl Command {
    /// Whether it runs tasks in this process, and is to log what they do. The others answer people, who want to read nothing else.
    pub fn fires(&self) -> bool {
        match self {
            #[cfg(unix)]
            Command::Start(_) | Command::Restart(_) => true,
            #[cfg(unix)]
            Command::Stop(_) | Command::State(_) => false,
            Command::Verb(verb) => verb.runs_here(),
        }
    }

    /// Carries it out. `build` makes the scheduler with its tasks, not started; it is called if the
    /// command needs one. All but `start` and `restart` leave it so: they act through its stores.
    ///
    /// Exit statuses: 0 done; 1 failed, of `run` also if the run did; 2 wrong usage; 3 not running or not
    /// found; 4 refused; 5 the store cannot be asked; 124 timed out.
    pub async fn run<E: fmt::Display + 'static>(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, E>,
    ) -> ExitCode {
        let build = async || build().await.map_err(status::not_built);
        exit(match self {
            #[cfg(unix)]
            Command::Start(start) => start.run(build).await,
            #[cfg(unix)]
            Command::Stop(stop) => stop.run().await,
            #[cfg(unix)]
            Command::Restart(restart) => restart.run(build).await,
            #[cfg(unix)]
            Command::State(state) => state.run(),
            Command::Verb(verb) => verb.carry_out(verb::Inside(build)).await,
        })
    }
}

/// How a command ended, for whoever called it.
fn exit(done: Result<Status, Failure>) -> ExitCode {
    match done {
        Ok(status) => status.into(),
        Err(failure) => {
            note(&failure);
            failure.status.into()
        }
    }
}
