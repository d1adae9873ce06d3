//! Every parameter that a query may have does what it says.

use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tasklock::BaseTask;

use crate::support::web::{Ask, Shop, done, open};
use crate::support::{Bench, pass};

/// Forty seconds of a fleet in which something of everything has happened.
async fn lively() -> (Shop, [Bench; 2], Router) {
    let shop = Shop::new();
    let all = ["a", "b"].map(|id| shop.instance(id));
    for bench in &all {
        bench
            .scheduler
            .handler("note", |_, _: Value| async { Ok(()) })
            .unwrap();
        let minute = Duration::from_secs(60);
        let well = BaseTask::new("well", "*/10 * * * * *", minute, |_| async { Ok(()) });
        bench.scheduler.register(well.tag("billing")).unwrap();
        bench.task("bad", "*/20 * * * * *", |_| async {
            Err(std::io::Error::other("upstream 503").into())
        });
        bench.task("long", "30 0 10 * * *", |_| async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            Ok(())
        });
        bench.task("daily", "0 0 8 * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    let router = open(&all[0]);
    let save = json!({ "handler": "note", "cron": "0 0 12 * * *" });
    done(&router, ("PUT", "/tasks/stored"), save, 201).await;
    pass(1.0).await;
    let run = json!({ "reason": "now", "instance": "b" });
    done(&router, ("POST", "/tasks/daily/runs"), run, 202).await;
    let pause = Ask::new("PUT", "/api/v1/tasks/daily/pause").by("operator");
    let pause = pause.json(json!({ "reason": "x" }));
    assert_eq!(pause.of(&router).await.status, 200);
    pass(40.0).await;
    (shop, all, router)
}

async fn items(router: &Router, path: &str) -> Vec<Value> {
    let got = Ask::read(path).of(router).await;
    assert_eq!(got.status, 200, "{path} {got:?}");
    got.json()["items"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn each_parameter_of_a_list_leaves_what_fits() {
    let (_shop, _all, router) = lively().await;
    for (list, parameter, field, value) in [
        ("/tasks", "tag=billing", "/name", "well"),
        ("/tasks", "kind=note", "/name", "stored"),
        ("/tasks", "q=AIL", "/name", "daily"),
        ("/tasks", "health=paused", "/name", "daily"),
        ("/runs", "state=running", "/task", "long"),
        ("/runs", "state=finished&trigger=manual", "/task", "daily"),
        ("/runs", "outcome=failure", "/task", "bad"),
        ("/runs", "task=well", "/task", "well"),
        ("/runs", "trigger=manual", "/task", "daily"),
        ("/runs", "instance=b&trigger=manual", "/instance", "b"),
        ("/tasks/bad/runs", "outcome=failure", "/outcome", "failure"),
        (
            "/tasks/daily/runs",
            "trigger=manual",
            "/trigger/kind",
            "manual",
        ),
        ("/activity", "kind=run", "/kind", "run"),
        ("/activity", "kind=action", "/kind", "action"),
        ("/activity", "actor=olga", "/action", "pause"),
        ("/activity", "task=bad", "/task", "bad"),
        ("/activity", "outcome=failure", "/task", "bad"),
        ("/activity", "q=upstream", "/task", "bad"),
    ] {
        let path = format!("{list}?limit=200&{parameter}");
        let (some, all) = (items(&router, &path).await, items(&router, list).await);
        assert!(!some.is_empty(), "{path}");
        // Of a task all runs may fit.
        assert!(some.len() < all.len() || list.ends_with("/runs"), "{path}");
        for item in &some {
            assert_eq!(item.pointer(field), Some(&json!(value)), "{path}");
        }
    }
    for path in [
        "/tasks?tag=none",
        "/tasks?kind=none",
        "/runs?instance=none",
        "/tasks/bad/runs?outcome=success",
        "/tasks/well/runs?trigger=manual",
        "/activity?actor=none",
    ] {
        assert_eq!(items(&router, path).await, [Value::Null; 0], "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_go_on_where_they_were_and_begin_where_they_are_told() {
    let (_shop, _all, router) = lively().await;
    for list in [
        "/runs",
        "/tasks/well/runs",
        "/activity",
        "/tasks",
        "/runs?task=well",
    ] {
        let glue = if list.contains('?') { '&' } else { '?' };
        let all = items(&router, &format!("{list}{glue}limit=200")).await;
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{list}{glue}limit=2&cursor={}", cursor.replace('~', "%7e"));
            let page = Ask::read(&path).of(&router).await.json();
            let found = page["items"].as_array().unwrap();
            assert!(found.len() <= 2, "{path}");
            pages.extend(found.clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages, all, "{list}");
    }
    let since = "2026-11-21T10:00:20.000Z";
    for (list, field) in [
        ("/runs", "started_at"),
        ("/tasks/well/runs", "started_at"),
        ("/activity", "at"),
    ] {
        let some = items(&router, &format!("{list}?since={since}")).await;
        let all = items(&router, list).await;
        assert!(!some.is_empty() && some.len() < all.len(), "{list}");
        let is_late = |item: &Value| item[field].as_str().unwrap() >= since;
        assert!(some.iter().all(is_late), "{list} {some:?}");
        assert_eq!(some, all.into_iter().filter(is_late).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn times_that_are_asked_for_bound_what_is_told() {
    let (_shop, _all, router) = lively().await;
    let at = |hour: u32, minute: u32| format!("2026-11-22T{hour:02}:{minute:02}:00.000Z");
    let fires = format!("/tasks/well/fires?from={}&to={}", at(3, 0), at(3, 1));
    let fires = items(&router, &format!("{fires}&limit=3")).await;
    let times: Vec<&str> = fires.iter().map(|f| f["at"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        ["03:00:10", "03:00:20", "03:00:30"].map(|t| format!("2026-11-22T{t}.000Z"))
    );
    let one = format!("/tasks/stored/fires?from={}&to={}", at(0, 0), at(13, 0));
    assert_eq!(items(&router, &one).await.len(), 1);

    let path = format!("/timeline?from={}&to={}&bin_s=3600", at(7, 0), at(13, 0));
    let line = Ask::read(&path).of(&router).await.json();
    assert_eq!(
        (&line["from"], &line["to"]),
        (&json!(at(7, 0)), &json!(at(13, 0)))
    );
    let fires: Vec<u64> = line["bins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["fires"].as_u64().unwrap())
        .collect();
    // `daily` is paused for an hour only, `long` and `stored` once a day each.
    assert_eq!(fires, [0, 1, 0, 1, 0, 1]);
    assert_eq!(line["bins"][5]["tasks"], json!(["stored"]));
    assert_eq!(line["continuous"], json!(["bad", "well"]));

    for (path, events) in [
        ("/calendar.ics?days=2&task=stored", 2),
        ("/calendar.ics?days=1&task=daily", 1),
    ] {
        let got = Ask::read(path).of(&router).await;
        assert_eq!(
            got.body.matches("BEGIN:VEVENT").count(),
            events,
            "{path} {got:?}"
        );
    }
    let none = Ask::read("/calendar.ics?task=none").of(&router).await;
    assert_eq!(none.code(), "task-not-found");
}
