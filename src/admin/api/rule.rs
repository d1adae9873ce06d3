//! What people want until further notice: pauses, overrides, skips.

use std::time::Duration;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::api::tasks::{entry, page_of};
use crate::admin::api::wish::{LINE, ReasonBody, fresh, known, length, or_asked, taken};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::board::{PauseOf, Stamp};
use crate::control::{MOST_SKIPPED, Missed, PauseFor};
use crate::error::Error;
use crate::schedule::Schedule;

/// What is said of a pause.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reason"]))]
pub(super) struct PauseBody {
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
    /// Until when, 30 days from now at the most.
    until: Option<Stamp>,
    /// Or for how many seconds. Default: 3600.
    for_s: Option<f64>,
    /// What becomes of what it holds back. Default: it is dropped.
    missed: MissedWord,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MissedWord {
    #[default]
    Drop,
    RunOnce,
}

/// What is said of an override.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["cron", "reason"]))]
pub(super) struct OverrideBody {
    /// The other schedule. Required.
    #[schemars(required, length(min = 1, max = 1024), example = "0 30 12 * * MON-FRI")]
    cron: Option<String>,
    /// The zone that it is read in. Default: that of the task.
    timezone: Option<String>,
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
    /// Until when, 30 days from now at the most.
    until: Option<Stamp>,
    /// Or for how many seconds. Default: 86400.
    for_s: Option<f64>,
}

/// What is said of fire times to skip.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reason"]))]
pub(super) struct SkipBody {
    /// How many, 1 to 100. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    count: Option<usize>,
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
}

/// Fire times that are skipped.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Skipped {
    /// The instance that said which.
    instance: String,
    /// The fire times.
    skipped: Vec<Stamp>,
}

pub(super) async fn pause(call: Call) -> Answer {
    let body: PauseBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    let pause = PauseFor::task(call.part("task"), &by);
    let pause = pause_of(&call, pause, &body)?;
    let name = known(&call).await?;
    control.pause(pause).await?;
    fresh(&call, &name).await
}

fn pause_of(call: &Call, pause: PauseFor, body: &PauseBody) -> Result<PauseFor, Problem> {
    let hour = Duration::from_secs(3600);
    let pause = pause.lasting(length(call, body.until, body.for_s, hour)?);
    Ok(pause.missed(match body.missed {
        MissedWord::Drop => Missed::Drop,
        MissedWord::RunOnce => Missed::RunOnce,
    }))
}

pub(super) async fn resume(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let by = or_asked(&call, body.reason)?;
    let name = known(&call).await?;
    control.resume(Some(&name), &by).await?;
    let snapshot = call.state.board.look().await;
    let pause = snapshot
        .entry(&name)
        .and_then(|entry| entry.task.pause.as_ref());
    if pause.is_some_and(|pause| pause.of == PauseOf::Failures) {
        call.state.handle.resume(&name).await?;
    }
    Ok(Reply::none()?.shown_at(page_of(&name)))
}

pub(super) async fn pause_all(call: Call) -> Answer {
    let body: PauseBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    control
        .pause(pause_of(&call, PauseFor::all(&by), &body)?)
        .await?;
    call.state.board.forget().await;
    Reply::ok(&call.state.board.look().await.summary)
}

pub(super) async fn resume_all(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    control.resume(None, &or_asked(&call, body.reason)?).await?;
    Reply::none()
}

pub(super) async fn override_spec(call: Call) -> Answer {
    let body: OverrideBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    let missing = |at: &str, text: &str| Problem::new("malformed-request", text).at(at, text, None);
    let cron = body.cron.as_deref();
    let cron = cron.ok_or_else(|| missing("/cron", "say which schedule: `cron` is missing"))?;
    let zone = body.timezone.as_deref().map(super::preview::zone);
    let zone = zone.transpose()?;
    Schedule::parse_in(cron, zone.unwrap_or_default()).map_err(Error::from)?;
    let day = Duration::from_secs(86_400);
    let length = length(&call, body.until, body.for_s, day)?;
    let name = known(&call).await?;
    let zone = match zone {
        Some(zone) => zone,
        None => {
            let snapshot = call.state.board.look().await;
            entry(&snapshot, &name)?.facts.timezone
        }
    };
    control
        .override_spec(&name, cron, zone, length, &by)
        .await?;
    fresh(&call, &name).await
}

pub(super) async fn reset(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let by = or_asked(&call, body.reason)?;
    let name = known(&call).await?;
    control.reset(&name, &by).await?;
    Ok(Reply::none()?.shown_at(page_of(&name)))
}

pub(super) async fn skip(call: Call) -> Answer {
    let body: SkipBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    let count = body.count.unwrap_or(1);
    if !(1..=MOST_SKIPPED).contains(&count) {
        let text = format!("`count` is 1 to {MOST_SKIPPED}");
        return Err(Problem::new("malformed-request", &text).at("/count", &text, None));
    }
    let name = known(&call).await?;
    let accepted = taken(control.skip(&name, count, &by).await?.answer)?;
    let skipped = Skipped {
        instance: accepted.instance,
        skipped: accepted.skipped.into_iter().map(Stamp).collect(),
    };
    Ok(Reply::json(StatusCode::CREATED, &skipped)?.shown_at(page_of(&name)))
}
