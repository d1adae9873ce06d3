//! Who there is in a fleet, who comes and goes, and what differs between them.

use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{
    ControlPlane, DriftKind, Event, FleetStore, MemoryFleet, MemoryLock, Policy, Write, Written,
};

use crate::support::{Bench, clock_and_lock, pass};

pub struct Fleet {
    pub clock: Arc<TestClock>,
    pub lock: MemoryLock,
    pub store: MemoryFleet,
    pub control: ControlPlane,
}

impl Fleet {
    pub fn new() -> Self {
        let (clock, lock) = clock_and_lock();
        let store = MemoryFleet::with_clock(clock.clone());
        let control = ControlPlane::with_clock(Arc::new(store.clone()), clock.clone());
        Self {
            clock,
            lock,
            store,
            control,
        }
    }

    /// An instance that is not started yet.
    pub fn instance(&self, id: &str) -> Bench {
        let (store, id) = (self.store.clone(), id.to_owned());
        Bench::on(self.clock.clone(), self.lock.clone(), |b| {
            b.fleet(store).instance_id(id).application_version("1.8.2")
        })
    }
}

fn told(bench: &Bench, what: impl Fn(&Event) -> Option<String>) -> Vec<String> {
    bench.seen.events().iter().filter_map(what).collect()
}

fn joined(event: &Event) -> Option<String> {
    match event {
        Event::InstanceJoined { instance } => Some(instance.id.clone()),
        _ => None,
    }
}

fn left(event: &Event) -> Option<String> {
    match event {
        Event::InstanceLeft { instance } => Some(instance.id.clone()),
        _ => None,
    }
}

fn lost(event: &Event) -> Option<String> {
    match event {
        Event::InstanceLost { instance } => Some(instance.id.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_says_who_it_is_and_what_it_does() {
    let fleet = Fleet::new();
    let a = fleet.instance("a:1");
    a.task("long", "0 0 * * * *", |_| async {
        pass(100.0).await;
        Ok(())
    });
    a.start().await;
    pass(0.1).await;
    let by = tasklock::By::new("ana", "test").unwrap();
    let run = tasklock::RunNow::new("long", &by);
    assert!(fleet.control.run(run).await.unwrap().answer.is_accepted());
    pass(6.0).await;
    let instances = fleet.control.instances().await.unwrap();
    let [one] = &instances[..] else {
        panic!("{instances:?}")
    };
    assert_eq!(
        (one.id.as_str(), one.application.as_deref()),
        ("a:1", Some("1.8.2"))
    );
    assert_eq!(one.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        one.started,
        "2026-11-21T10:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
    );
    assert!(one.is_ready() && one.age(fleet.clock_now()) < Duration::from_secs(6));
    assert_eq!(
        (one.task_count, one.tasks[0].spec.as_str()),
        (1, "0 0 * * * *")
    );
    assert_eq!(one.running.len(), 1, "{one:?}");
    assert_eq!(one.running[0].task.as_str(), "long");
    assert_eq!(one.store_round_trip_ms, Some(0));
}

use tasklock::chrono;

impl Fleet {
    pub fn clock_now(&self) -> chrono::DateTime<chrono::Utc> {
        tasklock::Clock::now(&*self.clock)
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_leaves_and_one_that_dies_is_lost_when_its_record_is_over() {
    let fleet = Fleet::new();
    let [a, b, c] = ["a", "b", "c"].map(|id| fleet.instance(id));
    for bench in [&a, &b, &c] {
        bench.start().await;
    }
    pass(2.0).await;
    assert_eq!(told(&a, joined), ["b", "c"]);
    b.scheduler.stop().await;
    pass(0.1).await;
    assert_eq!(told(&a, left), ["b"]);
    // What a kill leaves: a record that nobody refreshes.
    let record = fleet.store.get("instances", "a").await.unwrap().unwrap();
    let dead = record.value.replacen("\"a\"", "\"dead\"", 1);
    let write = Write::put("instances", "dead", dead).lasting(Duration::from_secs(9));
    fleet.store.write(&write).await.unwrap();
    pass(9.0).await;
    assert_eq!(told(&a, lost), [""; 0]);
    assert_eq!(told(&a, joined), ["b", "c", "dead"]);
    // After two refreshes of five seconds, at the next look.
    pass(2.5).await;
    assert_eq!(told(&a, lost), ["dead"]);
    let ids: Vec<_> = fleet.control.instances().await.unwrap();
    assert_eq!(
        ids.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_differ_are_named_with_those_who_have_each_variant() {
    let fleet = Fleet::new();
    let [a, b] = ["a", "b"].map(|id| fleet.instance(id));
    for (bench, spec) in [(&a, "0 0 * * * *"), (&b, "0 5 * * * *")] {
        bench.task("differs", spec, |_| async { Ok(()) });
        bench.task("same", "0 0 0 * * *", |_| async { Ok(()) });
    }
    let minute = Duration::from_secs(60);
    let other = Policy::default().cancel_grace(Duration::from_secs(3));
    a.task_with(
        "policy",
        "0 0 0 * * *",
        minute,
        Policy::default(),
        |_| async { Ok(()) },
    );
    b.task_with("policy", "0 0 0 * * *", minute, other, |_| async { Ok(()) });
    a.start().await;
    b.start().await;
    pass(12.0).await;
    for bench in [&a, &b] {
        let drifts = told(bench, |event| match event {
            Event::TaskDrifts { drift } => Some(format!("{} {:?}", drift.task, drift.kind)),
            _ => None,
        });
        assert_eq!(drifts, ["differs Schedule", "policy Policy"]);
    }
    let drifts = fleet.control.drift().await.unwrap();
    assert_eq!(drifts[0].kind, DriftKind::Schedule);
    assert_eq!(
        drifts[0].variants,
        [
            ("0 0 * * * *".to_owned(), vec!["a".to_owned()]),
            ("0 5 * * * *".to_owned(), vec!["b".to_owned()])
        ]
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_are_told_of_once_counted_and_left_out() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    a.start().await;
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"v":1,"id":"{}"}}"#, "x".repeat(900_000));
    for (key, text) in [
        ("b", "{"),
        ("c", r#"{"v":99}"#),
        ("d", "\u{1b}[31m"),
        ("e", deep.as_str()),
        ("f", long.as_str()),
    ] {
        for shelf in ["instances", "rules", "commands"] {
            let write = Write::put(shelf, key, text);
            assert!(matches!(
                fleet.store.write(&write).await.unwrap(),
                Written::Done(_)
            ));
        }
    }
    fleet
        .store
        .append("audit", &["nonsense".to_owned()], 100)
        .await
        .unwrap();
    pass(20.0).await;
    let told = told(&a, |event| match event {
        Event::RecordMalformed { shelf, key, error } => {
            assert!(!error.chars().any(char::is_control), "{error:?}");
            Some(format!("{shelf}/{key}"))
        }
        _ => None,
    });
    assert_eq!(told.len(), 15, "{told:?}");
    assert_eq!(a.scheduler.handle().malformed_records(), 15);
    let ids = fleet.control.instances().await.unwrap();
    assert_eq!(ids.len(), 1);
    assert!(fleet.control.rules().await.unwrap().is_empty());
    assert!(fleet.control.audit(None, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_id_of_any_characters_has_a_record_of_its_own() {
    let fleet = Fleet::new();
    let ids = ["a_b", "a/b", "{\"a\"}", "<script>"];
    let all = ids.map(|id| fleet.instance(id));
    for bench in &all {
        bench.start().await;
    }
    pass(2.0).await;
    let mut seen: Vec<String> = fleet
        .control
        .instances()
        .await
        .unwrap()
        .into_iter()
        .map(|i| i.id)
        .collect();
    seen.sort_unstable();
    let mut expected = ids.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_there_is_no_control() {
    let bench = Bench::new();
    bench.start().await;
    assert!(bench.scheduler.handle().control().is_none());
    assert!(bench.scheduler.handle().rules().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_about_to_stop_says_so_at_once() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    a.task("t", "*/10 * * * * *", |_| async {
        pass(8.0).await;
        Ok(())
    });
    a.start().await;
    pass(11.0).await;
    let stopping = tokio::spawn(async move { a.scheduler.stop().await });
    pass(0.1).await;
    let ready: Vec<bool> = fleet
        .control
        .instances()
        .await
        .unwrap()
        .iter()
        .map(|instance| instance.is_ready())
        .collect();
    assert_eq!(ready, [false]);
    assert!(stopping.await.unwrap().is_clean());
    assert!(fleet.control.instances().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_record_of_an_instance_has_as_many_of_its_tasks_as_there_is_room_for() {
    let fleet = Fleet::new();
    let (store, group) = (fleet.store.clone(), "g".repeat(600));
    let a = Bench::on(fleet.clock.clone(), fleet.lock.clone(), |b| {
        b.fleet(store).instance_id("a").group(group.as_str(), 1)
    });
    let seconds: Vec<String> = (0..60).map(|s| s.to_string()).collect();
    let spec = format!("{0} {0} * * * *", seconds.join(","));
    let odd = Duration::from_secs_f64(3_599.123_456_789);
    for n in 0..500 {
        // What a task can say at its longest, or nearly so.
        let policy = Policy::default()
            .timezone(tasklock::chrono_tz::America::Argentina::ComodRivadavia)
            .spread(odd)
            .jitter(odd)
            .misfire_threshold(odd)
            .retry(tasklock::Retry::times(10))
            .pause_after(u32::MAX)
            .group(group.as_str())
            .lease_ttl(Duration::from_secs(3_599))
            .cancel_grace(odd);
        let name = format!("{}{n:03}", "n".repeat(125));
        a.task_with(&name, &spec, odd, policy, |_| async { Ok(()) });
    }
    a.start().await;
    pass(1.0).await;
    let record = fleet.store.get("instances", "a").await.unwrap().unwrap();
    assert!(record.value.len() <= 512 * 1024, "{}", record.value.len());
    let [one] = fleet.control.instances().await.unwrap().try_into().unwrap();
    let one: tasklock::Instance = one;
    assert_eq!(one.task_count, 500);
    assert!((100..500).contains(&one.tasks.len()), "{}", one.tasks.len());
    assert_eq!(one.tasks_left_out(), 500 - one.tasks.len());
    assert_eq!(one.runs_left_out(), 0);
    // All the room is used.
    assert!(record.value.len() > 510 * 1024, "{}", record.value.len());
}
