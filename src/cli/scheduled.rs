//! A command of the application's own, as a task.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tracing::info;

use crate::base_task::BaseTask;
use crate::process_group;
use crate::task::{RunContext, TaskError, TaskResult};
use crate::text::contained_line;

/// The longest line of its output that is told, in bytes; more of it is lost.
const LONGEST_LINE: u64 = 2 * 1024;
/// How long it has between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(3);
/// So many lines of each stream are told.
const MOST_LINES: usize = 500;

/// A task that runs a command of this program itself, in a process of its own: the same file, with these
/// arguments. For commands that people also start by hand.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tasklock::{FileLock, Scheduler, cli};
/// # fn f() -> tasklock::Result<()> {
/// # let scheduler = Scheduler::builder().lock(FileLock::open("data/locks")?).build()?;
/// let minute = Duration::from_secs(60);
/// scheduler.register(cli::scheduled("report", "0 30 9 * * *", minute, ["report", "--day", "yesterday"]))?;
/// # Ok(()) }
/// ```
///
/// What it writes becomes lines of the run's log, up to 500 of each stream. It succeeds if its exit status is 0. At its
/// timeout, and when its run is cancelled, it and what it started get `SIGTERM`, and `SIGKILL` after three seconds; what
/// it leaves behind when it ends is killed too, and all of it if this process is killed. It sees our environment, and
/// `TASKLOCK_TASK`, `TASKLOCK_RUN_ID`, `TASKLOCK_FIRE_TIME` and `TASKLOCK_FENCING_TOKEN`. Arguments can be seen by
/// everybody on the host: give secrets otherwise.
pub fn scheduled<I>(
    name: impl Into<String>,
    spec: impl Into<String>,
    timeout: Duration,
    arguments: I,
) -> BaseTask
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let arguments: Vec<String> = arguments.into_iter().map(Into::into).collect();
    BaseTask::new(name, spec, timeout, move |ctx| run(arguments.clone(), ctx))
}

async fn run(arguments: Vec<String>, ctx: RunContext) -> TaskResult {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command
        .args(&arguments)
        .env("TASKLOCK_TASK", ctx.task_name())
        .env("TASKLOCK_RUN_ID", ctx.run_id().to_string())
        .env("TASKLOCK_FIRE_TIME", ctx.fire_time().to_rfc3339())
        .env(
            "TASKLOCK_FENCING_TOKEN",
            ctx.fencing_token().get().to_string(),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        tokio::join!(tell("stdout", out), tell("stderr", err));
    };
    let ended = process_group::follow(&mut child, GRACE, ctx.cancelled(), reading).await?;
    match (ended, ctx.is_cancelled()) {
        (None, _) => Err(TaskError::new(
            "the command did not end though it was killed",
        )),
        (Some(ended), true) => Err(TaskError::new(format!(
            "the command was asked to end, as its run was to end, and ended with {ended}"
        ))),
        (Some(ended), false) => judge(ended),
    }
}

fn judge(ended: ExitStatus) -> TaskResult {
    match ended.success() {
        true => Ok(()),
        false => Err(TaskError::new(format!("the command ended with {ended}"))),
    }
}

/// What it writes, line by line, as lines of the run's log.
async fn tell(stream: &'static str, output: Option<impl AsyncRead + Unpin>) {
    let Some(output) = output else { return };
    let mut output = BufReader::new(output);
    let mut told = 0;
    loop {
        let mut line = Vec::new();
        // It must not wait for us, whatever it writes; a stream that breaks has ended.
        match (&mut output)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(1..) => {}
            _ => return,
        }
        told += 1;
        if told <= MOST_LINES {
            let text = String::from_utf8_lossy(&line);
            info!(target: "tasklock::command", stream, "{}", contained_line(text.trim_end(), 4 * 1024));
        } else if told == MOST_LINES + 1 {
            info!(target: "tasklock::command", stream, "Further output left out");
        }
    }
}
