//! What happened, in one list.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::api::runs::name;
use crate::admin::api::tasks::MOST;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Page, Reply};
use crate::board::{Cursor, EventKind, Stamp, Wish};
use crate::event::Outcome;

/// What happened, and to whom.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ActivityQuery {
    /// Only runs, actions, skipped firings or what happened to the fleet. Of skipped firings those of the
    /// 200 worst tasks are told, unless one task is asked for.
    kind: Option<EventKind>,
    /// Only what this person did or asked for.
    actor: Option<String>,
    /// Only what is about this task.
    task: Option<String>,
    /// Only runs that ended so.
    #[schemars(with = "Option<String>")]
    outcome: Option<Outcome>,
    /// Only runs that ended in any way but `success` or `cancelled`.
    failed: Option<bool>,
    /// Only what has this text in it.
    q: Option<String>,
    /// Only what happened at this instant or later.
    since: Option<Stamp>,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 200 at the most. Default: 50.
    limit: Option<usize>,
}

pub(super) async fn activity(call: Call) -> Answer {
    let query: ActivityQuery = call.query()?;
    let from = match &query.cursor {
        Some(text) => text.parse().map_err(|_| {
            let text = "the cursor is none of `next_cursor`";
            Problem::new("malformed-request", text).at("/query/cursor", text, None)
        })?,
        None => Cursor::default(),
    };
    let wish = Wish {
        kind: query.kind,
        outcome: query.outcome,
        only_failed: query.failed.unwrap_or_default(),
        actor: query.actor,
        task: query.task.as_deref().map(name).transpose()?,
        text: query.q,
        since: query.since.map(|since| since.0),
        limit: query.limit.unwrap_or(50).clamp(1, MOST),
    };
    let page = call.state.board.activity(wish, from).await?;
    Reply::ok(&Page {
        items: page.events,
        next_cursor: page.next.map(|next| next.to_string()),
        stale_since: None,
    })
}
