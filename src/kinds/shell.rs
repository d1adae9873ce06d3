//! Commands, of a list that code gives.

mod command;
mod output;
mod signal;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use crate::process_group;
use crate::store::Kind;
use crate::task::{RunContext, TaskError, TaskResult};

pub use command::ShellCommand;
use output::Output;

/// The kind of task that runs a command, of a list that is given here: a stored task says which, and
/// can add no more than the list lets it.
///
/// ```
/// use tasklock::{Shell, ShellCommand};
/// # use tasklock::{MemoryFleet, MemoryLock, Scheduler};
/// # let scheduler = Scheduler::builder().lock(MemoryLock::new()).fleet(MemoryFleet::new()).build()?;
/// let shell = Shell::new()
///     .allow("backup", ["/usr/bin/backup", "--all"])
///     .allow("report", ShellCommand::new(["/usr/bin/report"]).arguments(1).environment(["REGION"]));
/// scheduler.kind("shell", shell)?;
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// No shell reads the words: they reach the program as they are.
///
/// A command is a process group of its own, with nothing to read from unless it is
/// [given something](ShellCommand::stdin), and an environment that has of
/// ours only `PATH`, `HOME`, `LANG` and `TZ`, beside what the list and the task give and `TASKLOCK_TASK`,
/// `TASKLOCK_RUN_ID`, `TASKLOCK_FIRE_TIME` and `TASKLOCK_FENCING_TOKEN`. When its run is to end, the
/// group gets `SIGTERM`, and `SIGKILL` after the [grace](Shell::grace); what a command leaves behind in
/// its group when it ends is killed too, and all of it if this process is killed: by a small `/bin/sh`
/// beside us. A process that makes a session of its own leaves the group, and is not reached.
///
/// Its output is in the run's log, by lines: of each of the two streams the first and the last 16 KiB,
/// control characters and what is no text escaped.
#[derive(Default)]
pub struct Shell {
    commands: BTreeMap<String, ShellCommand>,
    grace: Option<Duration>,
}

/// What a task of the kind [`Shell`] says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ShellParameters {
    /// The command's name in the list.
    pub command: String,
    /// Words after those of the list.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Names and values for its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

#[cfg(feature = "standalone")]
impl ShellParameters {
    /// The command of that name, and nothing beside.
    pub(crate) fn of(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

impl Shell {
    /// One that allows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a command: the program and its first words, which a task names as `name`.
    #[must_use]
    pub fn allow(mut self, name: impl Into<String>, command: impl Into<ShellCommand>) -> Self {
        self.commands.insert(name.into(), command.into());
        self
    }

    /// How long a command has between `SIGTERM` and `SIGKILL`. Default: 3 s. The policy's
    /// [`cancel_grace`](crate::Policy::cancel_grace) should be longer: at its end the run is dropped,
    /// and the group killed at once.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    fn command(&self, name: &str) -> Result<&ShellCommand, TaskError> {
        self.commands.get(name).ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            let known: Vec<&str> = self.commands.keys().map(String::as_str).collect();
            TaskError::permanent(format!(
                "the command {name:?} is not allowed here: there are {known:?}"
            ))
        })
    }
}

#[async_trait]
impl Kind for Shell {
    type Parameters = ShellParameters;

    fn check(&self, parameters: &ShellParameters) -> Result<(), TaskError> {
        let command = self.command(&parameters.command)?;
        command.check(parameters).map_err(TaskError::permanent)
    }

    async fn run(&self, ctx: RunContext, parameters: ShellParameters) -> TaskResult {
        let name = &parameters.command;
        let listed = self.command(name)?;
        let prepared = listed.prepare(&parameters, &ctx);
        let mut command = prepared.map_err(|why| {
            TaskError::new(format!("the command {name} cannot be started: {why}"))
        })?;
        let mut child = command.spawn().map_err(|e| {
            let program = command.as_std().get_program().to_string_lossy();
            TaskError::permanent(format!(
                "the command {name} cannot be started: {program}: {e}"
            ))
        })?;
        let grace = self.grace.unwrap_or(Duration::from_secs(3));
        let (status, last_words) = follow(&ctx, &mut child, grace, listed).await?;
        let asked = match ctx.cancel_reason() {
            Some(_) => " after it was asked to end",
            None => "",
        };
        let said = match last_words.is_empty() {
            true => String::new(),
            false => format!(": {last_words}"),
        };
        match status {
            Some(status) if listed.is_success(status.code()) && asked.is_empty() => Ok(()),
            Some(status) => Err(TaskError::new(format!(
                "the command {name} {}{asked}{said}",
                in_words(status)
            ))),
            None => Err(TaskError::new(format!(
                "the command {name} did not end though it was killed"
            ))),
        }
    }
}

/// Waits for the command's end, or ends it. Returns how it ended and the last line that it wrote as an
/// error.
async fn follow(
    ctx: &RunContext,
    child: &mut Child,
    grace: Duration,
    listed: &ShellCommand,
) -> Result<(Option<ExitStatus>, String), TaskError> {
    let mut out = Output::new("stdout", listed.kept());
    let mut err = Output::new("stderr", listed.kept());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Polled here and not apart, so that its lines belong to the run.
    let reading = async {
        tokio::join!(
            out.read_all(stdout),
            err.read_all(stderr),
            feed(stdin, listed.input())
        );
    };
    let status = process_group::follow(child, grace, ctx.cancelled(), reading).await?;
    out.finish();
    err.finish();
    Ok((status, err.last_line()))
}

/// Gives a command what it reads. That it reads less is its own business.
async fn feed(stdin: Option<ChildStdin>, input: Option<Arc<str>>) {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}

/// How a process ended.
fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by {}", signal::name(signal)),
        (None, None) => format!("ended: {status}"),
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell")
            .field("commands", &self.commands)
            .field("grace", &self.grace)
            .finish()
    }
}
