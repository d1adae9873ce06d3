//! `next`: when tasks are due, or when a spec fires.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::json;

use crate::board::{Fire, Pause, Stamp};
use crate::cli::fleet::Fleet;
use crate::cli::format::{Output, note, print, say};
use crate::cli::specs::{FireTimes, MOST, Question};
use crate::cli::status::{Failure, Status};
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::cli::when;
use crate::task::TaskName;
use crate::text::contained_line;
use crate::time::{Clock, SystemClock};

/// The longest note beside a fire time, in bytes.
const LONGEST: usize = 600;

/// Prints when tasks are due next, or the next fire times of a spec
///
/// Of a spec: one RFC 3339 instant on a line, without a server. Exit status: 0 if all were printed; 3 if
/// there are fewer, after a last line `never`; 2 if the spec is refused, with the reason and the column on
/// standard error.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Next {
    #[command(flatten)]
    question: Question,

    /// How many fire times to print [default: 1 of a spec, 10 of a task]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MOST))]
    count: Option<i64>,

    /// Reads specs from standard input, one on a line, and answers each with a line of JSON
    ///
    /// A line is a spec, or a JSON object with `spec` and, where they differ from the options,
    /// `after`, `count`, `tz` and `dst`. The exit status is 0 whatever the answers are.
    #[arg(long, conflicts_with = "what")]
    stdin: bool,

    #[command(flatten)]
    output: Output,

    /// The task, or a spec: put that in quotes, and `--` before it. Default: all tasks, in the order in which
    /// they are due
    #[arg(value_name = "TASK|SPEC")]
    what: Option<String>,
}

impl Next {
    pub(crate) async fn run(
        self,
        reach: impl AsyncFnOnce() -> Result<Box<dyn Fleet>, Failure>,
    ) -> Result<Status, Failure> {
        let is_name = |text: &str| text.parse::<TaskName>().is_ok();
        match &self.what {
            Some(what) if is_name(what) => self.of_task(&*reach().await?, what).await,
            None if !self.stdin => {
                let fleet = reach().await.map_err(|failure| match failure.status {
                    Status::Usage => Failure::usage(format!("{}; or give a SPEC", failure.text)),
                    _ => failure,
                })?;
                self.of_all(&*fleet).await
            }
            what => {
                let asked = FireTimes {
                    question: self.question.clone(),
                    count: self.count(1),
                    format: self.output.output,
                };
                asked.run(what.as_deref())
            }
        }
    }

    fn count(&self, usual: usize) -> usize {
        let count = self.count.and_then(|count| usize::try_from(count).ok());
        count.unwrap_or(usual)
    }

    async fn of_task(&self, fleet: &dyn Fleet, name: &str) -> Result<Status, Failure> {
        let task = fleet.task(name).await?;
        let count = self.count(10);
        let fires = fleet
            .fires(name, self.question.after(), count.min(10_000))
            .await?;
        let status = match fires.is_empty() {
            true => Status::NotFound,
            false => Status::Done,
        };
        if self.output.wrote(&fires)? {
            return Ok(status);
        }
        let own = || task.schedule.timezone.parse().unwrap_or(Tz::UTC);
        let zone = self.question.tz.unwrap_or_else(own);
        let now = SystemClock.now();
        print(&lines(&fires, zone, now, ""));
        if fires.is_empty() {
            say("never, as far as a clock can tell");
        }
        if let Some(pause) = &task.pause {
            let whose = by_and_until(pause, zone);
            let text = format!("note: paused{whose} ({:?})", pause.reason);
            note(contained_line(&text, 1_000));
        }
        Ok(status)
    }

    async fn of_all(&self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let tasks = fleet.tasks().await?;
        let mut due: Vec<(DateTime<Utc>, &str, Tz)> = tasks
            .iter()
            .filter_map(|task| {
                let own = || task.schedule.timezone.parse().unwrap_or(Tz::UTC);
                let zone = self.question.tz.unwrap_or_else(own);
                Some((task.next_fire_at?.0, task.name.as_str(), zone))
            })
            .collect();
        due.sort_unstable_by_key(|(at, name, _)| (*at, *name));
        due.truncate(self.count(usize::MAX));
        let all = due
            .iter()
            .map(|(at, task, _)| json!({ "task": task, "at": Stamp(*at) }));
        if self.output.wrote(&all.collect::<Vec<_>>())? {
            return Ok(Status::Done);
        }
        let now = SystemClock.now();
        let mut table = Table::new(["NAME", "DUE", "IN"]);
        for (at, name, zone) in due {
            let left = when::length((at - now).to_std().unwrap_or_default());
            table.row([name.into(), when::by_clock(at, zone).into(), left.into()]);
        }
        print(&table.render(&Terminal::stdout()));
        Ok(Status::Done)
    }
}

/// Fire times as people read them, a line for each.
pub(crate) fn lines(fires: &[Fire], zone: Tz, now: DateTime<Utc>, indentation: &str) -> String {
    let mut lines = String::new();
    for Fire {
        at,
        note,
        held_back,
        ..
    } in fires
    {
        let (clock, left) = (when::by_clock(at.0, zone), when::from_now(at.0, now));
        lines.push_str(&format!("{indentation}{clock}   {left}"));
        for said in note.iter().chain(held_back) {
            lines.push_str(&format!("   {}", contained_line(said, LONGEST)));
        }
        lines.push('\n');
    }
    lines
}

/// ` by ana until Mon 2026-11-23 08:00:00 CET`.
pub(crate) fn by_and_until(pause: &Pause, zone: Tz) -> String {
    let by = pause.actor.as_ref().map(|actor| format!(" by {actor}"));
    let until = pause
        .until
        .map(|until| format!(" until {}", when::by_clock(until.0, zone)));
    format!("{}{}", by.unwrap_or_default(), until.unwrap_or_default())
}
