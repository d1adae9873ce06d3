//! What is not done, and why.

use serde_json::json;

use crate::support::web::{Ask, Shop};

#[tokio::test(start_paused = true)]
async fn a_problem_says_what_and_where_and_what_may_have_been_meant() {
    let shop = Shop::new();
    let (_bench, router) = shop.serving("invoices.sync").await;
    let missing = Ask::read("/tasks/invoice.sync").of(&router).await;
    let json = missing.json();
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "task-not-found")
    );
    assert_eq!(json["did_you_mean"], json!(["invoices.sync"]));
    assert_eq!(json["instance"], "/api/v1/tasks/invoice.sync");
    assert!(
        json["type"]
            .as_str()
            .unwrap()
            .ends_with("problems.md#task-not-found")
    );

    let strange = Ask::read("/tasks?colour=red").of(&router).await;
    assert_eq!(strange.code(), "malformed-request");
    assert!(
        strange.json()["detail"]
            .as_str()
            .unwrap()
            .contains("unknown field `colour`")
    );
    let strange = Ask::act(
        "PUT",
        "/tasks/invoices.sync/pause",
        json!({ "reason": "x", "till": 7 }),
    );
    assert!(
        strange.of(&router).await.json()["detail"]
            .as_str()
            .unwrap()
            .contains("unknown field `till`")
    );
    let unsaid = Ask::act("PUT", "/tasks/invoices.sync/pause", json!({}))
        .of(&router)
        .await;
    assert_eq!(unsaid.json()["errors"][0]["pointer"], "/reason");
    let both = json!({ "reason": "x", "for_s": 60, "until": "2026-11-21T11:00:00Z" });
    assert_eq!(
        Ask::act("PUT", "/tasks/invoices.sync/pause", both)
            .of(&router)
            .await
            .status,
        400
    );
    let long = json!({ "reason": "x", "for_s": 31 * 86_400 });
    assert_eq!(
        Ask::act("PUT", "/tasks/invoices.sync/pause", long)
            .of(&router)
            .await
            .status,
        400
    );
    let large = json!({ "reason": "x".repeat(70_000) });
    let large = Ask::act("PUT", "/tasks/invoices.sync/pause", large)
        .of(&router)
        .await;
    assert_eq!(large.code(), "too-large");
    let text = Ask::new("PUT", "/api/v1/pause")
        .by("admin")
        .header("content-type", "text/xml");
    let mut text = text;
    text.body = "<reason/>".to_owned();
    assert_eq!(text.of(&router).await.code(), "unsupported-media-type");
    let wrong = Ask::act("PATCH", "/tasks/invoices.sync", json!({}))
        .of(&router)
        .await;
    assert_eq!(wrong.code(), "method-not-allowed");
    assert!(wrong.header("allow").starts_with("GET"), "{wrong:?}");
    assert_eq!(Ask::read("/nowhere").of(&router).await.code(), "not-found");

    let wrong = json!({ "cron": "0 0 24 * * *", "reason": "x" });
    let wrong = Ask::act("PUT", "/tasks/invoices.sync/override", wrong)
        .of(&router)
        .await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (422, "invalid-schedule")
    );
    assert_eq!(wrong.json()["errors"][0]["position"], 5);
}
