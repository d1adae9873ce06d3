//! Tasks that are defined at run time: saved and deleted.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::admin::api::tasks::{no_task, page_of};
use crate::admin::api::wish::{LINE, ReasonBody, parsed};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::{Answer, Reply};
use crate::fleet::{Expected, Version};
use crate::store::{Deleted, Saved, StoredTask, TaskStore};
use crate::text::contained_line;

/// What is said of a task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["cron", "handler"]))]
pub(super) struct TaskBody {
    /// The kind of work, one that code has registered. Required.
    #[schemars(required, length(min = 1, max = 128))]
    handler: Option<String>,
    /// When it is due. Required.
    #[schemars(required, length(min = 1, max = 1024), example = "0 30 12 * * MON-FRI")]
    cron: Option<String>,
    /// The zone of that. Default: that of the scheduler which runs it.
    timezone: Option<String>,
    /// How long a run may take, in seconds. Default: 300.
    timeout_s: Option<f64>,
    /// What the handler is given.
    params: Option<Value>,
    /// How it behaves, as settings that differ from the defaults.
    #[schemars(with = "Option<Map<String, Value>>")]
    policy: Option<Value>,
    /// Who answers for it. Default: who saves it.
    owner: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Whether it fires. Default: yes.
    enabled: Option<bool>,
    /// The version that was seen, where `If-Match` cannot be sent.
    version: Option<u64>,
    /// Why, for the audit trail. Default: that it was asked for here.
    #[schemars(length(min = 1, max = 500), regex(pattern = LINE), example = "a bank holiday")]
    reason: Option<String>,
}

/// What was saved.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kept {
    /// Its name.
    name: String,
    /// Its version: for `If-Match`.
    version: u64,
}

fn store(call: &Call) -> Result<TaskStore, Problem> {
    call.state.handle.task_store().ok_or_else(|| {
        let text =
            "the scheduler has no fleet to keep tasks in: give it one with SchedulerBuilder::fleet";
        Problem::new("no-fleet", text)
    })
}

/// The version in `If-Match`, whether that is a task's tag or the number alone.
async fn wished(call: &Call, name: &str) -> Result<Option<Version>, Problem> {
    let Some(tag) = call.if_match() else {
        return Ok(None);
    };
    if let Ok(number) = tag.parse() {
        return Ok(Some(Version::new(number)));
    }
    call.state.board.forget().await;
    let snapshot = call.state.board.look().await;
    let entry = snapshot.entry(name);
    let settings = entry.map(super::tasks::settings).unwrap_or_default();
    let version = entry.and_then(|entry| entry.facts.version);
    match version.filter(|_| crate::admin::reply::is_about(tag, &settings)) {
        Some(version) => Ok(Some(Version::new(version))),
        None => Err(moved_on(name, None)),
    }
}

fn moved_on(name: &str, now: Option<&StoredTask>) -> Problem {
    let text = format!("{name} is not as you have seen it: read it again");
    let problem = Problem::new("precondition-failed", text);
    match now {
        Some(task) => problem.with("current_etag", format!("\"{}\"", task.version)),
        None => problem,
    }
}

pub(super) async fn save(call: Call) -> Answer {
    let body: TaskBody = call.body()?;
    let store = store(&call)?;
    let name = call.part("task").to_owned();
    let missing = |field: &str| {
        let text = format!("`{field}` is missing");
        Problem::new("malformed-request", &text).at(&format!("/{field}"), &text, None)
    };
    let kind = body.handler.ok_or_else(|| missing("handler"))?;
    let cron = body.cron.ok_or_else(|| missing("cron"))?;
    let reason = body.reason.as_deref().unwrap_or("asked for by the API");
    let by = call.by(Some(reason))?;
    let kinds = call.state.handle.kinds();
    if !kinds.iter().any(|known| *known.name == *kind) {
        let known: Vec<&str> = kinds.iter().map(|kind| &*kind.name).collect();
        let text = format!(
            "no kind of work {:?} is known here",
            contained_line(&kind, 128)
        );
        return Err(Problem::new("no-handler-here", text).with("did_you_mean", known));
    }
    let mut task = StoredTask::new(&name, kind, cron).enabled(body.enabled.unwrap_or(true));
    if let Some(zone) = &body.timezone {
        task = task.timezone(super::preview::zone(zone)?);
    }
    if let Some(seconds) = body.timeout_s {
        let timeout = std::time::Duration::try_from_secs_f64(seconds);
        task = task.timeout(timeout.map_err(|e| {
            Problem::new("malformed-request", e.to_string()).at("/timeout_s", e.to_string(), None)
        })?);
    }
    if let Some(params) = parsed(&call, "/params", body.params)? {
        task = task.parameters(params);
    }
    if let Some(policy) = parsed(&call, "/policy", body.policy)? {
        if !policy.is_object() {
            let text = "`policy` is no JSON object of settings";
            return Err(Problem::new("malformed-request", text).at("/policy", text, None));
        }
        let policy = serde_json::from_value(policy);
        task = task.policy(policy.map_err(|e| {
            Problem::new("malformed-request", e.to_string()).at("/policy", e.to_string(), None)
        })?);
    }
    task = task.owner(body.owner.as_deref().unwrap_or(by.actor()));
    task = task.description(body.description.unwrap_or_default());
    let there = store.get(&name).await?;
    let seen = wished(&call, &name).await?;
    task.version = match seen.or(body.version.map(Version::new)) {
        Some(version) => version,
        None => there.as_ref().map(|task| task.version).unwrap_or_default(),
    };
    // What would be refused is not asked for.
    store.check(&task)?;
    let now = there.as_ref().map(|task| task.version).unwrap_or_default();
    if task.version != now {
        return Err(moved_on(&name, there.as_ref()));
    }
    let control = call.control()?;
    control.note_save(&task, there.as_ref(), &by).await?;
    match store.save(&task).await? {
        Saved::Done(version) => {
            let kept = Kept {
                version: version.get(),
                name,
            };
            let status = if there.is_some() {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            let page = page_of(&kept.name);
            Ok(Reply::tagged(status, &kept, &kept.version.to_string())?.shown_at(page))
        }
        Saved::Refused(now) => Err(moved_on(&name, now.as_deref())),
    }
}

pub(super) async fn delete(call: Call) -> Answer {
    let body: ReasonBody = call.body()?;
    let store = store(&call)?;
    let name = call.part("task").to_owned();
    let by = call.by(Some(
        body.reason.as_deref().unwrap_or("asked for by the API"),
    ))?;
    let snapshot = call.state.board.look().await;
    let entry = snapshot.entry(&name);
    if name.parse::<crate::task::TaskName>().is_err() {
        return Err(no_task(&snapshot, &name));
    }
    let expected = match wished(&call, &name).await? {
        Some(version) => Expected::At(version),
        None => Expected::Anything,
    };
    let Some(there) = store.get(&name).await? else {
        return Err(match entry {
            Some(entry) if entry.task.kind == "code" => {
                Problem::new("owned-by-code", format!("{name} belongs to code"))
            }
            _ => no_task(&snapshot, &name),
        });
    };
    if matches!(expected, Expected::At(version) if version != there.version) {
        return Err(moved_on(&name, Some(&there)));
    }
    call.control()?.note_delete(&there, &by).await?;
    match store.delete(&name, expected).await? {
        Deleted::Done => Reply::none(),
        Deleted::NotThere => Err(no_task(&snapshot, &name)),
        Deleted::Refused(now) => Err(moved_on(&name, Some(&now))),
    }
}
