//! How often the stores are read, and what is shown when they are away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tasklock::{
    Entry, EntryId, FleetStore, Listing, MemoryFleet, Record, Result, Version, Write, Written,
    async_trait,
};

use crate::support::web::{Ask, open};
use crate::support::{Bench, SwitchedFleet, clock_and_lock, pass};

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
                    let paths = ["/tasks", "/summary", "/tasks/t", "/instances", "/timeline"];
                    let ask = match paths.get(n % 7) {
                        Some(path) => Ask::read(path),
                        None => Ask::get(["/", "/cluster"][n % 2]).by("viewer"),
                    };
                    assert_eq!(ask.of(&router).await.status, 200);
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
    let well = Ask::read("/summary").of(&router).await.json();
    assert_eq!(
        (&well["verdict"]["is_well"], &well["stale_since"]),
        (&json!(true), &Value::Null)
    );
    let known = well["at"].clone();
    switch.set(None);
    pass(90.0).await;
    let stale = Ask::read("/summary").of(&router).await.json();
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
    let tasks = Ask::read("/tasks").of(&router).await.json();
    assert_eq!(
        (&tasks["stale_since"], &tasks["items"][0]["name"]),
        (&known, &json!("t"))
    );
    // What cannot be done says that it was not.
    let pause = Ask::act("PUT", "/tasks/t/pause", json!({ "reason": "x" }))
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
        Ask::read("/summary").of(&router).await.json()["stale_since"],
        Value::Null
    );
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_without_a_fleet_and_a_history_shows_what_it_knows() {
    let bench = Bench::new();
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    let router = open(&bench);
    let tasks = Ask::read("/tasks").of(&router).await.json();
    assert_eq!(tasks["items"][0]["name"], "t");
    let instances = Ask::read("/instances").of(&router).await.json();
    assert_eq!(instances["items"][0]["is_this"], true);
    assert_eq!(Ask::read("/runs").of(&router).await.code(), "no-history");
    let run = Ask::act("POST", "/tasks/t/runs", json!({ "reason": "x" }))
        .of(&router)
        .await;
    assert_eq!(run.code(), "no-fleet");
    assert_eq!(
        Ask::read("/activity").of(&router).await.json()["items"],
        json!([])
    );
}
