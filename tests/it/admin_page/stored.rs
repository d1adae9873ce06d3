//! Tasks that are defined at run time, made and changed on the page.

use serde_json::json;
use tasklock::schemars::JsonSchema;

use crate::support::web::{Ask, Got, Shop, open};
use crate::support::{Bench, pass};

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Ping {
    /// Where it goes <b>to</b>.
    url: String,
    /// How often.
    times: Option<u32>,
}

fn knows_ping(bench: &Bench) {
    bench
        .scheduler
        .handler("http_ping", |_, _: Ping| async { Ok(()) })
        .unwrap();
}

struct Forms {
    shop: Shop,
    /// Held for what it runs.
    _bench: Bench,
    router: axum::Router,
}

impl Forms {
    async fn new() -> Self {
        let shop = Shop::new();
        let bench = shop.instance("a");
        knows_ping(&bench);
        bench.task("of.code", "0 0 0 * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(0.5).await;
        Self {
            router: open(&bench),
            _bench: bench,
            shop,
        }
    }

    async fn get(&self, path: &str) -> Got {
        let ask = Ask::get(path).by("admin").header("accept", "text/html");
        let got = ask.of(&self.router).await;
        super::harmless(path, &got.body);
        got
    }

    async fn screen(&self, path: &str) -> String {
        let got = self.get(path).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        got.body
    }

    /// Sends the form of a task, with these fields and those that have to be there.
    async fn save(&self, name: &str, fields: &[(&str, &str)]) -> Got {
        let mut all = vec![
            ("_method", "PUT"),
            ("handler", "http_ping"),
            ("cron", "0 */5 * * * *"),
            ("params", r#"{"url":"https://a.example/?a=1&b=<2>"}"#),
            ("reason", "a test wants it"),
        ];
        for field in fields {
            all.retain(|(name, _)| *name != field.0);
            all.push(*field);
        }
        let body = serde_urlencoded::to_string(all).unwrap();
        let ask = Ask::new("POST", &format!("/api/v1/tasks/{name}")).by("admin");
        let got = ask.form(&body).of(&self.router).await;
        super::harmless(name, &got.body);
        got
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_made_changed_and_deleted_by_forms() {
    let forms = Forms::new().await;
    assert!(forms.screen("/").await.contains("href=\"/new\""));
    let first = forms.screen("/new").await;
    assert!(first.contains("<option value=\"http_ping\">"), "{first}");
    let form = forms.screen("/new?name=ping.a&handler=http_ping").await;
    for part in [
        "action=\"/api/v1/tasks/ping.a\"",
        "name=\"_method\" value=\"PUT\"",
        "data-preview=\"/api/v1/schedule/preview\"",
        "&quot;url&quot;: &quot;&quot;",
        "Where it goes &lt;b&gt;to&lt;/b&gt;.",
        "integer or null",
    ] {
        assert!(form.contains(part), "{part}: {form}");
    }
    assert!(!form.contains("name=\"version\""));
    let policy = r#"{"misfire_threshold_s":90}"#;
    let made = forms
        .save(
            "ping.a",
            &[("policy", policy), ("timezone", "Europe/Berlin")],
        )
        .await;
    assert_eq!(
        (made.status, made.header("location")),
        (303, "/tasks/ping.a"),
        "{}",
        made.body
    );
    pass(1.5).await;
    let task = forms.screen("/tasks/ping.a").await;
    assert!(
        task.contains("href=\"/tasks/ping.a/edit\"") && task.contains(">Delete…<"),
        "{task}"
    );
    assert!(task.contains("stored by ana"), "{task}");

    let form = forms.screen("/tasks/ping.a/edit").await;
    for part in [
        "value=\"0 */5 * * * *\"",
        "value=\"Europe/Berlin\"",
        "a=1&amp;b=&lt;2&gt;",
        "misfire_threshold",
    ] {
        assert!(form.contains(part), "{part}: {form}");
    }
    let (_, version) = form.split_once("name=\"version\" value=\"").unwrap();
    let version = version.split('"').next().unwrap().to_owned();
    let changed = [
        ("cron", "0 0 3 * * *"),
        ("version", version.as_str()),
        ("policy", policy),
    ];
    assert_eq!(forms.save("ping.a", &changed).await.status, 303);
    // Who has seen the version before is told so, and undoes nothing.
    let late = forms.save("ping.a", &changed).await;
    assert_eq!(late.status, 412);
    assert!(
        late.body.contains("is not as you have seen it"),
        "{}",
        late.body
    );
    pass(1.5).await;
    let task = Ask::get("/api/v1/tasks/ping.a")
        .by("viewer")
        .of(&forms.router)
        .await
        .json();
    assert_eq!(task["schedule"]["cron"], "0 0 3 * * *");
    assert_eq!(
        task["policy"]["misfire_threshold_s"],
        json!(90.0),
        "the policy was kept"
    );

    let delete = Ask::new("POST", "/api/v1/tasks/ping.a")
        .by("admin")
        .form("_method=DELETE&reason=over");
    let deleted = delete.of(&forms.router).await;
    assert_eq!((deleted.status, deleted.header("location")), (303, "/"));
    pass(1.5).await;
    assert_eq!(forms.get("/tasks/ping.a").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_in_words() {
    let forms = Forms::new().await;
    for (fields, status, words) in [
        (("params", "{\"url\":"), 400, "`params` is no JSON"),
        (("params", "{}"), 422, "missing field `url`"),
        (("params", "{\"url\":7}"), 422, "invalid type"),
        (("policy", "[]"), 400, ""),
        (("policy", "{\"misfire\":\"<b>\"}"), 400, ""),
        (("cron", "61 * * * * *"), 422, "61"),
        (("timezone", "Mars/<b>"), 422, "no time zone"),
        (("handler", "shell<script>"), 409, "no kind of work"),
        (("timeout_s", "-1"), 400, ""),
    ] {
        let got = forms.save("ping.b", &[fields]).await;
        assert!(
            got.status == status && got.body.contains(words),
            "{fields:?}: {} {}",
            got.status,
            got.body
        );
        assert!(got.body.contains("id=\"detail\""));
    }
    assert_eq!(forms.save("of.code", &[]).await.status, 409);
    assert_eq!(forms.get("/tasks/of.code/edit").await.status, 409);
    assert_eq!(forms.get("/tasks/nobody/edit").await.status, 404);
    let there = forms.screen("/new?name=of.code&handler=http_ping").await;
    assert!(there.contains("There is a task of this name."), "{there}");
    let name = "%3Cscript%3E%22%20onx%3D1%E2%80%AE%1b%5B31m";
    let odd = forms
        .screen(&format!("/new?name={name}&handler={name}"))
        .await;
    assert!(
        odd.contains("role=\"alert\"") && !odd.contains("method=\"post\""),
        "{odd}"
    );
    let long = "x".repeat(20_000);
    forms
        .screen(&format!("/new?name={long}&handler={long}"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn texts_of_stored_tasks_show_as_text() {
    let forms = Forms::new().await;
    let hostile = "<script>alert(1)</script>\" onx=\"1' a/b &amp; \u{202e}gpj";
    let params = json!({ "url": hostile }).to_string();
    let fields = [
        ("description", hostile),
        ("owner", "<i>ana</i> \" onx=1"),
        ("params", &*params),
    ];
    assert_eq!(forms.save("ping.c", &fields).await.status, 303);
    pass(1.5).await;
    for path in ["/", "/tasks/ping.c", "/tasks/ping.c/edit", "/activity"] {
        forms.screen(path).await;
    }
    let form = forms.screen("/tasks/ping.c/edit").await;
    assert!(form.contains("&lt;script&gt;alert(1)"), "{form}");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_nobody_is_offered_or_given_a_form() {
    let forms = Forms::new().await;
    assert_eq!(forms.save("ping.d", &[]).await.status, 303);
    pass(1.5).await;
    for level in ["viewer", "operator", "run"] {
        let ask = |path: &str| Ask::get(path).by(level).header("accept", "text/html");
        for path in ["/", "/tasks/ping.d"] {
            let body = ask(path).of(&forms.router).await.body;
            assert!(
                !body.contains("/edit\"") && !body.contains("/new\"") && !body.contains("Delete…"),
                "{level} {path}"
            );
        }
        for path in [
            "/new",
            "/new?name=x&handler=http_ping",
            "/tasks/ping.d/edit",
        ] {
            assert_eq!(
                ask(path).of(&forms.router).await.status,
                403,
                "{level} {path}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_not_all_replicas_have_is_told_with_how_many_do() {
    let forms = Forms::new().await;
    let other = forms.shop.instance("b");
    other.task("of.code", "0 0 0 * * *", |_| async { Ok(()) });
    other.start().await;
    assert_eq!(forms.save("ping.e", &[]).await.status, 303);
    pass(7.0).await;
    let page = forms.screen("/tasks/ping.e").await;
    assert!(page.contains("</code> on 1 of 2 replicas"), "{page}");
    assert!(
        forms
            .screen("/")
            .await
            .contains("handler on 1 of 2 replicas")
    );
    let task = Ask::get("/api/v1/tasks/ping.e")
        .by("viewer")
        .of(&forms.router)
        .await
        .json();
    assert_eq!(
        (&task["handler_on"], &task["instances"]),
        (&json!(1), &json!(2))
    );
}
