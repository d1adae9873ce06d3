//! Tasks defined at run time: saved by one, run by whoever has their kind.

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
async fn a_change_of_parameters_is_given_to_the_next_run_and_a_change_of_the_spec_is_fired_by() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let task = save(&store, &note("t", "*/10 * * * * *", "one")).await;
    pass(10.5).await;
    let mut changed = task.clone();
    changed.parameters = json!({ "text": "two" });
    let changed = save(&store, &changed).await;
    pass(10.0).await;
    assert_eq!(replica.notes(), ["one", "two"]);
    let mut changed = changed;
    changed.spec = "*/15 * * * * *".to_owned();
    save(&store, &changed).await;
    pass(25.0).await;
    let expected = ["10:00:10", "10:00:20", "10:00:30", "10:00:45"];
    assert_eq!(replica.bench.fired("t"), expected);
    assert_eq!(replica.bench.seen.decisions("t"), [Decision::Started; 4]);
    let snapshot = replica.bench.scheduler.handle().task("t").unwrap();
    assert_eq!(&*snapshot.spec, "*/15 * * * * *");
    assert_eq!(snapshot.kind.as_deref(), Some("note"));
}

#[tokio::test(start_paused = true)]
async fn a_change_just_before_a_firing_neither_loses_nor_repeats_it() {
    // At all moments about the fire time: before its lock is taken, ahead of it, at it, after it.
    for ms in [
        9_300, 9_600, 9_900, 9_970, 9_990, 9_999, 10_000, 10_001, 10_060,
    ] {
        let fleet = Fleet::new();
        let replicas = [fleet.running().await, fleet.running().await];
        let store = fleet.tasks();
        let task = save(&store, &note("t", "*/10 * * * * *", "x")).await;
        pass(f64::from(ms) / 1e3).await;
        let mut changed = task.clone();
        changed.policy = Policy::default().cancel_grace(Duration::from_secs(1));
        changed.spec = "*/5 * * * * *".to_owned();
        save(&store, &changed).await;
        pass(21.0 - f64::from(ms) / 1e3).await;
        let mut fired: Vec<_> = replicas.iter().flat_map(|r| r.bench.fired("t")).collect();
        fired.sort();
        assert_eq!(fired, ["10:00:10", "10:00:15", "10:00:20"], "{ms}");
        for replica in &replicas {
            let mut decided = Vec::new();
            for event in replica.bench.seen.events() {
                if let Event::FiringDecided { fire_time, .. } = event {
                    decided.push(fire_time.format("%S").to_string());
                }
            }
            assert_eq!(decided, ["10", "15", "20"], "{ms}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_firings_of_a_deleted_task_stop_and_its_run_goes_on_to_its_end() {
    let fleet = Fleet::new();
    let replicas = [fleet.running().await, fleet.running().await];
    let store = fleet.tasks();
    let queue = Policy::default().overlap(Overlap::QueueOne);
    let task = note_of("t", "*/10 * * * * *", 25.0).policy(queue);
    save(&store, &task).await;
    pass(22.0).await;
    let deleted = store.delete("t", Expected::Anything).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    pass(0.5).await;
    for replica in &replicas {
        assert_eq!(replica.names(), [""; 0]);
    }
    pass(60.0).await;
    let outcomes: Vec<Outcome> = replicas
        .iter()
        .flat_map(|r| r.bench.seen.outcomes("t"))
        .collect();
    assert_eq!(outcomes, [Outcome::Success]);
    for replica in &replicas {
        // Each instant has its decision, and what is gone is told last and once.
        assert_eq!(replica.bench.seen.decisions("t").len(), 2);
        assert_eq!(replica.unregistered("t"), 1);
        let events = replica.bench.seen.events();
        let of_task = |e: &&Event| {
            matches!(
                e,
                Event::TaskUnregistered { .. } | Event::FiringDecided { .. }
            ) || matches!(e, Event::RunFinished { .. })
        };
        let last = events.iter().rfind(of_task).unwrap();
        assert!(matches!(last, Event::TaskUnregistered { .. }), "{last:?}");
    }
    let deleted = store.delete("t", Expected::Anything).await.unwrap();
    assert_eq!(deleted, Deleted::NotThere);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_just_before_a_firing_stops_it_and_leaves_no_lock_behind() {
    for ms in [9_900, 9_960, 9_995] {
        let fleet = Fleet::new();
        let replica = fleet.running().await;
        let store = fleet.tasks();
        let task = save(&store, &note("t", "*/10 * * * * *", "x")).await;
        pass(ms as f64 / 1e3).await;
        let at = Expected::At(task.version);
        assert_eq!(store.delete("t", at).await.unwrap(), Deleted::Done);
        pass(5.0).await;
        save(&store, &note("t", "*/10 * * * * *", "again")).await;
        pass(10.0).await;
        let fired = replica.bench.fired("t");
        assert_eq!(fired.last().unwrap(), "10:00:20", "{ms}");
        assert!(fired.len() == 1 || ms == 9_995, "{ms}: {fired:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn firings_that_wait_for_the_run_before_them_run_what_the_task_is_by_then() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let queue = Policy::default().overlap(Overlap::QueueOne);
    let task = note_of("t", "*/10 * * * * *", 15.0).policy(queue);
    let task = save(&store, &task).await;
    pass(21.0).await;
    let mut changed = task.clone();
    changed.parameters = json!({ "text": "changed" });
    changed.timeout = Duration::from_secs(7);
    save(&store, &changed).await;
    pass(6.0).await;
    assert_eq!(replica.notes(), ["t", "changed"]);
    let snapshot = replica.bench.scheduler.handle().task("t").unwrap();
    assert_eq!(snapshot.timeout, Duration::from_secs(7));
    assert_eq!(snapshot.last_run.unwrap().outcome, Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_does_not_overlap_with_those_of_the_changed_task_even_without_a_lock() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let everywhere = Policy::default().scope(Scope::EveryInstance);
    let task = note_of("t", "*/10 * * * * *", 15.0).policy(everywhere);
    let mut task = save(&store, &task).await;
    pass(12.0).await;
    task.spec = "*/2 * * * * *".to_owned();
    task.parameters = json!({ "text": "changed" });
    save(&store, &task).await;
    pass(15.0).await;
    let starts = replica.bench.fired("t");
    assert_eq!(starts, ["10:00:10", "10:00:26"]);
    let decisions = replica.bench.seen.decisions("t");
    let overlaps = decisions.iter().filter(|d| **d == Decision::Overlap);
    assert_eq!(overlaps.count(), 6, "{decisions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_may_become_one_in_parts_and_back() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let mut task = save(&store, &note("t", "*/10 * * * * *", "x")).await;
    pass(11.0).await;
    task.policy = Policy::default().scope(Scope::Sharded(3));
    let mut task = save(&store, &task).await;
    pass(10.0).await;
    assert_eq!(replica.notes().len(), 4);
    assert_eq!(replica.names(), ["t"]);
    task.policy = Policy::default();
    save(&store, &task).await;
    pass(10.0).await;
    assert_eq!(replica.notes().len(), 5);
    assert_eq!(replica.unregistered("t"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_after_its_last_run_goes_on_when_it_is_changed() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let mut task = save(&store, &note_of("t", "@after 10s", 2.0)).await;
    pass(13.0).await;
    // In a run, and between two runs.
    task.spec = "@after 5s".to_owned();
    let mut task = save(&store, &task).await;
    pass(7.5).await;
    task.spec = "@after 20s".to_owned();
    let mut task = save(&store, &task).await;
    pass(20.0).await;
    let starts = replica.bench.fired("t");
    assert_eq!(starts.len(), 3, "{starts:?}");
    task.spec = "0 * * * * *".to_owned();
    save(&store, &task).await;
    pass(60.0).await;
    assert_eq!(replica.bench.fired("t")[3..], ["10:01:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_task_does_not_fire_until_it_is_enabled() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let store = fleet.tasks();
    let task = note("t", "*/10 * * * * *", "x").enabled(false);
    let mut task = save(&store, &task).await;
    pass(15.0).await;
    assert_eq!(replica.names(), [""; 0]);
    task.enabled = true;
    let mut task = save(&store, &task).await;
    pass(10.0).await;
    task.enabled = false;
    save(&store, &task).await;
    pass(20.0).await;
    assert_eq!(replica.bench.fired("t"), ["10:00:20"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_would_be_lost_is_refused_with_what_there_is() {
    let fleet = Fleet::new();
    let store = fleet.tasks();
    let first = save(&store, &note("t", "@hourly", "one")).await;
    let mut ours = first.clone();
    ours.spec = "@daily".to_owned();
    let ours = save(&store, &ours).await;
    let mut theirs = first.clone();
    theirs.spec = "@weekly".to_owned();
    let refused = Saved::Refused(Some(Box::new(ours.clone())));
    assert_eq!(store.save(&theirs).await.unwrap(), refused);
    let new = note("t", "@monthly", "new");
    assert_eq!(store.save(&new).await.unwrap(), refused);
    let deleted = store.delete("t", Expected::At(first.version)).await;
    assert_eq!(deleted.unwrap(), Deleted::Refused(Box::new(ours.clone())));
    let at = Expected::At(ours.version);
    assert_eq!(store.delete("t", at).await.unwrap(), Deleted::Done);
    assert_eq!(store.save(&ours).await.unwrap(), Saved::Refused(None));
}

#[tokio::test(start_paused = true)]
async fn of_many_who_change_a_task_at_once_each_change_counts() {
    let fleet = Fleet::new();
    save(&fleet.tasks(), &note("t", "@hourly", "0")).await;
    let mut writers = Vec::new();
    for _ in 0..8 {
        let store = fleet.tasks();
        writers.push(tokio::spawn(async move {
            for _ in 0..25 {
                loop {
                    let mut task = store.get("t").await.unwrap().unwrap();
                    let count: u32 = task.parameters["text"].as_str().unwrap().parse().unwrap();
                    task.parameters["text"] = json!((count + 1).to_string());
                    tokio::task::yield_now().await;
                    if let Saved::Done(_) = store.save(&task).await.unwrap() {
                        break;
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let task = fleet.tasks().get("t").await.unwrap().unwrap();
    assert_eq!(task.parameters["text"], "200");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_code_owns_its_name() {
    let fleet = Fleet::new();
    let (owner, other) = (fleet.instance(), fleet.running().await);
    owner
        .bench
        .task("t", "*/10 * * * * *", |_| async { Ok(()) });
    owner.bench.start().await;
    let error = owner.tasks().save(&note("t", "@hourly", "x")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateTask);
    assert!(error.to_string().contains("belongs to code"), "{error}");
    // Where nobody knows it is saved, and run by those who have no such code.
    save(&other.tasks(), &note("t", "*/5 * * * * *", "stored")).await;
    pass(1.0).await;
    assert_eq!(owner.ignored(), [("t".to_owned(), Ignored::OwnedByCode)]);
    pass(10.0).await;
    assert_eq!(owner.notes(), [""; 0]);
    assert_eq!(other.names(), ["t"]);
    // It becomes free.
    assert!(owner.bench.scheduler.unregister("t"));
    assert!(!owner.bench.scheduler.unregister("t"));
    pass(0.5).await;
    let task = owner.bench.scheduler.handle().task("t").unwrap();
    assert_eq!(task.kind.as_deref(), Some("note"));
    assert!(!owner.bench.scheduler.unregister("t"));
    // And is taken again.
    owner.bench.task("t", "@daily", |_| async { Ok(()) });
    pass(0.5).await;
    assert_eq!(owner.bench.scheduler.handle().task("t").unwrap().kind, None);
    assert_eq!(owner.ignored().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_the_kind_leaves_the_firings_to_others_and_says_so() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let warnings = || {
        let text = lines.text();
        assert!(
            !text.contains("WARN tasklock: Task firing skipped"),
            "{text}"
        );
        text.matches("task.ignored").count()
    };
    let fleet = Fleet::new();
    let (without, with) = (fleet.bare(), fleet.running().await);
    without.bench.start().await;
    save(&without.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(25.0).await;
    assert_eq!(with.bench.fired("t"), ["10:00:10", "10:00:20"]);
    let decisions = without.bench.seen.decisions("t");
    assert_eq!(decisions, [Decision::Limited; 2]);
    assert_eq!(without.ignored(), [("t".to_owned(), Ignored::UnknownKind)]);
    // Once, and not with each firing.
    lines.one(&["WARN", "task.ignored", "unknown_kind"]);
    assert_eq!(warnings(), 1, "{}", lines.text());
    let mut task = fleet.tasks().get("t").await.unwrap().unwrap();
    task.spec = "5/10 * * * * *".to_owned();
    save(&without.tasks(), &task).await;
    pass(20.0).await;
    assert_eq!(warnings(), 2, "{}", lines.text());
    task = fleet.tasks().get("t").await.unwrap().unwrap();
    task.spec = "*/10 * * * * *".to_owned();
    save(&without.tasks(), &task).await;
    pass(1.0).await;
    let handle = without.bench.scheduler.handle();
    assert!(handle.task("t").unwrap().lacks_kind);
    // The code comes.
    with.bench.scheduler.stop().await;
    without.add_note();
    pass(10.0).await;
    assert_eq!(without.bench.fired("t"), ["10:00:50"]);
    assert!(!handle.task("t").unwrap().lacks_kind);
    assert_eq!(without.ignored().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn malformed_records_stop_nothing_are_told_once_and_counted() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let other_name = r#"{"format":1,"task":{"name":"u","kind":"note","spec":"@hourly"}}"#;
    let bad_name = r#"{"format":1,"task":{"name":"a/b","kind":"note","spec":"@hourly"}}"#;
    for (key, value) in [
        ("a", ""),
        ("b", "null"),
        ("c", "{\"format\":99}"),
        ("d", other_name),
        ("e", &"[".repeat(1 << 20)),
        ("f", "\u{1b}[31m\u{0}\u{202e}"),
        ("a/b", bad_name),
    ] {
        fleet.write(key, value).await;
    }
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(15.0).await;
    assert_eq!(replica.names(), ["t"]);
    assert_eq!(replica.bench.fired("t"), ["10:00:10"]);
    let store = replica.tasks();
    let all = store.list().await.unwrap();
    assert_eq!((all.tasks.len(), all.malformed.len()), (1, 7));
    for malformed in &all.malformed {
        let text = format!("{} {}", malformed.name, malformed.error);
        assert!(text.len() < 700 && !text.chars().any(char::is_control));
    }
    pass(1_300.0).await;
    assert_eq!(store.malformed(), 7);
    assert_eq!(replica.ignored().len(), 7);
    // What cannot be read cannot be changed, and can be deleted.
    let error = store.save(&note("a", "@hourly", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreProtocol);
    let deleted = store.delete("a", Expected::Anything).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    save(&store, &note("a", "@hourly", "x")).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_record_becomes_malformed_stops() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    save(&fleet.tasks(), &note("t", "*/10 * * * * *", "x")).await;
    pass(11.0).await;
    fleet.write("t", "gone wrong").await;
    pass(20.0).await;
    assert_eq!(replica.bench.fired("t"), ["10:00:10"]);
    assert_eq!(replica.ignored(), [("t".to_owned(), Ignored::Malformed)]);
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_who_check_less_is_not_run_and_said() {
    let fleet = Fleet::new();
    let replica = fleet.running().await;
    let record = |spec: &str, more: &str| {
        let task = format!(r#""kind":"note","spec":"{spec}","parameters":{{"text":"x"}}{more}"#);
        move |name: &str| format!(r#"{{"format":1,"task":{{"name":"{name}",{task}}}}}"#)
    };
    for (name, make) in [
        ("spec", record("every now and then", "")),
        (
            "policy",
            record("@hourly", r#","policy":{"lease_ttl_s":0}"#),
        ),
        (
            "group",
            record("@hourly", r#","policy":{"group":"nobody"}"#),
        ),
        ("timeout", record("@hourly", r#","timeout_s":0"#)),
        ("fine", record("@hourly", r#","policy":{"group":"g"}"#)),
    ] {
        fleet.write(name, &make(name)).await;
    }
    let parameters = r#"{"format":1,"task":{"name":"parameters","kind":"note","spec":"@hourly"}}"#;
    fleet.write("parameters", parameters).await;
    pass(1.0).await;
    assert_eq!(replica.names(), ["fine"]);
    let mut names: Vec<_> = replica.ignored().into_iter().map(|i| i.0).collect();
    names.sort();
    assert_eq!(names, ["group", "parameters", "policy", "spec", "timeout"]);
    assert!(replica.ignored().iter().all(|i| i.1 == Ignored::Invalid));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_when_it_is_saved() {
    let fleet = Fleet::new();
    let replica = fleet.instance();
    let store = replica.tasks();
    let long = "x".repeat(1_000_000);
    let fine = || note("t", "@hourly", "x");
    let with = |change: &dyn Fn(&mut StoredTask)| {
        let mut task = fine();
        change(&mut task);
        task
    };
    use ErrorKind::{InvalidName, InvalidSpec, InvalidTask};
    for (task, kind, part) in [
        (with(&|t| t.name = "a b".into()), InvalidName, "' '"),
        (
            with(&|t| t.name = "a\u{1b}[0m".into()),
            InvalidName,
            "\\u{1b}",
        ),
        (
            with(&|t| t.name = long.clone()),
            InvalidName,
            "1000000 characters",
        ),
        (with(&|t| t.kind = "a\nb".into()), InvalidName, "a\\nb"),
        (with(&|t| t.kind = long.clone()), InvalidName, "kind"),
        (
            with(&|t| t.spec = "61 * * * * *".into()),
            InvalidSpec,
            "task t: second",
        ),
        (with(&|t| t.spec = long.clone()), InvalidSpec, "1024"),
        (
            with(&|t| t.spec = "0 0 31 2 *".into()),
            InvalidTask,
            "no fire time",
        ),
        (
            with(&|t| t.spec = "@at 2020-01-01T00:00:00Z".into()),
            InvalidTask,
            "no fire time",
        ),
        (
            with(&|t| t.timeout = Duration::ZERO),
            InvalidTask,
            "timeout is zero",
        ),
        (
            with(&|t| t.policy = Policy::default().lease_ttl(Duration::ZERO)),
            InvalidTask,
            "lease_ttl",
        ),
        (
            with(&|t| t.policy = Policy::default().timezone(Tz::Asia__Tokyo)),
            InvalidTask,
            "timezone",
        ),
        (
            with(&|t| t.owner = Some("a\u{0}".into())),
            InvalidTask,
            "owner",
        ),
        (
            with(&|t| t.owner = Some(long.clone())),
            InvalidTask,
            "owner",
        ),
        (
            with(&|t| t.description = long.clone()),
            InvalidTask,
            "description",
        ),
        (
            with(&|t| t.description = "\u{1b}[31m".into()),
            InvalidTask,
            "description",
        ),
        (
            with(&|t| t.parameters = json!({ "text": long })),
            InvalidTask,
            "at most 65536",
        ),
        (
            with(&|t| t.parameters = json!({})),
            InvalidTask,
            "missing field `text`",
        ),
        (
            with(&|t| t.parameters = json!({ "text": "x", "a\u{1b}": 1 })),
            InvalidTask,
            "unknown field",
        ),
        (
            with(&|t| t.parameters = Value::Null),
            InvalidTask,
            "do not fit",
        ),
    ] {
        let error = store.save(&task).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(part), "{part}: {text}");
        let is_plain = |c: char| !c.is_control() || c == '\n';
        assert!(text.len() < 600 && text.chars().all(is_plain), "{text}");
    }
    assert!(store.list().await.unwrap().tasks.is_empty());
    for fine in [
        with(&|t| t.spec = "@startup".into()),
        with(&|t| t.description = "two\nlines, \"quoted\", \u{202e}".into()),
        with(&|t| t.kind = "unknown".into()),
        with(&|t| (t.spec, t.enabled) = ("@at 2020-01-01T00:00:00Z".into(), false)),
    ] {
        let saved = save(&store, &fine).await;
        store
            .delete("t", Expected::At(saved.version))
            .await
            .unwrap();
    }
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
