//! The API's document: OpenAPI 3.1, made of the table that mounts it.

use std::sync::LazyLock;

use axum::http::header;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::admin::api::table::{Content, ROUTES, Route};
use crate::admin::api::tasks::Nothing;
use crate::admin::call::Call;
use crate::admin::problem::PROBLEMS;
use crate::admin::reply::{Answer, Reply};

/// Why anything may not be done.
const EVERYWHERE: &[&str] = &[
    "malformed-request",
    "unauthenticated",
    "forbidden",
    "internal",
    "backend-unavailable",
];
/// Why nothing that changes something may be done.
const CHANGES: &[&str] = &["cross-site", "too-large", "unsupported-media-type"];

/// Where the API is, as the document has it that nobody has mounted.
const SERVER: &str = r#""url":"/""#;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| written().to_string());

/// The document, for the command that prints it.
#[cfg(feature = "cli")]
pub(crate) fn openapi() -> &'static str {
    &DOCUMENT
}

pub(super) async fn document(call: Call) -> Answer {
    call.query::<Nothing>()?;
    // Clients ask where they were told: below the path that it is mounted under here.
    let here = match &*call.arrival.base {
        "" => "/",
        base => base,
    };
    let text = DOCUMENT.replacen(SERVER, &format!("\"url\":{}", json!(here)), 1);
    Ok(Reply::of((
        [(header::CONTENT_TYPE, "application/json")],
        text,
    )))
}

fn written() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths
            .entry(format!("/api/v1{}", route.path))
            .or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            let operation = operation(route, &mut generator);
            path.insert(route.method.to_lowercase(), operation);
        }
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tasklock",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Scheduled tasks of a fleet: what there is, what is wrong, and what can be done. \
                Times are RFC 3339 in UTC, durations are seconds.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this document came from" }],
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    });
    without_defaults(&mut document);
    document
}

/// Takes out that nothing is the default.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(without_defaults),
        Value::Object(fields) => {
            fields.retain(|name, value| name != "default" || !value.is_null());
            fields.values_mut().for_each(without_defaults);
        }
        _ => {}
    }
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "responses": responses(route, generator),
    });
    let Some(fields) = operation.as_object_mut() else {
        return operation;
    };
    let mut parameters = path_parameters(route.path);
    if let Some(query) = route.query {
        parameters.extend(query_parameters(query(generator), generator));
    }
    for name in route.headers() {
        parameters.push(json!({ "name": name, "in": "header", "required": false,
            "schema": { "type": "string" } }));
    }
    if !parameters.is_empty() {
        fields.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = route.body {
        let schema = body(generator);
        let form = form(named(&schema, generator).clone());
        let is_required = form.get("required").is_some();
        let content = json!({
            "application/json": { "schema": schema.to_value() },
            "application/x-www-form-urlencoded": { "schema": form },
        });
        fields.insert(
            "requestBody".to_owned(),
            json!({ "required": is_required, "content": content }),
        );
    }
    if let Some(right) = route.right {
        fields.insert("x-required-right".to_owned(), right.as_str().into());
    }
    operation
}

fn path_parameters(path: &str) -> Vec<Value> {
    let parts = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let pattern = |name: &str| match (name, path.starts_with("/runs/")) {
        ("task", _) => "^[A-Za-z0-9_.:-]{1,128}$",
        (_, true) => "^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
        (_, false) => "^[!-~]{1,64}$",
    };
    parts
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "pattern": pattern(name) } })
        })
        .collect()
}

/// What a schema is that may only lead to where it is told.
fn named<'a>(schema: &'a schemars::Schema, generator: &'a SchemaGenerator) -> &'a Value {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    name.and_then(|name| generator.definitions().get(name))
        .unwrap_or(schema.as_value())
}

/// A body as a form has it: what is not said may be there, and empty.
fn form(mut schema: Value) -> Value {
    without_null(&mut schema);
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| {
        required
            .as_array()
            .is_some_and(|r| r.contains(&json!(name)))
    };
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if !is_required(name) {
            *field = json!({ "anyOf": [field.take(), { "type": "string", "maxLength": 0 }] });
        }
    }
    schema
}

/// Takes `null` out of a schema, for texts: there what is not said is left out.
fn without_null(schema: &mut Value) {
    let is_null = |value: &Value| value == "null" || value.get("type").is_some_and(|t| t == "null");
    match schema {
        Value::Array(all) => {
            all.retain(|one| !is_null(one));
            all.iter_mut().for_each(without_null);
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// The fields of an object as parameters.
fn query_parameters(schema: schemars::Schema, generator: &SchemaGenerator) -> Vec<Value> {
    let definition = named(&schema, generator);
    let required = definition
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let fields = definition.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let mut description = Value::Null;
        if let Some(fields) = schema.as_object_mut() {
            description = fields.remove("description").unwrap_or_default();
        }
        without_null(&mut schema);
        let is_required = required.contains(&json!(name));
        json!({ "name": name, "in": "query", "required": is_required, "allowEmptyValue": !is_required,
            "description": description, "schema": schema })
    };
    fields.into_iter().flatten().map(parameter).collect()
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let content = match route.content {
        Content::None => None,
        Content::One(schema) => {
            Some(json!({ "application/json": { "schema": schema(generator).to_value() } }))
        }
        Content::List(schema) => {
            let item = schema(generator).to_value();
            let list = json!({
                "type": "object",
                "required": ["items", "next_cursor", "stale_since"],
                "properties": {
                    "items": { "type": "array", "items": item },
                    "next_cursor": { "type": ["string", "null"],
                        "description": "For the query parameter `cursor` of the next page; null on the last one" },
                    "stale_since": { "type": ["string", "null"], "format": "date-time",
                        "description": "Since when this is old; null if it is not" },
                },
            });
            Some(json!({ "application/json": { "schema": list } }))
        }
        Content::Text(kinds) => {
            let kind = |kind: &&str| ((*kind).to_owned(), json!({}));
            Some(kinds.iter().map(kind).collect::<Map<_, _>>().into())
        }
    };
    for status in route.statuses {
        let mut response = json!({ "description": "Done" });
        if let (Some(fields), Some(content)) = (response.as_object_mut(), &content) {
            fields.insert("content".to_owned(), content.clone());
        }
        responses.insert(status.to_string(), response);
    }
    if route.method == "GET" && route.right.is_some() {
        responses.insert("304".to_owned(), json!({ "description": "As you have it" }));
    }
    if route.changes() {
        let text = "Done, for a form of a page: where to look";
        responses.insert("303".to_owned(), json!({ "description": text }));
    }
    let mut problems: Vec<&str> = route.problems.to_vec();
    if route.right.is_some() {
        problems.extend(EVERYWHERE);
    }
    if route.body.is_some() {
        problems.extend(CHANGES);
    }
    for (code, status, title) in PROBLEMS.iter().filter(|(code, ..)| problems.contains(code)) {
        let response = responses.entry(status.to_string()).or_insert_with(|| {
            json!({ "description": "", "content":
                { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } })
        });
        let before = response
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let glue = if before.is_empty() { "" } else { "; " };
        let text = format!("{before}{glue}`{code}`: {title}");
        if let Some(fields) = response.as_object_mut() {
            fields.insert("description".to_owned(), text.into());
        }
    }
    responses.into()
}

/// RFC 9457.
fn problem() -> Value {
    let codes: Vec<&str> = PROBLEMS.iter().map(|(code, ..)| *code).collect();
    json!({
        "type": "object",
        "description": "Why a request was not done: RFC 9457",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "enum": codes },
            "request_id": { "type": "string" },
            "errors": { "type": "array", "items": { "type": "object", "required": ["pointer", "detail"],
                "properties": { "pointer": { "type": "string" }, "detail": { "type": "string" },
                    "position": { "type": "integer" } } } },
            "did_you_mean": { "type": "array", "items": { "type": "string" } },
            "required_right": { "type": "string" },
            "current_etag": { "type": "string" },
            "run_id": { "type": "string" },
            "instance_id": { "type": "string" },
            "runs": { "type": "array", "items": { "type": "string" } },
            "may_be_done": { "type": "boolean" },
        },
    })
}
