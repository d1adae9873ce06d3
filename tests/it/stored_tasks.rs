//! Tasks defined at run time: saved by one, run by whoever has their kind.

mod changes;
mod refusals;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono_tz::Tz;
use tasklock::schemars::JsonSchema;
use tasklock::serde_json::{Value, json};
use tasklock::testing::TestClock;
use tasklock::{
    By, Decision, Deleted, ErrorKind, Event, Expected, FleetStore, Ignored, MemoryFleet,
    MemoryLock, Metrics, Outcome, Overlap, Policy, RunNow, Saved, Scope, StoredTask, TaskStore,
    Version, Write, chrono_tz, schemars,
};

use crate::support::lines::Lines;
use crate::support::{Bench, SwitchedFleet, clock_and_lock, pass};

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    #[serde(default)]
    takes_s: f64,
}

/// An instance that follows the fleet's store, and what its runs of the kind `note` were given.
struct Replica {
    bench: Bench,
    notes: Arc<Mutex<Vec<String>>>,
}

struct Fleet {
    clock: Arc<TestClock>,
    lock: MemoryLock,
    store: MemoryFleet,
}

impl Fleet {
    fn new() -> Self {
        let (clock, lock) = clock_and_lock();
        let store = MemoryFleet::with_clock(clock.clone());
        Self { clock, lock, store }
    }

    /// An instance without kinds.
    fn bare(&self) -> Replica {
        self.bare_on(self.store.clone())
    }

    fn bare_on(&self, store: impl FleetStore) -> Replica {
        let clock = self.clock.clone();
        let bench = Bench::on(clock, self.lock.clone(), |b| b.fleet(store).group("g", 1));
        let notes = Arc::default();
        Replica { bench, notes }
    }

    fn instance(&self) -> Replica {
        let replica = self.bare();
        replica.add_note();
        replica
    }

    async fn running(&self) -> Replica {
        let replica = self.instance();
        replica.bench.start().await;
        replica
    }

    fn tasks(&self) -> TaskStore {
        TaskStore::new(self.store.clone())
    }

    /// Something that another program has written.
    async fn write(&self, key: &str, value: &str) {
        let write = Write::put("tasks", key, value);
        self.store.write(&write).await.unwrap();
    }
}

impl Replica {
    fn add_note(&self) {
        let notes = self.notes.clone();
        let body = move |_, note: Note| {
            notes.lock().unwrap().push(note.text);
            async move {
                pass(note.takes_s).await;
                Ok(())
            }
        };
        self.bench.scheduler.handler("note", body).unwrap();
    }

    fn tasks(&self) -> TaskStore {
        self.bench.scheduler.handle().task_store().unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.bench.scheduler.list_tasks()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    fn ignored(&self) -> Vec<(String, Ignored)> {
        let events = self.bench.seen.events();
        let of = |event: &Event| match event {
            Event::StoredTaskIgnored { task, why, .. } => Some((task.to_string(), *why)),
            _ => None,
        };
        events.iter().filter_map(of).collect()
    }

    fn unregistered(&self, name: &str) -> usize {
        let is_it = |e: &&Event| matches!(e, Event::TaskUnregistered { task } if task == name);
        self.bench.seen.events().iter().filter(is_it).count()
    }
}

fn note(name: &str, spec: &str, text: &str) -> StoredTask {
    StoredTask::new(name, "note", spec).parameters(json!({ "text": text }))
}

fn note_of(name: &str, spec: &str, takes_s: f64) -> StoredTask {
    note(name, spec, "").parameters(json!({ "text": name, "takes_s": takes_s }))
}

async fn save(store: &TaskStore, task: &StoredTask) -> StoredTask {
    match store.save(task).await.unwrap() {
        Saved::Done(version) => {
            let saved = store.get(&task.name).await.unwrap().unwrap();
            assert_eq!(saved.version, version);
            saved
        }
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_is_run_by_one_of_the_instances_that_follow() {
    let fleet = Fleet::new();
    let replicas = [
        fleet.running().await,
        fleet.running().await,
        fleet.running().await,
    ];
    pass(3.2).await;
    save(&replicas[0].tasks(), &note("t", "*/10 * * * * *", "hello")).await;
    pass(0.5).await;
    for replica in &replicas {
        assert_eq!(replica.names(), ["t"]);
    }
    pass(30.0).await;
    let notes: usize = replicas.iter().map(|r| r.notes().len()).sum();
    assert_eq!(notes, 3);
    let mut fired: Vec<String> = replicas.iter().flat_map(|r| r.bench.fired("t")).collect();
    fired.sort();
    assert_eq!(fired, ["10:00:10", "10:00:20", "10:00:30"]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_starts_has_the_stored_tasks_and_catches_up_on_them() {
    let fleet = Fleet::new();
    let first = fleet.running().await;
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(15.0).await;
    first.bench.scheduler.stop().await;
    pass(10.0).await;
    let second = fleet.running().await;
    assert_eq!(second.names(), ["t"]);
    pass(0.5).await;
    assert_eq!(first.bench.fired("t"), ["10:00:10"]);
    assert_eq!(second.bench.fired("t"), ["10:00:20"]);
}

#[tokio::test(start_paused = true)]
async fn the_zone_of_a_task_is_that_of_its_firings() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let task = note("t", "0 0 20 * * *", "x").timezone(Tz::Asia__Tokyo);
    save(&fleet.tasks(), &task).await;
    pass(3_700.0).await;
    assert_eq!(replica.bench.fired("t"), ["11:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_json_with_names_that_last() {
    let text = r#"{"name":"t","kind":"note","spec":"@hourly","timezone":"Europe/Berlin","timeout_s":1.5,"parameters":{"text":"x"},"policy":{"overlap":"queue_one"},"owner":"me","description":"what for","enabled":false}"#;
    let task: StoredTask = tasklock::serde_json::from_str(text).unwrap();
    assert_eq!(tasklock::serde_json::to_string(&task).unwrap(), text);
    assert_eq!(task.timeout, Duration::from_millis(1_500));
    for (text, part) in [
        (r#"{"name":"t","kind":"k"}"#, "missing field `spec`"),
        (
            r#"{"name":"t","kind":"k","spec":"@hourly","cron":1}"#,
            "unknown field `cron`",
        ),
        (
            r#"{"name":"t","kind":"k","spec":"@hourly","timezone":"Mars/Base"}"#,
            "\"Mars/Base\" is no time zone",
        ),
        (
            r#"{"name":"t","kind":"k","spec":"@hourly","policy":{"jitter":1}}"#,
            "unknown field `jitter`",
        ),
    ] {
        let error = tasklock::serde_json::from_str::<StoredTask>(text).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn kinds_have_names_of_their_own_and_a_schema() {
    let replica = Fleet::new().instance();
    let scheduler = &replica.bench.scheduler;
    let error = scheduler.handler("note", |_, _: Note| async { Ok(()) });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let error = scheduler.handler("a b", |_, _: Note| async { Ok(()) });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidName);
    let kinds = scheduler.handle().kinds();
    assert_eq!(&*kinds[0].name, "note");
    assert_eq!(kinds[0].schema["properties"]["text"]["type"], "string");
    assert_eq!(kinds[0].schema["required"], json!(["text"]));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_a_deleted_task_is_waited_for_at_the_stop() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    save(&store, &note_of("short", "*/10 * * * * *", 15.0)).await;
    save(&store, &note_of("long", "*/10 * * * * *", 200.0)).await;
    pass(10.5).await;
    for name in ["short", "long"] {
        store.delete(name, Expected::Anything).await.unwrap();
    }
    pass(0.5).await;
    assert_eq!(replica.names(), [""; 0]);
    let report = replica.bench.scheduler.stop().await;
    assert_eq!(report.finished, ["short"]);
    assert_eq!(report.cancelled, ["long"]);
}

#[tokio::test(start_paused = true)]
async fn people_steer_stored_tasks_as_they_do_others() {
    let fleet = Fleet::new();
    let (without, with) = (fleet.bare(), fleet.running().await);
    without.bench.start().await;
    save(&fleet.tasks(), &note("t", "0 * * * * *", "stored")).await;
    pass(1.0).await;
    let control = without.bench.scheduler.handle().control().unwrap();
    let by = By::new("ana", "a test").unwrap();
    for (params, outcome) in [
        (r#"{"text":"asked"}"#, Outcome::Success),
        (r#"{"texts":"wrong"}"#, Outcome::Failure),
        ("no json", Outcome::Failure),
    ] {
        let asked = RunNow::new("t", &by).params(params);
        let receipt = control.run(asked).await.unwrap();
        assert!(receipt.answer.is_accepted(), "{receipt:?}");
        pass(1.0).await;
        assert_eq!(with.bench.seen.outcomes("t").last(), Some(&outcome));
    }
    assert_eq!(with.notes(), ["asked"]);
    // What people want lasts over a change of the task.
    let hour = Duration::from_secs(3_600);
    control
        .override_spec("t", "*/20 * * * * *", Tz::UTC, hour, &by)
        .await
        .unwrap();
    pass(1.0).await;
    let mut task = fleet.tasks().get("t").await.unwrap().unwrap();
    task.spec = "0 0 * * * *".to_owned();
    save(&fleet.tasks(), &task).await;
    pass(60.0).await;
    assert_eq!(with.notes().len(), 4, "{:?}", with.notes());
    assert!(control.reset("t", &by).await.unwrap());
    pass(120.0).await;
    assert_eq!(with.notes().len(), 4);
    assert_eq!(without.notes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_changes_and_stops_nothing() {
    let fleet = Fleet::new();
    let store = SwitchedFleet::away();
    let replica = fleet.bare_on(store.clone());
    replica.add_note();
    replica.bench.start().await;
    let told = |replica: &Replica| {
        let events = replica.bench.seen.events();
        let of = |e: &Event| match e {
            Event::FleetStoreDown { .. } => Some("down"),
            Event::FleetStoreUp { .. } => Some("up"),
            _ => None,
        };
        events.iter().filter_map(of).collect::<Vec<_>>()
    };
    pass(60.0).await;
    assert_eq!(told(&replica), ["down"]);
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    store.set(Some(fleet.store.clone()));
    pass(10.0).await;
    assert_eq!(told(&replica), ["down", "up"]);
    store.set(None);
    pass(20.0).await;
    assert_eq!(told(&replica), ["down", "up", "down"]);
    assert!(replica.bench.seen.starts("t").len() >= 2);
    // Another store, that has come as far with other tasks.
    let other = MemoryFleet::with_clock(fleet.clock.clone());
    let tasks = TaskStore::new(other.clone());
    for name in ["u", "v", "w"] {
        save(&tasks, &note(name, "@hourly", "x")).await;
    }
    store.set(Some(other.clone()));
    pass(10.0).await;
    assert_eq!(replica.names(), ["u", "v", "w"]);
    // One that nobody saw come: what has changed since is not all there is to know.
    save(&fleet.tasks(), &note("t2", "@hourly", "x")).await;
    save(&fleet.tasks(), &note("t3", "@hourly", "x")).await;
    save(&fleet.tasks(), &note("t4", "@hourly", "x")).await;
    store.set(Some(fleet.store.clone()));
    pass(700.0).await;
    assert_eq!(replica.names(), ["t4", "t", "t2", "t3"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_deleted_are_gone_where_they_were_and_may_come_again() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    for n in 0..5 {
        save(&store, &note(&format!("t{n}"), "@hourly", "x")).await;
    }
    pass(1.0).await;
    assert_eq!(replica.names().len(), 5);
    for n in 0..5 {
        store
            .delete(&format!("t{n}"), Expected::Anything)
            .await
            .unwrap();
    }
    pass(1.0).await;
    assert_eq!(replica.names(), [""; 0]);
    save(&store, &note("t3", "@hourly", "x")).await;
    pass(1.0).await;
    assert_eq!(replica.names(), ["t3"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_that_come_and_go_leave_nothing_behind() {
    let fleet = Fleet::new();
    let replica = fleet.bare();
    replica.add_note();
    let metrics = Metrics::new().unwrap();
    let (clock, store) = (fleet.clock.clone(), fleet.store.clone());
    let other = Bench::on(clock, fleet.lock.clone(), |b| {
        b.fleet(store).metrics(metrics.clone())
    });
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    other
        .scheduler
        .handler("note", move |_, _: Note| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .unwrap();
    other.start().await;
    let tasks = fleet.tasks();
    save(&tasks, &note("stays", "@hourly", "x")).await;
    pass(0.5).await;
    let before = metrics.encode().unwrap();
    for round in 0..50 {
        let names: Vec<String> = (0..20).map(|n| format!("t{round}.{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            let task = note(name, &format!("*/{} * * * * *", n % 7 + 2), "x")
                .policy(Policy::default().pause_after(round * 20 + n as u32 + 1));
            save(&tasks, &task).await;
        }
        pass(2.0).await;
        for name in &names {
            tasks.delete(name, Expected::Anything).await.unwrap();
        }
        pass(1.0).await;
    }
    assert!(runs.load(Ordering::Relaxed) > 100);
    assert_eq!(other.scheduler.list_tasks(), ["stays"]);
    let lines = |text: &str| {
        let of_tasks = |l: &&str| l.contains("task_name=");
        text.lines().filter(of_tasks).count()
    };
    assert_eq!(lines(&metrics.encode().unwrap()), lines(&before));
    let listing = fleet.store.list("tasks", Version::default()).await.unwrap();
    assert_eq!(listing.records.len(), 1);
    let report = other.scheduler.stop().await;
    assert!(report.is_clean());
}
