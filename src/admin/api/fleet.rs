//! The fleet: a summary, instances, locks, a timeline, probes.

use axum::extract::{RawQuery, State};
use chrono::{DurationRound, TimeDelta};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin;
use crate::admin::api::tasks::{LONGEST, Nothing};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Page, Reply};
use crate::board::{self, Stamp};

/// The most bins of a timeline.
const BINS: i64 = 1_000;

/// Which time, in which bins.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimelineQuery {
    /// The first instant. Default: six hours ago.
    from: Option<Stamp>,
    /// The last one, 31 days later at the most. Default: a day from now.
    to: Option<Stamp>,
    /// How long a bin is, in seconds: at least 60, and so that there are 1000 at the most. Default: 900.
    bin_s: Option<u32>,
}

/// How much is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the probe itself
pub(super) struct ProbeQuery {
    /// As JSON, with what it is drawn from.
    verbose: Option<String>,
    /// Not ready, 503, while the lock's store does not answer. Of `/readyz` only.
    store_required: Option<String>,
}

pub(super) async fn summary(call: Call) -> Answer {
    call.query::<Nothing>()?;
    Reply::ok(&call.state.board.look().await.summary)
}

pub(super) async fn instances(call: Call) -> Answer {
    call.query::<Nothing>()?;
    let snapshot = call.state.board.look().await;
    Reply::ok(&Page {
        items: snapshot.instances.iter().collect(),
        next_cursor: None,
        stale_since: snapshot.stale.as_ref().map(|(since, _)| *since),
    })
}

pub(super) async fn locks(call: Call) -> Answer {
    call.query::<Nothing>()?;
    let snapshot = call.state.board.look().await;
    Reply::ok(&Page {
        items: snapshot.locks.iter().collect(),
        next_cursor: None,
        stale_since: snapshot.stale.as_ref().map(|(since, _)| *since),
    })
}

pub(super) async fn timeline(call: Call) -> Answer {
    let query: TimelineQuery = call.query()?;
    let snapshot = call.state.board.look().await;
    let mut width = TimeDelta::seconds(i64::from(query.bin_s.unwrap_or(900).max(60)));
    let hours = |n| TimeDelta::hours(n);
    let now = snapshot.at;
    let from = query.from.map_or(now - hours(6), |at| at.0);
    let to = query.to.map_or(now + hours(24), |at| at.0);
    let from = from.duration_trunc(width).unwrap_or(from);
    let range = (to - from).min(LONGEST);
    if range <= TimeDelta::zero() {
        let text = "`to` is not after `from`";
        return Err(Problem::new("malformed-request", text).at("/query/to", text, None));
    }
    let ms = range.num_milliseconds();
    width = width.max(TimeDelta::milliseconds(ms.div_euclid(BINS) + 1));
    let count = usize::try_from((ms + width.num_milliseconds() - 1) / width.num_milliseconds());
    let count = count.unwrap_or(1).clamp(1, 1_000);
    Reply::ok(&board::timeline(&snapshot, from, width, count))
}

pub(super) async fn livez(call: Call) -> Answer {
    let query = Some(call.query.clone());
    Ok(Reply::of(
        admin::livez(State(call.state.handle.clone()), RawQuery(query)).await,
    ))
}

pub(super) async fn readyz(call: Call) -> Answer {
    let query = Some(call.query.clone());
    Ok(Reply::of(
        admin::readyz(State(call.state.handle.clone()), RawQuery(query)).await,
    ))
}
