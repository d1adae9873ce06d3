//! Runs: of a task, of all, and one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::api::tasks::{MOST, entry, no_task};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Page, Reply};
use crate::board::{Run, RunState, Stamp};
use crate::event::{Outcome, Trigger};
use crate::history::{RunQuery, RunRecord};
use crate::task::{RunId, TaskName};

/// So many pages of the history are looked through for one answer.
const PAGES: usize = 5;

/// Which runs of a task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TaskRunsQuery {
    /// Only those that ended so.
    #[schemars(with = "Option<String>")]
    outcome: Option<Outcome>,
    /// Only those that began for this reason.
    #[schemars(with = "Option<String>")]
    trigger: Option<Trigger>,
    /// Only those that started at this instant or later.
    since: Option<Stamp>,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 200 at the most. Default: 50.
    limit: Option<usize>,
}

/// Which runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RunsQuery {
    /// Only those that go on, or that have ended.
    state: Option<RunState>,
    /// Only those that ended so.
    #[schemars(with = "Option<String>")]
    outcome: Option<Outcome>,
    /// Only those that began for this reason.
    #[schemars(with = "Option<String>")]
    trigger: Option<Trigger>,
    /// Only those of this task.
    task: Option<String>,
    /// Only those of this instance.
    instance: Option<String>,
    /// Only those that started at this instant or later.
    since: Option<Stamp>,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 200 at the most. Default: 50.
    limit: Option<usize>,
}

/// A name that may be one.
pub(super) fn name(text: &str) -> Result<TaskName, Problem> {
    text.parse()
        .map_err(|e: crate::error::Error| Problem::new("malformed-request", e.to_string()))
}

fn cursor(text: Option<&str>) -> Result<Option<RunId>, Problem> {
    let read = |text: &str| {
        text.parse().map_err(|e: crate::error::Error| {
            Problem::new("malformed-request", e.to_string()).at(
                "/query/cursor",
                e.to_string(),
                None,
            )
        })
    };
    text.map(read).transpose()
}

pub(super) async fn of_task(call: Call) -> Answer {
    let asked: TaskRunsQuery = call.query()?;
    let snapshot = call.state.board.look().await;
    let task = call.part("task").to_owned();
    let is_known = snapshot.entry(&task).is_some();
    let Ok(of) = task.parse::<TaskName>() else {
        return Err(no_task(&snapshot, &task));
    };
    let query = RunsQuery {
        outcome: asked.outcome,
        trigger: asked.trigger,
        since: asked.since,
        cursor: asked.cursor,
        limit: asked.limit,
        ..RunsQuery::default()
    };
    let page = found(&call, &query, RunQuery::of(of)).await?;
    if page.items.is_empty() && !is_known {
        entry(&snapshot, &task)?;
    }
    Reply::ok(&page)
}

pub(super) async fn all(call: Call) -> Answer {
    let query: RunsQuery = call.query()?;
    let base = match &query.task {
        Some(task) => RunQuery::of(name(task)?),
        None => RunQuery::all(),
    };
    Reply::ok(&found(&call, &query, base).await?)
}

async fn found(call: &Call, asked: &RunsQuery, base: RunQuery) -> Result<Page<Run>, Problem> {
    let history = call.history()?;
    let limit = asked.limit.unwrap_or(50).clamp(1, MOST);
    let fits = |run: &RunRecord| {
        let is_in = |state: RunState| (state == RunState::Running) == run.is_running();
        asked.state.is_none_or(is_in)
            && asked.trigger.is_none_or(|trigger| run.trigger == trigger)
            && asked
                .instance
                .as_ref()
                .is_none_or(|instance| run.instance == *instance)
    };
    let mut next = cursor(asked.cursor.as_deref())?;
    if asked.state == Some(RunState::Running) {
        let mut running = history.running(asked.instance.as_deref()).await?;
        running
            .retain(|run| base.fits(run) && fits(run) && next.is_none_or(|next| run.run_id < next));
        running.sort_by_key(|run| std::cmp::Reverse(run.run_id));
        let more = running.len() > limit;
        running.truncate(limit);
        let last = running.last().map(|run| run.run_id.to_string());
        return Ok(Page {
            items: running.iter().map(Run::of).collect(),
            next_cursor: last.filter(|_| more),
            stale_since: None,
        });
    }
    let mut query = base.limit(limit);
    if let Some(outcome) = asked.outcome {
        query = query.outcome(outcome);
    }
    if let Some(since) = asked.since {
        query = query.since(since.0);
    }
    let mut items: Vec<Run> = Vec::new();
    for _ in 0..PAGES {
        let page = match next {
            Some(before) => history.runs(&query.clone().before(before)).await?,
            None => history.runs(&query).await?,
        };
        next = page.next;
        for run in page.runs.iter().filter(|run| fits(run)) {
            items.push(Run::of(run));
            if items.len() == limit {
                // What is left of this page comes with the next one.
                let is_last = page
                    .runs
                    .last()
                    .is_some_and(|last| last.run_id == run.run_id);
                if !is_last || page.next.is_some() {
                    next = Some(run.run_id);
                }
                break;
            }
        }
        if items.len() >= limit || next.is_none() {
            break;
        }
    }
    Ok(Page {
        items,
        next_cursor: next.map(|id| id.to_string()),
        stale_since: None,
    })
}

pub(super) async fn one(call: Call) -> Answer {
    call.query::<crate::admin::api::tasks::Nothing>()?;
    let history = call.history()?;
    let id = call.run_id()?;
    let record = history.run(id).await?;
    let record = record.ok_or_else(|| call.no_run(call.part("id")))?;
    let log = history.log(id, 0).await?;
    let mut run = Run::of(&record);
    run.logs = Some(crate::board::Logs {
        lines: log.lines.len(),
        truncated: log.is_cut,
    });
    Reply::ok(&run)
}
