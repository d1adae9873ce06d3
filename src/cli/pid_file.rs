//! Which process is the daemon: a file that says so, and a lock on it that proves it.
//!
//! The number alone proves nothing: a process may be gone, and its number another's. The file is
//! locked for as long as the daemon lives, however it ends, so that whoever finds it locked knows
//! that the number in it is right. It is never removed, since whoever opens it just before would
//! lock a file that nobody else can see; an orderly end empties it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::time::{Clock, SystemClock};

/// How long a daemon that has the lock may take to write its number.
const WRITES_WITHIN: Duration = Duration::from_millis(500);
/// How often the file is looked at by those who wait.
const LOOK: Duration = Duration::from_millis(20);
/// More than is ever written.
const LONGEST: u64 = 4_096;

/// What a pid file says, and whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Daemon {
    /// It lives.
    Running(Facts),
    /// It ended without a word, or was killed.
    Stale(Facts),
    /// There is none.
    NotRunning,
}

/// What a daemon writes down of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) pid: u32,
    /// Its instance id; empty until the scheduler has one.
    pub(crate) instance: String,
    pub(crate) started: DateTime<Utc>,
}

/// The file while we are the daemon.
#[derive(Debug)]
pub(crate) struct PidFile {
    file: File,
    path: PathBuf,
}

impl PidFile {
    /// Becomes the daemon, unless there is one.
    ///
    /// # Errors
    ///
    /// The file cannot be made, locked or written.
    pub(crate) fn claim(path: &Path, facts: &Facts) -> io::Result<Result<Self, Daemon>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(look(path)?)),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // What somebody else wrote is not overwritten.
        let text = read(&file)?;
        if !text.trim().is_empty() {
            self::facts(&text)?;
        }
        let mut claimed = Self {
            file,
            path: path.to_owned(),
        };
        // What is left of one that is gone is not to be taken for us. Somebody may look in between: he
        // looks again as long as it is empty.
        claimed.file.set_len(0)?;
        claimed.say(facts)?;
        Ok(Ok(claimed))
    }

    /// Writes down more of what we are.
    pub(crate) fn say(&mut self, facts: &Facts) -> io::Result<()> {
        let Facts {
            pid,
            instance,
            started,
        } = facts;
        let text = format!("{pid}\n{instance}\n{}\n", started.to_rfc3339());
        // In one piece and in its place, so that whoever reads it finds the number there.
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // If it cannot be emptied it is found stale, which is as good.
        let _ = self.file.set_len(0);
    }
}

/// Whether there is a daemon.
///
/// # Errors
///
/// The file is there and cannot be read, or says something that no daemon wrote.
pub(crate) fn look(path: &Path) -> io::Result<Daemon> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Daemon::NotRunning),
        Err(e) => return Err(e),
    };
    let mut waited = Duration::ZERO;
    loop {
        let is_locked = match file.try_lock_shared() {
            Ok(()) => {
                file.unlock()?;
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(e)) => return Err(e),
        };
        let text = read(&file)?;
        match (is_locked, text.trim().is_empty()) {
            (false, true) => return Ok(Daemon::NotRunning),
            (true, true) if waited < WRITES_WITHIN => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            (true, _) => return Ok(Daemon::Running(facts(&text)?)),
            (false, false) => return Ok(Daemon::Stale(facts(&text)?)),
        }
    }
}

fn read(mut file: &File) -> io::Result<String> {
    file.rewind()?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn facts(text: &str) -> io::Result<Facts> {
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next().and_then(|line| line.parse().ok());
    let Some(pid) = pid.filter(|pid| *pid > 1) else {
        let text = "its first line is no process id: it is not a pid file, or not one of ours";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    };
    let instance = lines.next().unwrap_or_default().to_owned();
    let started = lines.next().unwrap_or_default();
    let started = DateTime::parse_from_rfc3339(started).map(|at| at.to_utc());
    Ok(Facts {
        pid,
        instance,
        started: started.unwrap_or(DateTime::UNIX_EPOCH),
    })
}

/// Waits until whoever has the file lets go of it; says whether he has, in time.
pub(crate) async fn is_let_go(path: &Path, within: Duration) -> io::Result<bool> {
    let until = SystemClock.monotonic() + within;
    loop {
        match look(path)? {
            Daemon::Running(_) if SystemClock.monotonic() >= until => return Ok(false),
            Daemon::Running(_) => tokio::time::sleep(LOOK).await,
            Daemon::Stale(_) | Daemon::NotRunning => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Facts {
        Facts {
            pid: std::process::id(),
            instance: "host:1:a".to_owned(),
            started: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn one_process_has_it_and_others_see_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cron.pid");
        assert_eq!(look(&path).unwrap(), Daemon::NotRunning);
        let claimed = PidFile::claim(&path, &us()).unwrap().unwrap();
        assert_eq!(look(&path).unwrap(), Daemon::Running(us()));
        let second = PidFile::claim(&path, &us()).unwrap();
        assert_eq!(second.unwrap_err(), Daemon::Running(us()));
        drop(claimed);
        assert_eq!(look(&path).unwrap(), Daemon::NotRunning);
        drop(PidFile::claim(&path, &us()).unwrap().unwrap());
    }

    #[test]
    fn a_number_that_nobody_holds_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cron.pid");
        // Of a process that lives, and has nothing to do with it.
        let other = std::process::id();
        std::fs::write(&path, format!("{other}\nhost:1:a\n1970-01-01T00:00:00Z\n")).unwrap();
        assert_eq!(look(&path).unwrap(), Daemon::Stale(us()));
        let claimed = PidFile::claim(&path, &us()).unwrap().unwrap();
        assert_eq!(look(&path).unwrap(), Daemon::Running(us()));
        drop(claimed);
    }

    #[test]
    fn what_is_no_pid_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["hello\n", "-1\n", "0\n", "1\n", "99999999999999\n"] {
            let path = dir.path().join("other");
            std::fs::write(&path, text).unwrap();
            let looked = look(&path).unwrap_err();
            let claimed = PidFile::claim(&path, &us()).unwrap_err();
            for error in [looked, claimed] {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
