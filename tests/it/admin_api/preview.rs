//! What a schedule means.

use serde_json::{Value, json};

use crate::support::web::{Ask, Shop, open};

#[tokio::test(start_paused = true)]
async fn a_schedule_is_explained_before_anybody_has_it() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.start().await;
    let router = open(&bench);
    let ask = |body: Value| {
        Ask::new("POST", "/api/v1/schedule/preview")
            .by("viewer")
            .json(body)
    };
    let body = json!({ "cron": "30 2 * * *", "timezone": "Europe/Berlin", "count": 500 });
    let told = ask(body).of(&router).await.json();
    assert_eq!(told["text"], "at 02:30, every day, in Europe/Berlin");
    assert_eq!(told["fires"].as_array().unwrap().len(), 100);
    assert_eq!(told["fires"][0]["local"], "2026-11-22T02:30:00+01:00");
    assert!(!told["lint"].as_array().unwrap().is_empty());
    let never = ask(json!({ "cron": "0 0 0 31 2 *" }))
        .of(&router)
        .await
        .json();
    assert_eq!(
        (&never["fires"], &never["lint"][0]["code"]),
        (&json!([]), &json!("never_fires"))
    );
    let wrong = ask(json!({ "cron": "* * * * x" })).of(&router).await;
    assert_eq!(
        (wrong.status, &wrong.json()["errors"][0]["pointer"]),
        (422, &json!("/cron"))
    );
    let zone = ask(json!({ "cron": "* * * * *", "timezone": "Mars/Base" }))
        .of(&router)
        .await;
    assert_eq!(zone.json()["errors"][0]["pointer"], "/timezone");
    let mut last = 200;
    for _ in 0..40 {
        last = ask(json!({ "cron": "0 0 0 31 2 *" }))
            .of(&router)
            .await
            .status;
    }
    assert_eq!(last, 429);
}
