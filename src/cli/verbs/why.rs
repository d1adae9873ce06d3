//! `why`: what became of an instant.

use chrono_tz::Tz;

use crate::cli::fleet::Fleet;
use crate::cli::format::{Output, print, say};
use crate::cli::specs;
use crate::cli::status::{Failure, Status};
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::Terminal;
use crate::cli::when::{self, Moment};
use crate::text::contained;
use crate::time::{Clock, SystemClock};

/// Says why a task ran at an instant, or did not
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Why {
    /// The task
    task: String,
    /// The instant: 2030-01-31T09:00:00Z, or 14:00 for the last such time
    #[arg(long, value_name = "TIME", value_parser = when::read_moment)]
    at: Moment,
    /// The zone of a time of the day [default: that of the task]
    #[arg(long, value_name = "ZONE", value_parser = specs::zone)]
    tz: Option<Tz>,
    #[command(flatten)]
    output: Output,
}

impl Why {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let task = fleet.task(&self.task).await?;
        let zone = self
            .tz
            .or_else(|| task.schedule.timezone.parse().ok())
            .unwrap_or(Tz::UTC);
        let at = self.at.last(SystemClock.now(), zone);
        let at = at.ok_or_else(|| Failure::usage("--at is no time of that zone"))?;
        let why = fleet.why(&self.task, at).await?;
        if self.output.wrote(&why)? {
            return Ok(Status::Done);
        }
        say(contained(&why.text, 2_000));
        if !why.decisions.is_empty() {
            let mut table = Table::new(["INSTANCE", "DECISION", "BECAUSE OF"]);
            for decided in &why.decisions {
                table.row([
                    (&decided.instance).into(),
                    Cell::word(decided.decision.as_str()),
                    decided.holder.clone().unwrap_or_default().into(),
                ]);
            }
            print(&table.render(&Terminal::stdout()));
        }
        Ok(Status::Done)
    }
}
