//! What the API tells of tasks.

use std::time::Duration;

use serde_json::json;
use tasklock::Policy;

use crate::support::pass;
use crate::support::web::{Ask, Got, Shop, open};

fn names(got: &Got) -> Vec<String> {
    let json = got.json();
    let items = json["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_come_worst_first_with_their_words_and_page_by_page() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("z.well", "*/10 * * * * *", |_| async { Ok(()) });
    for name in ["bad.one", "bad.two"] {
        bench.task(name, "*/10 * * * * *", |_| async {
            Err(std::io::Error::other("upstream 503").into())
        });
    }
    bench.task("new", "0 0 0 * * *", |_| async { Ok(()) });
    let policy = Policy::default().pause_after(2);
    bench.task_with(
        "flaky",
        "*/10 * * * * *",
        Duration::from_secs(5),
        policy,
        |_| async { Err(std::io::Error::other("no").into()) },
    );
    bench.start().await;
    let router = open(&bench);
    let empty = Ask::read("/tasks?health=overdue").of(&router).await;
    assert_eq!(names(&empty), [""; 0]);
    pass(35.0).await;

    let all = Ask::read("/tasks").of(&router).await;
    assert_eq!(
        names(&all),
        ["bad.one", "bad.two", "flaky", "new", "z.well"]
    );
    let words: Vec<String> = all.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["health"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(words, ["failing", "failing", "paused", "new", "healthy"]);
    let json = all.json();
    let (bad, flaky, well) = (&json["items"][0], &json["items"][2], &json["items"][4]);
    assert_eq!(bad["last_run"]["error"], "upstream 503");
    assert_eq!(bad["consecutive_failures"], 3);
    assert_eq!(flaky["pause"]["of"], "failures");
    assert_eq!(
        well["history"],
        json!([["success", 0.0], ["success", 0.0], ["success", 0.0]])
    );
    assert_eq!(well["stats"]["success_ratio"], 1.0);
    assert_eq!(well["next_fire_at"], "2026-11-21T10:00:40.000Z");
    assert_eq!(well["success_deadline_at"], "2026-11-21T10:02:50.000Z");
    let summary = Ask::read("/summary").of(&router).await.json();
    let text = "2 of 5 tasks need attention: 2 share \"upstream 503\": bad.one and bad.two";
    assert_eq!(summary["verdict"]["text"], text);
    assert_eq!(summary["verdict"]["is_well"], false);

    for sort in ["worst", "name", "next", "last"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = Ask::read(&format!("/tasks?sort={sort}&limit=2&cursor={cursor}"))
                .of(&router)
                .await;
            found.extend(names(&page));
            match page.json()["next_cursor"].as_str() {
                Some(next) => cursor = next.replace('~', "%7e"),
                None => break,
            }
        }
        found.sort_unstable();
        assert_eq!(
            found,
            ["bad.one", "bad.two", "flaky", "new", "z.well"],
            "{sort}"
        );
    }
    assert_eq!(
        names(&Ask::read("/tasks?q=BAD").of(&router).await),
        ["bad.one", "bad.two"]
    );
    assert_eq!(
        names(&Ask::read("/tasks?health=new,paused").of(&router).await),
        ["flaky", "new"]
    );

    // What pauses itself is resumed here too.
    assert_eq!(
        Ask::act("DELETE", "/tasks/flaky/pause", json!({}))
            .of(&router)
            .await
            .status,
        204
    );
    assert_eq!(
        Ask::read("/tasks/flaky").of(&router).await.json()["health"],
        "failing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_succeed_in_time_is_overdue() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 * * * * *", |ctx| async move {
        if ctx.fire_time().timestamp() % 600 == 0 {
            Ok(())
        } else {
            Err(std::io::Error::other("no").into())
        }
    });
    bench.start().await;
    let router = open(&bench);
    pass(62.0).await;
    assert_eq!(
        Ask::read("/tasks/t").of(&router).await.json()["health"],
        "failing"
    );
    pass(300.0).await;
    let task = Ask::read("/tasks/t").of(&router).await.json();
    assert_eq!(task["health"], "overdue");
    let text = Ask::read("/summary").of(&router).await.json()["verdict"]["text"].clone();
    let text = text.as_str().unwrap().to_owned();
    assert!(
        text.starts_with("1 of 1 tasks needs attention: t is overdue by"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn fire_times_come_as_a_calendar() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("daily", "0 0 8 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let got = Ask::read("/calendar.ics?days=3").of(&router).await;
    assert_eq!(got.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(got.body.matches("BEGIN:VEVENT").count(), 3);
    assert!(got.body.contains("DTSTART:20261122T080000Z\r\n"));
    assert!(got.body.starts_with("BEGIN:VCALENDAR\r\n") && got.body.ends_with("END:VCALENDAR\r\n"));
    let clamped = Ask::read("/calendar.ics?days=4000000").of(&router).await;
    assert_eq!(clamped.body.matches("BEGIN:VEVENT").count(), 31);
}
