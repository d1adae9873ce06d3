//! A daemon, seen from outside: starts it, stops it, says how it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::format::note;
use crate::cli::pid_file::{self, Daemon, Facts};
use crate::cli::status::{Failure, Status};
use crate::cli::terminal::Waiting;
use crate::time::{Clock, SystemClock};

/// Tells a process who started it to be the daemon. With a number, so that what the daemon starts in
/// its turn is not mistaken for one.
const STARTED_BY: &str = "TASKLOCK_DAEMON_STARTED_BY";
/// How long a daemon may take to say that it is there.
const COMES_UP_WITHIN: Duration = Duration::from_secs(10);
/// How often those who wait look.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is said how long they have waited.
const TOLD: Duration = Duration::from_millis(500);
/// How much of the log is shown of a daemon that did not come up.
const LAST_LINES: usize = 20;
const LONGEST_EXCERPT: u64 = 64 << 10;

/// Where a daemon keeps what others have to know of it.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) pid_file: PathBuf,
    pub(crate) log_file: PathBuf,
    /// Whoever reads its log wants nothing else there.
    pub(crate) is_silent: bool,
}

/// Starts this program again as a daemon, with the same arguments, and waits until it is one.
pub(crate) async fn start(places: &Places) -> Result<Facts, Failure> {
    let Places {
        pid_file, log_file, ..
    } = places;
    refuse_second(pid_file)?;
    let log = OpenOptions::new().create(true).append(true).open(log_file);
    let log = log.map_err(|e| cannot("write the log file", log_file, &e))?;
    let from = log.metadata().map_or(0, |m| m.len());
    let program = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("cannot find this program to start it: {e}")))?;
    let errors = log
        .try_clone()
        .map_err(|e| cannot("write the log file", log_file, &e))?;
    let mut child = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env(STARTED_BY, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|e| cannot("start", &program, &e))?;
    let until = SystemClock.monotonic() + COMES_UP_WITHIN;
    loop {
        if let Ok(Daemon::Running(facts)) = pid_file::look(pid_file)
            && facts.pid == child.id()
        {
            return Ok(facts);
        }
        let ended = child.try_wait();
        if let Some(ended) = ended.map_err(|e| cannot("watch", &program, &e))? {
            let said = last_lines(log_file, from);
            let text = format!(
                "it did not come up ({ended}); {} says:\n{said}",
                log_file.display()
            );
            return Err(Failure::new(Status::of_code(ended.code()), text));
        }
        if SystemClock.monotonic() >= until {
            let text = format!(
                "process {} has not written {} within {COMES_UP_WITHIN:?}: see {}",
                child.id(),
                pid_file.display(),
                log_file.display()
            );
            return Err(Failure::new(Status::TimedOut, text));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks the daemon to stop and waits for it, however long its drain takes up to `timeout`; then kills
/// it, if that was asked for.
pub(crate) async fn stop(
    pid_file: &Path,
    timeout: Duration,
    force: bool,
) -> Result<Facts, Failure> {
    let facts = match look(pid_file)? {
        Daemon::Running(facts) => facts,
        Daemon::Stale(_) | Daemon::NotRunning => {
            return Err(Failure::new(Status::NotFound, not_running(pid_file)));
        }
    };
    signal(&facts, Signal::TERM)?;
    if is_let_go(pid_file, timeout).await? {
        return Ok(facts);
    }
    if !force {
        let text = format!(
            "process {} still drains after {timeout:?}: wait longer with --timeout, or kill it with \
             --force, and its runs with it",
            facts.pid
        );
        return Err(Failure::new(Status::TimedOut, text));
    }
    signal(&facts, Signal::KILL)?;
    match is_let_go(pid_file, Duration::from_secs(5)).await? {
        true => Ok(facts),
        false => Err(Failure::failed(format!(
            "process {} was killed and is still there",
            facts.pid
        ))),
    }
}

/// Asks the daemon to read its settings again.
#[cfg(feature = "standalone")]
pub(crate) fn reload(pid_file: &Path) -> Result<Facts, Failure> {
    match look(pid_file)? {
        Daemon::Running(facts) => {
            signal(&facts, Signal::HUP)?;
            Ok(facts)
        }
        Daemon::Stale(_) | Daemon::NotRunning => {
            Err(Failure::new(Status::NotFound, not_running(pid_file)))
        }
    }
}

/// How the daemon is, in a line, and the status for it.
pub(crate) fn state(pid_file: &Path) -> Result<(Daemon, Status), Failure> {
    let daemon = look(pid_file)?;
    let status = match daemon {
        Daemon::Running(_) => Status::Done,
        Daemon::Stale(_) => Status::Failed,
        Daemon::NotRunning => Status::NotFound,
    };
    Ok((daemon, status))
}

/// The line for people.
pub(crate) fn describe(daemon: &Daemon, pid_file: &Path) -> String {
    match daemon {
        Daemon::Running(facts) => {
            let up = ago(SystemClock.now() - facts.started);
            let Facts { pid, instance, .. } = facts;
            let instance = match instance.is_empty() {
                true => String::new(),
                false => format!("   instance {instance}"),
            };
            format!("running   pid {pid}   up {up}{instance}")
        }
        Daemon::Stale(facts) => format!(
            "not running   pid file {}: process {}, started {}, ended without a word",
            pid_file.display(),
            facts.pid,
            facts.started.to_rfc3339()
        ),
        Daemon::NotRunning => not_running(pid_file),
    }
}

/// Refuses to be the second one.
pub(crate) fn refuse_second(pid_file: &Path) -> Result<(), Failure> {
    match look(pid_file)? {
        Daemon::Running(facts) => Err(is_running(&facts)),
        Daemon::Stale(_) | Daemon::NotRunning => Ok(()),
    }
}

pub(crate) fn is_running(facts: &Facts) -> Failure {
    let text = format!("it is running already, as process {}", facts.pid);
    Failure::new(Status::Refused, text)
}

pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot {what} {}: {error}", path.display()))
}

/// `3 d 4 h`, `41 min`, `5 s`.
pub(crate) fn ago(time: TimeDelta) -> String {
    let s = time.num_seconds().max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min", s / 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Whether all others end with this process: the first one of a container.
pub(crate) fn is_first() -> bool {
    std::process::id() == 1
}

/// Whether this process was started to be the daemon: by the process that waits for it.
pub(crate) fn is_daemon() -> bool {
    let parent = std::os::unix::process::parent_id().to_string();
    std::env::var(STARTED_BY).is_ok_and(|by| by == parent)
}

/// Writes to the log file of that name from now on: the one that it had has another name, or is gone.
pub(crate) fn write_to(log_file: &Path) {
    let opened = OpenOptions::new().create(true).append(true).open(log_file);
    let written = opened.and_then(|log| {
        rustix::stdio::dup2_stdout(&log)?;
        Ok(rustix::stdio::dup2_stderr(&log)?)
    });
    if let Err(error) = written {
        // It goes on as it was, and says so there.
        note(cannot("write the log file", log_file, &error));
    }
}

/// Leaves the terminal of whoever started it.
pub(crate) fn leave_terminal() -> Result<(), Failure> {
    match rustix::process::setsid() {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure::failed(format!("cannot leave the session: {e}"))),
    }
}

fn look(pid_file: &Path) -> Result<Daemon, Failure> {
    pid_file::look(pid_file).map_err(|e| cannot("read the pid file", pid_file, &e))
}

async fn is_let_go(pid_file: &Path, within: Duration) -> Result<bool, Failure> {
    let mut waiting = Waiting::begin();
    let mut looks = tokio::time::interval(TOLD);
    let let_go = pid_file::is_let_go(pid_file, within);
    let mut let_go = std::pin::pin!(let_go);
    let let_go = loop {
        tokio::select! {
            biased;
            let_go = &mut let_go => break let_go,
            _ = looks.tick() => waiting.show("waits for its runs to end"),
        }
    };
    let_go.map_err(|e| cannot("read the pid file", pid_file, &e))
}

fn signal(facts: &Facts, signal: Signal) -> Result<(), Failure> {
    let pid = i32::try_from(facts.pid).ok().and_then(Pid::from_raw);
    let sent = pid.map(|pid| kill_process(pid, signal));
    match sent {
        Some(Ok(())) => Ok(()),
        // It has ended meanwhile.
        Some(Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(e)) => Err(Failure::failed(format!(
            "cannot signal process {}: {e}",
            facts.pid
        ))),
        None => Err(Failure::failed(format!("{} is no process id", facts.pid))),
    }
}

fn not_running(pid_file: &Path) -> String {
    format!("not running   pid file {}: none", pid_file.display())
}

/// What was written to the log since.
fn last_lines(log_file: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log_file)?;
        file.seek(SeekFrom::Start(from))?;
        let mut new = Vec::new();
        file.take(LONGEST_EXCERPT).read_to_end(&mut new)?;
        Ok(new)
    };
    let new = read().unwrap_or_default();
    let new = String::from_utf8_lossy(&new);
    let lines: Vec<&str> = new.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}

/// When something started that is written down for others.
pub(crate) fn us(started: DateTime<Utc>) -> Facts {
    Facts {
        pid: std::process::id(),
        instance: String::new(),
        started,
    }
}
