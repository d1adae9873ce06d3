//! Why a task ran at an instant, or did not.

use serde_json::json;

use crate::support::pass;
use crate::support::web::{Ask, Shop, open};

#[tokio::test(start_paused = true)]
async fn an_instance_explains_tasks_that_only_others_have() {
    let shop = Shop::new();
    let (has, lacks) = (shop.instance("has"), shop.instance("lacks"));
    has.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    for bench in [&has, &lacks] {
        bench.start().await;
    }
    pass(25.0).await;
    let router = open(&lacks);
    let why = async |at: &str| {
        let path = format!("/tasks/t/why?at=2026-11-21T10:00:{at}Z");
        Ask::read(&path).of(&router).await.json()
    };
    let ran = why("10").await;
    assert_eq!((&ran["answer"], &ran["task"]), (&json!("ran"), &json!("t")));
    assert_eq!(ran["runs"][0]["instance"], "has");
    let not_due = why("15").await;
    assert_eq!(not_due["answer"], "not_due");
    assert!(
        not_due["text"]
            .as_str()
            .unwrap()
            .contains("every 10 seconds"),
        "{not_due}"
    );
    assert_eq!(why("50").await["answer"], "ahead");
    // The same as one that has it says.
    let own = Ask::read("/tasks/t/why?at=2026-11-21T10:00:15Z");
    assert_eq!(own.of(&open(&has)).await.json(), not_due);
    let none = Ask::read("/tasks/none/why?at=2026-11-21T10:00:10Z");
    assert_eq!(none.of(&router).await.code(), "task-not-found");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_be_read_here_is_left_to_who_has_it() {
    let shop = Shop::new();
    let (has, lacks) = (shop.instance("has"), shop.instance("lacks"));
    // Longer than there is room for in what an instance says of itself.
    let minutes: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let spec = format!(
        "0 {} {} * * *",
        minutes.join(","),
        (0..24).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    );
    has.task("t", &spec, |_| async { Ok(()) });
    for bench in [&has, &lacks] {
        bench.start().await;
    }
    pass(2.0).await;
    let path = "/tasks/t/why?at=2026-11-21T10:01:00Z";
    let got = Ask::read(path).of(&open(&lacks)).await;
    assert_eq!((got.status, got.code().as_str()), (409, "not-possible"));
    assert_eq!(got.json()["did_you_mean"], json!(["has"]));
    let own = Ask::read(path).of(&open(&has)).await;
    assert_eq!(own.json()["answer"], "ahead");
}
