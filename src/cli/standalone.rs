//! A cron of its own: tasks from a file, without code (feature `standalone`, for Unix).
//!
//! The binary `tasklock` has these commands. For another one:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use clap::Parser;
//! use tasklock::cli::standalone;
//!
//! #[derive(Parser)]
//! struct App {
//!     #[command(subcommand)]
//!     command: standalone::Command,
//! }
//!
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     App::parse().command.run().await
//! }
//! ```

mod apply;
mod cron;
mod doing;
mod import;
mod listen;
mod log;
mod reload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::fleet::Fleet;
use crate::cli::service::{self, Files, Only, Patience, PidFileArg, State, Stop};
use crate::cli::status::{Failure, Status};
use crate::cli::verb::Outside;
use crate::cli::verbs::Circumstances;
use crate::cli::{Place, Verb};
use crate::config::{self, Config};
use crate::scheduler::Scheduler;
use crate::time::{Clock, SystemClock};

pub use apply::Apply;
pub use import::Import;
use log::LogFormat;

/// What a cron of its own can do.
#[derive(Debug, Clone, clap::Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Runs the tasks of a file, in the foreground or as a daemon
    Start(Start),
    /// Stops the daemon: no new firings, then waits for its runs
    Stop(Stop),
    /// Stops the daemon and starts one; also starts one if there is none
    Restart(Restart),
    /// Has the daemon read its file again; its log says what is different
    Reload(Reload),
    /// Says whether the daemon is running
    State(State),
    /// Saves the tasks of a file in the store that the fleet shares
    Apply(Apply),
    /// Makes a file of tasks of a crontab
    Import(Import),
}

/// Runs the tasks of a file.
#[derive(Debug, Clone, clap::Args)]
pub struct Start {
    #[command(flatten)]
    config: ConfigArg,
    /// Only say what is wrong with the file, and how many tasks it has
    #[arg(long, conflicts_with = "daemon")]
    check: bool,
    /// In the background: with a log file, detached from the terminal
    #[arg(short, long)]
    daemon: bool,
    #[command(flatten)]
    only: Only,
    #[command(flatten)]
    log: LogArg,
    #[command(flatten)]
    files: Files,
}

/// Stops the daemon, and starts one.
#[derive(Debug, Clone, clap::Args)]
pub struct Restart {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    only: Only,
    #[command(flatten)]
    log: LogArg,
    #[command(flatten)]
    files: Files,
}

/// Has the daemon read its file again.
#[derive(Debug, Clone, clap::Args)]
pub struct Reload {
    #[command(flatten)]
    pid_file: PidFileArg,
}

#[derive(Debug, Clone, clap::Args)]
struct ConfigArg {
    /// The file of settings and tasks
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TASKLOCK_CONFIG",
        default_value = "tasks.toml"
    )]
    config: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
struct LogArg {
    /// How its log is written: for people, or an object of JSON on each line
    #[arg(
        long,
        value_name = "FORMAT",
        env = "TASKLOCK_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
}

impl Command {
    /// Carries it out, within a runtime of tokio with more than one thread.
    ///
    /// Exit statuses: 0 done, 1 failed, 2 wrong usage (by clap), 3 not running, 4 refused, 5 the store cannot be asked,
    /// 124 timed out.
    pub async fn run(self) -> ExitCode {
        super::exit(match self {
            Command::Start(start) => start.run().await,
            Command::Stop(stop) => stop.run().await,
            Command::Restart(restart) => restart.run().await,
            Command::Reload(reload) => service::reload(&reload.pid_file),
            Command::State(state) => state.run(),
            Command::Apply(apply) => apply.run().await,
            Command::Import(import) => import.run(),
        })
    }
}

/// Carries out a verb as [`Verb::run`] does; `run --here` has the tasks of a file.
pub async fn run_verb(verb: Verb, place: Place, program: clap::Command) -> ExitCode {
    super::exit(verb.carry_out(BesideFile(Outside { place, program })).await)
}

/// In a program whose tasks are those of a file, if it has any.
struct BesideFile(Outside);

impl Circumstances for BesideFile {
    async fn reach(self) -> Result<Box<dyn Fleet>, Failure> {
        self.0.reach().await
    }

    async fn own(self, file: Option<&Path>) -> Result<Scheduler, Failure> {
        let named = || std::env::var_os("TASKLOCK_CONFIG").map(PathBuf::from);
        let config = file.map(Path::to_owned).or_else(named);
        let arg = ConfigArg {
            config: config.unwrap_or_else(|| "tasks.toml".into()),
        };
        let config = arg.read()?;
        cron::refuse_without_place(&arg.config, &config)?;
        if config.settings.place == Some(config::Place::Memory) {
            super::note(
                "its lock is in memory: a daemon has another one, and knows nothing of this run",
            );
        }
        let how = (LogFormat::Text, Only::default());
        Ok(cron::Cron::build(arg.config, config, how).await?.scheduler)
    }

    fn program(&self) -> clap::Command {
        self.0.program()
    }
}

impl Start {
    async fn run(self) -> Result<Status, Failure> {
        // Whoever asks for a daemon hears of a mistake here, and not from a log.
        let config = self.config.read()?;
        if self.check {
            super::say(cron::summary(&self.config.config, &config)?);
            return Ok(Status::Done);
        }
        let daemon = self.daemon;
        let build = Build::of(config, (self.config, self.log, self.only))?;
        let files = self.files.silent(build.format == LogFormat::Json);
        service::start(&files, daemon, async || build.made().await).await
    }
}

impl Restart {
    async fn run(self) -> Result<Status, Failure> {
        // Before anything is stopped that could not be started again.
        let config = self.config.read()?;
        let build = Build::of(config, (self.config, self.log, self.only))?;
        let files = self.files.silent(build.format == LogFormat::Json);
        service::restart(&self.patience, &files, async || build.made().await).await
    }
}

/// What a cron is made of.
struct Build {
    path: PathBuf,
    config: Config,
    format: LogFormat,
    only: Only,
}

impl Build {
    fn of(config: Config, (path, log, only): (ConfigArg, LogArg, Only)) -> Result<Self, Failure> {
        let path = path.config;
        cron::refuse_without_place(&path, &config)?;
        Ok(Self {
            path,
            config,
            format: log.log_format,
            only,
        })
    }

    async fn made(self) -> Result<cron::Cron, Failure> {
        let how = (self.format, self.only);
        let cron = cron::Cron::build(self.path, self.config, how).await?;
        cron.listening().await
    }
}

impl ConfigArg {
    fn read(&self) -> Result<Config, Failure> {
        let read = Config::read(&self.config, SystemClock.now());
        read.map_err(|faults| Failure::failed(faults.to_string()))
    }
}
