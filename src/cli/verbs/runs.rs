//! `runs`: what was run.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;

use crate::board::Run;
use crate::cli::fleet::{Fleet, RunsAsked};
use crate::cli::format::{Output, print};
use crate::cli::status::{Failure, Status};
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::Terminal;
use crate::cli::when::{self, Moment};
use crate::event::Outcome;
use crate::time::{Clock, SystemClock};

/// Lists runs.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Runs {
    /// Only those of this task
    task: Option<String>,
    /// Only those that ended so
    #[arg(long, value_name = "WORD", value_parser = outcome())]
    outcome: Option<Outcome>,
    /// Only those that started since then: 24h, or 2030-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Only those that have not ended
    #[arg(long, conflicts_with_all = ["outcome", "since"])]
    running: bool,
    /// How many at the most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    #[command(flatten)]
    output: Output,
}

/// Since when: so long ago, or an instant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    Ago(std::time::Duration),
    At(Moment),
}

pub(crate) fn since(text: &str) -> Result<Since, String> {
    match when::read_length(text) {
        Ok(length) => Ok(Since::Ago(length)),
        Err(_) => when::read_moment(text)
            .map(Since::At)
            .map_err(|e| format!("{e}, or so long ago as 24h")),
    }
}

impl Since {
    pub(crate) fn instant(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Since::Ago(length) => now.checked_sub_signed(chrono::TimeDelta::from_std(length).ok()?),
            Since::At(moment) => moment.last(now, Tz::UTC),
        }
    }
}

fn outcome() -> impl TypedValueParser<Value = Outcome> {
    let words = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    PossibleValuesParser::new(words).map(|word| {
        let known = Outcome::ALL.iter().find(|outcome| outcome.as_str() == word);
        known.copied().unwrap_or(Outcome::Success)
    })
}

impl Runs {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        if let Some(task) = &self.task {
            fleet.task(task).await?;
        }
        let now = SystemClock.now();
        let asked = RunsAsked {
            task: self.task,
            outcome: self.outcome,
            since: self.since.and_then(|since| since.instant(now)),
            is_running: self.running,
            most: usize::from(self.count),
        };
        let runs = fleet.runs(&asked).await?;
        if !self.output.wrote(&runs)? {
            print(&table(&runs, now).render(&Terminal::stdout()));
        }
        Ok(Status::Done)
    }
}

pub(crate) fn table(runs: &[Run], now: DateTime<Utc>) -> Table<8> {
    let mut table = Table::new([
        "RUN", "TASK", "OUTCOME", "TRIGGER", "STARTED", "TOOK", "INSTANCE", "ERROR",
    ])
    .without(&["TRIGGER", "INSTANCE"]);
    for run in runs {
        let word = run.outcome.map_or("running", |outcome| outcome.as_str());
        let error = run.error.as_ref().map(|error| error.message.clone());
        let by = run
            .trigger
            .actor
            .as_ref()
            .map(|actor| format!(" by {actor}"));
        let trigger = format!("{}{}", run.trigger.kind, by.unwrap_or_default());
        table.row([
            (&run.id).into(),
            (&run.task).into(),
            Cell::word(word),
            trigger.into(),
            when::ago(run.started_at.0, now).into(),
            run.duration_s.map(when::took).unwrap_or_default().into(),
            (&run.instance).into(),
            error
                .or_else(|| run.status.clone())
                .unwrap_or_default()
                .into(),
        ]);
    }
    table
}
