//! What the metrics of an instance say of its whole fleet.

use std::time::Duration;

use tasklock::{FleetStore, MemoryFleet, MemoryHistory, Metrics, Policy, TaskError, Write};

use crate::instances::Fleet;
use crate::support::lines::Lines;
use crate::support::{Away, Bench, ScriptedHistory, SwitchedFleet, clock_and_lock, pass};

fn has(metrics: &Metrics, line: &str) {
    let text = metrics.encode().unwrap();
    assert!(text.lines().any(|l| l == line), "{line}\n{text}");
}

fn is_silent_on(metrics: &Metrics, name: &str) {
    let text = metrics.encode().unwrap();
    let is_of = |l: &&str| l.starts_with(name);
    assert_eq!(text.lines().find(is_of), None);
}

fn event(word: &str, count: u64) -> String {
    format!("task_fleet_events_total{{event=\"{word}\"}} {count}")
}

/// An instance of `fleet` with metrics.
fn measured(fleet: &Fleet, id: &str) -> (Bench, Metrics) {
    let metrics = Metrics::new().unwrap();
    let (store, id, kept) = (fleet.store.clone(), id.to_owned(), metrics.clone());
    let bench = Bench::on(fleet.clock.clone(), fleet.lock.clone(), |b| {
        b.fleet(store).instance_id(id).metrics(kept)
    });
    (bench, metrics)
}

#[tokio::test(start_paused = true)]
async fn instances_that_come_go_and_differ_are_counted() {
    let fleet = Fleet::new();
    let (a, metrics) = measured(&fleet, "a");
    is_silent_on(&metrics, "task_instances");
    has(&metrics, &event("joined", 0));
    for task in ["same", "differs"] {
        a.task(task, "0 0 * * * *", |_| async { Ok(()) });
    }
    a.start().await;
    pass(1.0).await;
    has(&metrics, "task_instances 1");
    let (clock, lock, store) = (
        fleet.clock.clone(),
        fleet.lock.clone(),
        SwitchedFleet::away(),
    );
    store.set(Some(fleet.store.clone()));
    let switched = store.clone();
    let b = Bench::on(clock, lock, |b| b.fleet(switched).instance_id("b"));
    b.task("same", "0 0 * * * *", |_| async { Ok(()) });
    b.task("differs", "0 30 * * * *", |_| async { Ok(()) });
    b.start().await;
    let c = fleet.instance("c");
    c.start().await;
    pass(6.0).await;
    has(&metrics, "task_instances 3");
    has(&metrics, "task_schedule_drift{task_name=\"same\"} 0");
    has(&metrics, "task_schedule_drift{task_name=\"differs\"} 1");
    c.scheduler.stop().await;
    store.set(None);
    pass(30.0).await;
    has(&metrics, "task_instances 1");
    has(&metrics, "task_schedule_drift{task_name=\"differs\"} 0");
    for (word, count) in [("joined", 2), ("left", 1), ("lost", 1)] {
        has(&metrics, &event(word, count));
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_and_tasks_that_are_not_run_are_counted() {
    let fleet = Fleet::new();
    let (a, metrics) = measured(&fleet, "a");
    a.start().await;
    for (shelf, text) in [("rules", "{"), ("tasks", "{}")] {
        fleet
            .store
            .write(&Write::put(shelf, "x", text))
            .await
            .unwrap();
    }
    pass(2.0).await;
    has(&metrics, &event("malformed", 1));
    has(&metrics, &event("task_ignored", 1));
}

/// Both that read it find out by themselves.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_fleets_store_is_told_once() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let metrics = Metrics::new().unwrap();
    let (clock, lock) = clock_and_lock();
    let store = SwitchedFleet::away();
    let (switched, kept) = (store.clone(), metrics.clone());
    let bench = Bench::on(clock.clone(), lock, |b| b.fleet(switched).metrics(kept));
    bench.start().await;
    pass(60.0).await;
    lines.one(&["WARN", "fleet.down"]);
    has(&metrics, &event("store_down", 1));
    let there = MemoryFleet::with_clock(clock);
    store.set(Some(there.clone()));
    pass(15.0).await;
    lines.one(&["INFO", "fleet.up"]);
    store.set(None);
    pass(60.0).await;
    has(&metrics, &event("store_down", 2));
    assert_eq!(lines.text().matches("fleet.down").count(), 2);
    assert_eq!(lines.text().matches("store.down").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_failed_too_often_counts_as_paused_since_then() {
    let (clock, lock) = clock_and_lock();
    let metrics = Metrics::new().unwrap();
    let (kept, history) = (metrics.clone(), MemoryHistory::with_clock(clock.clone()));
    let bench = Bench::on(clock, lock, |b| b.history(history).metrics(kept));
    let policy = Policy::default().pause_after(2);
    let minute = Duration::from_secs(60);
    bench.task_with("fails", "*/10 * * * * *", minute, policy, |_| async {
        Err(TaskError::new("no"))
    });
    bench.task("other", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(15.0).await;
    has(&metrics, "task_paused{task_name=\"fails\"} 0");
    pass(30.0).await;
    has(&metrics, "task_paused{task_name=\"fails\"} 1");
    has(&metrics, "task_paused{task_name=\"other\"} 0");
    // It has to succeed again nevertheless: nobody has wanted it to be paused.
    let text = metrics.encode().unwrap();
    let since = "task_paused_since_timestamp_seconds{task_name=\"fails\"} 1795255220";
    assert!(text.lines().any(|l| l.starts_with(since)), "{text}");
    let deadline = "task_success_deadline_timestamp_seconds{task_name=\"fails\"} 179525";
    assert!(text.lines().any(|l| l.starts_with(deadline)), "{text}");
    bench.scheduler.handle().resume("fails").await.unwrap();
    pass(10.0).await;
    has(&metrics, "task_paused{task_name=\"fails\"} 0");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_instance_is_gone_is_counted_by_one_of_the_others() {
    let (clock, lock) = clock_and_lock();
    let history = MemoryHistory::with_clock(clock.clone());
    // Its own way to the history breaks once its run is known there.
    let dying = ScriptedHistory::new(history.clone());
    let kept = dying.clone();
    let dead = Bench::on(clock.clone(), lock.clone(), |b| {
        b.history(kept).instance_id("dead")
    });
    let (day, policy) = (Duration::from_secs(86_400), Policy::default());
    let once = "@at 2026-11-21T10:00:01Z";
    dead.task_with("t", once, day, policy, |_| async {
        std::future::pending().await
    });
    dead.start().await;
    pass(5.0).await;
    dying.set(Away::Hangs);
    let mut all = Vec::new();
    for id in ["a", "b", "c"] {
        let metrics = Metrics::new().unwrap();
        let (kept, counted) = (history.clone(), metrics.clone());
        let bench = Bench::on(clock.clone(), lock.clone(), move |b| {
            b.history(kept).instance_id(id).metrics(counted)
        });
        bench.start().await;
        all.push((bench, metrics));
    }
    let count = || {
        let line = "task_runs_total{outcome=\"abandoned\",task_name=\"t\"} 1";
        let counts = |(_, metrics): &&(Bench, Metrics)| {
            let text = metrics.encode().unwrap();
            text.lines().any(|l| l == line)
        };
        all.iter().filter(counts).count()
    };
    pass(60.0).await;
    assert_eq!(count(), 0);
    pass(300.0).await;
    assert_eq!(count(), 1);
}
