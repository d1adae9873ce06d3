//! Forms of pages.

use crate::support::pass;
use crate::support::web::{Ask, Shop};

#[tokio::test(start_paused = true)]
async fn forms_of_pages_do_the_same_and_are_sent_to_where_it_shows() {
    let shop = Shop::new();
    let (_bench, router) = shop.serving("t").await;
    let router = axum::Router::new().nest_service("/ops", router);
    let post = |path: &str, body: &str| {
        Ask::new("POST", &format!("/ops/api/v1{path}"))
            .by("operator")
            .form(body)
    };
    for (path, body, page) in [
        (
            "/tasks/t/pause",
            "_method=PUT&reason=bank+holiday&for_s=60&until=",
            "/ops/tasks/t",
        ),
        ("/tasks/t/pause", "_method=DELETE", "/ops/tasks/t"),
        (
            "/tasks/t/override",
            "_method=PUT&reason=x&cron=0+0+*+*+*+*",
            "/ops/tasks/t",
        ),
        ("/tasks/t/override", "_method=DELETE", "/ops/tasks/t"),
        ("/tasks/t/skips", "reason=x&count=1", "/ops/tasks/t"),
        ("/instances/a/drain", "_method=PUT&reason=x", "/ops/cluster"),
        ("/instances/a/drain", "_method=DELETE", "/ops/cluster"),
        ("/pause", "_method=PUT&reason=x", "/ops/"),
        ("/pause", "_method=DELETE", "/ops/"),
    ] {
        let got = post(path, body).of(&router).await;
        assert_eq!(
            (got.status, got.header("location")),
            (303, page),
            "{path} {got:?}"
        );
        pass(1.1).await;
    }
    let run = post("/tasks/t/runs", "reason=x&params=%7B%22a%22%3A1%7D")
        .of(&router)
        .await;
    assert!(
        run.header("location").starts_with("/ops/runs/01"),
        "{run:?}"
    );
    let bad = post("/tasks/t/runs", "reason=x&params=%7B")
        .of(&router)
        .await;
    assert!([400, 429].contains(&bad.status), "{bad:?}");
}
