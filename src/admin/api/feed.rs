//! What happened: runs and what people did, in one list.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::api::runs::name;
use crate::admin::api::tasks::MOST;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Page, Reply};
use crate::board::{Event, EventKind, Stamp};
use crate::event::Outcome;
use crate::fleet::EntryId;
use crate::history::RunQuery;
use crate::task::RunId;

/// So many pages of each kind are looked through for one answer.
const PAGES: usize = 5;

/// What happened, and to whom.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ActivityQuery {
    /// Only runs, or only actions.
    kind: Option<EventKind>,
    /// Only what this person did or asked for.
    actor: Option<String>,
    /// Only what is about this task.
    task: Option<String>,
    /// Only runs that ended so.
    #[schemars(with = "Option<String>")]
    outcome: Option<Outcome>,
    /// Only what has this text in it.
    q: Option<String>,
    /// Only what happened at this instant or later.
    since: Option<Stamp>,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 200 at the most. Default: 50.
    limit: Option<usize>,
}

/// How far both kinds were looked through; `None` for one of which nothing is left.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    run: Left<RunId>,
    action: Left<EntryId>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Left<T> {
    All,
    Before(T),
    None,
}

impl<T: std::str::FromStr> Left<T> {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "" => Left::All,
            "end" => Left::None,
            text => Left::Before(text.parse().ok()?),
        })
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Left<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Left::All => Ok(()),
            Left::Before(id) => id.fmt(f),
            Left::None => f.write_str("end"),
        }
    }
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Problem> {
        let read = || {
            let (run, action) = text.split_once('~')?;
            Some(Self {
                run: Left::read(run)?,
                action: Left::read(action)?,
            })
        };
        read().ok_or_else(|| {
            let text = "the cursor is none of `next_cursor`";
            Problem::new("malformed-request", text).at("/query/cursor", text, None)
        })
    }
}

pub(super) async fn activity(call: Call) -> Answer {
    let query: ActivityQuery = call.query()?;
    let limit = query.limit.unwrap_or(50).clamp(1, MOST);
    let mut cursor = match &query.cursor {
        Some(text) => Cursor::read(text)?,
        None => Cursor {
            run: Left::All,
            action: Left::All,
        },
    };
    let text = query.q.as_deref().map(str::to_lowercase);
    let fits = |event: &Event| {
        query
            .actor
            .as_ref()
            .is_none_or(|actor| event.actor.as_ref() == Some(actor))
            && query
                .task
                .as_ref()
                .is_none_or(|task| event.task.as_ref() == Some(task))
            && query.since.is_none_or(|since| event.at >= since)
            && text
                .as_ref()
                .is_none_or(|text| event.text.to_lowercase().contains(text))
    };
    let (runs, runs_left) = runs(&call, &query, cursor.run, limit, &fits).await?;
    let (actions, actions_left) = actions(&call, &query, cursor.action, limit, &fits).await?;
    let mut items: Vec<(Event, Place)> = runs.into_iter().chain(actions).collect();
    items.sort_by(|a, b| b.0.at.cmp(&a.0.at).then_with(|| b.0.id.cmp(&a.0.id)));
    let is_cut = items.len() > limit;
    items.truncate(limit);
    for (_, place) in &items {
        match place {
            Place::Run(id) => cursor.run = Left::Before(*id),
            Place::Action(id) => cursor.action = Left::Before(*id),
        }
    }
    if !is_cut {
        // All that was found is told: it goes on where looking has ended.
        (cursor.run, cursor.action) = (runs_left, actions_left);
    }
    let is_over = cursor.run == Left::None && cursor.action == Left::None;
    Reply::ok(&Page {
        items: items.into_iter().map(|(event, _)| event).collect(),
        next_cursor: (!is_over).then(|| format!("{}~{}", cursor.run, cursor.action)),
        stale_since: None,
    })
}

enum Place {
    Run(RunId),
    Action(EntryId),
}

type Found<T> = (Vec<(Event, Place)>, Left<T>);

async fn runs(
    call: &Call,
    asked: &ActivityQuery,
    mut left: Left<RunId>,
    limit: usize,
    fits: &(impl Fn(&Event) -> bool + Sync),
) -> Result<Found<RunId>, Problem> {
    let mut found = Vec::new();
    let history = call.state.handle.history();
    let Some(history) = history.filter(|_| asked.kind != Some(EventKind::Action)) else {
        return Ok((found, Left::None));
    };
    let mut query = match &asked.task {
        Some(task) => RunQuery::of(name(task)?),
        None => RunQuery::all(),
    };
    query = query.limit(limit);
    if let Some(outcome) = asked.outcome {
        query = query.outcome(outcome);
    }
    if let Some(since) = asked.since {
        query = query.since(since.0);
    }
    for _ in 0..PAGES {
        let page = match left {
            Left::None => break,
            Left::All => history.runs(&query).await?,
            Left::Before(id) => history.runs(&query.clone().before(id)).await?,
        };
        left = page.next.map_or(Left::None, Left::Before);
        let events = page
            .runs
            .iter()
            .map(|run| (Event::of_run(run), Place::Run(run.run_id)));
        found.extend(events.filter(|(event, _)| fits(event)));
        if found.len() > limit {
            break;
        }
    }
    Ok((found, left))
}

async fn actions(
    call: &Call,
    asked: &ActivityQuery,
    mut left: Left<EntryId>,
    limit: usize,
    fits: &(impl Fn(&Event) -> bool + Sync),
) -> Result<Found<EntryId>, Problem> {
    let mut found = Vec::new();
    let wants = asked.kind != Some(EventKind::Run) && asked.outcome.is_none();
    let Some(control) = call.state.handle.control().filter(|_| wants) else {
        return Ok((found, Left::None));
    };
    for _ in 0..PAGES {
        let before = match left {
            Left::None => break,
            Left::All => None,
            Left::Before(id) => Some(id),
        };
        let page = control.audit(before, limit).await?;
        let oldest = page.last().map(|entry| entry.id);
        left = oldest
            .filter(|_| page.len() >= limit)
            .map_or(Left::None, Left::Before);
        if asked
            .since
            .is_some_and(|since| oldest.is_some_and(|oldest| oldest.at() < since.0))
        {
            left = Left::None;
        }
        let events = page
            .iter()
            .map(|entry| (Event::of_action(entry), Place::Action(entry.id)));
        found.extend(events.filter(|(event, _)| fits(event)));
        if found.len() > limit {
            break;
        }
    }
    Ok((found, left))
}
