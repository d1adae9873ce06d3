//! Locks that people take from their owners.

use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tasklock::Outcome;

use crate::support::Bench;
use crate::support::web::{Ask, Got, Shop, open, over_all_stores, until};

over_all_stores!(a_lock_is_taken_by_its_token_and_from_who_lives_by_force_alone);

/// An instance with a task that runs at its start, for as long as it may.
async fn running(shop: &Shop) -> (Bench, Router, Value) {
    let bench = shop.instance("a");
    bench.task("long", "* * * * * *", |_| async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        Ok(())
    });
    bench.task("free", crate::support::web::YEARLY, |_| async { Ok(()) });
    bench.start().await;
    let router = open(&bench);
    let lock = until("a lock is held", async || {
        let locks = Ask::read("/locks").of(&router).await.json();
        Some(locks["items"][0].clone()).filter(Value::is_object)
    })
    .await;
    (bench, router, lock)
}

async fn unlock(router: &Router, task: &str, token: &str, body: Value) -> Got {
    let ask = Ask::act("DELETE", &format!("/locks/{task}"), body);
    let tag = format!("\"{token}\"");
    ask.header("if-match", &tag).of(router).await
}

async fn a_lock_is_taken_by_its_token_and_from_who_lives_by_force_alone(shop: Shop) {
    let (bench, router, lock) = running(&shop).await;
    assert_eq!(
        (&lock["task"], &lock["holder"]),
        (&json!("long"), &json!("a"))
    );
    let token = lock["fencing_token"].as_u64().unwrap();
    let why = || json!({ "reason": "it hangs" });
    let by_force = || json!({ "reason": "it hangs", "force": true });

    let nothing = Ask::act("DELETE", "/locks/long", why()).of(&router).await;
    assert_eq!(nothing.code(), "malformed-request", "{nothing:?}");
    let free = unlock(&router, "free", "1", why()).await;
    assert_eq!((free.status, free.code().as_str()), (404, "not-locked"));
    let none = unlock(&router, "none", "1", why()).await;
    assert_eq!((none.status, none.code().as_str()), (404, "task-not-found"));
    let other = unlock(&router, "long", &(token + 1).to_string(), by_force()).await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (412, "precondition-failed"),
        "{other:?}"
    );
    let lives = unlock(&router, "long", &token.to_string(), why()).await;
    assert_eq!(
        (lives.status, lives.code().as_str()),
        (409, "holder-lives"),
        "{lives:?}"
    );
    assert_eq!(bench.seen.outcomes("long"), []);

    let done = unlock(&router, "long", &token.to_string(), by_force()).await;
    assert_eq!((done.status, done.body.as_str()), (204, ""), "{done:?}");
    until("the run has lost its lease", async || {
        (bench.seen.outcomes("long").first() == Some(&Outcome::LeaseLost)).then_some(())
    })
    .await;
    // Granted anew: what was seen counts for nothing any more.
    until("it runs again", async || {
        let locks = Ask::read("/locks").of(&router).await.json();
        let now = locks["items"][0]["fencing_token"].as_u64();
        now.filter(|now| *now != token)
    })
    .await;
    let late = unlock(&router, "long", &token.to_string(), by_force()).await;
    assert_eq!(late.status, 412, "{late:?}");
}
