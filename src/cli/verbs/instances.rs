//! `instances`, `drain` and `undrain`: who there is.

use crate::cli::fleet::{Act, Fleet, instance_id};
use crate::cli::format::{Output, note, print, say};
use crate::cli::status::{Failure, Status};
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::Terminal;
use crate::cli::verbs::asker::{Asker, ReasonedAsker};
use crate::cli::when;
use crate::time::{Clock, SystemClock};

/// Lists the instances of the fleet
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Instances {
    #[command(flatten)]
    output: Output,
}

/// Has an instance take no new firings until it is undrained; its runs go on
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Drain {
    /// The instance, by the beginning of its id
    instance: String,
    #[command(flatten)]
    asker: ReasonedAsker,
}

/// Has an instance take firings again
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Undrain {
    /// The instance, by the beginning of its id
    instance: String,
    #[command(flatten)]
    asker: Asker,
}

impl Instances {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let instances = fleet.instances().await?;
        if self.output.wrote(&instances)? {
            return Ok(Status::Done);
        }
        let now = SystemClock.now();
        let mut table = Table::new([
            "STATE", "ID", "VERSION", "RUNNING", "TASKS", "UP", "HEARD", "CLOCK", "STORE",
        ])
        .without(&["STORE", "CLOCK", "UP", "TASKS"]);
        for instance in &instances {
            let running = match instance.limit {
                Some(limit) => format!("{}/{limit}", instance.running),
                None => instance.running.to_string(),
            };
            let ms = |s: f64| format!("{:.0}ms", s * 1e3);
            table.row([
                Cell::word(instance.state.as_str()),
                (&instance.id).into(),
                instance
                    .application
                    .as_ref()
                    .unwrap_or(&instance.version)
                    .into(),
                running.into(),
                instance.tasks.to_string().into(),
                when::length((now - instance.started_at.0).to_std().unwrap_or_default()).into(),
                when::ago(instance.said_at.0, now).into(),
                instance
                    .clock_skew_s
                    .map(|s| format!("{:+.0}ms", -s * 1e3))
                    .unwrap_or_default()
                    .into(),
                instance
                    .store_round_trip_s
                    .map(ms)
                    .unwrap_or_default()
                    .into(),
            ]);
        }
        print(&table.render(&Terminal::stdout()));
        note(fleet.summary().await?.instances.text);
        Ok(Status::Done)
    }
}

impl Drain {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let instance = instance_id(fleet, &self.instance).await?;
        say(fleet
            .act(&Act::Drain { instance }, &self.asker.by()?)
            .await?
            .text);
        Ok(Status::Done)
    }
}

impl Undrain {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let instance = match instance_id(fleet, &self.instance).await {
            // One that is gone may have left its rule.
            Err(failure) if failure.status == Status::NotFound => self.instance,
            known => known?,
        };
        say(fleet
            .act(&Act::Undrain { instance }, &self.asker.by()?)
            .await?
            .text);
        Ok(Status::Done)
    }
}
