//! `logs`: what a run has logged.

use std::time::Duration;

use crate::cli::fleet::{Fleet, RunsAsked};
use crate::cli::format::{Output, note};
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::follow::{Follow, ended, show};
use crate::task::RunId;

/// How often it is looked for the next run.
const LOOK: Duration = Duration::from_millis(500);

/// Shows what a run has logged.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Logs {
    /// The id of a run, or a task: its last run
    #[arg(value_name = "RUN|TASK")]
    what: String,
    /// Goes on until the run has ended; of a task, with each run that follows, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: Output,
}

impl Logs {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        if let Ok(id) = self.what.parse::<RunId>() {
            let run = fleet.run(id).await?;
            if self.follow && run.as_ref().is_none_or(|run| run.outcome.is_none()) {
                // One that was just asked for may not be known yet.
                self.follow(fleet, id).await?;
            } else if run.is_none() {
                return Err(Failure::not_found(format!("no run {id} is known")));
            } else {
                show(&fleet.lines(id, 0).await?, self.output.is_json())?;
            }
            return Ok(Status::Done);
        }
        fleet.task(&self.what).await?;
        let mut shown: Option<RunId> = None;
        loop {
            match self.last(fleet).await? {
                Some(id) if shown < Some(id) => {
                    shown = Some(id);
                    note(format_args!("run {id}"));
                    if self.follow {
                        self.follow(fleet, id).await?;
                    } else {
                        show(&fleet.lines(id, 0).await?, self.output.is_json())?;
                    }
                }
                None if !self.follow => {
                    return Err(Failure::not_found(format!(
                        "task {} has not run yet",
                        self.what
                    )));
                }
                _ => {}
            }
            if !self.follow {
                return Ok(Status::Done);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn last(&self, fleet: &dyn Fleet) -> Result<Option<RunId>, Failure> {
        let asked = RunsAsked {
            task: Some(self.what.clone()),
            most: 1,
            ..RunsAsked::default()
        };
        let runs = fleet.runs(&asked).await?;
        Ok(runs.first().and_then(|run| run.id.parse().ok()))
    }

    async fn follow(&self, fleet: &dyn Fleet, id: RunId) -> Result<(), Failure> {
        let follow = Follow {
            timeout: None,
            may_wait: false,
            is_json: self.output.is_json(),
            is_silent: false,
        };
        note(ended(&follow.run(fleet, id).await?));
        Ok(())
    }
}
