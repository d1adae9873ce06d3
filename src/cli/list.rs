//! `list`: the tasks of this program.

use crate::cli::say;
use crate::cli::status::{Failure, Status};
use crate::scheduler::{Scheduler, TaskSnapshot};

/// Lists the tasks of this program.
#[derive(Debug, Clone, clap::Args)]
pub struct List {
    /// How to list them
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; its shape stays
    Json,
}

impl List {
    pub(super) async fn run(
        self,
        build: impl AsyncFnOnce() -> Result<Scheduler, Failure>,
    ) -> Result<Status, Failure> {
        let handle = build().await?.handle();
        let tasks = handle.tasks();
        match self.output {
            Format::Text => say(table(&tasks).trim_end()),
            Format::Json => say(serde_json::Value::from_iter(tasks.iter().map(json))),
        }
        Ok(Status::Done)
    }
}

fn json(task: &TaskSnapshot) -> serde_json::Value {
    serde_json::json!({
        "name": task.name.as_str(),
        "schedule": { "spec": &*task.spec, "timezone": task.timezone.name() },
        "timeout_s": task.timeout.as_secs_f64(),
    })
}

fn table(tasks: &[TaskSnapshot]) -> String {
    let mut rows = vec![["NAME", "SCHEDULE", "ZONE"].map(str::to_owned)];
    for task in tasks {
        rows.push([
            task.name.to_string(),
            task.spec.to_string(),
            task.timezone.name().to_owned(),
        ]);
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (name, spec) = (width(0), width(1));
    let lines = rows
        .iter()
        .map(|[n, s, z]| format!("{n:<name$}  {s:<spec$}  {z}\n"));
    lines.collect()
}
