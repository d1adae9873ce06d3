//! What every wish to change something has: a reason, a task as it was seen, a length of time, an answer.

use std::time::Duration;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::admin::api::tasks::{entry, settings, shown};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, is_about};
use crate::board::Stamp;
use crate::control::{Accepted, Answer as Told, By};

/// Text without characters that change how others are shown.
pub(super) const LINE: &str =
    "^[^\\u0000-\\u001F\\u007F-\\u009F\\u200B-\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF]*$";

/// Why something is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReasonBody {
    /// Why, for the audit trail. Default: that it was asked for here.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    pub(super) reason: Option<String>,
}

/// What there was of a command, or why it was not done.
pub(super) fn taken(answer: Told) -> Result<Accepted, Problem> {
    match answer {
        Told::Accepted(accepted) => Ok(accepted),
        Told::Refused(refused) => Err(Problem::refused(&refused)),
        Told::Taken { instance, runs } => {
            let text = "an instance took it and has not said what became of it: look again";
            let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
            let problem = Problem::new("not-taken", text).with("instance_id", instance);
            Err(problem
                .with("runs", runs)
                .with("may_be_done", true)
                .again_after(15))
        }
        Told::NotTaken => {
            let text = "no instance took it in its time, and none will";
            Err(Problem::new("not-taken", text).again_after(5))
        }
    }
}

/// Checks that the task is known and, if that is wished, as it was seen.
pub(super) async fn known(call: &Call) -> Result<String, Problem> {
    let name = call.part("task").to_owned();
    let wish = call.if_match().map(str::to_owned);
    if wish.is_some() {
        call.state.board.forget().await;
    }
    let snapshot = call.state.board.look().await;
    let entry = entry(&snapshot, &name)?;
    if let Some(wish) = wish {
        let settings = settings(entry);
        if !is_about(&wish, &settings) {
            let text = format!("{name} was changed since: read it again");
            let tag = format!("\"{settings}\"");
            return Err(Problem::new("precondition-failed", text).with("current_etag", tag));
        }
    }
    Ok(name)
}

/// How long something is to last.
pub(super) fn length(
    call: &Call,
    until: Option<Stamp>,
    for_s: Option<f64>,
    default: Duration,
) -> Result<Duration, Problem> {
    let wrong =
        |at: &str, text: &str| Err(Problem::new("malformed-request", text).at(at, text, None));
    match (until, for_s) {
        (Some(_), Some(_)) => wrong("/until", "say `until` or `for_s`, not both"),
        (Some(until), None) => match (until.0 - call.now()).to_std() {
            Ok(length) if !length.is_zero() => Ok(length),
            _ => wrong("/until", "`until` is past"),
        },
        (None, Some(seconds)) => match Duration::try_from_secs_f64(seconds) {
            Ok(length) if !length.is_zero() => Ok(length),
            _ => wrong("/for_s", "`for_s` is no number of seconds"),
        },
        (None, None) => Ok(default),
    }
}

/// Whatever JSON was given at a place of the body; forms give the text of it.
pub(super) fn parsed(
    call: &Call,
    at: &str,
    given: Option<Value>,
) -> Result<Option<Value>, Problem> {
    match given {
        Some(Value::String(text)) if call.is_form => {
            let read = serde_json::from_str(&text).map_err(|e| {
                let text = format!("`{}` is no JSON: {e}", at.trim_start_matches('/'));
                Problem::new("malformed-request", text).at(at, e.to_string(), Some(e.column()))
            })?;
            Ok(Some(read))
        }
        other => Ok(other),
    }
}

pub(super) fn or_asked(call: &Call, reason: Option<String>) -> Result<By, Problem> {
    call.by(Some(reason.as_deref().unwrap_or("asked for by the API")))
}

/// The task as it is after a change.
pub(super) async fn fresh(call: &Call, name: &str) -> Answer {
    call.state.board.forget().await;
    let snapshot = call.state.board.look().await;
    shown(entry(&snapshot, name)?, StatusCode::OK)
}
