//! The schedulers, and how each is started.

mod apalis;
mod bare_loop;
mod key;
mod tasklock;
mod tokio_cron_scheduler;
pub mod work;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    /// This crate
    Tasklock,
    /// Keys taken in pipelines, and nothing else
    BareLoop,
    /// tokio-cron-scheduler as it comes
    TokioCronScheduler,
    /// The same with room for 65 536 messages, so that it loses less
    TokioCronSchedulerWide,
    /// apalis-cron, a worker for each task
    Apalis,
    /// robfig/cron in Go
    Robfig,
    /// APScheduler in Python, on asyncio
    Apscheduler,
    /// croner in Node
    Croner,
}

impl Peer {
    pub const USUAL: &'static [Peer] = &[
        Peer::Tasklock,
        Peer::BareLoop,
        Peer::TokioCronScheduler,
        Peer::Apalis,
        Peer::Robfig,
        Peer::Apscheduler,
        Peer::Croner,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Tasklock => "tasklock",
            Peer::BareLoop => "bare-loop",
            Peer::TokioCronScheduler => "tokio-cron-scheduler",
            Peer::TokioCronSchedulerWide => "tokio-cron-scheduler-wide",
            Peer::Apalis => "apalis",
            Peer::Robfig => "robfig",
            Peer::Apscheduler => "apscheduler",
            Peer::Croner => "croner",
        }
    }

    /// The program. Those in Rust are in this one.
    pub fn command(self) -> Result<Command> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = match self {
            Peer::Robfig => Command::new(robfig()),
            Peer::Apscheduler => Command::new(python()),
            Peer::Croner => Command::new("node"),
            _ => Command::new(std::env::current_exe().context("who am I?")?),
        };
        match self {
            Peer::Robfig => {}
            Peer::Apscheduler => {
                command.arg(dir.join("python/peer.py"));
            }
            Peer::Croner => {
                command.arg(dir.join("node/peer.js"));
            }
            _ => {
                command.args(["peer", self.name()]);
            }
        }
        Ok(command)
    }

    /// Why it cannot run here, if it cannot.
    pub fn hindrance(self) -> Option<String> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let is_here = match self {
            Peer::Robfig => robfig().is_file(),
            Peer::Apscheduler => {
                let mut python = Command::new(python());
                works(python.args(["-c", "import apscheduler, redis.asyncio"]))
            }
            Peer::Croner => {
                works(Command::new("node").arg("--version"))
                    && dir.join("node/node_modules/croner").is_dir()
            }
            _ => true,
        };
        (!is_here).then(|| "run ./setup, which says what it cannot install".to_owned())
    }

    /// Is the peer, for one that is in this program.
    pub fn run(self) -> Result<()> {
        match self {
            Peer::Tasklock => tasklock::run(),
            Peer::BareLoop => bare_loop::run(),
            Peer::TokioCronScheduler => tokio_cron_scheduler::run(None),
            Peer::TokioCronSchedulerWide => tokio_cron_scheduler::run(Some(65_536)),
            Peer::Apalis => apalis::run(),
            Peer::Robfig | Peer::Apscheduler | Peer::Croner => {
                bail!("{} is a program of its own", self.name())
            }
        }
    }
}

/// Where `setup` has built it.
fn robfig() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/robfig")
}

/// The system's, as that is the one for which `setup` installs.
fn python() -> &'static str {
    match Path::new("/usr/bin/python3").is_file() {
        true => "/usr/bin/python3",
        false => "python3",
    }
}

fn works(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
