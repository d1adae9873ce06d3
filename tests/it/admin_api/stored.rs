//! Tasks that are defined at run time.

use serde_json::{Value, json};

use crate::support::web::{Ask, Shop, YEARLY, open, over_all_stores, until};

over_all_stores!(tasks_that_are_defined_at_run_time_are_saved_and_deleted_as_they_were_seen);

async fn tasks_that_are_defined_at_run_time_are_saved_and_deleted_as_they_were_seen(shop: Shop) {
    let bench = shop.instance("a");
    bench
        .scheduler
        .handler("note", |_, _: Value| async { Ok(()) })
        .unwrap();
    bench.task("code", YEARLY, |_| async { Ok(()) });
    bench.start().await;
    let router = open(&bench);
    let body = || json!({ "handler": "note", "cron": "0 0 * * * *", "description": "hourly" });
    let saved = Ask::act("PUT", "/tasks/mine", body()).of(&router).await;
    assert_eq!(saved.status, 201, "{saved:?}");
    let first = saved.header("etag").to_owned();
    let task = until("it is there", async || {
        let got = Ask::read("/tasks/mine").of(&router).await;
        (got.status == 200 && got.json()["registered_on"] == 1).then_some(got)
    })
    .await;
    assert_eq!(
        (&task.json()["kind"], &task.json()["description"]),
        (&json!("note"), &json!("hourly"))
    );
    let seen = task.header("etag").to_owned();
    let changed = Ask::act("PUT", "/tasks/mine", body())
        .header("if-match", &seen)
        .of(&router)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let late = Ask::act("PUT", "/tasks/mine", body())
        .header("if-match", &first)
        .of(&router)
        .await;
    assert_eq!(
        (late.status, late.code().as_str()),
        (412, "precondition-failed")
    );
    let owned = Ask::act("PUT", "/tasks/code", body()).of(&router).await;
    assert_eq!(
        (owned.status, owned.code().as_str()),
        (409, "owned-by-code")
    );
    let none = Ask::act(
        "PUT",
        "/tasks/x",
        json!({ "handler": "shell", "cron": "@daily" }),
    )
    .of(&router)
    .await;
    assert_eq!(
        (none.code().as_str(), &none.json()["did_you_mean"]),
        ("no-handler-here", &json!(["note"]))
    );
    let wrong = json!({ "handler": "note", "cron": "x" });
    assert_eq!(
        Ask::act("PUT", "/tasks/x", wrong).of(&router).await.code(),
        "invalid-schedule"
    );
    assert_eq!(
        Ask::act("DELETE", "/tasks/code", json!({}))
            .of(&router)
            .await
            .code(),
        "owned-by-code"
    );
    assert_eq!(
        Ask::act("DELETE", "/tasks/mine", json!({}))
            .of(&router)
            .await
            .status,
        204
    );
    until("it is gone", async || {
        let got = Ask::read("/tasks/mine").of(&router).await;
        (got.status == 404).then_some(())
    })
    .await;
    // What was refused has left no trace in the audit trail; what was done, one each.
    let control = bench.scheduler.handle().control().unwrap();
    let audit = control.audit(None, 10).await.unwrap();
    let told: Vec<_> = audit
        .iter()
        .map(|entry| (entry.action.as_str(), entry.detail.as_deref().unwrap()))
        .collect();
    let (spec, more) = ("note 0 0 * * * *", "; before it note 0 0 * * * *");
    let changed = format!("{spec}{more}");
    let gone = format!("before it {spec}");
    assert_eq!(
        told,
        [("delete", &*gone), ("save", &changed), ("save", spec)]
    );
    assert_eq!(
        audit[0].task.as_ref().map(ToString::to_string).as_deref(),
        Some("mine")
    );
}
