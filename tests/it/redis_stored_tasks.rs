//! Tasks defined at run time, in a real Redis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tasklock::schemars::{self, JsonSchema};
use tasklock::{
    Deleted, Event, Expected, Observer, RedisFleet, RedisLock, Saved, Scheduler, StoredTask,
    TaskStore, Version,
};

use crate::support::RedisServer;
use crate::support::redis_server::RedisOptions;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize, JsonSchema)]
struct Nothing {}

/// The specs that tasks were registered with last.
#[derive(Clone, Default)]
struct Specs(Arc<Mutex<HashMap<String, Arc<str>>>>);

impl Observer for Specs {
    fn on_event(&self, event: &Event) {
        let mut specs = self.0.lock().unwrap();
        match event {
            Event::TaskRegistered { task, spec, .. } => {
                specs.insert(task.to_string(), spec.clone());
            }
            Event::TaskUnregistered { task } => {
                specs.remove(task.as_str());
            }
            _ => {}
        }
    }
}

struct Instance {
    scheduler: Scheduler,
    specs: Specs,
    runs: Arc<AtomicUsize>,
}

impl Instance {
    async fn start(server: &RedisServer) -> Self {
        let lock = RedisLock::connect(&server.url()).await.unwrap();
        let fleet = RedisFleet::beside(&lock);
        let specs = Specs::default();
        let builder = Scheduler::builder().lock(lock).fleet(fleet);
        let builder = builder.observer(specs.clone());
        let scheduler = builder.shutdown_grace(Duration::ZERO).build().unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let body = move |_, _: Nothing| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        };
        scheduler.handler("count", body).unwrap();
        scheduler.start().await.unwrap();
        Self {
            scheduler,
            specs,
            runs,
        }
    }

    fn tasks(&self) -> TaskStore {
        self.scheduler.handle().task_store().unwrap()
    }

    fn spec(&self, name: &str) -> Option<Arc<str>> {
        self.specs.0.lock().unwrap().get(name).cloned()
    }
}

async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    begun.elapsed()
}

/// Saves while the store may be on its way back.
async fn save(store: &TaskStore, task: &StoredTask) -> Version {
    let begun = Instant::now();
    loop {
        match store.save(task).await {
            Ok(Saved::Done(version)) => return version,
            Ok(Saved::Refused(Some(now))) if now.spec == task.spec => return now.version,
            Ok(refused) => panic!("{refused:?}"),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_follow_the_store_and_go_on_when_it_was_restarted() {
    let options = RedisOptions {
        is_durable: true,
        ..RedisOptions::default()
    };
    let mut server = options.start();
    let fleet = [
        Instance::start(&server).await,
        Instance::start(&server).await,
        Instance::start(&server).await,
    ];
    let all =
        |name: &str, spec: Option<&str>| fleet.iter().all(|i| i.spec(name).as_deref() == spec);
    let store = fleet[0].tasks();
    save(&store, &StoredTask::new("a", "count", "* * * * * *")).await;
    wait_until("saved", || all("a", Some("* * * * * *"))).await;
    let runs = || {
        fleet
            .iter()
            .map(|i| i.runs.load(Ordering::Relaxed))
            .sum::<usize>()
    };
    wait_until("run", || runs() >= 3).await;

    server.kill();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(fleet.iter().all(|i| i.spec("a").is_some()));
    server.restart();
    let before = runs();
    save(&fleet[1].tasks(), &StoredTask::new("b", "count", "@hourly")).await;
    wait_until("saved after the restart", || all("b", Some("@hourly"))).await;
    wait_until("run after the restart", || runs() > before).await;

    let mut changed = store.get("a").await.unwrap().unwrap();
    changed.spec = "@daily".to_owned();
    save(&fleet[2].tasks(), &changed).await;
    wait_until("changed", || all("a", Some("@daily"))).await;
    let mut stale = changed;
    stale.spec = "@weekly".to_owned();
    let stale = store.save(&stale).await;
    assert!(matches!(stale.unwrap(), Saved::Refused(Some(_))));
    let deleted = store.delete("a", Expected::Anything).await.unwrap();
    assert_eq!(deleted, Deleted::Done);
    wait_until("deleted", || all("a", None)).await;
    let late = Instance::start(&server).await;
    assert_eq!(late.scheduler.list_tasks(), ["b"]);
}
