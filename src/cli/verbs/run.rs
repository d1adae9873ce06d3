//! `run`: a task now, beside its schedule.

use std::io::Read;
#[cfg(all(feature = "standalone", unix))]
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::board::Run;
use crate::cli::fleet::{Act, Fleet, Wanted, instance_id};
use crate::cli::format::{Format, Output, note, say};
use crate::cli::specs;
use crate::cli::status::{Failure, Status};
use crate::cli::terminal::Waiting;
use crate::cli::verbs::asker::Asker;
use crate::cli::verbs::follow::{Follow, ended};
use crate::cli::when;
use crate::control::{IfPaused, IfRunning};
use crate::event::Outcome;

/// The longest parameters, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Has a task run now and follows its run: what it logs, and how it ends
///
/// Ctrl-C ends the following and leaves the run alone. Exit status: 0 if the run succeeded, or was accepted with
/// --no-wait; 1 if it did not succeed; 4 if it was refused; 124 if no instance took it in time.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunNow {
    /// The task
    pub(super) task: String,
    /// Its parameters, as JSON; `-` reads them from standard input, where others cannot see them
    #[arg(long, value_name = "JSON")]
    params: Option<String>,
    /// The instant, in the past, whose work it is to do again
    #[arg(long, value_name = "TIME", value_parser = specs::instant)]
    as_of: Option<DateTime<Utc>>,
    /// Waits for a run of the task that goes on, up to ten minutes
    #[arg(long)]
    queue: bool,
    /// Runs although the task is paused
    #[arg(long)]
    even_if_paused: bool,
    /// The instance that is to run it, by the beginning of its id
    #[arg(long, value_name = "INSTANCE")]
    on: Option<String>,
    /// A key for this request: asked for again with the same one within a day, it is not run twice
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Does not wait for its end, and prints the id of the run
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for its end
    #[arg(long, value_name = "LENGTH", value_parser = when::read_length)]
    timeout: Option<Duration>,
    /// Runs it in this process, under its lock, with the code of this program or the tasks of a file; Ctrl-C asks it to
    /// end
    #[arg(long, group = "in_process", conflicts_with_all = ["on", "key", "no_wait", "timeout"])]
    here: bool,
    /// As --here, but without the lock: a run of it elsewhere may go on at the same time
    #[arg(long, group = "in_process", conflicts_with_all = ["on", "key", "no_wait", "timeout", "queue"])]
    pub(super) no_lock: bool,
    /// With --here or --no-lock, of `tasklock`: the file of tasks [default: TASKLOCK_CONFIG, or tasks.toml]
    #[cfg(all(feature = "standalone", unix))]
    #[arg(short, long, value_name = "FILE", requires = "in_process")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) asker: Asker,
    #[command(flatten)]
    output: Output,
}

impl RunNow {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let instance = match &self.on {
            Some(instance) => Some(instance_id(fleet, instance).await?),
            None => None,
        };
        let act = Act::Run(self.wanted(instance)?);
        let by = self.asker.by()?;
        let mut waiting = Waiting::begin();
        waiting.show("waits for an instance");
        let done = fleet.act(&act, &by).await;
        waiting.clear();
        let done = done?;
        note(&done.text);
        if self.no_wait {
            done.runs.iter().for_each(say);
            return Ok(Status::Done);
        }
        let follow = Follow {
            timeout: self.timeout,
            may_wait: self.queue,
            format: Format::Text,
            is_silent: self.output.is_data(),
            since: None,
        };
        let mut status = Status::Done;
        for id in done.runs {
            let run = follow.run(fleet, id).await?;
            if self.tell(&run)? == Status::Failed {
                status = Status::Failed;
            }
        }
        Ok(status)
    }

    /// Whether it is to run in this process.
    pub(crate) fn is_here(&self) -> bool {
        self.here || self.no_lock
    }

    /// Says how a run has ended, and what follows for whoever called.
    pub(super) fn tell(&self, run: &Run) -> Result<Status, Failure> {
        if !self.output.wrote(run)? {
            say(ended(run));
        }
        Ok(match run.outcome {
            Some(Outcome::Success) => Status::Done,
            _ => Status::Failed,
        })
    }

    /// The run that is wanted, there.
    pub(super) fn wanted(&self, instance: Option<String>) -> Result<Wanted, Failure> {
        Ok(Wanted {
            task: self.task.clone(),
            params: self.params.as_deref().map(params).transpose()?,
            due_at: self.as_of,
            if_running: match self.queue {
                true => IfRunning::Queue,
                false => IfRunning::Refuse,
            },
            if_paused: match self.even_if_paused {
                true => IfPaused::Run,
                false => IfPaused::Refuse,
            },
            instance,
            key: self.key.clone(),
        })
    }
}

fn params(text: &str) -> Result<String, Failure> {
    let mut read = String::new();
    let text = match text {
        "-" => {
            let input = std::io::stdin().lock().take(LONGEST + 1);
            let done = { input }.read_to_string(&mut read);
            done.map_err(|e| Failure::failed(format!("cannot read standard input: {e}")))?;
            read.trim()
        }
        text => text,
    };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => Ok(text.to_owned()),
        // What was written may be secret.
        Err(e) => Err(Failure::usage(format!(
            "the parameters are no JSON: line {}, column {}",
            e.line(),
            e.column()
        ))),
    }
}
