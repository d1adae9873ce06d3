//! The lock of one host.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::transition::{self, Record, Stored};
use crate::lock::{
    Acquired, Claim, Completion, FencingToken, Grant, LastFired, Lock, Released, Renewed, Unlocked,
};
use crate::task::TaskName;
use crate::time::{Clock, SystemClock};

/// The first line of a state file, with the version of its layout.
const HEADER: &str = "tasklock 1";

/// How long a request waits for another process that is in the middle of its own.
const PATIENCE: Duration = Duration::from_millis(500);

/// A lock in a directory, for the processes of one host.
///
/// It keeps the same records as [`RedisLock`](crate::RedisLock) does, with the same leases, marker
/// and fencing tokens: one small text file per task, replaced atomically under a short exclusive
/// file lock. A process killed at any point leaves either the old record or the new one; what it
/// held ends with its lease.
///
/// The directory must be on a local file system: file locks of network file systems differ in what
/// they promise. Several hosts need `RedisLock`.
#[derive(Debug, Clone)]
pub struct FileLock {
    dir: Arc<Path>,
    clock: Arc<dyn Clock>,
}

impl FileLock {
    /// A lock in `dir`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] when the directory cannot be made or written to.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with_clock(dir, Arc::new(SystemClock))
    }

    /// As [`open`](FileLock::open), with leases that end by `clock`, which all processes of the
    /// directory must share.
    ///
    /// # Errors
    ///
    /// As [`open`](FileLock::open).
    pub fn open_with_clock(dir: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self> {
        let dir = dir.as_ref();
        let refuse = |what: &str, source: std::io::Error| {
            let text = format!(
                "lock directory {} cannot be {what}: {source}",
                dir.display()
            );
            Error::new(ErrorKind::InvalidConfig, text).with_source(source)
        };
        std::fs::create_dir_all(dir).map_err(|e| refuse("made", e))?;
        let probe = OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join("probe.guard"));
        probe.map_err(|e| refuse("written to", e))?;
        Ok(Self {
            dir: dir.into(),
            clock,
        })
    }

    /// Does one transition of one task, off the runtime's threads.
    async fn apply<T, F>(&self, task: &TaskName, step: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Stored, i64) -> (Stored, T) + Send + 'static,
    {
        let this = self.clone();
        let task = task.clone();
        off_thread(move || {
            let files = Files::of(&this.dir, &task);
            let _guard = files.lock_exclusively()?;
            let old = files.read(&task)?;
            // The time is read under the file lock: no later request was handled before it.
            let (new, reply) = step(old.clone(), this.clock.now().timestamp_micros());
            if new != old {
                files.replace(&task, &new)?;
            }
            Ok(reply)
        })
        .await
    }
}

/// Runs blocking work. Dropping the future does not stop it.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Err(Error::new(
            ErrorKind::StoreAmbiguous,
            "the file lock's work was stopped",
        )
        .with_source(e))
    })
}

#[async_trait]
impl Lock for FileLock {
    async fn acquire(&self, claim: &Claim) -> Result<Acquired> {
        let own = claim.clone();
        self.apply(claim.task(), move |s, now| {
            transition::acquire(s, &own, now)
        })
        .await
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed> {
        let own = grant.clone();
        self.apply(grant.task(), move |s, now| transition::renew(s, &own, now))
            .await
    }

    async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        let own = grant.clone();
        self.apply(grant.task(), move |s, now| {
            transition::release(s, &own, completion, now)
        })
        .await
    }

    async fn resume(&self, task: &TaskName) -> Result<()> {
        self.apply(task, transition::resume).await
    }

    async fn unlock(&self, task: &TaskName, fence: FencingToken) -> Result<Unlocked> {
        self.apply(task, move |s, now| transition::unlock(s, fence, now))
            .await
    }

    async fn last_fired(&self, tasks: &[TaskName]) -> Result<Vec<Option<LastFired>>> {
        let this = self.clone();
        let tasks = tasks.to_vec();
        off_thread(move || {
            let now_ms = this.clock.now().timestamp_millis();
            let read = |task: &TaskName| {
                let stored = Files::of(&this.dir, task).read(task)?.at(now_ms);
                Ok(stored.parsed_state().map(|state| state.last_fired()))
            };
            tasks.iter().map(read).collect()
        })
        .await
    }

    async fn leases(&self, tasks: &[TaskName]) -> Result<Vec<Option<Duration>>> {
        let this = self.clone();
        let tasks = tasks.to_vec();
        off_thread(move || {
            let now_ms = this.clock.now().timestamp_millis();
            let read = |task: &TaskName| Ok(Files::of(&this.dir, task).read(task)?.lease(now_ms));
            tasks.iter().map(read).collect()
        })
        .await
    }

    async fn check(&self) -> Result<()> {
        let this = self.clone();
        off_thread(move || {
            let probe = Files {
                guard: this.dir.join("probe.guard"),
                state: this.dir.join("probe.state"),
            };
            let _guard = probe.lock_exclusively()?;
            Ok(())
        })
        .await
    }

    fn describe(&self) -> String {
        format!("files in {}", self.dir.display())
    }
}

/// The two files of one task: `task.<name>.guard`, empty and never replaced, which is locked; and
/// `task.<name>.state`, which is replaced.
struct Files {
    guard: PathBuf,
    state: PathBuf,
}

impl Files {
    fn of(dir: &Path, task: &TaskName) -> Self {
        // Of the characters of a name only the colon is special anywhere; `=` is in no name.
        let base = task.as_str().replace(':', "=");
        Self {
            guard: dir.join(format!("task.{base}.guard")),
            state: dir.join(format!("task.{base}.state")),
        }
    }

    /// Waits for other processes, for a while: one that was stopped in its critical section must
    /// not take us along.
    fn lock_exclusively(&self) -> Result<File> {
        let open = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.guard);
        let file = open.map_err(|e| unavailable("opened", &self.guard, e))?;
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_micros(100);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                    std::thread::sleep(pause);
                    waited += pause;
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let text = format!(
                        "{} has been locked by another process for over {PATIENCE:?}",
                        self.guard.display()
                    );
                    return Err(Error::new(ErrorKind::StoreUnavailable, text));
                }
                Err(TryLockError::Error(e)) => return Err(unavailable("locked", &self.guard, e)),
            }
        }
    }

    fn read(&self, task: &TaskName) -> Result<Stored> {
        let mut text = String::new();
        // A record is a few hundred bytes; whatever is larger is not one.
        match File::open(&self.state).and_then(|f| f.take(64 * 1024).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(e) if e.kind() == IoKind::NotFound => return Ok(Stored::default()),
            Err(e) => return Err(unavailable("read", &self.state, e)),
        }
        decode(&text, task).map_err(|why| {
            let text = format!(
                "{} {why}; delete it to let the task fire again, at the risk of repeating its last \
                 instant",
                self.state.display()
            );
            Error::new(ErrorKind::StoreProtocol, text)
        })
    }

    /// Replaces the state: whoever reads it, now or after a crash, sees the old text or the new.
    fn replace(&self, task: &TaskName, new: &Stored) -> Result<()> {
        // One name is enough: only the holder of the guard writes it, and what a killed one left
        // behind is overwritten.
        let draft = self.state.with_extension("draft");
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(encode(new, task).as_bytes())?;
            // Without this, a power cut may leave an empty file under the final name.
            file.sync_data()?;
            std::fs::rename(&draft, &self.state)
        };
        write().map_err(|e| unavailable("written", &self.state, e))
    }
}

fn unavailable(what: &str, path: &Path, source: std::io::Error) -> Error {
    let text = format!("{} cannot be {what}: {source}", path.display());
    Error::new(ErrorKind::StoreUnavailable, text).with_source(source)
}

/// Header, task name, then a line each for lock and state: its end in epoch ms (`-` for never) and
/// its text. An absent record has no line.
fn encode(stored: &Stored, task: &TaskName) -> String {
    let line = |name: &str, record: &Option<Record>| match record {
        None => String::new(),
        Some(Record {
            text,
            expires_ms: Some(end),
        }) => format!("{name} {end} {text}\n"),
        Some(Record {
            text,
            expires_ms: None,
        }) => format!("{name} - {text}\n"),
    };
    let (lock, state) = (line("lock", &stored.lock), line("state", &stored.state));
    let lanes: String = stored
        .lanes
        .iter()
        .map(|(lane, lock)| line(&format!("lane.{lane}"), &Some(lock.clone())))
        .collect();
    format!("{HEADER}\ntask {task}\n{lock}{lanes}{state}end\n")
}

/// Reads what `encode` wrote, or says what is wrong with it.
fn decode(text: &str, task: &TaskName) -> Result<Stored, String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err("is not a lock's state".to_owned());
    }
    match lines.next().and_then(|l| l.strip_prefix("task ")) {
        Some(name) if task == name => {}
        Some(name) => {
            return Err(format!(
                "belongs to the task {name:?}: the file system does not tell the two names apart"
            ));
        }
        None => return Err("names no task".to_owned()),
    }
    let mut stored = Stored::default();
    for line in lines {
        if line == "end" {
            return Ok(stored);
        }
        let mut parts = line.splitn(3, ' ');
        let (name, end, text) = (parts.next(), parts.next(), parts.next());
        let expires_ms = match end {
            Some("-") => None,
            Some(end) => Some(end.parse().map_err(|_| format!("has a bad end: {end:?}"))?),
            None => return Err("has a line without an end".to_owned()),
        };
        let record = text.map(|text| Record {
            text: text.to_owned(),
            expires_ms,
        });
        match name {
            Some("lock") => stored.lock = record,
            Some("state") => stored.state = record,
            Some(other) => {
                let lane = other.strip_prefix("lane.").and_then(|n| n.parse().ok());
                let (Some(lane), Some(record)) = (lane, record) else {
                    return Err(format!("has an unknown line: {line:?}"));
                };
                stored.lanes.insert(lane, record);
            }
            None => return Err(format!("has an unknown line: {line:?}")),
        }
    }
    Err("is cut short".to_owned())
}
