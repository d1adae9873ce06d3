//! What is asked for twice.

use std::time::Duration;

use serde_json::json;

use crate::support::web::{Ask, Got, Shop, over_all_stores, until};
use crate::support::{Bench, pass};

over_all_stores!(a_wish_with_a_key_is_done_once_and_others_no_more_than_once_a_second);

fn run() -> Ask {
    let body = json!({ "reason": "x", "params": { "full": true } });
    Ask::act("POST", "/tasks/t/runs", body)
}

async fn wished(router: &axum::Router, key: &str) -> Got {
    run().header("idempotency-key", key).of(router).await
}

async fn has_ended(bench: &Bench, runs: usize) {
    until("the runs have ended", async || {
        (bench.seen.outcomes("t").len() == runs).then_some(())
    })
    .await;
}

async fn a_wish_with_a_key_is_done_once_and_others_no_more_than_once_a_second(shop: Shop) {
    let (bench, router) = shop.serving("t").await;
    let first = wished(&router, "k-1").await.json();
    let second = wished(&router, "k-1").await.json();
    assert_eq!(first["run_id"], second["run_id"]);
    let third = run().of(&router).await;
    assert_eq!(
        (third.code().as_str(), third.header("retry-after")),
        ("too-many-triggers", "1")
    );
    has_ended(&bench, 1).await;
    let id = first["run_id"].as_str().unwrap();
    let told = until("the run is in the history", async || {
        let got = Ask::read(&format!("/runs/{id}")).of(&router).await;
        (got.status == 200).then(|| got.json())
    })
    .await;
    assert_eq!(told["params"], json!({ "full": true }));
    until("another second", async || {
        let got = run().of(&router).await;
        (got.status == 202).then_some(())
    })
    .await;
    has_ended(&bench, 2).await;
    let bad = wished(&router, "a b/c").await;
    assert!([400, 429].contains(&bad.status), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_counts_for_a_day() {
    let shop = Shop::new();
    let (bench, router) = shop.serving("t").await;
    let first = wished(&router, "k-1").await.json();
    has_ended(&bench, 1).await;
    let day = Duration::from_secs(86_400);
    // As long as a machine sleeps, and nobody works.
    bench.clock.suspend(day - Duration::from_secs(60));
    pass(2.0).await;
    let again = wished(&router, "k-1").await.json();
    assert_eq!(again["run_id"], first["run_id"]);
    bench.clock.suspend(Duration::from_secs(120));
    pass(2.0).await;
    let anew = wished(&router, "k-1").await;
    assert_eq!(anew.status, 202, "{anew:?}");
    assert_ne!(anew.json()["run_id"], first["run_id"]);
    has_ended(&bench, 2).await;
}
