//! From a request to a screen: what is read for it, beside what everybody looks at.

use std::time::Duration;

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, DurationRound, Utc};
use maud::html;

use super::activity;
use super::cluster;
use super::frame::Frame;
use super::plot::{self, Bin};
use super::run::{self, Ending, RunView};
use super::task::{self, TaskView};
use super::tasks::{self, Filter, Tasks};
use super::visit::Visit;
use crate::admin::access::Visitor;
use crate::admin::door::{self, Arrival};
use crate::admin::problem::Problem;
use crate::admin::state::AdminState;
use crate::board::{EventKind, Health, Run, Snapshot, Timeline, Why, Wish, timeline};
use crate::control::AuditEntry;
use crate::event::Outcome;
use crate::history::{History, LogTail, RunPage, RunQuery, RunRecord};
use crate::task::{RunId, TaskName};
use crate::text::contained_line;

/// So many fire times to come are told.
const FIRES: usize = 10;
/// So many runs are on one page.
const RUNS: usize = 20;
/// So many events.
const EVENTS: usize = 50;
/// So often a run that has begun just now is looked for, and so long in between.
const LOOKS: usize = 15;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// So many acts are looked through for one that ends a run.
const LOOKED_BACK: usize = 200;
/// What is looked for has so many bytes at the most.
const LONGEST_FILTER: usize = 128;

pub(super) async fn tasks(visit: Visit) -> Response {
    if let Some(known) = visit.known() {
        return known;
    }
    let snapshot = &visit.snapshot;
    let filter = Filter {
        q: contained_line(visit.asked("q").unwrap_or_default(), LONGEST_FILTER),
        health: visit.asked("health").and_then(health),
        tag: visit
            .asked("tag")
            .map(|tag| contained_line(tag, LONGEST_FILTER)),
    };
    let (first, rest) = cluster::halves(&snapshot.summary.verdict.text, ": ");
    let line = line_of(snapshot);
    let view = Tasks {
        verdict: (first, rest),
        tasks: snapshot.tasks().filter(|task| filter.fits(task)).collect(),
        counts: Health::ALL
            .iter()
            .map(|health| {
                (
                    *health,
                    snapshot.summary.tasks.get(health).copied().unwrap_or(0),
                )
            })
            .collect(),
        all: snapshot.entries.len(),
        timeline: (line.from.0, bins(&line)),
        continuous: line.continuous.iter().map(String::as_str).collect(),
        filter,
        paused: snapshot.summary.pause.as_ref(),
    };
    visit.show(tasks::tasks(&visit.frame, &view))
}

fn health(word: &str) -> Option<Health> {
    Health::ALL
        .iter()
        .copied()
        .find(|health| health.as_str() == word)
}

/// The last six hours and the next day, in quarters of an hour that begin when clocks say so.
fn line_of(snapshot: &Snapshot) -> Timeline {
    let now = snapshot.at.duration_trunc(plot::BAR).unwrap_or(snapshot.at);
    let past = plot::BAR * i32::try_from(plot::PAST).unwrap_or_default();
    timeline(snapshot, now - past, plot::BAR, plot::BARS)
}

fn bins(line: &Timeline) -> Vec<Bin> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let bin = |bin: &crate::board::Bin| {
        let of = |outcome: Outcome| bin.runs.get(outcome.as_str()).copied().unwrap_or_default();
        let (ok, none) = (of(Outcome::Success), of(Outcome::Cancelled));
        let all: usize = bin.runs.values().sum();
        Bin {
            ok: number(ok),
            failed: number(all - ok - none),
            due: number(bin.fires),
            tasks: bin.tasks.clone(),
        }
    };
    line.bins.iter().map(bin).collect()
}

pub(super) async fn task(Path(name): Path<String>, visit: Visit) -> Response {
    if let Some(known) = visit.known() {
        return known;
    }
    let snapshot = visit.snapshot.clone();
    let Some(entry) = snapshot.entry(&name) else {
        return door::problem(no_task(&snapshot, &name));
    };
    let outcome = visit.asked("outcome").and_then(Outcome::from_word);
    let before = visit
        .asked("before")
        .and_then(|id| id.parse::<RunId>().ok());
    let (last, runs) = match runs_of(&visit, &entry.facts.name, outcome, before).await {
        Some((last, runs)) => (Some(last), runs),
        None => (None, RunPage::default()),
    };
    let until = snapshot.at + chrono::TimeDelta::days(366 * 5);
    let asked_at = visit.asked_instant("at");
    let why = match asked_at {
        Some(at) => Some(why(&visit, &name, at).await),
        None => None,
    };
    let next = runs.next.map(|next| match outcome {
        Some(outcome) => format!("outcome={}&before={next}", outcome.as_str()),
        None => format!("before={next}"),
    });
    let shown = |page: &RunPage| page.runs.iter().map(Run::of).collect::<Vec<Run>>();
    let view = TaskView {
        task: &entry.task,
        fires: entry.fires((snapshot.at, until), FIRES, &snapshot.rules),
        past: entry
            .plan
            .as_ref()
            .map_or_else(Vec::new, |plan| plan.past(snapshot.at, FIRES)),
        is_lost: last.is_none(),
        last: last.as_ref().map(shown).unwrap_or_default(),
        runs: shown(&runs),
        outcome,
        next,
        why,
        asked_at,
    };
    visit.show(task::task(&visit.frame, &view))
}

/// That there is no such task, and which may be meant.
pub(super) fn no_task(snapshot: &Snapshot, name: &str) -> Problem {
    let shown = contained_line(name, 128);
    let text = match snapshot.similar(name).first() {
        Some(other) => format!("no task {shown:?} is known; did you mean {other:?}?"),
        None => format!("no task {shown:?} is known"),
    };
    Problem::new("task-not-found", text)
}

/// The last runs of a task, and those that are asked for; `None` if there is no history, or it does not
/// answer.
async fn runs_of(
    visit: &Visit,
    task: &TaskName,
    outcome: Option<Outcome>,
    before: Option<RunId>,
) -> Option<(RunPage, RunPage)> {
    let history = visit.state.handle.history()?;
    let all = RunQuery::of(task.clone());
    let last = history
        .runs(&all.clone().limit(plot::MOST_DURATIONS))
        .await
        .ok()?;
    if outcome.is_none() && before.is_none() {
        let mut first = last.clone();
        if first.runs.len() > RUNS {
            first.runs.truncate(RUNS);
            first.next = first.runs.last().map(|run| run.run_id);
        }
        return Some((last, first));
    }
    let mut query = all.limit(RUNS);
    if let Some(outcome) = outcome {
        query = query.outcome(outcome);
    }
    if let Some(before) = before {
        query = query.before(before);
    }
    let runs = history.runs(&query).await.ok()?;
    Some((last, runs))
}

/// Of a task that others have.
const UNREAD: &str =
    "the schedule of this task cannot be read here: look at an instance that has it";

async fn why(visit: &Visit, name: &str, at: DateTime<Utc>) -> Result<Why, String> {
    let Some(entry) = visit.snapshot.entry(name) else {
        return Err(format!("no task {name} is known"));
    };
    match visit.state.board.why(entry, at).await {
        Ok(Some(why)) => Ok(why),
        Ok(None) => Err(UNREAD.to_owned()),
        Err(error) => Err(Problem::from(error).detail().to_owned()),
    }
}

pub(super) async fn run(Path(id): Path<String>, visit: Visit) -> Response {
    if let Some(known) = visit.known() {
        return known;
    }
    let Some(history) = visit.state.handle.history() else {
        let text = "the scheduler keeps no history: give it one with SchedulerBuilder::history";
        return door::problem(Problem::new("no-history", text));
    };
    let found = match id.parse::<RunId>() {
        Ok(id) => match begun(&*history, id, visit.snapshot.at).await {
            Ok(found) => found,
            Err(error) => return door::problem(error.into()),
        },
        Err(_) => None,
    };
    let Some(found) = found else {
        let shown = contained_line(&id, 40);
        let text = format!("no run {shown:?} is known: it never was, or is not kept any more");
        return door::problem(Problem::new("run-not-found", text));
    };
    let log = history.log(found.run_id, 0).await;
    let log = log.unwrap_or_else(|_| LogTail::default());
    let snapshot = &visit.snapshot;
    let run_id = found.run_id.to_string();
    let policy = snapshot.entry(found.task.as_str());
    let view = RunView {
        run: &Run::of(&found),
        log: &log,
        trace: trace(&visit.state, found.trace_id.as_deref()),
        policy: policy.and_then(|entry| entry.task.policy.as_ref()),
        lock: snapshot.locks.iter().find(|lock| lock.run_id == run_id),
        ending: ending(&visit, &found).await,
    };
    visit.show(run::run(&visit.frame, &view))
}

/// A run; of one that has begun just now, its record is waited for: it is written a moment later.
async fn begun(
    history: &dyn History,
    id: RunId,
    now: DateTime<Utc>,
) -> crate::error::Result<Option<RunRecord>> {
    let first = history.run(id).await?;
    let near = chrono::TimeDelta::seconds(10);
    let is_new = (RunId::first_at(now - near)..RunId::first_at(now + near)).contains(&id);
    if first.is_some() || !is_new {
        return Ok(first);
    }
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if let Some(run) = history.run(id).await? {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Who has asked a run that goes on to end, as far back as it is worth looking.
async fn ending(visit: &Visit, run: &RunRecord) -> Option<Ending> {
    let control = visit.state.handle.control().filter(|_| run.is_running())?;
    let entries = control.audit(None, LOOKED_BACK).await.ok()?;
    let asked = |entry: &AuditEntry| {
        let grace = entry.cancels(run.run_id)?;
        let (actor, reason) = (entry.by.actor().to_owned(), entry.by.reason().to_owned());
        let at = entry.at;
        Some(Ending {
            actor,
            reason,
            at,
            grace,
        })
    };
    entries.iter().find_map(asked)
}

/// Where a trace is: an address of the service's own setting, with an id that is one.
fn trace(state: &AdminState, id: Option<&str>) -> Option<String> {
    let id = id.filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    Some(state.settings.trace_url.as_ref()?.replace("{trace_id}", id))
}

pub(super) async fn cluster(visit: Visit) -> Response {
    if let Some(known) = visit.known() {
        return known;
    }
    visit.show(cluster::cluster(&visit.frame, &visit.snapshot))
}

/// Why something was not done, as a page.
pub(in crate::admin) fn problem(
    problem: &Problem,
    state: &AdminState,
    visitor: &Visitor,
    arrival: &Arrival,
) -> Response {
    let frame = Frame::of(state, visitor, &arrival.base, None);
    let main = html! {
        h1 { (problem.title()) }
        p #detail { (problem.detail()) }
        p.mute { code { (problem.code()) } ", request " code { (arrival.request_id) } }
        p { a href=(frame.to("/")) { "To the tasks" } }
    };
    let page = frame.notice(problem.title(), &main).into_string();
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (problem.status(), kind, page).into_response()
}

pub(super) async fn activity(visit: Visit) -> Response {
    if let Some(known) = visit.known() {
        return known;
    }
    let chosen = visit.asked("kind").unwrap_or_default();
    let mut chips = activity::CHIPS.iter().map(|(kind, _)| *kind);
    let chosen = chips.find(|kind| *kind == chosen).unwrap_or_default();
    let from = visit.asked("cursor").and_then(|from| from.parse().ok());
    let q = contained_line(visit.asked("search").unwrap_or_default(), LONGEST_FILTER);
    let task: Option<TaskName> = visit.asked("task").and_then(|task| task.parse().ok());
    let wish = Wish {
        kind: match chosen {
            "run" | "failure" => Some(EventKind::Run),
            "action" => Some(EventKind::Action),
            "skip" => Some(EventKind::Skip),
            "cluster" => Some(EventKind::Cluster),
            _ => None,
        },
        only_failed: chosen == "failure",
        text: Some(q.clone()).filter(|q| !q.is_empty()),
        task: task.clone(),
        limit: EVENTS,
        ..Wish::default()
    };
    let page = visit.state.board.activity(wish, from.unwrap_or_default());
    let page = match page.await {
        Ok(page) => page,
        Err(error) => return door::problem(error.into()),
    };
    let view = activity::View {
        events: page.events,
        chosen,
        q,
        task: task.map(|task| task.to_string()),
        next: page.next.map(|next| next.to_string()),
        is_older: from.is_some(),
    };
    visit.show(activity::activity(&visit.frame, &view))
}
