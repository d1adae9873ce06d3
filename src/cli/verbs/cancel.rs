//! `cancel`: a run that goes on.

use std::time::Duration;

use crate::cli::fleet::{Act, Fleet};
use crate::cli::format::say;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::asker::Asker;
use crate::cli::when;
use crate::task::RunId;

/// Asks a run to end, wherever it is
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cancel {
    /// The id of the run, or its task if one run of it goes on
    #[arg(value_name = "RUN|TASK")]
    what: String,
    /// Drops it at once
    #[arg(long, conflicts_with = "grace")]
    abort: bool,
    /// How long it may take to end by itself [default: what its policy says]
    #[arg(long, value_name = "LENGTH", value_parser = when::read_length)]
    grace: Option<Duration>,
    #[command(flatten)]
    asker: Asker,
}

impl Cancel {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let run = match self.what.parse::<RunId>() {
            Ok(id) => id,
            Err(_) => active(fleet, &self.what).await?,
        };
        let grace = match self.abort {
            true => Some(Duration::ZERO),
            false => self.grace,
        };
        let done = fleet
            .act(&Act::Cancel { run, grace }, &self.asker.by()?)
            .await?;
        say(done.text);
        Ok(Status::Done)
    }
}

/// The one run of a task that goes on.
async fn active(fleet: &dyn Fleet, name: &str) -> Result<RunId, Failure> {
    let task = fleet.task(name).await?;
    match task.active.as_slice() {
        [one] => one.id.parse().map_err(Failure::from),
        [] => Err(Failure::not_found(format!("no run of {name} goes on"))),
        several => {
            let ids: Vec<&str> = several.iter().map(|run| run.id.as_str()).collect();
            let text = format!(
                "several runs of {name} go on: say which of {}",
                ids.join(", ")
            );
            Err(Failure::usage(text))
        }
    }
}
