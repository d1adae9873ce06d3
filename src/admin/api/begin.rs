//! Runs that people begin and end.

use std::time::Duration;

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::api::holder::is_there;
use crate::admin::api::tasks::page_of;
use crate::admin::api::wish::{LINE, known, length, parsed, taken};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::board::{Run, Stamp, seconds};
use crate::control::{Accepted, Answer as Told, IfPaused, IfRunning, RunNow, is_traceparent};
use crate::task::RunId;

/// What is said of a run that is to be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reason"]))]
pub(super) struct RunBody {
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
    /// What the run is given: any JSON.
    params: Option<Value>,
    /// What becomes of it if the task is paused. Default: it is refused.
    if_paused: IfPausedWord,
    /// What becomes of it while another run of the task goes on. Default: it is refused.
    if_running: IfRunningWord,
    /// The instant in the past that it is for. Default: now.
    due_at: Option<Stamp>,
    /// The instance that is to run it. Default: any.
    instance: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum IfPausedWord {
    #[default]
    Refuse,
    Run,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum IfRunningWord {
    #[default]
    Refuse,
    Queue,
}

/// What is said of a run that is to end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["reason"]))]
pub(super) struct CancelBody {
    /// Whether it is asked to end, or dropped at once. Default: asked.
    mode: Mode,
    /// How many seconds it may take to end when it is asked. Default: by its policy.
    grace_s: Option<f64>,
    /// Why. Required.
    #[schemars(required, length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Graceful,
    Abort,
}

/// What an instance does, as it was asked.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Begun {
    /// The instance; `None` of what all follow.
    instance: Option<String>,
    /// How long after it was asked it was taken, in seconds.
    after_s: Option<f64>,
    /// Whether the instance has said what became of it: if not, it may have died.
    is_confirmed: bool,
    /// The run, or the first of them.
    run_id: Option<String>,
    /// Runs that it starts: one, or one for each part of the task.
    runs: Vec<String>,
    /// Whether they wait for another run to end.
    is_queued: bool,
    /// The run, if it is known already.
    run: Option<Run>,
}

impl Begun {
    /// What an instance is to do by itself, when it hears of it.
    pub(super) fn by(instance: String) -> Self {
        Self {
            instance: Some(instance),
            after_s: None,
            is_confirmed: false,
            run_id: None,
            runs: Vec::new(),
            is_queued: false,
            run: None,
        }
    }
}

pub(super) async fn run(call: Call) -> Answer {
    let body: RunBody = call.body()?;
    let control = call.control()?;
    let by = call.by(body.reason.as_deref())?;
    let name = known(&call).await?;
    let key = call.header("idempotency-key").map(str::to_owned);
    let is_again = match &key {
        Some(key) => control
            .receipt(&format!("run/{name}/{key}"))
            .await
            .is_ok_and(|r| r.is_some()),
        None => false,
    };
    if !is_again && !call.state.may_ask(&name) {
        let text = format!("{name} was asked to run within this second");
        return Err(Problem::new("too-many-triggers", text).again_after(1));
    }
    let mut run = RunNow::new(&name, &by)
        .if_paused(match body.if_paused {
            IfPausedWord::Refuse => IfPaused::Refuse,
            IfPausedWord::Run => IfPaused::Run,
        })
        .if_running(match body.if_running {
            IfRunningWord::Refuse => IfRunning::Refuse,
            IfRunningWord::Queue => IfRunning::Queue,
        });
    // A form's text stays as it was typed.
    let typed = body.params.as_ref().and_then(Value::as_str);
    let typed = typed.filter(|_| call.is_form).map(str::to_owned);
    if let Some(params) = parsed(&call, "/params", body.params)? {
        run = run.params(typed.unwrap_or_else(|| params.to_string()));
    }
    if let Some(at) = body.due_at {
        run = run.as_of(at.0);
    }
    if let Some(instance) = &body.instance {
        is_there(&call, instance).await?;
        run = run.on(instance);
    }
    if let Some(key) = key {
        run = run.idempotency_key(key);
    }
    // One that is malformed is passed over, as the header's standard has it.
    if let Some(span) = call
        .header("traceparent")
        .filter(|text| is_traceparent(text))
    {
        run = run.traceparent(span);
    }
    let accepted = match taken(control.run(run).await?.answer) {
        Err(problem) if problem.code() == "already-running" => {
            return Err(with_running(&call, &name, problem).await);
        }
        other => other?,
    };
    let begun = begun(&call, &accepted).await;
    let page = begun.run_id.as_ref().map(|id| format!("/runs/{id}"));
    let address = page.as_ref().map(|path| call.address(path));
    let mut reply = Reply::json(StatusCode::ACCEPTED, &begun)?;
    if let Some(address) = address {
        reply.set(header::LOCATION, &address);
    }
    Ok(reply.shown_at(page.unwrap_or_else(|| page_of(&name))))
}

/// The same problem with which run goes on where.
async fn with_running(call: &Call, name: &str, problem: Problem) -> Problem {
    call.state.board.forget().await;
    let snapshot = call.state.board.look().await;
    let active = snapshot
        .entry(name)
        .and_then(|entry| entry.task.active.first());
    match active {
        Some(run) => problem
            .with("run_id", run.id.clone())
            .with("instance_id", run.instance.clone()),
        None => problem,
    }
}

async fn begun(call: &Call, accepted: &Accepted) -> Begun {
    let first = accepted.runs.first();
    let mut run = None;
    if let (Some(history), Some(id)) = (call.state.handle.history(), first) {
        // It is written within a second, and whoever asks can ask again.
        run = history
            .run(*id)
            .await
            .ok()
            .flatten()
            .map(|run| Run::of(&run));
    }
    Begun {
        instance: Some(accepted.instance.clone()),
        after_s: Some(seconds(accepted.after)),
        is_confirmed: true,
        run_id: first.map(ToString::to_string),
        runs: accepted.runs.iter().map(ToString::to_string).collect(),
        is_queued: accepted.is_queued,
        run,
    }
}

/// That a run has not ended, as far as the history knows.
async fn not_over(call: &Call, id: RunId) -> Result<(), Problem> {
    if let Some(history) = call.state.handle.history()
        && let Some(run) = history.run(id).await?
        && let Some(outcome) = run.outcome
    {
        let text = format!("run {id} of {} has ended: {outcome}", run.task);
        return Err(Problem::new("run-finished", text));
    }
    Ok(())
}

pub(super) async fn cancel(call: Call) -> Answer {
    let body: CancelBody = call.body()?;
    let control = call.control()?;
    let id = call.run_id()?;
    let by = call.by(body.reason.as_deref())?;
    let grace = match (body.mode, body.grace_s) {
        (Mode::Abort, _) => Some(Duration::ZERO),
        (Mode::Graceful, None) => None,
        (Mode::Graceful, Some(seconds)) => {
            Some(length(&call, None, Some(seconds), Duration::ZERO)?)
        }
    };
    not_over(&call, id).await?;
    // Of one that nobody has nobody takes the command: found out before five seconds are over.
    call.state.board.forget().await;
    let snapshot = call.state.board.look().await;
    let is_known = snapshot
        .locks
        .iter()
        .any(|lock| lock.run_id == id.to_string());
    if !is_known && snapshot.stale.is_none() {
        let history = call.state.handle.history();
        let is_kept = match history {
            Some(history) => history.run(id).await?.is_some(),
            None => false,
        };
        if !is_kept {
            return Err(call.no_run(call.part("id")));
        }
    }
    let answer = control.cancel(id, grace, &by).await?.answer;
    if answer == Told::NotTaken {
        // It has ended since it was looked for.
        not_over(&call, id).await?;
    }
    let accepted = taken(answer)?;
    let mut begun = begun(&call, &accepted).await;
    begun.run_id = Some(id.to_string());
    Ok(Reply::json(StatusCode::ACCEPTED, &begun)?.shown_at(format!("/runs/{id}")))
}
