//! Who did what, from where: one entry for each act.

use serde_json::{Value, json};
use tasklock::AuditResult;

use crate::support::Bench;
use crate::support::web::{Ask, Shop, YEARLY, open, over_all_stores, until};

over_all_stores!(every_act_is_asked_for_once_in_the_trail_with_its_request_and_address);

/// Entries of the trail that say that something was asked for, newest first.
async fn asked(bench: &Bench) -> Vec<tasklock::AuditEntry> {
    let control = bench.scheduler.handle().control().unwrap();
    let mut all = control.audit(None, 1_000).await.unwrap();
    all.retain(|entry| entry.result == AuditResult::Asked);
    all
}

async fn every_act_is_asked_for_once_in_the_trail_with_its_request_and_address(shop: Shop) {
    let bench = shop.instance("a");
    bench
        .scheduler
        .handler("note", |_, _: Value| async { Ok(()) })
        .unwrap();
    bench.task("t", YEARLY, |_| async { Ok(()) });
    bench.start().await;
    let router = open(&bench);
    until("the instance is seen", async || {
        let got = Ask::read("/instances").of(&router).await.json();
        got["items"][0].is_object().then_some(())
    })
    .await;
    let why = || json!({ "reason": "a test" });
    let over = json!({ "reason": "a test", "cron": "0 0 12 1 1 *" });
    let task = json!({ "reason": "a test", "handler": "note", "cron": "@hourly" });
    let none = "01JD9A4F2C6Q8V0Y3M5N7P9R1T";
    for (n, (method, path, body, action, status)) in [
        ("PUT", "/tasks/t/pause", why(), "pause", 200),
        ("DELETE", "/tasks/t/pause", why(), "resume", 204),
        ("PUT", "/tasks/t/override", over, "override", 200),
        ("DELETE", "/tasks/t/override", why(), "reset", 204),
        ("POST", "/tasks/t/skips", why(), "skip", 201),
        ("PUT", "/pause", why(), "pause", 200),
        ("DELETE", "/pause", why(), "resume", 204),
        ("PUT", "/instances/a/drain", why(), "drain", 202),
        ("DELETE", "/instances/a/drain", why(), "undrain", 204),
        ("PUT", "/tasks/mine", task, "save", 201),
        ("DELETE", "/tasks/mine", why(), "delete", 204),
        ("POST", "/tasks/t/runs", why(), "run", 202),
        // What cannot be is not asked for.
        ("PUT", "/tasks/none/pause", why(), "", 404),
        ("PUT", "/tasks/t/pause", json!({}), "", 400),
        (
            "PUT",
            "/tasks/t",
            json!({ "handler": "note", "cron": "@hourly" }),
            "",
            409,
        ),
        ("DELETE", "/tasks/t", why(), "", 409),
        ("DELETE", "/tasks/mine", why(), "", 404),
        ("PUT", "/instances/b/drain", why(), "", 404),
        ("POST", &format!("/runs/{none}/cancel"), why(), "", 404),
    ]
    .into_iter()
    .enumerate()
    {
        let before = asked(&bench).await.len();
        let id = format!("request-{n}");
        let ask = || {
            Ask::act(method, path, body.clone())
                .header("x-request-id", &id)
                .peer("10.0.0.7:4711")
        };
        let got = until("it is done", async || {
            let got = ask().of(&router).await;
            // The instance follows the end of its drain, and tasks come and go, within a moment.
            let is_early =
                [429, 503].contains(&got.status) || path == "/tasks/mine" && status == 404;
            (!is_early || got.status == status).then_some(got)
        })
        .await;
        assert_eq!(got.status, status, "{method} {path} {got:?}");
        let after = asked(&bench).await;
        let mut new = after
            .iter()
            .filter(|e| e.by.request_id() == Some(id.as_str()));
        match action {
            "" => assert_eq!((new.next(), after.len()), (None, before), "{method} {path}"),
            action => {
                let entry = new.next().unwrap_or_else(|| panic!("{method} {path}"));
                assert_eq!(entry.action, action);
                assert_eq!((entry.by.actor(), entry.by.reason()), ("ana", "a test"));
                assert_eq!(entry.by.address(), Some([10, 0, 0, 7].into()));
                assert!(new.next().is_none(), "{method} {path} twice");
            }
        }
    }
    // What an instance made of a command tells of the same request, and the API of both.
    let run = until("the run was answered", async || {
        let all = Ask::read("/activity?kind=action").of(&router).await.json();
        let items = all["items"].as_array().unwrap();
        let is_it = |item: &&Value| item["action"] == "run" && item["result"] == "done";
        items.iter().find(is_it).cloned()
    })
    .await;
    assert_eq!(
        (&run["request_id"], &run["address"]),
        (&json!("request-11"), &json!("10.0.0.7"))
    );
}
