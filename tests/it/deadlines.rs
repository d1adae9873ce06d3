//! By when tasks have to succeed, as metrics and the page tell: after pauses, under other schedules, and
//! when nobody runs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::serde_json::json;
use tasklock::{
    By, ControlPlane, Metrics, PauseFor, StoredTask, TaskError, TaskStore, chrono_tz, serde_json,
};

use crate::support::web::{Ask, Shop, open};
use crate::support::{Bench, pass};

const HOURLY: &str = "0 0 * * * *";
const DAY: Duration = Duration::from_secs(86_400);

fn by() -> By {
    By::new("ana", "a test").unwrap()
}

/// An instance with all that tells of deadlines, and a way to steer its fleet.
struct Watched {
    bench: Bench,
    metrics: Metrics,
    control: ControlPlane,
    page: Router,
    /// Its tasks fail.
    fails: Arc<AtomicBool>,
}

impl Watched {
    fn on(shop: &Shop, id: &str) -> Self {
        let metrics = Metrics::new().unwrap();
        let kept = metrics.clone();
        let bench = shop.instance_with(id, |builder| builder.metrics(kept));
        Self {
            page: open(&bench),
            control: ControlPlane::with_clock(Arc::new(shop.memory().0), shop.clock.clone()),
            fails: Arc::default(),
            bench,
            metrics,
        }
    }

    fn task(&self, name: &str, spec: &str) {
        let fails = self.fails.clone();
        self.bench.task(name, spec, move |_| {
            let has_failed = fails.load(Ordering::Relaxed);
            async move {
                match has_failed {
                    true => Err(TaskError::new("sold out")),
                    false => Ok(()),
                }
            }
        });
    }

    /// Goes to `time` of the day it is, or of a later one, and looks at everything there.
    async fn go_to(&self, time: &str) {
        let time: DateTime<Utc> = at(time);
        self.bench.clock.step(time - self.bench.now());
        // Metrics look at the history every ten seconds.
        pass(21.0).await;
    }

    /// What the metric and the page tell: the same.
    async fn deadline(&self, task: &str) -> Option<DateTime<Utc>> {
        let text = self.metrics.encode().unwrap();
        let series = format!("task_success_deadline_timestamp_seconds{{task_name=\"{task}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        let value: f64 = value.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
        let told = value.is_finite().then_some(value as i64);
        let shown = self.shown(task).await["success_deadline_at"].clone();
        let shown: Option<DateTime<Utc>> = shown.as_str().map(|at| at.parse().unwrap());
        assert_eq!(told, shown.map(|at| at.timestamp()), "the page: {shown:?}");
        shown
    }

    /// Whether the alert's condition holds, and the page says so.
    async fn is_overdue(&self, task: &str) -> bool {
        let is_past = self
            .deadline(task)
            .await
            .is_some_and(|at| at < self.bench.now());
        let health = self.shown(task).await["health"].clone();
        assert_eq!(health == "overdue", is_past, "{health}");
        is_past
    }

    async fn shown(&self, task: &str) -> serde_json::Value {
        let ask = Ask::get(&format!("/api/v1/tasks/{task}")).by("viewer");
        ask.of(&self.page).await.json()
    }
}

/// `21T11:00:00` is in November 2026.
fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-{time}Z").parse().unwrap()
}

/// An instance with an hourly task that has succeeded at eleven.
async fn succeeded_at_eleven(shop: &Shop) -> Watched {
    let watched = Watched::on(shop, "a");
    watched.task("t", HOURLY);
    watched.bench.start().await;
    watched.go_to("21T10:59:50").await;
    assert_eq!(watched.bench.fired("t"), ["11:00:00"]);
    assert_eq!(watched.deadline("t").await, Some(at("21T13:02:00")));
    watched
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_of_a_week_two_fire_times_have_to_pass() {
    let shop = Shop::new();
    let watched = succeeded_at_eleven(&shop).await;
    let week = PauseFor::task("t", &by()).lasting(7 * DAY);
    watched.control.pause(week).await.unwrap();
    pass(21.0).await;
    assert_eq!(watched.deadline("t").await, None);

    // It has ended ten minutes ago.
    watched.go_to("28T11:10:40").await;
    assert_eq!(watched.deadline("t").await, Some(at("28T13:02:00")));
    assert!(!watched.is_overdue("t").await);
    // Another instance, that has seen nothing of the pause, says the same.
    watched.fails.store(true, Ordering::Relaxed);
    watched.go_to("28T12:59:50").await;
    let other = Watched::on(&shop, "b");
    other.task("t", HOURLY);
    other.bench.start().await;
    // By now nobody keeps the pause.
    assert!(watched.control.rules().await.unwrap().is_empty());
    pass(21.0).await;
    for one in [&watched, &other] {
        assert_eq!(one.deadline("t").await, Some(at("28T13:02:00")));
        assert!(!one.is_overdue("t").await);
    }
    watched.go_to("28T13:02:01").await;
    assert!(watched.is_overdue("t").await);
    watched.fails.store(false, Ordering::Relaxed);
    watched.go_to("28T13:59:55").await;
    assert_eq!(watched.deadline("t").await, Some(at("28T16:02:00")));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_all_tasks_that_is_ended_early_counts_from_then() {
    let shop = Shop::new();
    let watched = succeeded_at_eleven(&shop).await;
    let pause = PauseFor::all(&by()).lasting(7 * DAY);
    watched.control.pause(pause).await.unwrap();
    watched.go_to("23T09:30:00").await;
    assert_eq!(watched.deadline("t").await, None);
    watched.control.resume(None, &by()).await.unwrap();
    pass(21.0).await;
    assert_eq!(watched.deadline("t").await, Some(at("23T11:02:00")));
}

#[tokio::test(start_paused = true)]
async fn an_override_counts_while_it_lasts_and_its_end_is_a_beginning() {
    let shop = Shop::new();
    let watched = succeeded_at_eleven(&shop).await;
    let put = async |spec: &str, length: Duration| {
        let (control, zone, by) = (&watched.control, chrono_tz::UTC, by());
        let put = control.override_spec("t", spec, zone, length, &by).await;
        put.unwrap();
    };
    put("0 0 0 * * *", 3 * DAY).await;
    pass(21.0).await;
    assert_eq!(watched.deadline("t").await, Some(at("23T00:02:00")));
    watched.go_to("22T23:59:50").await;
    assert_eq!(watched.deadline("t").await, Some(at("24T12:02:00")));
    // The hourly fire times of the time before are no reason to worry.
    watched.go_to("24T11:10:00").await;
    assert_eq!(watched.deadline("t").await, Some(at("24T13:02:00")));
    assert!(!watched.is_overdue("t").await);
    watched.go_to("24T12:30:00").await;
    assert_eq!(watched.deadline("t").await, Some(at("24T13:02:00")));

    put("0 */5 * * * *", DAY).await;
    pass(21.0).await;
    assert_eq!(watched.deadline("t").await, Some(at("24T12:37:00")));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_nobody_knew_has_two_fire_times_from_now() {
    let shop = Shop::new();
    let watched = Watched::on(&shop, "a");
    watched.bench.start().await;
    watched.go_to("24T15:30:00").await;
    watched.task("new", HOURLY);
    watched.fails.store(true, Ordering::Relaxed);
    pass(21.0).await;
    assert_eq!(watched.deadline("new").await, Some(at("24T17:02:00")));
    watched.go_to("24T17:02:01").await;
    assert!(watched.is_overdue("new").await);
}

#[tokio::test(start_paused = true)]
async fn a_stored_task_that_was_switched_off_counts_from_its_return() {
    let shop = Shop::new();
    let watched = Watched::on(&shop, "a");
    let kind = |_: tasklock::RunContext, _: serde_json::Value| async { Ok(()) };
    watched.bench.scheduler.handler("noop", kind).unwrap();
    let tasks = TaskStore::new(shop.memory().0);
    let mut task = StoredTask::new("s", "noop", HOURLY).parameters(json!({}));
    tasks.save(&task).await.unwrap();
    watched.bench.start().await;
    watched.go_to("21T10:59:50").await;
    assert_eq!(watched.deadline("s").await, Some(at("21T13:02:00")));
    task = tasks.get("s").await.unwrap().unwrap();
    task.enabled = false;
    tasks.save(&task).await.unwrap();
    watched.go_to("28T11:10:00").await;
    task = tasks.get("s").await.unwrap().unwrap();
    task.enabled = true;
    tasks.save(&task).await.unwrap();
    pass(21.0).await;
    assert_eq!(watched.deadline("s").await, Some(at("28T13:02:00")));
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_takes_no_firings_is_overdue() {
    let shop = Shop::new();
    let watched = succeeded_at_eleven(&shop).await;
    watched.control.drain("a", &by()).await.unwrap();
    watched.go_to("21T13:01:50").await;
    assert_eq!(watched.bench.fired("t"), ["11:00:00"]);
    assert_eq!(watched.deadline("t").await, Some(at("21T13:02:00")));
    assert!(watched.is_overdue("t").await);
}

#[tokio::test(start_paused = true)]
async fn when_no_instance_was_up_the_first_that_is_says_that_tasks_are_overdue() {
    let shop = Shop::new();
    let before = succeeded_at_eleven(&shop).await;
    before.bench.scheduler.stop().await;
    shop.clock.step(TimeDelta::days(3));
    let watched = Watched::on(&shop, "b");
    watched.bench.start().await;
    pass(1.0).await;
    // That it comes late is no excuse.
    watched.task("t", HOURLY);
    pass(21.0).await;
    assert_eq!(watched.deadline("t").await, Some(at("21T13:02:00")));
    assert!(watched.is_overdue("t").await);
    watched.go_to("24T11:59:55").await;
    assert!(!watched.is_overdue("t").await);
}
