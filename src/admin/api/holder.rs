//! Instances that are to take nothing on, and locks that are taken from them.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::api::begin::Begun;
use crate::admin::api::tasks::entry;
use crate::admin::api::wish::{LINE, ReasonBody, or_asked, taken};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::lock::FencingToken;

/// What is said of a lock to be taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reason"]))]
pub(super) struct UnlockBody {
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
    /// Also from an instance that lives. Default: no.
    force: bool,
    /// The fencing token that was seen, where `If-Match` cannot be sent.
    fencing_token: Option<u64>,
}

/// That an instance is known.
pub(super) async fn is_there(call: &Call, id: &str) -> Result<(), Problem> {
    let snapshot = call.state.board.look().await;
    if snapshot.instances.iter().any(|instance| instance.id == id) {
        return Ok(());
    }
    let shown = crate::text::contained_line(id, 64);
    let known: Vec<&str> = snapshot
        .instances
        .iter()
        .take(10)
        .map(|i| i.id.as_str())
        .collect();
    let problem = Problem::new(
        "instance-not-found",
        format!("no instance {shown:?} is known"),
    );
    Err(problem.with("did_you_mean", known))
}

pub(super) async fn drain(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let id = call.part("id").to_owned();
    let by = or_asked(&call, body.reason)?;
    is_there(&call, &id).await?;
    control.drain(&id, &by).await?;
    let begun = Begun::by(id);
    Ok(Reply::json(StatusCode::ACCEPTED, &begun)?.shown_at("/cluster"))
}

pub(super) async fn undrain(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let id = call.part("id").to_owned();
    let by = or_asked(&call, body.reason)?;
    is_there(&call, &id).await?;
    control.undrain(&id, &by).await?;
    Ok(Reply::none()?.shown_at("/cluster"))
}

pub(super) async fn unlock(call: Call) -> Answer {
    let body: UnlockBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    let name = call.part("task").to_owned();
    let snapshot = call.state.board.look().await;
    entry(&snapshot, &name)?;
    let fence = match (call.if_match(), body.fencing_token) {
        (Some(tag), _) => tag.parse::<u64>().ok(),
        (None, token) => token,
    };
    let Some(fence) = fence else {
        let text = "say which lease: If-Match with its fencing token, as /locks tells it";
        return Err(Problem::new("malformed-request", text));
    };
    let receipt = control
        .unlock(&name, FencingToken::new(fence), body.force, &by)
        .await?;
    taken(receipt.answer)?;
    Ok(Reply::none()?.shown_at("/cluster"))
}
