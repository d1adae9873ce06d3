//! Tasks that are changed and deleted while they fire and run.

use super::*;

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
