//! What was seen, and what has changed since.

use serde_json::json;

use crate::support::web::{Ask, Shop, over_all_stores, until};

over_all_stores!(tags_tell_what_has_changed_and_stop_what_was_not_seen);

async fn tags_tell_what_has_changed_and_stop_what_was_not_seen(shop: Shop) {
    let (_bench, router) = shop.serving("t").await;
    let known = |tag: &str| Ask::read("/tasks/t").header("if-none-match", tag);
    let first = Ask::read("/tasks/t").of(&router).await;
    let tag = first.header("etag").to_owned();
    let again = known(&tag).of(&router).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), tag);
    // A run changes what is told, and nothing that people change.
    let run = Ask::act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await;
    assert_eq!(run.status, 202);
    until("the run is told of", async || {
        let got = known(&tag).of(&router).await;
        (got.status == 200 && got.json()["last_run"].is_object()).then_some(())
    })
    .await;
    let pause = || Ask::act("PUT", "/tasks/t/pause", json!({ "reason": "x" }));
    let done = pause().header("if-match", &tag).of(&router).await;
    assert_eq!(done.status, 200, "{done:?}");
    let late = pause().header("if-match", &tag).of(&router).await;
    assert_eq!(
        (late.status, late.code().as_str()),
        (412, "precondition-failed")
    );
    let now = late.json()["current_etag"].as_str().unwrap().to_owned();
    assert_eq!(
        pause().header("if-match", &now).of(&router).await.status,
        200
    );
}
