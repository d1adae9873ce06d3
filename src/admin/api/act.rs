//! What can be done: runs, pauses, overrides, skips, drains, locks.

use std::time::Duration;

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::api::tasks::{entry, page_of, settings, shown};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply, is_about};
use crate::board::{PauseOf, Run, Stamp, seconds};
use crate::control::{Accepted, Answer as Told, By, IfPaused, IfRunning, Missed, PauseFor, RunNow};
use crate::lock::FencingToken;

/// What is said of a run that is to be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RunBody {
    /// Why. Required.
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

/// Why something is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReasonBody {
    /// Why, for the audit trail. Default: that it was asked for here.
    pub(super) reason: Option<String>,
}

/// What is said of a pause.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PauseBody {
    /// Why. Required.
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
pub(super) struct OverrideBody {
    /// The other schedule. Required.
    cron: Option<String>,
    /// The zone that it is read in. Default: that of the task.
    timezone: Option<String>,
    /// Why. Required.
    reason: Option<String>,
    /// Until when, 30 days from now at the most.
    until: Option<Stamp>,
    /// Or for how many seconds. Default: 86400.
    for_s: Option<f64>,
}

/// What is said of fire times to skip.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SkipBody {
    /// How many, 1 to 100. Default: 1.
    count: Option<usize>,
    /// Why. Required.
    reason: Option<String>,
}

/// What is said of a run that is to end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CancelBody {
    /// Whether it is asked to end, or dropped at once. Default: asked.
    mode: Mode,
    /// How many seconds it may take to end when it is asked. Default: by its policy.
    grace_s: Option<f64>,
    /// Why. Required.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Graceful,
    Abort,
}

/// What is said of a lock to be taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UnlockBody {
    /// Why. Required.
    reason: Option<String>,
    /// Also from an instance that lives. Default: no.
    force: bool,
    /// The fencing token that was seen, where `If-Match` cannot be sent.
    fencing_token: Option<u64>,
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

/// Fire times that are skipped.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Skipped {
    /// The instance that said which.
    instance: String,
    /// The fire times.
    skipped: Vec<Stamp>,
}

/// What there was of a command, or why it was not done.
fn taken(answer: Told) -> Result<Accepted, Problem> {
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
async fn known(call: &Call) -> Result<String, Problem> {
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
fn length(
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

fn or_asked(call: &Call, reason: Option<String>) -> Result<By, Problem> {
    call.by(Some(reason.as_deref().unwrap_or("asked for by the API")))
}

pub(super) async fn run(call: Call) -> Answer {
    let body: RunBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    let by = call.by(body.reason.as_deref())?;
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
    if let Some(history) = call.state.handle.history()
        && let Some(run) = history.run(id).await?
        && let Some(outcome) = run.outcome
    {
        let text = format!("run {id} of {} has ended: {outcome}", run.task);
        return Err(Problem::new("run-finished", text));
    }
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
    let accepted = taken(control.cancel(id, grace, &by).await?.answer)?;
    let mut begun = begun(&call, &accepted).await;
    begun.run_id = Some(id.to_string());
    Ok(Reply::json(StatusCode::ACCEPTED, &begun)?.shown_at(format!("/runs/{id}")))
}

pub(super) async fn pause(call: Call) -> Answer {
    let body: PauseBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    let by = call.by(body.reason.as_deref())?;
    control
        .pause(pause_of(&call, PauseFor::task(&name, &by), &body)?)
        .await?;
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

/// The task as it is after a change.
async fn fresh(call: &Call, name: &str) -> Answer {
    call.state.board.forget().await;
    let snapshot = call.state.board.look().await;
    shown(entry(&snapshot, name)?, StatusCode::OK)
}

pub(super) async fn resume(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    let by = or_asked(&call, body.reason)?;
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

pub(super) async fn override_spec(call: Call) -> Answer {
    let body: OverrideBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    let by = call.by(body.reason.as_deref())?;
    let missing = |at: &str, text: &str| Problem::new("malformed-request", text).at(at, text, None);
    let cron = body.cron.as_deref();
    let cron = cron.ok_or_else(|| missing("/cron", "say which schedule: `cron` is missing"))?;
    let zone = match &body.timezone {
        Some(zone) => super::preview::zone(zone)?,
        None => {
            let snapshot = call.state.board.look().await;
            entry(&snapshot, &name)?.facts.timezone
        }
    };
    let day = Duration::from_secs(86_400);
    let length = length(&call, body.until, body.for_s, day)?;
    control
        .override_spec(&name, cron, zone, length, &by)
        .await?;
    fresh(&call, &name).await
}

pub(super) async fn reset(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    control.reset(&name, &or_asked(&call, body.reason)?).await?;
    Ok(Reply::none()?.shown_at(page_of(&name)))
}

pub(super) async fn skip(call: Call) -> Answer {
    let body: SkipBody = call.body()?;
    let control = call.control()?;
    let name = known(&call).await?;
    let by = call.by(body.reason.as_deref())?;
    let accepted = taken(
        control
            .skip(&name, body.count.unwrap_or(1), &by)
            .await?
            .answer,
    )?;
    let skipped = Skipped {
        instance: accepted.instance,
        skipped: accepted.skipped.into_iter().map(Stamp).collect(),
    };
    Ok(Reply::json(StatusCode::CREATED, &skipped)?.shown_at(page_of(&name)))
}

/// That an instance is known.
async fn is_there(call: &Call, id: &str) -> Result<(), Problem> {
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
    is_there(&call, &id).await?;
    control.drain(&id, &or_asked(&call, body.reason)?).await?;
    let begun = Begun {
        instance: Some(id),
        after_s: None,
        is_confirmed: false,
        run_id: None,
        runs: Vec::new(),
        is_queued: false,
        run: None,
    };
    Ok(Reply::json(StatusCode::ACCEPTED, &begun)?.shown_at("/cluster"))
}

pub(super) async fn undrain(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let control = call.control()?;
    let id = call.part("id").to_owned();
    is_there(&call, &id).await?;
    control.undrain(&id, &or_asked(&call, body.reason)?).await?;
    Ok(Reply::none()?.shown_at("/cluster"))
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

pub(super) async fn unlock(call: Call) -> Answer {
    let body: UnlockBody = call.body()?;
    let control = call.control()?;
    let name = call.part("task").to_owned();
    let snapshot = call.state.board.look().await;
    entry(&snapshot, &name)?;
    let by = call.by(body.reason.as_deref())?;
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
