//! Who may come to the page and its API, and do what.

use axum::Router;
use serde_json::{Value, json};
use tasklock::admin::{Access, EnvColor, Visitor};

use crate::support::web::{Ask, Shop, levels, open};
use crate::support::{Bench, pass};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn shop() -> (Shop, Bench) {
    let shop = Shop::new();
    let (bench, _) = shop.serving("t").await;
    (shop, bench)
}

/// All that the document tells: method, path with names in it, what it needs.
async fn operations(router: &Router) -> Vec<(String, String, Option<String>)> {
    let document = Ask::get("/api/v1/openapi.json")
        .by("viewer")
        .of(router)
        .await
        .json();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let right = operation["x-required-right"].as_str().map(str::to_owned);
            let path = path
                .replace("{task}", "t")
                .replace("{id}", "01JD9A4F2C6Q8V0Y3M5N7P9R1T");
            all.push((method.to_uppercase(), path, right));
        }
    }
    assert!(all.len() >= 33, "{}", all.len());
    all
}

#[tokio::test(start_paused = true)]
async fn every_route_lets_in_whom_it_may_and_nobody_else() {
    let (_shop, bench) = shop().await;
    let router = open(&bench);
    let rights: &[(&str, &[&str])] = &[
        ("viewer", &["view"]),
        ("run", &["view", "run"]),
        (
            "operator",
            &["view", "run", "pause", "cancel", "override", "drain"],
        ),
        (
            "admin",
            &[
                "view",
                "run",
                "pause",
                "cancel",
                "override",
                "drain",
                "release_lock",
                "dynamic",
            ],
        ),
    ];
    for (method, path, right) in operations(&router).await {
        if path.ends_with("/events") {
            continue; // It goes on: another test's.
        }
        let nobody = Ask::new(&method, &path).of(&router).await;
        let Some(right) = right else {
            assert!(
                [200, 503].contains(&nobody.status),
                "{method} {path} {nobody:?}"
            );
            continue;
        };
        assert_eq!(nobody.code(), "unauthenticated", "{method} {path}");
        for (level, rights) in rights {
            let got = Ask::new(&method, &path).by(level).of(&router).await;
            if rights.contains(&right.as_str()) {
                assert!(
                    ![401, 403].contains(&got.status),
                    "{level} {method} {path} {got:?}"
                );
            } else {
                assert_eq!(got.code(), "forbidden", "{level} {method} {path}");
                assert_eq!(got.json()["required_right"], right.as_str());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_actions_nothing_that_changes_anything_is_there() {
    let (_shop, bench) = shop().await;
    let router = bench.scheduler.admin().access(levels()).router();
    let mut count = 0;
    for (method, path, right) in operations(&router).await {
        if matches!(right.as_deref(), None | Some("view")) {
            continue;
        }
        count += 1;
        let got = Ask::new(&method, &path).by("admin").of(&router).await;
        assert!([404, 405].contains(&got.status), "{method} {path} {got:?}");
        let form = format!("_method={method}&reason=x");
        let got = Ask::new("POST", &path)
            .by("admin")
            .form(&form)
            .of(&router)
            .await;
        assert!(
            [404, 405].contains(&got.status),
            "form {method} {path} {got:?}"
        );
    }
    assert!(count >= 13, "{count}");
}

#[tokio::test(start_paused = true)]
async fn this_machine_is_let_in_by_its_address_and_its_name_alone() {
    let (_shop, bench) = shop().await;
    let router = bench.scheduler.admin().access(Access::localhost()).router();
    for (peer, host, status) in [
        (Some("127.0.0.1:5"), "localhost:8080", 200),
        (Some("[::1]:5"), "[::1]:8080", 200),
        (Some("[::ffff:127.0.0.1]:5"), "127.0.0.1", 200),
        (Some("10.0.0.7:5"), "localhost", 401),
        // A page whose name was made to lead here.
        (Some("127.0.0.1:5"), "evil.example", 401),
        (Some("127.0.0.1:5"), "localhost.evil.example:8080", 401),
        // The server does not tell where requests come from.
        (None, "localhost", 401),
    ] {
        let mut ask = Ask::get("/api/v1/summary").header("host", host);
        ask.peer = peer.map(|peer| peer.parse().unwrap());
        let got = ask.of(&router).await;
        assert_eq!(got.status, status, "{peer:?} {host} {got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_its_visitor_and_another_one_is_nobody() {
    let (_shop, bench) = shop().await;
    let tokens = [(TOKEN, Visitor::viewer()), ("short", Visitor::admin("eve"))];
    let router = bench
        .scheduler
        .admin()
        .access(Access::bearer_tokens(tokens))
        .router();
    for (header, status) in [
        (format!("Bearer {TOKEN}"), 200),
        (format!("bearer {TOKEN}"), 200),
        (format!("Bearer {TOKEN}x"), 401),
        (format!("Bearer {}", &TOKEN[1..]), 401),
        (format!("Basic {TOKEN}"), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        // Too short to be one.
        ("Bearer short".to_owned(), 401),
    ] {
        let got = Ask::get("/api/v1/summary")
            .header("authorization", &header)
            .of(&router)
            .await;
        assert_eq!(got.status, status, "{header}");
        if status == 401 {
            assert_eq!(got.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_counts_from_the_proxy_alone_and_names_who_acts() {
    let (shop, bench) = shop().await;
    let peers = ["10.0.0.1".parse().unwrap()];
    let access = Access::trusted_header("x-forwarded-user", peers);
    let router = bench
        .scheduler
        .admin()
        .access(access)
        .actions(true)
        .router();
    let ask = |user: &str, peer: &str| {
        Ask::new("PUT", "/api/v1/tasks/t/pause")
            .header("x-forwarded-user", user)
            .peer(peer)
            .json(json!({ "reason": "deploy" }))
    };
    assert_eq!(ask("mia", "10.0.0.2:9").of(&router).await.status, 401);
    assert_eq!(ask("", "10.0.0.1:9").of(&router).await.status, 401);
    let twice = ask("mia", "10.0.0.1:9").header("x-forwarded-user", "eve");
    assert_eq!(twice.of(&router).await.status, 401);
    let got = ask("mia", "10.0.0.1:9").of(&router).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.json()["pause"]["actor"], "mia");
    let control = bench.scheduler.handle().control().unwrap();
    let audit = control.audit(None, 10).await.unwrap();
    assert_eq!(
        (audit[0].by.actor(), audit[0].action.as_str()),
        ("mia", "pause")
    );
    drop(shop);
}

#[tokio::test(start_paused = true)]
async fn changes_are_taken_from_pages_of_this_site_only() {
    let (_shop, bench) = shop().await;
    let admin = bench.scheduler.admin().access(levels()).actions(true);
    let router = admin
        .trusted_origin("https://ops.example")
        .trusted_origin("no origin")
        .router();
    for (headers, status) in [
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "same-origin")], 200),
        (
            vec![
                ("origin", "https://evil.example"),
                ("host", "tasks.example"),
            ],
            403,
        ),
        (
            vec![
                ("origin", "https://tasks.example"),
                ("host", "tasks.example"),
            ],
            200,
        ),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://ops.example"),
            ],
            200,
        ),
        (vec![], 200),
    ] {
        let mut ask = Ask::new("PUT", "/api/v1/tasks/t/pause")
            .by("admin")
            .json(json!({"reason":"x"}));
        for (name, value) in &headers {
            ask = ask.header(name, value);
        }
        let got = ask.of(&router).await;
        assert_eq!(got.status, status, "{headers:?} {got:?}");
        if status == 403 {
            assert_eq!(got.code(), "cross-site");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_the_headers_that_keep_strangers_out() {
    let (_shop, bench) = shop().await;
    let router = open(&bench);
    for (path, level) in [
        ("/api/v1/tasks", "viewer"),
        ("/api/v1/tasks/none", "viewer"),
        ("/nowhere", "viewer"),
        ("/api/v1/livez", "viewer"),
    ] {
        let got = Ask::get(path)
            .by(level)
            .header("x-request-id", "abc-1")
            .of(&router)
            .await;
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(got.header("referrer-policy"), "no-referrer");
        assert_eq!(got.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(got.header("cache-control"), "no-store");
        assert_eq!(got.header("x-request-id"), "abc-1");
        let csp = got.header("content-security-policy");
        assert!(
            csp.starts_with("default-src 'none'; script-src 'self';"),
            "{csp}"
        );
        assert!(!csp.contains("unsafe"));
        assert_eq!(got.header("access-control-allow-origin"), "");
    }
    let nobody = Ask::get("/api/v1/tasks")
        .header("x-request-id", "a b <c>")
        .of(&router)
        .await;
    assert!(
        nobody
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    let id: Value = nobody.json()["request_id"].clone();
    assert_eq!(id.as_str().unwrap(), nobody.header("x-request-id"));
    assert_eq!(nobody.header("x-request-id").len(), 16);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_nested_anywhere_with_and_without_a_slash() {
    let (_shop, bench) = shop().await;
    let admin = || {
        let admin = bench.scheduler.admin().access(levels()).actions(true);
        admin
            .title("billing")
            .environment("production", EnvColor::Red)
    };
    let run = |path: &str| {
        let ask = Ask::new("POST", &format!("{path}/api/v1/tasks/t/runs")).by("admin");
        ask.json(json!({ "reason": "now" }))
    };
    for (prefix, base, expected) in [
        ("/admin/tasks", None, "/admin/tasks"),
        ("/a", Some("/ui/"), "/ui"),
    ] {
        let admin = match base {
            Some(base) => admin().base_path(base).router(),
            None => admin().router(),
        };
        let router = Router::new().nest_service(prefix, admin);
        for path in [prefix.to_owned(), format!("{prefix}/")] {
            let got = Ask::get(&path).by("viewer").of(&router).await;
            // Ours, whatever is there.
            assert_ne!(got.header("content-security-policy"), "", "{path}");
        }
        let tasks = Ask::get(&format!("{prefix}/api/v1/tasks"))
            .by("viewer")
            .of(&router)
            .await;
        assert_eq!(tasks.json()["items"][0]["name"], "t");
        let got = run(prefix).of(&router).await;
        assert_eq!(got.status, 202, "{got:?}");
        let address = got.header("location");
        assert!(
            address.starts_with(&format!("{expected}/api/v1/runs/")),
            "{address}"
        );
        let missing = Ask::get(&format!("{prefix}/api/v1/tasks/none"))
            .by("viewer")
            .of(&router)
            .await;
        assert_eq!(
            missing.json()["instance"],
            format!("{prefix}/api/v1/tasks/none")
        );
        pass(2.0).await;
    }
}
