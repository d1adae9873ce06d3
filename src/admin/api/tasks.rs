//! Tasks: all of them, one, its fire times, and why it did not run.

use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Page, Reply, settings_of};
use crate::board::{Entry, Health, Snapshot, Stamp, Task};
use crate::control;
use crate::text::contained_line;

/// The most items of a list.
pub(super) const MOST: usize = 200;
/// The longest range of time that is looked at.
pub(super) const LONGEST: TimeDelta = TimeDelta::days(31);

/// Which tasks, and in which order.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TasksQuery {
    /// Only those of these health words, with commas between them.
    health: Option<String>,
    /// Only those with this tag.
    tag: Option<String>,
    /// Only those with this text in their name or description.
    q: Option<String>,
    /// Only those of this kind; `code` for those of code.
    kind: Option<String>,
    /// In which order. Default: worst first.
    sort: Sort,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 200 at the most. Default: 100.
    limit: Option<usize>,
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// The worst first.
    #[default]
    Worst,
    /// By name.
    Name,
    /// That which fires next first.
    Next,
    /// That which ended last first.
    Last,
}

/// Which fire times.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FiresQuery {
    /// Those after this instant. Default: now.
    from: Option<Stamp>,
    /// Those up to this instant, 31 days after the first at the most. Default: as late as that.
    to: Option<Stamp>,
    /// How many, 100 at the most. Default: 10.
    limit: Option<usize>,
}

/// Which instant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyQuery {
    /// The instant, as RFC 3339.
    at: Stamp,
}

/// That there is no such task, and which there are.
pub(super) fn no_task(snapshot: &Snapshot, name: &str) -> Problem {
    let shown = contained_line(name, 128);
    let problem = Problem::new("task-not-found", format!("no task {shown:?} is known"));
    problem.with("did_you_mean", snapshot.similar(name))
}

/// The entry of a task in a snapshot.
pub(super) fn entry<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Entry, Problem> {
    snapshot.entry(name).ok_or_else(|| no_task(snapshot, name))
}

/// What a task's tag says of what people can change of it.
pub(super) fn settings(entry: &Entry) -> String {
    settings_of(&entry.task, entry.facts.version)
}

/// One task as it is now.
pub(super) fn shown(entry: &Entry, status: StatusCode) -> Answer {
    let reply = Reply::tagged(status, &entry.task, &settings(entry))?;
    Ok(reply.shown_at(page_of(&entry.task.name)))
}

/// The page of a task. Names need no escapes in addresses.
pub(super) fn page_of(task: &str) -> String {
    format!("/tasks/{task}")
}

pub(super) async fn list(call: Call) -> Answer {
    let query: TasksQuery = call.query()?;
    let snapshot = call.state.board.look().await;
    let words: Option<Vec<&str>> = query
        .health
        .as_deref()
        .map(|words| words.split(',').collect());
    if let Some(words) = &words {
        let is_none = |word: &&&str| !Health::ALL.iter().any(|known| known.as_str() == **word);
        if let Some(word) = words.iter().find(is_none) {
            let text = format!("{:?} is no health word", contained_line(word, 40));
            return Err(Problem::new("malformed-request", &text).at("/query/health", &text, None));
        }
    }
    let text = query.q.as_deref().map(str::to_lowercase);
    let fits = |task: &&Task| {
        let is_of = |words: &Vec<&str>| words.contains(&task.health.as_str());
        let has = |text: &String| {
            let description = task.description.as_deref().unwrap_or_default();
            task.name.to_lowercase().contains(text) || description.to_lowercase().contains(text)
        };
        words.as_ref().is_none_or(is_of)
            && query.tag.as_ref().is_none_or(|tag| task.tags.contains(tag))
            && query.kind.as_ref().is_none_or(|kind| task.kind == *kind)
            && text.as_ref().is_none_or(has)
    };
    let mut tasks: Vec<(String, &Task)> = snapshot
        .entries
        .iter()
        .filter(|entry| fits(&&entry.task))
        .map(|entry| (key(query.sort, entry), &entry.task))
        .collect();
    tasks.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(cursor) = &query.cursor {
        tasks.retain(|(key, _)| key > cursor);
    }
    let limit = query.limit.unwrap_or(100).clamp(1, MOST);
    let next = tasks.get(limit).and(tasks.get(limit - 1));
    let next_cursor = next.map(|(key, _)| key.clone());
    Reply::ok(&Page {
        items: tasks
            .into_iter()
            .take(limit)
            .map(|(_, task)| task)
            .collect(),
        next_cursor,
        stale_since: snapshot.stale.as_ref().map(|(since, _)| *since),
    })
}

/// Where an entry is in an order: no two are at one place.
fn key(sort: Sort, entry: &Entry) -> String {
    let ms = |at: Option<Stamp>| at.map_or(i64::MAX, |at| at.0.timestamp_millis());
    let task = &entry.task;
    match sort {
        Sort::Worst => format!("{}~{}", entry.place().0, task.name),
        Sort::Name => task.name.clone(),
        Sort::Next => format!("{:020}~{}", ms(task.next_fire_at), task.name),
        Sort::Last => {
            let ended = task.last_run.as_ref().map(|run| run.ended_at);
            let since = i64::MAX - ended.map_or(0, |at| at.0.timestamp_millis());
            format!("{since:020}~{}", task.name)
        }
    }
}

pub(super) async fn one(call: Call) -> Answer {
    call.query::<Nothing>()?;
    let snapshot = call.state.board.look().await;
    shown(entry(&snapshot, call.part("task"))?, StatusCode::OK)
}

pub(super) async fn fires(call: Call) -> Answer {
    let query: FiresQuery = call.query()?;
    let snapshot = call.state.board.look().await;
    let entry = entry(&snapshot, call.part("task"))?;
    let from = query.from.map_or(snapshot.at, |at| at.0);
    let latest = from
        .checked_add_signed(LONGEST)
        .unwrap_or(chrono::DateTime::<Utc>::MAX_UTC);
    let to = query.to.map_or(latest, |at| at.0.min(latest));
    let limit = query.limit.unwrap_or(10).clamp(1, 100);
    let items = entry.fires((from, to), limit, &snapshot.rules);
    let next_cursor = None;
    let stale_since = snapshot.stale.as_ref().map(|(since, _)| *since);
    Reply::ok(&Page {
        items,
        next_cursor,
        stale_since,
    })
}

pub(super) async fn why(call: Call) -> Answer {
    let query: WhyQuery = call.query()?;
    let name = call.part("task");
    let snapshot = call.state.board.look().await;
    let entry = entry(&snapshot, name)?;
    call.history()?;
    match call.state.board.why(entry, query.at.0).await? {
        Some(why) => Reply::ok(&why),
        None => Err(unread(&call, name).await?),
    }
}

/// That only instances that have the task can read its schedule, and which these are.
async fn unread(call: &Call, name: &str) -> Result<Problem, Problem> {
    let instances = match call.state.handle.control() {
        Some(control) => control.instances().await?,
        None => Vec::new(),
    };
    let has = |instance: &&control::Instance| instance.tasks.iter().any(|t| t.name == *name);
    let ids: Vec<&str> = instances
        .iter()
        .filter(has)
        .map(|i| i.id.as_str())
        .collect();
    let text = match ids.first() {
        Some(id) => format!("the schedule of {name} cannot be read here: ask instance {id}"),
        None => format!("the schedule of {name} cannot be read by any instance that is there"),
    };
    Ok(Problem::new("not-possible", text).with("did_you_mean", ids))
}

/// A query with nothing in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
