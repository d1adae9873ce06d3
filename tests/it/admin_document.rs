//! The API keeps to its own document: every route is in it, and what is sent has the shape it tells.

use axum::Router;
use serde_json::{Map, Value, json};
use tasklock::{By, PauseFor};

use crate::support::web::{Ask, Got, Shop, open};
use crate::support::{Bench, pass};

/// A fleet with something of everything in it.
async fn lively() -> (Shop, Vec<Bench>, Router) {
    let shop = Shop::new();
    let all: Vec<Bench> = ["a", "b"].iter().map(|id| shop.instance(id)).collect();
    for bench in &all {
        bench.task("well", "*/5 * * * * *", |_| async { Ok(()) });
        bench.task("bad", "*/7 * * * * *", |_| async {
            Err(std::io::Error::other("upstream 503").into())
        });
        bench.task("long", "*/20 * * * * *", |ctx| async move {
            ctx.progress(1, 3);
            tokio::time::sleep(std::time::Duration::from_secs(50)).await;
            Ok(())
        });
        bench.task("never", "0 0 0 31 2 *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(45.0).await;
    let by = By::new("ana", "a test").unwrap();
    let control = all[0].scheduler.handle().control().unwrap();
    control.pause(PauseFor::task("never", &by)).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let zone = tasklock::chrono_tz::UTC;
    control
        .override_spec("well", "*/6 * * * * *", zone, hour, &by)
        .await
        .unwrap();
    control.skip("bad", 2, &by).await.unwrap();
    pass(2.0).await;
    let router = open(&all[0]);
    (shop, all, router)
}

async fn document(router: &Router) -> Value {
    Ask::get("/api/v1/openapi.json")
        .by("viewer")
        .of(router)
        .await
        .json()
}

/// Where a value is not as a schema tells, if anywhere. What is not told of is wrong too.
fn breach(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let Some(schema) = schema.as_object() else {
        return (schema == &Value::Bool(false)).then(|| format!("{at}: nothing may be here"));
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let found = document.pointer(reference.trim_start_matches('#'));
        let found = found.unwrap_or_else(|| panic!("{reference} is nowhere"));
        return breach(document, found, value, at);
    }
    for some in ["anyOf", "oneOf"] {
        if let Some(options) = schema.get(some).and_then(Value::as_array) {
            let breaches: Vec<_> = options
                .iter()
                .map(|option| breach(document, option, value, at))
                .collect();
            if breaches.iter().all(Option::is_some) {
                return Some(format!("{at}: {value} is none of {some}: {breaches:?}"));
            }
            return None;
        }
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return Some(format!("{at}: {value} is not {constant}"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(kinds) = schema.get("type") {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = |told: &Value| told == kind || (told == "number" && kind == "integer");
        let is_told = kinds
            .as_array()
            .map_or_else(|| fits(kinds), |kinds| kinds.iter().any(fits));
        if !is_told {
            return Some(format!("{at}: {value} is no {kinds}"));
        }
    }
    if let Value::Array(items) = value {
        if let Some(schema) = schema.get("items") {
            let each = items.iter().enumerate();
            return each
                .filter_map(|(n, item)| breach(document, schema, item, &format!("{at}/{n}")))
                .next();
        }
        return None;
    }
    let Value::Object(fields) = value else {
        return None;
    };
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    for required in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if !fields.contains_key(required.as_str().unwrap()) {
            return Some(format!("{at}: {required} is missing"));
        }
    }
    let others = schema.get("additionalProperties");
    for (name, field) in fields {
        let at = format!("{at}/{name}");
        let schema = match (properties.get(name), others) {
            (Some(schema), _) | (None, Some(schema)) => schema,
            (None, None) if schema.contains_key("properties") => {
                return Some(format!("{at}: it is not told of"));
            }
            (None, None) => continue,
        };
        if let Some(breach) = breach(document, schema, field, &at) {
            return Some(breach);
        }
    }
    None
}

#[test]
fn the_check_of_shapes_sees_what_is_wrong() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "anyOf": [{ "$ref": "#/x" }, { "type": "null" }] } } });
    let document = json!({ "x": { "type": "array", "items": { "enum": ["p", "q"] } } });
    let check = |value: Value| breach(&document, &schema, &value, "");
    assert_eq!(check(json!({ "a": null })), None);
    assert_eq!(check(json!({ "a": ["p", "q"] })), None);
    for wrong in [
        json!({}),
        json!({ "a": ["r"] }),
        json!({ "a": 7 }),
        json!({ "a": null, "b": 1 }),
        json!([]),
    ] {
        assert!(check(wrong.clone()).is_some(), "{wrong}");
    }
}

/// Checks an answer against what the document tells of its operation.
fn check(document: &Value, operation: &Value, got: &Got, what: &str) {
    if got.status >= 400 && got.header("content-type").starts_with("text/html") {
        return; // Forms of pages are answered by pages.
    }
    let told = &operation["responses"][got.status.to_string()];
    assert!(
        !told.is_null(),
        "{what}: {} is not told of: {got:?}",
        got.status
    );
    let kind = got.header("content-type").split(';').next().unwrap();
    let Some(content) = told["content"].as_object() else {
        assert_eq!(got.body, "", "{what}: {got:?}");
        return;
    };
    let told = content
        .get(kind)
        .unwrap_or_else(|| panic!("{what}: {kind:?} is not told of: {got:?}"));
    if kind.ends_with("json") && kind != "application/x-ndjson" && !told["schema"].is_null() {
        let found = breach(document, &told["schema"], &got.json(), "");
        assert_eq!(
            found,
            None,
            "{what}: {}",
            got.body.chars().take(2_000).collect::<String>()
        );
    }
    if kind == "application/problem+json" {
        let code = got.code();
        let description = document_of(operation, got.status);
        assert!(
            description.contains(&format!("`{code}`")),
            "{what}: {code} is not told of: {description}"
        );
    }
}

fn document_of(operation: &Value, status: u16) -> String {
    let told = &operation["responses"][status.to_string()]["description"];
    told.as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_document_says_what_is_required_and_where_the_api_is() {
    let shop = Shop::new();
    let (_bench, router) = shop.serving("t").await;
    assert_eq!(document(&router).await["servers"][0]["url"], "/");
    let nested = Router::new().nest_service("/ops/tasks", router);
    let ask = Ask::get("/ops/tasks/api/v1/openapi.json").by("viewer");
    let document = ask.of(&nested).await.json();
    assert_eq!(document["servers"][0]["url"], "/ops/tasks");
    let body = &document["paths"]["/api/v1/tasks/{task}/override"]["put"]["requestBody"];
    assert_eq!(body["required"], true);
    let kinds = body["content"].as_object().unwrap();
    for (kind, content) in kinds {
        let schema = &content["schema"];
        let schema = match schema["$ref"].as_str() {
            Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        assert_eq!(schema["required"], json!(["cron", "reason"]), "{kind}");
        assert_eq!(schema["additionalProperties"], false, "{kind}");
    }
    assert_eq!(kinds.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_has_the_shape_that_the_document_tells() {
    let (_shop, _all, router) = lively().await;
    let document = document(&router).await;
    assert_eq!(document["openapi"], "3.1.0");
    let runs = Ask::get("/api/v1/runs")
        .by("viewer")
        .of(&router)
        .await
        .json();
    let id = runs["items"][0]["id"].as_str().unwrap().to_owned();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(operation) = methods.get("get") else {
            continue;
        };
        if path.ends_with("/events") {
            continue; // It goes on.
        }
        for task in ["well", "bad", "long", "never"] {
            let path = path.replace("{task}", task).replace("{id}", &id);
            let query = if path.ends_with("/why") {
                "?at=2026-11-21T10:00:35Z"
            } else {
                ""
            };
            let got = Ask::get(&format!("{path}{query}"))
                .by("viewer")
                .of(&router)
                .await;
            assert_eq!(got.status, 200, "{path} {got:?}");
            check(&document, operation, &got, &path);
            seen += 1;
        }
    }
    assert!(seen >= 60, "{seen}");
}

/// What strangers may send in the place of a value.
fn hostile() -> Vec<String> {
    let long = "x".repeat(10_000);
    [
        "<script>alert(1)</script>",
        "a/b",
        "..",
        "\"'",
        "%00",
        "\u{1b}[31m",
        "\u{202e}abc",
        "-1",
        "0",
        "99999999999999999999",
        "1e308",
        "NaN",
        "null",
        "{}",
        "[]",
        "true",
        "2026-11-21T10:00:00Z",
        "9999-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
        "01JD9A4F2C6Q8V0Y3M5N7P9R1T",
        "0 0 1--100000000 * *",
        "0 0 0 31 2 *",
        "~",
        "end~end",
        "1-1~",
        "worst",
        "\u{0}",
        &long,
    ]
    .into_iter()
    .map(str::to_owned)
    .collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_is_sent_the_answer_is_one_that_the_document_tells() {
    let (_shop, all, router) = lively().await;
    let document = document(&router).await;
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if path.ends_with("/events") {
                continue;
            }
            let method = method.to_uppercase();
            let mut asks: Vec<(String, Ask)> = Vec::new();
            let plain = path
                .replace("{task}", "well")
                .replace("{id}", "01JD9A4F2C6Q8V0Y3M5N7P9R1T");
            for text in hostile() {
                let at = |text: &str| path.replace("{task}", text).replace("{id}", text);
                if path.contains('{') && text.len() < 1_000 && !["..", ""].contains(&text.as_str())
                {
                    asks.push(("path".into(), Ask::new(&method, &at(&encoded(&text)))));
                }
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    match parameter["in"].as_str().unwrap() {
                        "query" => {
                            let path = format!("{plain}?{name}={}", encoded(&text));
                            asks.push((format!("query {name}"), Ask::new(&method, &path)));
                        }
                        "header" if text.is_ascii() && !text.chars().any(char::is_control) => {
                            let ask = Ask::new(&method, &plain).header(name, &text);
                            asks.push((
                                format!("header {name}"),
                                ask.json(json!({ "reason": "x" })),
                            ));
                        }
                        _ => {}
                    }
                }
                let query = format!("{plain}?unknown={}", encoded(&text));
                asks.push(("unknown query".into(), Ask::new(&method, &query)));
                if let Some(body) =
                    operation["requestBody"]["content"]["application/json"].as_object()
                {
                    let schema = body["schema"]["$ref"]
                        .as_str()
                        .unwrap()
                        .trim_start_matches('#');
                    let fields = document.pointer(schema).unwrap()["properties"]
                        .as_object()
                        .unwrap();
                    for name in fields.keys() {
                        let mut values = vec![json!(text)];
                        values.extend(serde_json::from_str::<Value>(&text).ok());
                        for value in values {
                            let mut body =
                                json!({ "reason": "x", "cron": "0 0 0 * * *", "handler": "h" });
                            body.as_object_mut()
                                .unwrap()
                                .retain(|key, _| fields.contains_key(key));
                            body[name.as_str()] = value;
                            asks.push((
                                format!("body {name}"),
                                Ask::new(&method, &plain).json(body),
                            ));
                        }
                        let form = format!("_method={method}&reason=x&{name}={}", encoded(&text));
                        asks.push((format!("form {name}"), Ask::new("POST", &plain).form(&form)));
                    }
                    let mut ask = Ask::new(&method, &plain);
                    ask.body = text.clone();
                    asks.push((
                        "text".into(),
                        ask.header("content-type", "application/json"),
                    ));
                }
            }
            for (what, ask) in asks {
                let what = format!("{method} {path} {what}: {:?} {:?}", ask.path, ask.body);
                let what: String = what.chars().take(400).collect();
                let got = ask.by("admin").of(&router).await;
                count += 1;
                if got.status == 400 && got.body.is_empty() {
                    panic!("{what}: {got:?}");
                }
                assert_ne!(got.status, 500, "{what}: {got:?}");
                check(&document, operation, &got, &what);
                assert!(
                    !got.body.contains('\u{1b}') && !got.body.contains('\u{202e}'),
                    "{what}"
                );
            }
        }
    }
    assert!(count > 1_500, "{count}");
    drop(all);
}
