//! `logs`: what a run has logged.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::board::Run;
use crate::cli::fleet::{Fleet, RunsAsked};
use crate::cli::format::{Output, note};
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::follow::{Follow, ended, show};
use crate::cli::verbs::runs::{Since, since};
use crate::task::RunId;
use crate::time::{Clock, SystemClock};

/// How often it is looked for the next run.
const LOOK: Duration = Duration::from_millis(500);
/// Of so many runs the lines are shown that began since an instant.
const MOST: usize = 1_000;

/// Shows what a run has logged, or the last run of a task, or its runs since an instant
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Logs {
    /// The id of a run, or a task: its last run
    #[arg(value_name = "RUN|TASK")]
    what: String,
    /// Shows further lines until the run has ended; of a task, also those of the runs that follow, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only what was logged since then: 24h, or 2030-01-31T09:00:00Z; of a task, of all its runs that have
    /// begun since then, the oldest first
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    #[command(flatten)]
    output: Output,
}

impl Logs {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let since = self.since.and_then(|s| s.instant(SystemClock.now()));
        if let Ok(id) = self.what.parse::<RunId>() {
            let run = fleet.run(id).await?;
            if self.follow && run.as_ref().is_none_or(|run| run.outcome.is_none()) {
                // One that was just asked for may not be known yet.
                self.follow(fleet, id, since).await?;
            } else if run.is_none() {
                return Err(Failure::not_found(format!("no run {id} is known")));
            } else {
                self.show(fleet, id, since).await?;
            }
            return Ok(Status::Done);
        }
        fleet.task(&self.what).await?;
        let mut shown: Option<RunId> = None;
        for id in self.runs(fleet, since).await? {
            shown = Some(id);
            self.show_run(fleet, id, since).await?;
        }
        if !self.follow {
            return match (shown, since) {
                (None, None) => Err(Failure::not_found(format!(
                    "task {} has not run yet",
                    self.what
                ))),
                _ => Ok(Status::Done),
            };
        }
        loop {
            let last = self.runs(fleet, None).await?;
            if let Some(id) = last.first().filter(|id| shown < Some(**id)) {
                shown = Some(*id);
                self.show_run(fleet, *id, since).await?;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The runs that began since, the oldest first; the last one if no instant is given.
    async fn runs(
        &self,
        fleet: &dyn Fleet,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<RunId>, Failure> {
        let asked = RunsAsked {
            task: Some(self.what.clone()),
            since,
            most: if since.is_some() { MOST } else { 1 },
            ..RunsAsked::default()
        };
        let runs = fleet.runs(&asked).await?;
        let id = |run: &Run| run.id.parse().ok();
        Ok(runs.iter().rev().filter_map(id).collect())
    }

    /// One run of several.
    async fn show_run(
        &self,
        fleet: &dyn Fleet,
        id: RunId,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), Failure> {
        note(format_args!("run {id}"));
        match self.follow {
            true => self.follow(fleet, id, since).await,
            false => self.show(fleet, id, since).await,
        }
    }

    async fn show(
        &self,
        fleet: &dyn Fleet,
        id: RunId,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), Failure> {
        let mut lines = fleet.lines(id, 0).await?;
        lines.retain(|line| since.is_none_or(|since| line.at.0 >= since));
        show(&lines, self.output.output)
    }

    async fn follow(
        &self,
        fleet: &dyn Fleet,
        id: RunId,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), Failure> {
        let follow = Follow {
            timeout: None,
            may_wait: false,
            format: self.output.output,
            is_silent: false,
            since,
        };
        note(ended(&follow.run(fleet, id).await?));
        Ok(())
    }
}
