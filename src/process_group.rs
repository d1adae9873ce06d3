//! The processes that a command is: a group of their own, how its end is waited for, and how it is ended.

#[cfg(unix)]
mod keeper;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::time::Sleep;

/// How long the last of a command's output is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const BURIAL: Duration = Duration::from_secs(2);

/// A command's process group. Whoever drops it kills it: a run whose lease is lost goes on nowhere. It is
/// killed as well if this process is killed.
#[derive(Debug)]
struct Group {
    #[cfg(unix)]
    leader: Option<Pid>,
}

#[cfg(unix)]
impl Group {
    /// The group that `child` leads, who was just started as its leader.
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = id.and_then(Pid::from_raw);
        if let Some(leader) = leader {
            keeper::keep(leader);
        }
        Self { leader }
    }

    /// Asks all of it to end.
    fn ask(&self) {
        self.send(Signal::TERM);
    }

    /// Kills what is left of it, once: its number may be another's some time after.
    fn kill(&mut self) {
        self.send(Signal::KILL);
        if let Some(leader) = self.leader.take() {
            keeper::let_go(leader);
        }
    }

    fn send(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // There may be nobody left.
            let _ = kill_process_group(leader, signal);
        }
    }
}

/// Elsewhere a command is the process that was started, which is killed when it is dropped.
#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn ask(&self) {}

    fn kill(&mut self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a wait that has begun.
async fn over(wait: &mut Option<Pin<Box<Sleep>>>) {
    match wait {
        Some(wait) => wait.await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of a command that was just started as the leader of a group, while `reading` takes its
/// output. Once it is `cancelled`, its group is asked to end, and killed after `grace`; what it leaves behind
/// in its group is killed too. `None` if it does not end though it was killed.
///
/// # Errors
///
/// The system does not say how it ended.
pub(crate) async fn follow(
    child: &mut Child,
    grace: Duration,
    cancelled: impl Future<Output = ()>,
    reading: impl Future<Output = ()>,
) -> io::Result<Option<ExitStatus>> {
    let mut group = Group::of(child);
    let mut reading = pin!(reading);
    let mut cancelled = pin!(cancelled);
    let mut patience = None;
    let mut has_read = false;
    let mut status = None;
    loop {
        tokio::select! {
            biased;
            ended = child.wait() => {
                status = Some(ended?);
                break;
            }
            () = &mut cancelled, if patience.is_none() => {
                group.ask();
                patience = Some(Box::pin(tokio::time::sleep(grace)));
            }
            () = over(&mut patience) => break,
            () = &mut reading, if !has_read => has_read = true,
        }
    }
    // What it has left behind would keep its output open.
    group.kill();
    if status.is_none() {
        let _ = child.start_kill();
        let buried = tokio::time::timeout(BURIAL, child.wait()).await;
        status = buried.ok().transpose()?;
    }
    if !has_read {
        let _ = tokio::time::timeout(LAST_WORDS, reading).await;
    }
    Ok(status)
}
