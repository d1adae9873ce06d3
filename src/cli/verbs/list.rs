//! `list`: the tasks, those first that somebody should look at.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::board::{Health, Task};
use crate::cli::fleet::Fleet;
use crate::cli::format::{Format, note, print, say};
use crate::cli::status::{Failure, Status};
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::{Colour, Terminal};
use crate::cli::when;
use crate::time::{Clock, SystemClock};

/// Lists the tasks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct List {
    /// How to write them
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Form,
    /// Only those whose health is one of these: overdue, failing, late, paused, new, healthy, disabled
    #[arg(long, value_name = "WORDS", value_delimiter = ',', value_parser = health)]
    health: Vec<Health>,
    /// Only those with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Shows them again and again, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// How often, with --watch
    #[arg(long, value_name = "LENGTH", default_value = "2s", value_parser = when::read_length)]
    interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    #[value(alias = "text")]
    Table,
    /// For people with wide terminals
    Wide,
    /// For programs: an array of tasks; its shape stays
    Json,
    /// The same as YAML
    Yaml,
    /// For scripts: a name on each line
    Name,
}

fn health(word: &str) -> Result<Health, String> {
    let known = Health::ALL
        .into_iter()
        .find(|health| health.as_str() == word);
    known.ok_or_else(|| {
        let words: Vec<&str> = Health::ALL.iter().map(|health| health.as_str()).collect();
        format!("expected one of {}", words.join(", "))
    })
}

impl List {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        loop {
            let mut tasks = fleet.tasks().await?;
            tasks.retain(|task| self.health.is_empty() || self.health.contains(&task.health));
            tasks.retain(|task| self.tag.as_ref().is_none_or(|tag| task.tags.contains(tag)));
            let terminal = Terminal::stdout();
            if self.watch && terminal.width.is_some() {
                print("\u{1b}[H\u{1b}[2J");
            }
            self.show(&tasks, &terminal)?;
            if !self.watch {
                return Ok(Status::Done);
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    fn show(&self, tasks: &[Task], terminal: &Terminal) -> Result<(), Failure> {
        let now = SystemClock.now();
        match self.output {
            Form::Json => drop(Format::Json.wrote(&tasks)?),
            Form::Yaml => drop(Format::Yaml.wrote(&tasks)?),
            Form::Name => tasks.iter().for_each(|task| say(&task.name)),
            Form::Table => {
                print(&table(tasks, now).render(terminal));
                note(footer(tasks));
            }
            Form::Wide => {
                print(&wide(tasks, now).render(terminal));
                note(footer(tasks));
            }
        }
        Ok(())
    }
}

const HEADS: [&str; 8] = [
    "HEALTH", "NAME", "SCHEDULE", "ZONE", "PAUSED", "RUNNING", "LAST", "NEXT",
];

fn table(tasks: &[Task], now: DateTime<Utc>) -> Table<8> {
    let mut table = Table::new(HEADS).without(&["ZONE", "PAUSED", "RUNNING"]);
    tasks.iter().for_each(|task| table.row(cells(task, now)));
    table
}

fn wide(tasks: &[Task], now: DateTime<Utc>) -> Table<15> {
    let [health, name, schedule, zone, paused, running, last, next] = HEADS;
    let mut table = Table::new([
        health, name, schedule, zone, paused, running, last, next, "OUTCOME", "TOOK", "FAILURES",
        "SUCCESS", "P95", "ON", "TAGS",
    ]);
    for task in tasks {
        let [health, name, schedule, zone, paused, running, last, next] = cells(task, now);
        let run = task.last_run.as_ref();
        let took = run
            .and_then(|run| run.duration_s)
            .map(when::took)
            .unwrap_or_default();
        let failures = match task.consecutive_failures {
            0 => Cell::from(""),
            n => Cell::from(n.to_string()).in_colour(Colour::Bad),
        };
        let ratio = task
            .stats
            .success_ratio
            .map(|ratio| format!("{:.1}%", ratio * 100.0));
        let p95 = task.stats.p95_s.map(when::took);
        table.row([
            health,
            name,
            schedule,
            zone,
            paused,
            running,
            last,
            next,
            run.map(|run| Cell::word(run.outcome.as_str()))
                .unwrap_or_else(|| "".into()),
            took.into(),
            failures,
            ratio.unwrap_or_default().into(),
            p95.unwrap_or_default().into(),
            format!(
                "{}/{}{}",
                task.registered_on,
                task.instances,
                if task.drift { " drift" } else { "" }
            )
            .into(),
            task.tags.join(",").into(),
        ]);
    }
    table
}

fn cells(task: &Task, now: DateTime<Utc>) -> [Cell; 8] {
    let other = task.schedule.other.as_ref();
    let name = match other {
        Some(_) => format!("{}*", task.name),
        None => task.name.clone(),
    };
    let (cron, zone) = match other {
        Some(other) => (&other.cron, &other.timezone),
        None => (&task.schedule.cron, &task.schedule.timezone),
    };
    let last = task
        .last_run
        .as_ref()
        .map(|run| when::ago(run.ended_at.0, now));
    [
        Cell::word(task.health.as_str()),
        name.into(),
        cron.into(),
        zone.into(),
        paused(task, now).into(),
        running(task).into(),
        last.unwrap_or_default().into(),
        next(task, now),
    ]
}

/// How long it is paused for.
fn paused(task: &Task, now: DateTime<Utc>) -> String {
    let until = task.pause.as_ref().map(|pause| pause.until);
    match until {
        None => String::new(),
        Some(None) => "yes".to_owned(),
        Some(Some(until)) => when::length((until.0 - now).to_std().unwrap_or_default()),
    }
}

/// Where it runs.
fn running(task: &Task) -> String {
    match task.active.split_first() {
        None => String::new(),
        Some((one, [])) => one.instance.clone(),
        Some((one, others)) => format!("{} +{}", one.instance, others.len()),
    }
}

/// When it is due, or since when it is overdue.
fn next(task: &Task, now: DateTime<Utc>) -> Cell {
    if task.health == Health::Overdue
        && let Some(deadline) = task.success_deadline_at
    {
        let late = (now - deadline.0).to_std().unwrap_or_default();
        return Cell::from(format!("overdue {}", when::length(late))).in_colour(Colour::Bad);
    }
    let next = task
        .next_fire_at
        .map(|at| (at.0 - now).to_std().unwrap_or_default());
    next.map(when::length).unwrap_or_default().into()
}

/// `24 tasks: 2 need attention, 1 paused, 1 running.  * schedule override`.
fn footer(tasks: &[Task]) -> String {
    let count = |fits: &dyn Fn(&&Task) -> bool| tasks.iter().filter(fits).count();
    let parts = [
        (
            count(&|task| task.health.needs_attention()),
            "need attention",
        ),
        (count(&|task| task.pause.is_some()), "paused"),
        (count(&|task| task.running), "running"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    let all = match tasks.len() {
        1 => "1 task".to_owned(),
        n => format!("{n} tasks"),
    };
    let override_ = match count(&|task| task.schedule.other.is_some()) {
        0 => "",
        _ => "  * schedule override",
    };
    match parts.is_empty() {
        true => format!("{all}.{override_}"),
        false => format!("{all}: {}.{override_}", parts.join(", ")),
    }
}
