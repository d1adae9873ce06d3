//! Who kills our commands if we are killed: a shell beside us that knows their groups, and kills them when the
//! pipe from us ends without our having said that they are gone.
//!
//! ```text
//! we ── "+ 4711", "- 4711" ──> sh: remembers, forgets
//!    ── (the pipe ends) ─────> sh: kills what it remembers
//! ```
//! It is started with the first command and costs one small process. A command that was started in the very
//! moment in which we are killed may be missed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;
use tracing::warn;

/// What it does; each number stands once among its groups.
const SCRIPT: &str = r#"groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -9 "-$group"; done"#;

/// The one of this process.
// Held for a line into a pipe, or the start of a process; never across an await.
static KEEPER: Mutex<Keeper> = Mutex::new(Keeper {
    groups: BTreeSet::new(),
    shell: None,
    has_failed: false,
});

#[derive(Debug)]
struct Keeper {
    /// Those that are to be killed with us.
    groups: BTreeSet<i32>,
    shell: Option<Child>,
    /// There is no shell, and that was told.
    has_failed: bool,
}

/// Has a group killed if we are.
pub(super) fn keep(leader: Pid) {
    let group = leader.as_raw_nonzero().get();
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if keeper.groups.insert(group) {
        keeper.tell('+', group);
    }
}

/// It has ended.
pub(super) fn let_go(leader: Pid) {
    let group = leader.as_raw_nonzero().get();
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if keeper.groups.remove(&group) {
        keeper.tell('-', group);
    }
}

impl Keeper {
    fn tell(&mut self, sign: char, group: i32) {
        if let Some(shell) = &mut self.shell {
            if say(shell, sign, group).is_ok() {
                return;
            }
            // Somebody has ended or stopped it: another one takes its place.
            let _ = shell.kill();
            let _ = shell.wait();
            self.shell = None;
        }
        if self.has_failed || self.groups.is_empty() {
            return;
        }
        let begun = begin().and_then(|mut shell| {
            let all = self.groups.iter();
            all.copied()
                .try_for_each(|group| say(&mut shell, '+', group))?;
            Ok(shell)
        });
        match begun {
            Ok(shell) => self.shell = Some(shell),
            Err(error) => {
                self.has_failed = true;
                warn!(target: "tasklock", event = "keeper.failed", error = %error,
                    "Commands would outlive this process if it were killed");
            }
        }
    }
}

fn begin() -> io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "tasklock-keeper"]);
    // It holds nothing of ours, and no signal for our group reaches it.
    shell.env_clear().current_dir("/").process_group(0);
    shell.stdin(Stdio::piped());
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    let shell = shell.spawn()?;
    if let Some(pipe) = &shell.stdin {
        // Nobody waits for a shell that does not read.
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    Ok(shell)
}

fn say(shell: &mut Child, sign: char, group: i32) -> io::Result<()> {
    let line = format!("{sign} {group}\n");
    match &mut shell.stdin {
        // In one piece, or not at all.
        Some(pipe) => pipe.write_all(line.as_bytes()),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}
