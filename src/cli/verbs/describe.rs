//! `describe`: all that is known of a task.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::board::Task;
use crate::cli::fleet::{Fleet, RunsAsked};
use crate::cli::format::{Output, print};
use crate::cli::status::{Failure, Status};
use crate::cli::terminal::{Colour, Terminal};
use crate::cli::verbs::{next, runs};
use crate::cli::when;
use crate::text::contained_line;
use crate::time::{Clock, SystemClock};

/// How many of its last runs and next fire times are shown.
const SHOWN: usize = 5;
/// The longest line, in bytes.
const LONGEST: usize = 600;

/// Describes a task.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Describe {
    /// The task
    task: String,
    #[command(flatten)]
    output: Output,
}

impl Describe {
    pub(crate) async fn run(self, fleet: &dyn Fleet) -> Result<Status, Failure> {
        let task = fleet.task(&self.task).await?;
        if self.output.wrote(&task)? {
            return Ok(Status::Done);
        }
        let (terminal, now) = (Terminal::stdout(), SystemClock.now());
        let zone: Tz = task.schedule.timezone.parse().unwrap_or(Tz::UTC);
        let mut text = String::new();
        let heading = format!(
            "{}   {}",
            task.name,
            terminal.paint(Colour::of(task.health.as_str()), task.health.as_str())
        );
        text.push_str(&heading);
        text.push('\n');
        for (name, value) in facts(&task, zone, now) {
            text.push_str(&format!(
                "{:<12} {}\n",
                format!("{name}:"),
                contained_line(&value, LONGEST)
            ));
        }
        let fires = fleet.fires(&task.name, now, SHOWN).await?;
        if !fires.is_empty() {
            text.push_str("\nnext\n");
        }
        text.push_str(&next::lines(&fires, zone, now, "  "));
        let asked = RunsAsked {
            task: Some(task.name.clone()),
            most: SHOWN,
            ..RunsAsked::default()
        };
        // Of a program without a history there are none.
        let last = fleet.runs(&asked).await.unwrap_or_default();
        if !last.is_empty() {
            text.push_str("\nlast runs\n");
            text.push_str(&runs::table(&last, now).render(&terminal));
        }
        print(&text);
        Ok(Status::Done)
    }
}

fn facts(task: &Task, zone: Tz, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |name, value: String| {
        if !value.is_empty() {
            facts.push((name, value));
        }
    };
    add("description", task.description.clone().unwrap_or_default());
    add("tags", task.tags.join(", "));
    let source = task
        .source
        .as_ref()
        .map(|source| format!(", {source}"))
        .unwrap_or_default();
    add("kind", format!("{}{source}", task.kind));
    let schedule = &task.schedule;
    add("schedule", format!("{}   {}", schedule.cron, schedule.text));
    if let Some(other) = &schedule.other {
        add(
            "override",
            format!(
                "{}   {}   by {} until {}: {}",
                other.cron,
                other.text,
                other.actor,
                when::by_clock(other.until.0, zone),
                other.reason
            ),
        );
    }
    for lint in &schedule.lint {
        add("warning", lint.text.clone());
    }
    if let Some(pause) = &task.pause {
        let whose = next::by_and_until(pause, zone);
        add("paused", format!("yes{whose}: {}", pause.reason));
    }
    let near =
        |at: DateTime<Utc>| format!("{}   {}", when::by_clock(at, zone), when::from_now(at, now));
    add(
        "due",
        task.next_fire_at.map(|at| near(at.0)).unwrap_or_default(),
    );
    add(
        "deadline",
        task.success_deadline_at
            .map(|at| near(at.0))
            .unwrap_or_default(),
    );
    for run in &task.active {
        add(
            "running",
            format!(
                "{} on {}, started {}",
                run.id,
                run.instance,
                when::ago(run.started_at.0, now)
            ),
        );
    }
    add(
        "succeeded",
        task.last_success_at
            .map(|at| near(at.0))
            .unwrap_or_default(),
    );
    add(
        "failed",
        task.last_failure_at
            .map(|at| near(at.0))
            .unwrap_or_default(),
    );
    if task.consecutive_failures > 0 {
        let error = task.last_run.as_ref().and_then(|run| run.error.clone());
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        add(
            "failures",
            format!("{} in a row{error}", task.consecutive_failures),
        );
    }
    let stats = &task.stats;
    let ratio = stats
        .success_ratio
        .map(|ratio| format!(", {:.1}% succeeded", ratio * 100.0));
    let times = stats.p50_s.zip(stats.p95_s);
    let times =
        times.map(|(p50, p95)| format!(", p50 {}, p95 {}", when::took(p50), when::took(p95)));
    add(
        "statistics",
        format!(
            "{} runs in {}{}{}",
            stats.runs,
            when::length(
                std::time::Duration::try_from_secs_f64(stats.window_s).unwrap_or_default()
            ),
            ratio.unwrap_or_default(),
            times.unwrap_or_default()
        ),
    );
    add("policy", policy(task));
    let drift = if task.drift { "; they differ" } else { "" };
    add(
        "registered",
        format!(
            "on {} of {} instances{drift}",
            task.registered_on, task.instances
        ),
    );
    facts
}

/// `overlap skip, timeout_s 120, …`, as the JSON has it.
fn policy(task: &Task) -> String {
    let value = serde_json::to_value(&task.policy).unwrap_or_default();
    let Some(settings) = value.as_object() else {
        return String::new();
    };
    let said =
        settings
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name} {text}"),
                None => format!("{name} {value}"),
            });
    said.collect::<Vec<_>>().join(", ")
}
