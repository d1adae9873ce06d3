//! `start`, `stop`, `restart` and `state`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::daemon::{self, Places};
use crate::cli::format::{Output, note};
use crate::cli::pid_file::{Daemon, PidFile};
use crate::cli::say;
use crate::cli::status::{Failure, Status};
use crate::cli::supervisor::Supervisor;
use crate::scheduler::Scheduler;
use crate::time::{Clock, SystemClock};

/// What a daemon serves between its start and its end.
pub(super) trait Served {
    /// Whether it has settings that can be read again, when `SIGHUP` asks for it.
    const RELOADS: bool;

    /// Who fires.
    fn scheduler(&self) -> &Scheduler;

    /// Reads its settings again. What is wrong with them changes nothing, and is logged.
    async fn reload(&mut self);

    /// Brings to an end what is beside the scheduler, which has stopped.
    async fn close(self);
}

/// An application's own: its settings are its own business.
impl Served for Scheduler {
    const RELOADS: bool = false;

    fn scheduler(&self) -> &Scheduler {
        self
    }

    async fn reload(&mut self) {}

    async fn close(self) {}
}

/// Fires the tasks.
#[derive(Debug, Clone, clap::Args)]
pub struct Start {
    /// In the background: with a log file, detached from the terminal
    #[arg(short, long)]
    daemon: bool,
    #[command(flatten)]
    only: Only,
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
    only: Only,
    #[command(flatten)]
    files: Files,
}

/// Says whether the daemon is running.
#[derive(Debug, Clone, clap::Args)]
pub struct State {
    #[command(flatten)]
    pid_file: PidFileArg,
    #[command(flatten)]
    output: Output,
}

/// Some of the tasks.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Only {
    /// Fires only the tasks that have one of these tags (several with commas), and none of the store
    #[arg(long = "only", value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
}

impl Only {
    /// A scheduler that leaves the other tasks to others.
    async fn of(
        &self,
        build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
    ) -> Result<Scheduler, Failure> {
        let scheduler = build().await?;
        self.narrow(&scheduler).map(|()| scheduler)
    }

    /// Leaves the other tasks to others.
    pub(super) fn narrow(&self, scheduler: &Scheduler) -> Result<(), Failure> {
        if self.tags.is_empty() || scheduler.only(&self.tags) > 0 {
            return Ok(());
        }
        let tags = self.tags.join(", ");
        Err(Failure::not_found(format!(
            "--only: no task has the tag {tags}"
        )))
    }

    /// Whether a task with these tags is one of them.
    #[cfg(feature = "standalone")]
    pub(super) fn has(&self, tags: &[&str]) -> bool {
        let is_meant = |tag: &&str| self.tags.iter().any(|wanted| wanted == tag);
        self.tags.is_empty() || tags.iter().any(is_meant)
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct PidFileArg {
    /// The pid file of the daemon, which it keeps locked
    #[arg(
        long,
        value_name = "FILE",
        env = "TASKLOCK_PID_FILE",
        default_value = "cron.pid"
    )]
    pid_file: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Files {
    #[command(flatten)]
    pid_file: PidFileArg,
    /// The log file of the daemon; at SIGUSR1 it is begun anew
    #[arg(
        long,
        value_name = "FILE",
        env = "TASKLOCK_LOG_FILE",
        default_value = "cron.log"
    )]
    log_file: PathBuf,
    /// It says nothing but its log, as programs read that.
    #[arg(skip)]
    is_silent: bool,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Patience {
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
    /// Has it say nothing but its log, if so.
    #[cfg(feature = "standalone")]
    pub(super) fn silent(mut self, is_silent: bool) -> Self {
        self.is_silent = is_silent;
        self
    }

    fn places(&self) -> Places {
        Places {
            pid_file: self.pid_file.pid_file.clone(),
            log_file: self.log_file.clone(),
            is_silent: self.is_silent,
        }
    }
}

impl Start {
    pub(super) async fn run(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
    ) -> Result<Status, Failure> {
        let build = async || self.only.of(build).await;
        start(&self.files, self.daemon, build).await
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
        let build = async || self.only.of(build).await;
        restart(&self.patience, &self.files, build).await
    }
}

impl State {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let path = &self.pid_file.pid_file;
        let (found, status) = daemon::state(path)?;
        let (word, facts) = match &found {
            Daemon::Running(facts) => ("running", Some(facts)),
            Daemon::Stale(facts) => ("stale", Some(facts)),
            Daemon::NotRunning => ("not_running", None),
        };
        let answer = serde_json::json!({
            "state": word,
            "pid": facts.map(|f| f.pid),
            "instance": facts.map(|f| &f.instance).filter(|id| !id.is_empty()),
            "started_at": facts.map(|f| f.started.to_rfc3339()),
            "pid_file": path.display().to_string(),
        });
        if !self.output.wrote(&answer)? {
            say(daemon::describe(&found, path));
        }
        Ok(status)
    }
}

/// Asks the daemon to read its settings again.
#[cfg(feature = "standalone")]
pub(super) fn reload(pid_file: &PidFileArg) -> Result<Status, Failure> {
    let asked = daemon::reload(&pid_file.pid_file)?;
    say(format_args!("reload pid: {}", asked.pid));
    Ok(Status::Done)
}

/// Fires what `build` makes, here or in the background.
pub(super) async fn start<S: Served>(
    files: &Files,
    in_background: bool,
    build: impl AsyncFnOnce() -> Result<S, Failure>,
) -> Result<Status, Failure> {
    if daemon::is_daemon() {
        daemon::leave_terminal()?;
        return fire(&files.places(), Some(&files.log_file), build).await;
    }
    match in_background {
        true => start_daemon(&files.places()).await,
        false => fire(&files.places(), None, build).await,
    }
}

/// Stops the daemon, if there is one, and starts one.
pub(super) async fn restart<S: Served>(
    patience: &Patience,
    files: &Files,
    build: impl AsyncFnOnce() -> Result<S, Failure>,
) -> Result<Status, Failure> {
    let places = files.places();
    if daemon::is_daemon() {
        daemon::leave_terminal()?;
        return fire(&places, Some(&files.log_file), build).await;
    }
    let Patience { timeout, force } = *patience;
    match daemon::stop(&places.pid_file, timeout, force).await {
        Ok(stopped) => say(format_args!("stop pid: {}", stopped.pid)),
        Err(failure) if failure.status == Status::NotFound => {}
        Err(failure) => return Err(failure),
    }
    start_daemon(&places).await
}

async fn start_daemon(places: &Places) -> Result<Status, Failure> {
    if daemon::is_first() {
        note(
            "warning: a container ends with its first process, and its daemon with it: run start there without -d",
        );
    }
    let started = daemon::start(places).await?;
    say(format_args!("cron serve started, pid: {}", started.pid));
    say(format_args!("log file: {}", places.log_file.display()));
    say(format_args!("pid file: {}", places.pid_file.display()));
    Ok(Status::Done)
}

/// Fires the tasks until a signal comes; `log` is the file of a daemon, which others may move away.
async fn fire<S: Served>(
    places: &Places,
    log: Option<&Path>,
    build: impl AsyncFnOnce() -> Result<S, Failure>,
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
    let mut signals = Signals::listen(S::RELOADS, log)?;
    if !places.is_silent {
        say(format_args!("[PID] {}", facts.pid));
    }
    let mut served = build().await?;
    let handle = served.scheduler().handle();
    handle.instance().clone_into(&mut facts.instance);
    let said = pid_file.say(&facts);
    said.map_err(|e| daemon::cannot("write the pid file", pid_file.path(), &e))?;
    tokio::select! {
        started = served.scheduler().start() => started?,
        () = signals.stop() => return Ok(Status::Done),
    }
    let mut supervisor = Supervisor::default();
    supervisor.ready(&handle);
    while let Asked::Reload = signals.next().await {
        supervisor.reloading();
        served.reload().await;
        supervisor.ready(&handle);
    }
    supervisor.stopping();
    let status = tokio::select! {
        report = served.scheduler().stop() => {
            if !places.is_silent {
                say(&report);
            }
            if report.is_clean() { Status::Done } else { Status::Failed }
        }
        () = signals.stop() => return Err(Failure::failed("stopped at once by a second signal")),
    };
    served.close().await;
    Ok(status)
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// The signals that it heeds.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Who has nothing to read again ends with it, as programs do.
    hangup: Option<tokio::signal::unix::Signal>,
    /// The log file is another one now: that of a daemon.
    rotated: Option<(tokio::signal::unix::Signal, PathBuf)>,
}

impl Signals {
    fn listen(reloads: bool, log: Option<&Path>) -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: reloads.then(|| listen(SignalKind::hangup())).transpose()?,
            rotated: match log {
                Some(log) => Some((listen(SignalKind::user_defined1())?, log.to_owned())),
                None => None,
            },
        })
    }

    async fn next(&mut self) -> Asked {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let rotated = async {
                match &mut self.rotated {
                    Some((rotated, log)) => rotated.recv().await.map(|()| &*log),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => return Asked::Stop,
                _ = self.terminate.recv() => return Asked::Stop,
                _ = hangup => return Asked::Reload,
                log = rotated => if let Some(log) = log {
                    daemon::write_to(log);
                },
            }
        }
    }

    /// One that stops it. What asks for a reload meanwhile is late, or has come too soon.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
