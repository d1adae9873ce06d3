//! The form of a task that is defined at run time: to make one, and to change one.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::forms::{method_of, task_path, why};
use super::frame::Frame;
use super::show::no_task;
use super::visit::Visit;
use crate::admin::access::Right;
use crate::admin::door;
use crate::admin::problem::Problem;
use crate::scheduler::KindSnapshot;
use crate::store::StoredTask;
use crate::task::TaskName;
use crate::text::{contained, contained_line};

/// So many parameters of a handler are told of.
const TOLD: usize = 40;
/// The longest text of one, in bytes.
const LONGEST: usize = 400;

/// A parameter of a handler.
#[derive(Debug, PartialEq)]
struct Parameter {
    name: String,
    kind: String,
    is_required: bool,
    text: String,
}

pub(super) async fn new(visit: Visit) -> Response {
    if let Some(refused) = refused(&visit) {
        return refused;
    }
    let frame = &visit.frame;
    let kinds = visit.state.handle.kinds();
    let name = contained_line(visit.asked("name").unwrap_or_default(), 200);
    let chosen = visit.asked("handler").unwrap_or_default();
    let kind = kinds.iter().find(|kind| *kind.name == *chosen);
    let is_known = visit.snapshot.entry(&name).is_some();
    let main = match (name.parse::<TaskName>(), kind, is_known) {
        (Ok(_), Some(kind), false) => {
            let task = StoredTask::new(&name, &*kind.name, "").parameters(skeleton(&kind.schema));
            form(frame, &task, &kinds)
        }
        (_, _, true) => first(frame, &name, &kinds, Some("There is a task of this name.")),
        (Err(error), ..) if !name.is_empty() => {
            first(frame, &name, &kinds, Some(&error.to_string()))
        }
        _ => first(frame, &name, &kinds, None),
    };
    visit.show(frame.notice("New task", &main))
}

pub(super) async fn edit(Path(name): Path<String>, visit: Visit) -> Response {
    if let Some(refused) = refused(&visit) {
        return refused;
    }
    let Some(store) = visit.state.handle.task_store() else {
        return door::problem(no_task(&visit.snapshot, &name));
    };
    match store.get(&name).await {
        Ok(Some(task)) => {
            let kinds = visit.state.handle.kinds();
            let main = form(&visit.frame, &task, &kinds);
            visit.show(visit.frame.notice(&task.name, &main))
        }
        Ok(None) if visit.snapshot.entry(&name).is_some() => {
            let text = format!("{name} belongs to code: change it there, or override its schedule");
            door::problem(Problem::new("owned-by-code", text))
        }
        Ok(None) => door::problem(no_task(&visit.snapshot, &name)),
        Err(error) => door::problem(error.into()),
    }
}

/// Why this visitor is shown no form.
fn refused(visit: &Visit) -> Option<Response> {
    if visit.frame.may.dynamic {
        return None;
    }
    let right = Right::Dynamic.as_str();
    let text = format!("to store tasks needs the right {right:?}, and a fleet that keeps them");
    let problem = Problem::new("forbidden", text).with("required_right", right);
    Some(door::problem(problem))
}

/// Which task it is to be, and of which handler: what is asked for next depends on it.
fn first(frame: &Frame, name: &str, kinds: &[KindSnapshot], wrong: Option<&str>) -> Markup {
    html! {
        h1 { "New task" }
        p.mute { "A task that is defined at run time: all replicas have it within a second. It can do what code has registered a handler for." }
        @if let Some(wrong) = wrong { p.note.bad role="alert" { (wrong) } }
        @if kinds.is_empty() {
            p.note { "No handler is registered here: code does that with " code { "scheduler.handler(…)" } "." }
        } @else {
            form.card.form method="get" action=(frame.to("/new")) {
                label { span { "Name" } input.mono name="name" value=(name) required maxlength="128" pattern="[A-Za-z0-9_.:\\-]{1,128}" autocomplete="off" spellcheck="false" autofocus; }
                (handlers(kinds, ""))
                div.bar { a.btn href=(frame.to("/")) { "Cancel" } button.pri { "Continue" } }
            }
        }
    }
}

fn handlers(kinds: &[KindSnapshot], chosen: &str) -> Markup {
    let is_known = kinds.iter().any(|kind| *kind.name == *chosen);
    html! {
        label {
            span { "Handler" }
            select name="handler" required {
                @if !is_known && !chosen.is_empty() { option value=(chosen) selected { (chosen) " (not known here)" } }
                @for kind in kinds { option value=(kind.name) selected[*kind.name == *chosen] { (kind.name) } }
            }
        }
    }
}

fn form(frame: &Frame, task: &StoredTask, kinds: &[KindSnapshot]) -> Markup {
    let is_new = task.version.get() == 0;
    let kind = kinds.iter().find(|kind| *kind.name == *task.kind);
    let policy = match serde_json::to_value(&task.policy) {
        Ok(Value::Object(settings)) => differing(settings),
        _ => Map::new(),
    };
    let back = if is_new {
        frame.to("/")
    } else {
        frame.to_task(&task.name)
    };
    html! {
        h1 { @if is_new { "New task " } @else { "Edit " } (task.name) }
        form.card.form method="post" action=(frame.to(&task_path(&task.name))) data-ask {
            (method_of("PUT"))
            @if !is_new { input type="hidden" name="version" value=(task.version.get()); }
            (handlers(kinds, &task.kind))
            label { span { "Schedule" } input.mono name="cron" value=(task.spec) required maxlength="1024" placeholder="0 30 9 * * MON-FRI" autocomplete="off" spellcheck="false" data-preview=(frame.to("/api/v1/schedule/preview")); }
            label { span { "Zone; empty for that of the scheduler" } input name="timezone" value=[task.timezone.map(|zone| zone.name())] maxlength="64" placeholder="Europe/Berlin" autocomplete="off" spellcheck="false"; }
            p.mute role="status" data-told {}
            label { span { "Parameters, as JSON" } textarea.mono name="params" rows="5" maxlength="65536" spellcheck="false" data-json { (pretty(&task.parameters)) } }
            @if let Some(kind) = kind { (told(&parameters(&kind.schema))) }
            label { span { "A run may take so many seconds" } input type="number" name="timeout_s" value=(task.timeout.as_secs_f64()) min="0.001" step="any" required; }
            label { span { "What it is for" } input name="description" value=(contained_line(&task.description, 4_096)) maxlength="4096" autocomplete="off"; }
            label { span { "Who answers for it; empty for you" } input name="owner" value=[task.owner.as_deref()] maxlength="128" autocomplete="off"; }
            label { span { "Whether it fires" }
                select name="enabled" { option value="true" selected[task.enabled] { "it fires when it is due" } option value="false" selected[!task.enabled] { "it is disabled" } }
            }
            label { span { "Policy, as JSON: settings that differ from the defaults, such as {\"misfire\": …}" } textarea.mono name="policy" rows="3" maxlength="16384" spellcheck="false" data-json { (pretty(&Value::Object(policy))) } }
            (why())
            div.bar { a.btn href=(back) { "Cancel" } button.pri { "Save" } }
        }
    }
}

/// Settings of a policy that are not as they are by default.
fn differing(mut settings: Map<String, Value>) -> Map<String, Value> {
    let default = serde_json::to_value(crate::task::Policy::default()).unwrap_or_default();
    settings.retain(|name, value| default.get(name) != Some(value));
    settings
}

fn pretty(value: &Value) -> String {
    contained(
        &serde_json::to_string_pretty(value).unwrap_or_default(),
        128 * 1024,
    )
}

/// What a handler is given.
fn told(parameters: &[Parameter]) -> Markup {
    html! {
        @if !parameters.is_empty() {
            dl {
                @for parameter in parameters {
                    dt { code { (parameter.name) } @if parameter.is_required { " *" } }
                    dd { (parameter.kind) @if !parameter.text.is_empty() { span.sub { (parameter.text) } } }
                }
            }
        }
    }
}

/// The parameters of a schema of an object.
fn parameters(schema: &Value) -> Vec<Parameter> {
    let required = required(schema);
    let all = schema.get("properties").and_then(Value::as_object);
    let all = all.into_iter().flatten().take(TOLD);
    all.map(|(name, about)| Parameter {
        is_required: required.contains(&name.as_str()),
        kind: kind_of(about),
        text: contained_line(
            about
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            LONGEST,
        ),
        name: contained_line(name, 128),
    })
    .collect()
}

fn required(schema: &Value) -> Vec<&str> {
    let required = schema.get("required").and_then(Value::as_array);
    required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// `string`, `integer or null`, `one of …`.
fn kind_of(about: &Value) -> String {
    let words = match (
        about.get("type"),
        about.get("enum").and_then(Value::as_array),
    ) {
        (_, Some(values)) => {
            let values: Vec<String> = values.iter().take(20).map(Value::to_string).collect();
            format!("one of {}", values.join(", "))
        }
        (Some(Value::String(one)), _) => one.clone(),
        (Some(Value::Array(some)), _) => {
            let some: Vec<&str> = some.iter().filter_map(Value::as_str).collect();
            some.join(" or ")
        }
        _ => "JSON".to_owned(),
    };
    contained_line(&words, LONGEST)
}

/// Parameters to begin with: those that have to be there.
fn skeleton(schema: &Value) -> Value {
    let about = |name: &str| schema.get("properties").and_then(|all| all.get(name));
    let begin = |name: &str| match about(name) {
        Some(about) if about.get("default").is_some() => {
            about.get("default").cloned().unwrap_or_default()
        }
        Some(about) => match about.get("type").and_then(Value::as_str) {
            Some("string") => "".into(),
            Some("integer" | "number") => 0.into(),
            Some("boolean") => false.into(),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => Value::Object(Map::new()),
            _ => Value::Null,
        },
        None => Value::Null,
    };
    let names = required(schema).into_iter().take(TOLD);
    Value::Object(names.map(|name| (name.to_owned(), begin(name))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_becomes_what_to_type_and_a_beginning_of_it() {
        let schema = json!({
            "type": "object",
            "required": ["url", "times"],
            "properties": {
                "url": { "type": "string", "description": "Where <to>" },
                "times": { "type": "integer", "default": 3 },
                "note": { "type": ["string", "null"] },
                "how": { "enum": ["a", "b"] },
            },
        });
        assert_eq!(skeleton(&schema), json!({ "url": "", "times": 3 }));
        let told = told(&parameters(&schema)).into_string();
        for text in ["Where &lt;to&gt;", "string or null", "one of &quot;a&quot;"] {
            assert!(told.contains(text), "{text}: {told}");
        }
    }

    #[test]
    fn a_schema_that_says_nothing_or_nonsense_does_no_harm() {
        for schema in [
            json!(true),
            json!({ "required": 7 }),
            json!({ "properties": [1] }),
            json!({ "required": ["x"] }),
        ] {
            assert!(parameters(&schema).is_empty());
            assert!(skeleton(&schema).is_object());
        }
    }
}
