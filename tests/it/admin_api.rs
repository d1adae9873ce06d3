//! What the HTTP API does, and tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tasklock::{
    Entry, EntryId, FleetStore, Listing, MemoryFleet, MemoryLock, Policy, Record, Result,
    Scheduler, Version, Write, Written, async_trait,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::web::{Ask, Got, Shop, levels, open};
use crate::support::{Bench, SwitchedFleet, clock_and_lock, pass};

fn get(path: &str) -> Ask {
    Ask::get(&format!("/api/v1{path}")).by("viewer")
}

fn act(method: &str, path: &str, body: Value) -> Ask {
    Ask::new(method, &format!("/api/v1{path}"))
        .by("admin")
        .json(body)
}

fn names(got: &Got) -> Vec<String> {
    let json = got.json();
    let items = json["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_done_on_one_instance_is_seen_on_the_other() {
    let shop = Shop::new();
    let all: Vec<Bench> = ["a", "b"].iter().map(|id| shop.instance(id)).collect();
    for bench in &all {
        bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
        bench.task("long", "0 0 0 * * *", |ctx| async move {
            ctx.cancelled().await;
            Ok(())
        });
        bench.start().await;
    }
    pass(1.0).await;
    let (a, b) = (open(&all[0]), open(&all[1]));

    let body = json!({ "reason": "bank holiday", "for_s": 600, "missed": "run_once" });
    let paused = act("PUT", "/tasks/t/pause", body).of(&a).await;
    assert_eq!(
        (paused.status, &paused.json()["health"]),
        (200, &json!("paused"))
    );
    pass(1.1).await;
    let seen = get("/tasks/t").of(&b).await.json();
    assert_eq!(seen["health"], "paused");
    assert_eq!(seen["pause"]["actor"], "ana");
    assert_eq!(seen["pause"]["reason"], "bank holiday");
    assert_eq!(seen["pause"]["missed"], "run_once");
    let refused = act("POST", "/tasks/t/runs", json!({ "reason": "now" }))
        .of(&b)
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "task-paused")
    );
    assert_eq!(
        act("DELETE", "/tasks/t/pause", json!({}))
            .of(&b)
            .await
            .status,
        204
    );
    pass(1.1).await;
    assert_eq!(get("/tasks/t").of(&a).await.json()["pause"], Value::Null);

    let begun = act(
        "POST",
        "/tasks/long/runs",
        json!({ "reason": "now", "instance": "b" }),
    );
    let begun = begun.of(&a).await;
    assert_eq!(
        (begun.status, &begun.json()["instance"]),
        (202, &json!("b"))
    );
    let id = begun.json()["run_id"].as_str().unwrap().to_owned();
    assert_eq!(begun.header("location"), format!("/api/v1/runs/{id}"));
    pass(2.0).await;
    let run = get(&format!("/runs/{id}")).of(&a).await.json();
    assert_eq!(
        (&run["state"], &run["trigger"]["actor"]),
        (&json!("running"), &json!("ana"))
    );
    let locks = get("/locks").of(&a).await.json();
    assert_eq!(
        (&locks["items"][0]["holder"], &locks["items"][0]["run_id"]),
        (&json!("b"), &json!(id))
    );
    let again = act("POST", "/tasks/long/runs", json!({ "reason": "now" }))
        .of(&a)
        .await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (409, "already-running")
    );
    assert_eq!(again.json()["run_id"], id);
    let cancel = act(
        "POST",
        &format!("/runs/{id}/cancel"),
        json!({ "reason": "wrong file" }),
    );
    assert_eq!(cancel.of(&a).await.status, 202);
    pass(6.0).await;
    let run = get(&format!("/runs/{id}")).of(&a).await.json();
    assert_eq!(
        (&run["state"], &run["outcome"]),
        (&json!("finished"), &json!("cancelled"))
    );
    let late = act(
        "POST",
        &format!("/runs/{id}/cancel"),
        json!({ "reason": "x" }),
    )
    .of(&a)
    .await;
    assert_eq!(late.code(), "run-finished");

    let drained = act("PUT", "/instances/b/drain", json!({ "reason": "deploy" }))
        .of(&a)
        .await;
    assert_eq!(drained.status, 202);
    pass(1.1).await;
    let instances = get("/instances").of(&b).await.json();
    assert_eq!(instances["items"][1]["state"], "draining");
    let text = get("/summary").of(&a).await.json()["instances"]["text"].clone();
    assert_eq!(
        text,
        "1 of 2 instances are ready; b drains, as ana wants it"
    );
    assert_eq!(
        act("DELETE", "/instances/b/drain", json!({}))
            .of(&b)
            .await
            .status,
        204
    );

    let over = json!({ "cron": "0 */15 * * * *", "reason": "catching up" });
    let over = act("PUT", "/tasks/t/override", over).of(&a).await.json();
    assert_eq!(over["schedule"]["cron"], "0 0 0 * * *");
    assert_eq!(over["schedule"]["override"]["cron"], "0 */15 * * * *");
    pass(1.1).await;
    let seen = get("/tasks/t").of(&b).await.json();
    assert_eq!(seen["next_fire_at"], "2026-11-21T10:15:00.000Z");
    let fires = get("/tasks/t/fires?limit=2").of(&b).await.json();
    assert_eq!(fires["items"][1]["at"], "2026-11-21T10:30:00.000Z");
    assert_eq!(
        act("DELETE", "/tasks/t/override", json!({}))
            .of(&b)
            .await
            .status,
        204
    );
    let skipped = act("POST", "/tasks/t/skips", json!({ "reason": "x" }))
        .of(&b)
        .await;
    assert_eq!(skipped.status, 201);
    pass(1.1).await;
    assert_eq!(
        get("/tasks/t").of(&a).await.json()["skips"][0],
        "2026-11-22T00:00:00.000Z"
    );

    let whole = act("PUT", "/pause", json!({ "reason": "flood" }))
        .of(&a)
        .await
        .json();
    assert_eq!(whole["pause"]["reason"], "flood");
    pass(1.1).await;
    assert_eq!(get("/summary").of(&b).await.json()["tasks"]["paused"], 2);
    assert_eq!(act("DELETE", "/pause", json!({})).of(&b).await.status, 204);

    // All of it is in the feed, page by page.
    let mut actions = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&format!("/activity?limit=3&cursor={cursor}"))
            .of(&b)
            .await
            .json();
        for item in page["items"].as_array().unwrap() {
            actions.push(item["action"].as_str().unwrap_or("-").to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    for action in [
        "pause", "resume", "run", "cancel", "drain", "undrain", "override", "reset", "skip", "-",
    ] {
        assert!(
            actions.iter().any(|done| done == action),
            "{action}: {actions:?}"
        );
    }
    let total = get("/activity?limit=200").of(&a).await.json()["items"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(actions.len(), total);
    let mine = get("/activity?actor=nobody").of(&a).await.json();
    assert_eq!(mine["items"], json!([]));
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
    let empty = get("/tasks?health=overdue").of(&router).await;
    assert_eq!(names(&empty), [""; 0]);
    pass(35.0).await;

    let all = get("/tasks").of(&router).await;
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
    let summary = get("/summary").of(&router).await.json();
    let text = "2 of 5 tasks need attention: 2 share \"upstream 503\": bad.one and bad.two";
    assert_eq!(summary["verdict"]["text"], text);
    assert_eq!(summary["verdict"]["is_well"], false);

    for sort in ["worst", "name", "next", "last"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&format!("/tasks?sort={sort}&limit=2&cursor={cursor}"))
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
        names(&get("/tasks?q=BAD").of(&router).await),
        ["bad.one", "bad.two"]
    );
    assert_eq!(
        names(&get("/tasks?health=new,paused").of(&router).await),
        ["flaky", "new"]
    );

    // What pauses itself is resumed here too.
    assert_eq!(
        act("DELETE", "/tasks/flaky/pause", json!({}))
            .of(&router)
            .await
            .status,
        204
    );
    assert_eq!(
        get("/tasks/flaky").of(&router).await.json()["health"],
        "failing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_succeed_in_time_is_overdue() {
    let (clock, lock) = clock_and_lock();
    let shop = Shop {
        store: MemoryFleet::with_clock(clock.clone()),
        history: tasklock::MemoryHistory::with_clock(clock.clone()),
        lock,
        clock,
    };
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
        get("/tasks/t").of(&router).await.json()["health"],
        "failing"
    );
    pass(300.0).await;
    let task = get("/tasks/t").of(&router).await.json();
    assert_eq!(task["health"], "overdue");
    let text = get("/summary").of(&router).await.json()["verdict"]["text"].clone();
    let text = text.as_str().unwrap().to_owned();
    assert!(
        text.starts_with("1 of 1 tasks needs attention: t is overdue by"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_problem_says_what_and_where_and_what_may_have_been_meant() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("invoices.sync", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let missing = get("/tasks/invoice.sync").of(&router).await;
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

    let strange = get("/tasks?colour=red").of(&router).await;
    assert_eq!(strange.code(), "malformed-request");
    assert!(
        strange.json()["detail"]
            .as_str()
            .unwrap()
            .contains("unknown field `colour`")
    );
    let strange = act(
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
    let unsaid = act("PUT", "/tasks/invoices.sync/pause", json!({}))
        .of(&router)
        .await;
    assert_eq!(unsaid.json()["errors"][0]["pointer"], "/reason");
    let both = json!({ "reason": "x", "for_s": 60, "until": "2026-11-21T11:00:00Z" });
    assert_eq!(
        act("PUT", "/tasks/invoices.sync/pause", both)
            .of(&router)
            .await
            .status,
        400
    );
    let long = json!({ "reason": "x", "for_s": 31 * 86_400 });
    assert_eq!(
        act("PUT", "/tasks/invoices.sync/pause", long)
            .of(&router)
            .await
            .status,
        400
    );
    let large = json!({ "reason": "x".repeat(70_000) });
    let large = act("PUT", "/tasks/invoices.sync/pause", large)
        .of(&router)
        .await;
    assert_eq!(large.code(), "too-large");
    let text = Ask::new("PUT", "/api/v1/pause")
        .by("admin")
        .header("content-type", "text/xml");
    let mut text = text;
    text.body = "<reason/>".to_owned();
    assert_eq!(text.of(&router).await.code(), "unsupported-media-type");
    let wrong = act("PATCH", "/tasks/invoices.sync", json!({}))
        .of(&router)
        .await;
    assert_eq!(wrong.code(), "method-not-allowed");
    assert!(wrong.header("allow").starts_with("GET"), "{wrong:?}");
    assert_eq!(get("/nowhere").of(&router).await.code(), "not-found");

    let wrong = json!({ "cron": "0 0 24 * * *", "reason": "x" });
    let wrong = act("PUT", "/tasks/invoices.sync/override", wrong)
        .of(&router)
        .await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (422, "invalid-schedule")
    );
    assert_eq!(wrong.json()["errors"][0]["position"], 5);
}

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

#[tokio::test(start_paused = true)]
async fn tags_tell_what_has_changed_and_stop_what_was_not_seen() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let first = get("/tasks/t").of(&router).await;
    let tag = first.header("etag").to_owned();
    let again = get("/tasks/t")
        .header("if-none-match", &tag)
        .of(&router)
        .await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    // A run changes what is told, and nothing that people change.
    let run = act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await;
    assert_eq!(run.status, 202);
    pass(3.0).await;
    let after = get("/tasks/t")
        .header("if-none-match", &tag)
        .of(&router)
        .await;
    assert_eq!(after.status, 200);
    let pause = || act("PUT", "/tasks/t/pause", json!({ "reason": "x" }));
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

#[tokio::test(start_paused = true)]
async fn a_wish_with_a_key_is_done_once_and_others_no_more_than_once_a_second() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let run = || {
        act(
            "POST",
            "/tasks/t/runs",
            json!({ "reason": "x", "params": { "full": true } }),
        )
    };
    let first = run()
        .header("idempotency-key", "k-1")
        .of(&router)
        .await
        .json();
    let second = run()
        .header("idempotency-key", "k-1")
        .of(&router)
        .await
        .json();
    assert_eq!(first["run_id"], second["run_id"]);
    let third = run().of(&router).await;
    assert_eq!(
        (third.code().as_str(), third.header("retry-after")),
        ("too-many-triggers", "1")
    );
    pass(3.0).await;
    assert_eq!(bench.seen.starts("t").len(), 1);
    let id = first["run_id"].as_str().unwrap();
    let told = get(&format!("/runs/{id}")).of(&router).await.json();
    assert_eq!(told["params"], json!({ "full": true }));
    assert_eq!(run().of(&router).await.status, 202);
    let bad = run().header("idempotency-key", "a b/c").of(&router).await;
    assert!([400, 429].contains(&bad.status), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn forms_of_pages_do_the_same_and_are_sent_to_where_it_shows() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let router = axum::Router::new().nest_service("/ops", open(&bench));
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

/// A store that counts how often its rules are read.
#[derive(Debug, Clone)]
struct Counted {
    store: MemoryFleet,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl FleetStore for Counted {
    async fn write(&self, write: &Write) -> Result<Written> {
        self.store.write(write).await
    }
    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        self.store.get(shelf, key).await
    }
    async fn list(&self, shelf: &str, since: Version) -> Result<Listing> {
        if shelf == "rules" {
            self.reads.fetch_add(1, Ordering::SeqCst);
            // As long as a store on a network takes.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.store.list(shelf, since).await
    }
    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        self.store.append(journal, entries, keep).await
    }
    async fn read(
        &self,
        journal: &str,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        self.store.read(journal, after, limit).await
    }
    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        self.store.read_back(journal, before, limit).await
    }
    async fn changed(&self, seen: u64) -> u64 {
        self.store.changed(seen).await
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_viewers_cost_one_reading_a_second() {
    let (clock, lock) = clock_and_lock();
    let store = Counted {
        store: MemoryFleet::with_clock(clock.clone()),
        reads: Arc::default(),
    };
    let fleet = store.clone();
    // Not started: nobody but the board reads.
    let bench = Bench::on(clock, lock, |builder| builder.fleet(fleet));
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    let router = open(&bench);
    let viewers: Vec<_> = (0..200)
        .map(|n| {
            let router = router.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let path = ["/tasks", "/summary", "/tasks/t", "/instances", "/timeline"][n % 5];
                    assert_eq!(get(path).of(&router).await.status, 200);
                    pass(0.5).await;
                }
            })
        })
        .collect();
    for viewer in viewers {
        viewer.await.unwrap();
    }
    let reads = store.reads.load(Ordering::SeqCst);
    assert!((4..=6).contains(&reads), "{reads} readings in five seconds");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_makes_all_of_it_stale_and_never_well() {
    let (clock, lock) = clock_and_lock();
    let (switch, memory) = (
        SwitchedFleet::away(),
        MemoryFleet::with_clock(clock.clone()),
    );
    switch.set(Some(memory.clone()));
    let fleet = switch.clone();
    let bench = Bench::on(clock, lock, |builder| builder.fleet(fleet).instance_id("a"));
    bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(1.0).await;
    let router = open(&bench);
    let well = get("/summary").of(&router).await.json();
    assert_eq!(
        (&well["verdict"]["is_well"], &well["stale_since"]),
        (&json!(true), &Value::Null)
    );
    let known = well["at"].clone();
    switch.set(None);
    pass(90.0).await;
    let stale = get("/summary").of(&router).await.json();
    assert_eq!(stale["verdict"]["is_well"], false);
    assert_eq!(stale["stale_since"], known);
    let text = stale["verdict"]["text"].as_str().unwrap();
    assert!(text.starts_with("no data since 10:00:01 UTC"), "{text}");
    assert!(
        stale["trouble"]
            .as_str()
            .unwrap()
            .contains("the store is away")
    );
    let tasks = get("/tasks").of(&router).await.json();
    assert_eq!(
        (&tasks["stale_since"], &tasks["items"][0]["name"]),
        (&known, &json!("t"))
    );
    // What cannot be done says that it was not.
    let pause = act("PUT", "/tasks/t/pause", json!({ "reason": "x" }))
        .of(&router)
        .await;
    assert_eq!(
        (pause.status, pause.code().as_str()),
        (503, "backend-unavailable")
    );
    assert!(!pause.body.contains("the store is away"), "{pause:?}");
    switch.set(Some(memory));
    pass(3.0).await;
    assert_eq!(
        get("/summary").of(&router).await.json()["stale_since"],
        Value::Null
    );
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_without_a_fleet_and_a_history_shows_what_it_knows() {
    let bench = Bench::new();
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    let router = open(&bench);
    assert_eq!(names(&get("/tasks").of(&router).await), ["t"]);
    let instances = get("/instances").of(&router).await.json();
    assert_eq!(instances["items"][0]["is_this"], true);
    assert_eq!(get("/runs").of(&router).await.code(), "no-history");
    let run = act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await;
    assert_eq!(run.code(), "no-fleet");
    assert_eq!(
        get("/activity").of(&router).await.json()["items"],
        json!([])
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
    let got = get("/calendar.ics?days=3").of(&router).await;
    assert_eq!(got.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(got.body.matches("BEGIN:VEVENT").count(), 3);
    assert!(got.body.contains("DTSTART:20261122T080000Z\r\n"));
    assert!(got.body.starts_with("BEGIN:VCALENDAR\r\n") && got.body.ends_with("END:VCALENDAR\r\n"));
    let clamped = get("/calendar.ics?days=4000000").of(&router).await;
    assert_eq!(clamped.body.matches("BEGIN:VEVENT").count(), 31);
}

#[tokio::test]
async fn streams_follow_and_end_when_the_scheduler_stops_so_that_the_server_can() {
    let (history, fleet) = (tasklock::MemoryHistory::new(), MemoryFleet::new());
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .fleet(fleet)
        .history(history)
        .build()
        .unwrap();
    let minute = Duration::from_secs(60);
    let body = |_| async { Ok(()) };
    scheduler
        .register(tasklock::BaseTask::new("t", "* * * * * *", minute, body))
        .unwrap();
    scheduler.start().await.unwrap();
    let router = scheduler.admin().access(levels()).router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let serve = axum::serve(listener, router);
        serve
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request =
        "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nx-level: viewer\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !text.contains("event: task") {
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        let read = connection.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(
        text.to_lowercase()
            .contains("content-type: text/event-stream"),
        "{text}"
    );
    // The server waits for its connections: the stream is one that does not end by itself.
    scheduler.stop().await;
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
    ended
        .expect("the server waits for a stream")
        .unwrap()
        .unwrap();
    connection.read_to_string(&mut text).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_run_is_followed_to_its_end() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    });
    bench.start().await;
    pass(0.1).await;
    let router = open(&bench);
    let run = act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await
        .json();
    let id = run["run_id"].as_str().unwrap().to_owned();
    pass(1.5).await;
    let stream = get(&format!("/runs/{id}/logs"))
        .header("accept", "text/event-stream")
        .of(&router)
        .await;
    assert!(stream.body.contains("event: end\n"), "{stream:?}");
    assert!(
        stream.body.contains(r#"data: {"outcome":"success"}"#),
        "{stream:?}"
    );
    let plain = get(&format!("/runs/{id}/logs"))
        .header("accept", "text/plain")
        .of(&router)
        .await;
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    let none = get("/runs/01JD9A4F2C6Q8V0Y3M5N7P9R1T/logs")
        .of(&router)
        .await;
    assert_eq!(none.code(), "run-not-found");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_defined_at_run_time_are_saved_and_deleted_as_they_were_seen() {
    let shop = Shop::new();
    let bench = shop.instance("a");
    bench
        .scheduler
        .handler("note", |_, _: Value| async { Ok(()) })
        .unwrap();
    bench.task("code", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.5).await;
    let router = open(&bench);
    let body = || json!({ "handler": "note", "cron": "0 0 * * * *", "description": "hourly" });
    let saved = act("PUT", "/tasks/mine", body()).of(&router).await;
    assert_eq!(saved.status, 201, "{saved:?}");
    let first = saved.header("etag").to_owned();
    pass(2.0).await;
    let task = get("/tasks/mine").of(&router).await;
    assert_eq!(
        (&task.json()["kind"], &task.json()["description"]),
        (&json!("note"), &json!("hourly"))
    );
    let seen = task.header("etag").to_owned();
    let changed = act("PUT", "/tasks/mine", body())
        .header("if-match", &seen)
        .of(&router)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let late = act("PUT", "/tasks/mine", body())
        .header("if-match", &first)
        .of(&router)
        .await;
    assert_eq!(
        (late.status, late.code().as_str()),
        (412, "precondition-failed")
    );
    let owned = act("PUT", "/tasks/code", body()).of(&router).await;
    assert_eq!(
        (owned.status, owned.code().as_str()),
        (409, "owned-by-code")
    );
    let none = act(
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
        act("PUT", "/tasks/x", wrong).of(&router).await.code(),
        "invalid-schedule"
    );
    assert_eq!(
        act("DELETE", "/tasks/code", json!({}))
            .of(&router)
            .await
            .code(),
        "owned-by-code"
    );
    assert_eq!(
        act("DELETE", "/tasks/mine", json!({}))
            .of(&router)
            .await
            .status,
        204
    );
    pass(2.0).await;
    assert_eq!(get("/tasks/mine").of(&router).await.status, 404);
    let control = bench.scheduler.handle().control().unwrap();
    let audit = control.audit(None, 3).await.unwrap();
    assert_eq!(audit[0].action, "delete");
}
