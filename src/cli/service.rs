//! `start`, `stop`, `restart` and `state`.

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::daemon::{self, Places};
use crate::cli::pid_file::{Daemon, PidFile};
use crate::cli::say;
use crate::cli::status::{Failure, Status};
use crate::scheduler::Scheduler;
use crate::time::{Clock, SystemClock};

/// Fires the tasks.
#[derive(Debug, Clone, clap::Args)]
pub struct Start {
    /// In the background: with a log file, detached from the terminal
    #[arg(short, long)]
    daemon: bool,
    #[command(flatten)]
    files: Files,
}

/// Stops the daemon.
#[derive(Debug, Clone, clap::Args)]
pub struct Stop {
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    pid_file: PidFileArg,
}

/// Stops the daemon, and starts one.
#[derive(Debug, Clone, clap::Args)]
pub struct Restart {
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    files: Files,
}

/// Says whether the daemon is running.
#[derive(Debug, Clone, clap::Args)]
pub struct State {
    #[command(flatten)]
    pid_file: PidFileArg,
    /// How to say it
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: super::list::Format,
}

#[derive(Debug, Clone, clap::Args)]
struct PidFileArg {
    /// Where the daemon writes down its process id
    #[arg(
        long,
        value_name = "FILE",
        env = "TASKLOCK_PID_FILE",
        default_value = "cron.pid"
    )]
    pid_file: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
struct Files {
    #[command(flatten)]
    pid_file: PidFileArg,
    /// Where the daemon writes what it would say
    #[arg(
        long,
        value_name = "FILE",
        env = "TASKLOCK_LOG_FILE",
        default_value = "cron.log"
    )]
    log_file: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
struct Patience {
    /// How long to wait for its runs to end, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// Kill it if they have not ended by then
    #[arg(long)]
    force: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse::<u32>() {
        Ok(s) if s <= 86_400 => Ok(Duration::from_secs(s.into())),
        _ => Err("expected seconds, 0 to 86400, such as 30 or 30s".to_owned()),
    }
}

impl Files {
    fn places(&self) -> Places {
        Places {
            pid_file: self.pid_file.pid_file.clone(),
            log_file: self.log_file.clone(),
        }
    }
}

impl Start {
    pub(super) async fn run(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
    ) -> Result<Status, Failure> {
        if daemon::is_daemon() {
            daemon::leave_terminal()?;
            return fire(&self.files.places(), build).await;
        }
        match self.daemon {
            true => start_daemon(&self.files.places()).await,
            false => fire(&self.files.places(), build).await,
        }
    }
}

impl Stop {
    pub(super) async fn run(self) -> Result<Status, Failure> {
        let Patience { timeout, force } = self.patience;
        let stopped = daemon::stop(&self.pid_file.pid_file, timeout, force).await?;
        say(format_args!("stop pid: {}", stopped.pid));
        Ok(Status::Done)
    }
}

impl Restart {
    pub(super) async fn run(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
    ) -> Result<Status, Failure> {
        let places = self.files.places();
        if daemon::is_daemon() {
            daemon::leave_terminal()?;
            return fire(&places, build).await;
        }
        let Patience { timeout, force } = self.patience;
        match daemon::stop(&places.pid_file, timeout, force).await {
            Ok(stopped) => say(format_args!("stop pid: {}", stopped.pid)),
            Err(failure) if failure.status == Status::NotFound => {}
            Err(failure) => return Err(failure),
        }
        start_daemon(&places).await
    }
}

impl State {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let path = &self.pid_file.pid_file;
        let (found, status) = daemon::state(path)?;
        if self.output == super::list::Format::Text {
            say(daemon::describe(&found, path));
            return Ok(status);
        }
        let (word, facts) = match &found {
            Daemon::Running(facts) => ("running", Some(facts)),
            Daemon::Stale(facts) => ("stale", Some(facts)),
            Daemon::NotRunning => ("not_running", None),
        };
        say(serde_json::json!({
            "state": word,
            "pid": facts.map(|f| f.pid),
            "instance": facts.map(|f| &f.instance).filter(|id| !id.is_empty()),
            "started_at": facts.map(|f| f.started.to_rfc3339()),
            "pid_file": path.display().to_string(),
        }));
        Ok(status)
    }
}

async fn start_daemon(places: &Places) -> Result<Status, Failure> {
    let started = daemon::start(places).await?;
    say(format_args!("cron serve started, pid: {}", started.pid));
    say(format_args!("log file: {}", places.log_file.display()));
    say(format_args!("pid file: {}", places.pid_file.display()));
    Ok(Status::Done)
}

/// Fires the tasks until a signal comes.
async fn fire(
    places: &Places,
    build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
) -> Result<Status, Failure> {
    let path = &places.pid_file;
    let mut facts = daemon::us(SystemClock.now());
    let claimed = PidFile::claim(path, &facts);
    let claimed = claimed.map_err(|e| daemon::cannot("write the pid file", path, &e))?;
    let mut pid_file = claimed.map_err(|other| match other {
        Daemon::Running(facts) => daemon::is_running(&facts),
        Daemon::Stale(_) | Daemon::NotRunning => Failure::new(
            Status::Refused,
            format!(
                "{} was another process's a moment ago: try again",
                path.display()
            ),
        ),
    })?;
    // Before there is anything to stop.
    let mut signals = Signals::listen()?;
    say(format_args!("[PID] {}", facts.pid));
    let scheduler = build().await?;
    scheduler
        .handle()
        .instance()
        .clone_into(&mut facts.instance);
    let said = pid_file.say(&facts);
    said.map_err(|e| daemon::cannot("write the pid file", pid_file.path(), &e))?;
    tokio::select! {
        started = scheduler.start() => started.map_err(|e| Failure::failed(e.to_string()))?,
        () = signals.next() => return Ok(Status::Done),
    }
    signals.next().await;
    tokio::select! {
        report = scheduler.stop() => {
            say(&report);
            Ok(if report.is_clean() { Status::Done } else { Status::Failed })
        }
        () = signals.next() => Err(Failure::failed("stopped at once by a second signal")),
    }
}

/// The signals that stop it.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
