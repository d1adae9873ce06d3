//! What is done on one instance is seen on the others.

use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};

use crate::support::Bench;
use crate::support::web::{Ask, Shop, YEARLY, done, open, over_all_stores, until};

over_all_stores!(
    pauses_and_resumes,
    begins_and_cancels_runs,
    names_the_span_of_the_request_that_asks_for_a_run,
    drains_and_takes_back,
    overrides_and_skips,
    pauses_all_and_tells_of_it_page_by_page,
);

/// Two instances of one fleet that know each other, and their pages.
async fn two(shop: &Shop) -> ([Bench; 2], Router, Router) {
    let all = ["a", "b"].map(|id| shop.instance(id));
    for bench in &all {
        bench.task("t", YEARLY, |_| async { Ok(()) });
        bench.task("long", YEARLY, |_| async {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Ok(())
        });
        bench.start().await;
    }
    let (a, b) = (open(&all[0]), open(&all[1]));
    for router in [&a, &b] {
        see(router, "/summary", |json| json["instances"]["ready"] == 2).await;
    }
    (all, a, b)
}

/// Waits until an address tells what is looked for.
async fn see(router: &Router, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(path, async || {
        let json = Ask::read(path).of(router).await.json();
        is_it(&json).then_some(json)
    })
    .await
}

async fn pauses_and_resumes(shop: Shop) {
    let (_all, a, b) = two(&shop).await;
    let body = json!({ "reason": "bank holiday", "for_s": 600, "missed": "run_once" });
    let paused = done(&a, ("PUT", "/tasks/t/pause"), body, 200).await;
    assert_eq!(paused["health"], "paused");
    let seen = see(&b, "/tasks/t", |task| task["health"] == "paused").await;
    assert_eq!(seen["pause"]["actor"], "ana");
    assert_eq!(seen["pause"]["reason"], "bank holiday");
    assert_eq!(seen["pause"]["missed"], "run_once");
    let refused = until("it follows the pause", async || {
        let run = Ask::act("POST", "/tasks/t/runs", json!({ "reason": "now" }));
        let got = run.of(&b).await;
        (got.status != 429).then_some(got)
    })
    .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "task-paused")
    );
    done(&b, ("DELETE", "/tasks/t/pause"), json!({}), 204).await;
    see(&a, "/tasks/t", |task| task["pause"].is_null()).await;
}

async fn begins_and_cancels_runs(shop: Shop) {
    let (_all, a, b) = two(&shop).await;
    let body = json!({ "reason": "now", "instance": "b" });
    let begun = Ask::act("POST", "/tasks/long/runs", body).of(&a).await;
    assert_eq!(
        (begun.status, &begun.json()["instance"]),
        (202, &json!("b"))
    );
    let id = begun.json()["run_id"].as_str().unwrap().to_owned();
    assert_eq!(begun.header("location"), format!("/api/v1/runs/{id}"));
    let path = format!("/runs/{id}");
    let run = see(&a, &path, |run| run["state"] == "running").await;
    assert_eq!(run["trigger"]["actor"], "ana");
    let locks = see(&a, "/locks", |locks| locks["items"][0].is_object()).await;
    assert_eq!(
        (&locks["items"][0]["holder"], &locks["items"][0]["run_id"]),
        (&json!("b"), &json!(id))
    );
    let again = until("another wish", async || {
        let run = Ask::act("POST", "/tasks/long/runs", json!({ "reason": "now" }));
        let got = run.of(&a).await;
        (got.status != 429).then_some(got)
    })
    .await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (409, "already-running")
    );
    assert_eq!(again.json()["run_id"], id);
    let cancel = format!("{path}/cancel");
    done(&b, ("POST", &cancel), json!({ "reason": "wrong" }), 202).await;
    let run = see(&a, &path, |run| run["state"] == "finished").await;
    assert_eq!(run["outcome"], "cancelled");
    let late = Ask::act("POST", &cancel, json!({ "reason": "x" }))
        .of(&a)
        .await;
    assert_eq!(late.code(), "run-finished");
}

async fn names_the_span_of_the_request_that_asks_for_a_run(shop: Shop) {
    let (all, a, _) = two(&shop).await;
    let span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (n, (said, named)) in [(span, Some(span)), ("00-nonsense", None)]
        .into_iter()
        .enumerate()
    {
        let run = until("it is asked for", async || {
            let run = Ask::act(
                "POST",
                "/tasks/t/runs",
                json!({ "reason": "now", "instance": "b" }),
            );
            let got = run.header("traceparent", said).of(&a).await;
            (got.status == 202).then_some(got.json())
        })
        .await;
        let start = until("it starts", async || {
            let starts = all[1].seen.starts("t");
            starts
                .into_iter()
                .find(|start| run["run_id"] == start.run_id.to_string())
        })
        .await;
        assert_eq!(start.request.unwrap().traceparent.as_deref(), named, "{n}");
    }
}

async fn drains_and_takes_back(shop: Shop) {
    let (_all, a, b) = two(&shop).await;
    let body = json!({ "reason": "deploy" });
    done(&a, ("PUT", "/instances/b/drain"), body, 202).await;
    see(&b, "/instances", |all| {
        all["items"][1]["state"] == "draining"
    })
    .await;
    let words = "1 of 2 instances are ready; b drains, as ana wants it";
    see(&a, "/summary", |all| all["instances"]["text"] == words).await;
    done(&b, ("DELETE", "/instances/b/drain"), json!({}), 204).await;
    see(&a, "/summary", |all| all["instances"]["ready"] == 2).await;
}

async fn overrides_and_skips(shop: Shop) {
    let (_all, a, b) = two(&shop).await;
    let code = see(&b, "/tasks/t", |_| true).await["next_fire_at"].clone();
    let body = json!({ "cron": "0 0 12 1 1 *", "reason": "catching up" });
    let over = done(&a, ("PUT", "/tasks/t/override"), body, 200).await;
    assert_eq!(over["schedule"]["cron"], YEARLY);
    assert_eq!(over["schedule"]["override"]["cron"], "0 0 12 1 1 *");
    see(&b, "/tasks/t", |task| {
        task["schedule"]["override"]["actor"] == "ana"
    })
    .await;
    done(&b, ("DELETE", "/tasks/t/override"), json!({}), 204).await;
    see(&a, "/tasks/t", |task| {
        task["schedule"]["override"].is_null()
    })
    .await;
    let skipped = until("the override's end is followed", async || {
        let skip = Ask::act("POST", "/tasks/t/skips", json!({ "reason": "x" }));
        let got = skip.of(&b).await;
        assert_eq!(got.status, 201, "{got:?}");
        (got.json()["skipped"][0] == code).then_some(())
    });
    skipped.await;
    let seen = see(&a, "/tasks/t", |task| task["skips"][0] == code).await;
    assert_ne!(seen["next_fire_at"], code);
}

async fn pauses_all_and_tells_of_it_page_by_page(shop: Shop) {
    let (_all, a, b) = two(&shop).await;
    let body = json!({ "reason": "flood" });
    let whole = done(&a, ("PUT", "/pause"), body, 200).await;
    assert_eq!(whole["pause"]["reason"], "flood");
    see(&b, "/summary", |all| all["tasks"]["paused"] == 2).await;
    done(&b, ("DELETE", "/pause"), json!({}), 204).await;
    for n in 0..5 {
        let body = json!({ "reason": format!("pause {n}") });
        done(&a, ("PUT", "/tasks/t/pause"), body, 200).await;
    }
    let run = json!({ "reason": "x" });
    done(&a, ("POST", "/tasks/long/runs"), run, 202).await;
    see(&b, "/runs", |runs| runs["items"][0].is_object()).await;

    let all = see(&b, "/activity?limit=200", |all| {
        // The run, and that the wish for it was done.
        let items = all["items"].as_array().unwrap();
        items.iter().any(|item| item["kind"] == "run")
            && items.iter().any(|item| item["result"] == "done")
    })
    .await;
    let all: Vec<Value> = all["items"].as_array().unwrap().clone();
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/activity?limit=3&cursor={}", cursor.replace('~', "%7e"));
        let page = Ask::read(&path).of(&a).await.json();
        pages.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, all);
    let count = |action: &str| all.iter().filter(|item| item["action"] == action).count();
    assert_eq!((count("pause"), count("resume")), (6, 1), "{all:?}");
}
