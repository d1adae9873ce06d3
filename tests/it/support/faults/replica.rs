//! A replica of the fleet: a process of its own, the same program started again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use serde_json::{Value, json};
use tasklock::chrono::TimeDelta;
use tasklock::testing::SkewedClock;
use tasklock::{BaseTask, Event, Lock, Observer, Policy, RedisLock, RunContext, Scheduler};
use tokio::signal::unix::{SignalKind, signal};

use super::super::history::{History, What};
use super::body::Body;
use super::plan::{Plan, Scheme};
use super::recorded::{Point, Recorded};
use super::schemes::PlainKey;

/// Says what a process does, if it is a replica.
pub const CONFIG: &str = "TASKLOCK_FAULTS_REPLICA";

/// Where a process finds what it needs.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    pub who: &'a str,
    pub store: &'a str,
    pub resource: &'a str,
    pub history: &'a Path,
    pub skew_ms: i64,
    /// Where it kills itself, and how often it passes there alive.
    pub dies_at: Option<(Point, i64)>,
}

pub fn config(plan: &Plan, place: &Place<'_>) -> String {
    let tasks = plan.tasks.iter();
    let tasks: Vec<Value> = tasks
        .map(|t| json!([t.name, t.shortest, t.longest, t.timeout]))
        .collect();
    let point = place.dies_at.map(|(p, _)| p as usize);
    json!({
        "who": place.who, "store": place.store, "resource": place.resource,
        "history": place.history, "skew": place.skew_ms, "point": point,
        "passes": place.dies_at.map(|(_, n)| n), "scheme": plan.scheme.as_str(),
        "ttl": plan.lease_ttl.as_millis() as u64,
        "threshold": plan.misfire_threshold.as_millis() as u64,
        "response": plan.response_timeout.as_millis() as u64, "acks": plan.replica_acks,
        "limit": plan.seconds + 120, "tasks": tasks,
    })
    .to_string()
}

/// Runs a replica, and returns when it has ended, if this process was started as one.
pub fn be_replica_if_told() -> bool {
    let Ok(config) = std::env::var(CONFIG) else {
        return false;
    };
    let config: Value = serde_json::from_str(&config).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let limit = Duration::from_secs(config["limit"].as_u64().unwrap());
    runtime.block_on(async {
        // Whoever started it may have died.
        tokio::select! {
            () = serve(&config) => {}
            () = tokio::time::sleep(limit) => {}
        }
    });
    true
}

async fn serve(config: &Value) {
    let mut end = signal(SignalKind::terminate()).unwrap();
    let text = |key: &str| config[key].as_str().unwrap();
    let millis = |key: &str| Duration::from_millis(config[key].as_u64().unwrap());
    let who = text("who");
    let history = Arc::new(History::open(Path::new(text("history")), who).unwrap());
    let inner: Arc<dyn Lock> = match Scheme::parse(text("scheme")).unwrap() {
        Scheme::Tasklock => {
            let response = millis("response");
            let acks = config["acks"].as_u64().unwrap() as usize;
            let lock = RedisLock::builder(text("store")).response_timeout(response);
            Arc::new(lock.replica_acks(acks, response / 2).build().unwrap())
        }
        Scheme::Naive => Arc::new(PlainKey::new(text("store"), false)),
        Scheme::OwnerChecked => Arc::new(PlainKey::new(text("store"), true)),
    };
    let point = config["point"].as_u64();
    let lock = Recorded {
        lock: inner,
        history: history.clone(),
        who: who.to_owned(),
        dies_at: point.map(|n| Point::ALL[n as usize].0),
        passes: AtomicI64::new(config["passes"].as_i64().unwrap_or(0)),
    };
    let skew = TimeDelta::milliseconds(config["skew"].as_i64().unwrap());
    let scheduler = Scheduler::builder()
        .lock(lock)
        .clock(Arc::new(SkewedClock::new(skew)))
        .observer(Scribe(history.clone()))
        .instance_id(who)
        .wait_for_lock(Duration::from_secs(60))
        .build()
        .unwrap();
    let client = redis::Client::open(text("resource")).unwrap();
    let resource = client.get_multiplexed_async_connection().await.unwrap();
    for task in config["tasks"].as_array().unwrap() {
        let body = Body {
            history: history.clone(),
            resource: resource.clone(),
            shortest: task[1].as_u64().unwrap(),
            longest: task[2].as_u64().unwrap(),
        };
        let timeout = match task[3].as_u64().unwrap() {
            0 => Duration::from_secs(100),
            ms => Duration::from_millis(ms),
        };
        let policy = Policy::default()
            .lease_ttl(millis("ttl"))
            .misfire_threshold(millis("threshold"))
            .cancel_grace(Duration::from_millis(50));
        let run = move |ctx: RunContext| body.run(&ctx);
        let name = task[0].as_str().unwrap();
        let task = BaseTask::new(name, "* * * * * *", timeout, run).policy(policy);
        scheduler.register(task).unwrap();
    }
    // As a supervisor would that starts a service again.
    while let Err(e) = scheduler.start().await {
        assert!(e.is_transient(), "{e}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    end.recv().await;
    scheduler.stop().await;
    history.note_of(who, What::Exit, "-");
}

/// Writes down what the engine announces.
struct Scribe(Arc<History>);

impl Observer for Scribe {
    fn on_event(&self, event: &Event) {
        let Self(history) = self;
        let note = |what, run: &tasklock::RunFacts, word: &str| {
            let instant = run.fire_time.timestamp_millis();
            history.note(
                what,
                run.task.as_str(),
                instant,
                run.fencing_token.get(),
                word,
            );
        };
        match event {
            Event::SchedulerStarted { .. } => history.note(What::Up, "-", 0, 0, "-"),
            Event::NextFire { task, at: Some(at) } => {
                history.note(What::Due, task.as_str(), at.timestamp_millis(), 0, "-");
            }
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                count,
                ..
            } => {
                let instant = fire_time.timestamp_millis();
                let word = decision.as_str();
                history.note(What::Decision, task.as_str(), instant, *count, word);
            }
            Event::RunStarted { run } => note(What::Start, run, &run.attempt.to_string()),
            Event::RunFinished { run, outcome, .. } => note(What::End, run, outcome.as_str()),
            Event::LeaseLost { run, cause } => note(What::LeaseLost, run, cause.as_str()),
            _ => {}
        }
    }
}
