//! The screen Activity and the list of the same in the API.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tasklock::{By, FleetStore, History, PauseFor, RunQuery, TaskError, Write};

use crate::support::web::{Ask, Shop, open};
use crate::support::{Bench, pass};

/// The addresses that a page leads to, of those that have this in them.
fn links<'a>(page: &'a str, part: &str) -> Vec<&'a str> {
    let links = page.split("href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split('"').next());
    links.filter(|link| link.contains(part)).collect()
}

struct Feed {
    shop: Shop,
    bench: Bench,
    router: axum::Router,
}

impl Feed {
    async fn of(spec: &str) -> Self {
        let shop = Shop::new();
        let bench = shop.instance("a");
        bench.task("t", spec, |_| async { Ok(()) });
        bench.start().await;
        let router = open(&bench);
        Self {
            shop,
            bench,
            router,
        }
    }

    async fn screen(&self, query: &str) -> String {
        let ask = Ask::get(&format!("/activity{query}")).by("admin");
        let got = ask.header("accept", "text/html").of(&self.router).await;
        assert_eq!(got.status, 200, "{}", got.body);
        super::harmless(query, &got.body);
        got.body
    }

    async fn items(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/activity{query}");
        let got = Ask::get(&path).by("viewer").of(&self.router).await;
        assert_eq!(got.status, 200, "{}", got.body);
        got.json()["items"].as_array().unwrap().clone()
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let items = self.items(query).await.into_iter();
        items
            .map(|item| item["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn older_pages_follow_by_their_link_and_tell_everything_once() {
    let feed = Feed::of("* * * * * *").await;
    pass(130.5).await;
    let control = feed.bench.scheduler.handle().control().unwrap();
    for n in 0..70 {
        let by = By::new("ana", format!("reason {n}")).unwrap();
        control.resume(Some("t"), &by).await.unwrap();
    }
    feed.bench.scheduler.stop().await;
    let mut query = String::new();
    let (mut runs, mut actions, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = feed.screen(&query).await;
        runs.extend(links(&page, "/runs/").into_iter().map(str::to_owned));
        actions += page.matches("reason ").count();
        pages += 1;
        let Some(next) = links(&page, "cursor=").into_iter().next() else {
            break;
        };
        query = next.split_once('?').map(|(_, q)| format!("?{q}")).unwrap();
        assert!(pages < 50, "it does not end: {query}");
    }
    let kept = feed
        .shop
        .memory()
        .1
        .runs(&RunQuery::all().limit(200))
        .await
        .unwrap()
        .runs;
    assert!(
        kept.len() >= 130 && pages >= 4,
        "{} on {pages} pages",
        kept.len()
    );
    let once: BTreeSet<&String> = runs.iter().collect();
    assert_eq!(
        (runs.len(), once.len(), actions),
        (kept.len(), kept.len(), 70)
    );
    // Newest first, across the pages.
    assert!(runs.is_sorted_by(|a, b| a > b));
}

#[tokio::test(start_paused = true)]
async fn the_list_of_the_api_goes_on_by_its_cursor_as_the_screen_does() {
    let feed = Feed::of("* * * * * *").await;
    pass(20.5).await;
    feed.bench.scheduler.stop().await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/activity?limit=7{cursor}");
        let json = Ask::get(&path).by("viewer").of(&feed.router).await.json();
        let items = json["items"].as_array().unwrap();
        assert!(items.len() <= 7);
        ids.extend(items.iter().map(|item| item["id"].to_string()));
        let Some(next) = json["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let all = feed.items("?limit=200").await;
    let all: Vec<String> = all.iter().map(|item| item["id"].to_string()).collect();
    assert!(all.len() > 20, "{all:?}");
    assert_eq!(ids, all);
    let wrong = Ask::get("/api/v1/activity?cursor=7~")
        .by("viewer")
        .of(&feed.router)
        .await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (400, "malformed-request")
    );
}

#[tokio::test(start_paused = true)]
async fn firings_that_did_not_run_are_told_with_why() {
    let feed = Feed::of("*/20 * * * * *").await;
    let by = By::new("ana", "bank holiday").unwrap();
    let control = feed.bench.scheduler.handle().control().unwrap();
    control.pause(PauseFor::task("t", &by)).await.unwrap();
    pass(62.0).await;
    let skips = feed.items("?kind=skip").await;
    assert_eq!(skips.len(), 3, "{skips:?}");
    assert_eq!(
        (&skips[0]["kind"], &skips[0]["decision"]),
        (&"skip".into(), &"paused".into())
    );
    let text = skips[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("t did not run: paused, by ana until "),
        "{text}"
    );
    let page = feed.screen("?kind=skip").await;
    assert_eq!(page.matches("paused, by ana").count(), 3);
    assert_eq!(page.matches("bank holiday").count(), 0);
    // They are among everything too, and not among runs and actions.
    assert!(feed.screen("").await.contains("paused, by ana"));
    for chip in ["run", "failure", "action", "cluster"] {
        assert!(
            !feed
                .screen(&format!("?kind={chip}"))
                .await
                .contains("paused, by ana"),
            "{chip}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_runs_that_failed_in_whichever_way() {
    let feed = Feed::of("0 0 0 * * *").await;
    feed.bench.task("bad", "*/10 * * * * *", |_| async {
        Err(TaskError::new("upstream 503"))
    });
    feed.bench.task("panics", "*/10 * * * * *", |_| async {
        panic!("for the test")
    });
    pass(25.0).await;
    let page = feed.screen("?kind=failure").await;
    let (bad, panics) = (
        page.matches("upstream 503").count(),
        page.matches("for the test").count(),
    );
    assert!(bad >= 2 && panics >= 2, "{bad} {panics}");
    let failed = feed.items("?failed=true&limit=200").await;
    assert!(
        failed
            .iter()
            .all(|e| ["failure", "panicked"].contains(&e["outcome"].as_str().unwrap()))
    );
    // Chips and pages keep what is looked for, and a task that is asked for.
    let page = feed.screen("?kind=failure&search=UPSTREAM&task=bad").await;
    assert!(page.contains("upstream 503") && !page.contains("for the test"));
    let chips = links(&page, "kind=skip");
    assert_eq!(
        chips,
        ["/activity?kind=skip&amp;task=bad&amp;search=UPSTREAM"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_the_fleet_is_told_once_whoever_sees_it() {
    let feed = Feed::of("0 0 0 * * *").await;
    let others = ["b", "c"].map(|id| feed.shop.instance(id));
    for bench in &others {
        bench.task("t", "0 0 1 * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(2.0).await;
    let control = feed.bench.scheduler.handle().control().unwrap();
    let by = By::new("ana", "deploy").unwrap();
    control.drain("b", &by).await.unwrap();
    pass(2.0).await;
    control.undrain("b", &by).await.unwrap();
    pass(2.0).await;
    others[1].scheduler.stop().await;
    // What a kill leaves: a record that nobody refreshes.
    let (store, _) = feed.shop.memory();
    let record = store.get("instances", "a").await.unwrap().unwrap();
    let dead = record.value.replacen("\"a\"", "\"dead\"", 1);
    let write = Write::put("instances", "dead", dead).lasting(Duration::from_secs(9));
    store.write(&write).await.unwrap();
    pass(13.0).await;
    let mut texts = feed.texts("?kind=cluster").await;
    texts.reverse();
    let version = env!("CARGO_PKG_VERSION");
    let mut expected = vec![
        format!("a joined: tasklock {version}"),
        format!("b joined: tasklock {version}"),
        format!("c joined: tasklock {version}"),
    ];
    expected.extend(
        [
            "tasks are not the same on all instances: t",
            "b takes no new firings",
            "b takes firings again",
            "c left",
            "dead is not heard of any more: it had no run",
        ]
        .map(str::to_owned),
    );
    texts.sort();
    expected.sort();
    assert_eq!(texts, expected);
    let page = feed.screen("?kind=cluster").await;
    for word in ["joined", "drained", "undrained", "left", "lost", "drift"] {
        assert!(
            page.contains(&format!("</i>{word}</span>")),
            "{word}: {page}"
        );
    }
}
