//! When firings happen: exact instants, hours in no time, clocks that step.

use std::time::Duration;

use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::{BaseTask, Decision, Event, MemoryLock, Outcome, Policy};

use crate::support::{Bench, START, pass};

#[tokio::test(start_paused = true)]
async fn a_task_of_every_minute_runs_at_each_minute_of_a_day_and_never_early() {
    let bench = Bench::new();
    bench.task("minutely", "0 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(86_400.5).await;
    let runs = bench.seen.starts("minutely");
    assert_eq!(runs.len(), 1440);
    for (i, run) in runs.iter().enumerate() {
        let due = START.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(1 + i as i64);
        assert_eq!(run.fire_time, due);
        assert!(run.started >= due, "{run:?}");
        assert!(run.lateness < Duration::from_millis(5), "{run:?}");
    }
    assert_eq!(
        bench.seen.decisions("minutely"),
        vec![Decision::Started; 1440]
    );
    assert_eq!(
        bench.seen.outcomes("minutely"),
        vec![Outcome::Success; 1440]
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_registered_later_wakes_the_timer() {
    let bench = Bench::new();
    bench.start().await;
    pass(0.2).await;
    bench.task("late", "*/1 * * * * *", |_| async { Ok(()) });
    pass(1.0).await;
    assert_eq!(bench.fired("late"), ["10:00:01"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registration_of_a_task_is_the_first_that_is_heard_of_it() {
    let seen = tasklock::testing::RecordingObserver::new();
    let lock = MemoryLock::new();
    let scheduler = tasklock::Scheduler::builder()
        .lock(lock)
        .observer(seen.clone())
        .build()
        .unwrap();
    scheduler.start().await.unwrap();
    for i in 0..200 {
        let task = BaseTask::new(
            format!("t{i}"),
            "@every 10ms",
            Duration::from_secs(1),
            |_| async { Ok(()) },
        );
        scheduler.register(task).unwrap();
    }
    scheduler.stop().await;
    let mut registered = std::collections::HashSet::new();
    for event in seen.events() {
        match event {
            Event::TaskRegistered { task, .. } => {
                registered.insert(task);
            }
            Event::NextFire { task, .. } => assert!(registered.contains(&task), "{task}"),
            _ => {}
        }
    }
    assert_eq!(registered.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_runs_once_and_is_never_due_again() {
    let bench = Bench::new();
    bench.task("once", "@at 2026-11-21T12:00:00Z", |_| async { Ok(()) });
    bench.start().await;
    pass(86_400.0).await;
    assert_eq!(bench.fired("once"), ["12:00:00"]);
    assert_eq!(
        bench.scheduler.handle().task("once").unwrap().next_fire,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn an_interval_lies_on_the_grid_of_the_epoch() {
    let bench = Bench::new();
    bench.task("every", "@every 7s", |_| async { Ok(()) });
    bench.start().await;
    pass(30.0).await;
    let runs = bench.seen.starts("every");
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.fire_time.timestamp() % 7 == 0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_stepped_forward_passes_over_what_is_too_late_and_runs_the_two_newest() {
    let bench = Bench::new();
    bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(5.0).await;
    bench.clock.step(TimeDelta::hours(1));
    pass(2.0).await;
    // 10:00:10 to 11:00:00 came due at once: 360 fire times.
    assert_eq!(bench.fired("s"), ["10:59:50", "11:00:00"]);
    let decisions = bench.seen.decisions("s");
    let misfired = decisions
        .iter()
        .filter(|d| **d == Decision::Misfired)
        .count();
    assert_eq!((misfired, decisions.len()), (358, 360));
    pass(10.0).await;
    assert_eq!(bench.fired("s").last().unwrap(), "11:00:10");
    let step = bench.seen.events().into_iter().find_map(|e| match e {
        Event::ClockStepped { by_ms } => Some(by_ms),
        _ => None,
    });
    assert!((3_599_000..=3_601_000).contains(&step.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_is_noticed_within_a_second_of_its_waking() {
    let bench = Bench::new();
    bench.task("s", "0 0 * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(5.5).await;
    bench.clock.suspend(Duration::from_secs(600));
    pass(1.0).await;
    let stalls = bench.seen.events().into_iter().filter_map(|e| match e {
        Event::TimerStalled { by } => Some(by.as_secs()),
        Event::ClockStepped { .. } => panic!("both clocks went on"),
        _ => None,
    });
    assert_eq!(stalls.collect::<Vec<_>>(), [600]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_stepped_back_repeats_no_instant() {
    let bench = Bench::new();
    bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(31.0).await;
    assert_eq!(bench.fired("s"), ["10:00:10", "10:00:20", "10:00:30"]);
    bench.clock.step(TimeDelta::seconds(-25));
    pass(30.0).await;
    // 10:00:36 now, by a clock that was set back: the next one after 10:00:30 is 10:00:40.
    assert_eq!(bench.fired("s").len(), 3);
    pass(5.0).await;
    assert_eq!(
        bench.fired("s"),
        ["10:00:10", "10:00:20", "10:00:30", "10:00:40"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_corrected_by_a_year_does_not_silence_tasks_for_that_year() {
    let bench = Bench::new();
    bench.task("never_fired", "0 0 * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(1.0).await;
    bench.clock.step(TimeDelta::days(-365));
    pass(3600.0).await;
    assert_eq!(bench.fired("never_fired"), ["11:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_while_a_lock_is_held_ahead_of_time_gives_it_back_until_then() {
    for (step, then) in [
        (TimeDelta::seconds(-5), 6.0),
        (TimeDelta::hours(-2), 7_201.0),
        (TimeDelta::days(-365) - TimeDelta::seconds(5), 6.0),
    ] {
        let bench = Bench::new();
        bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(9.98).await;
        bench.clock.step(step);
        pass(then).await;
        assert_eq!(bench.fired("s"), ["10:00:10"], "{step}");
        assert_eq!(bench.seen.decisions("s"), [Decision::Started], "{step}");
        pass(10.0).await;
        assert_eq!(bench.fired("s"), ["10:00:10", "10:00:20"], "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_firing_is_skipped_while_the_run_before_it_goes_on() {
    let bench = Bench::new();
    bench.task("slow", "* * * * * *", |_| async {
        pass(2.5).await;
        Ok(())
    });
    bench.start().await;
    pass(7.8).await;
    assert_eq!(bench.fired("slow"), ["10:00:01", "10:00:04", "10:00:07"]);
    use Decision::{Overlap, Started};
    assert_eq!(
        bench.seen.decisions("slow"),
        [
            Started, Overlap, Overlap, Started, Overlap, Overlap, Started
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_task_does_not_hold_up_another() {
    let bench = Bench::new();
    bench.task("slow", "* * * * * *", |_| async {
        pass(50.0).await;
        Ok(())
    });
    bench.task("quick", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(30.5).await;
    assert_eq!(bench.seen.outcomes("quick"), vec![Outcome::Success; 30]);
}

#[tokio::test(start_paused = true)]
async fn the_instants_missed_while_no_instance_was_up_are_caught_up_at_the_start() {
    let first = Bench::new();
    first.task("s", "*/10 * * * * *", |_| async { Ok(()) });
    let lock = MemoryLock::with_clock(first.clock.clone());
    let before = Bench::on(first.clock.clone(), lock.clone(), |b| b);
    before.task("s", "*/10 * * * * *", |_| async { Ok(()) });
    before.start().await;
    pass(11.0).await;
    before.scheduler.stop().await;
    assert_eq!(before.fired("s"), ["10:00:10"]);

    pass(24.0).await; // 10:00:20 and 10:00:30 come and go

    let after = Bench::on(first.clock.clone(), lock, |b| b);
    after.task("s", "*/10 * * * * *", |_| async { Ok(()) });
    after.task("new", "*/10 * * * * *", |_| async { Ok(()) });
    after.start().await;
    pass(1.0).await;
    assert_eq!(after.fired("s"), ["10:00:20", "10:00:30"]);
    assert_eq!(
        after.fired("new"),
        [""; 0],
        "a task without a past starts from now"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_nothing_and_forgets_what_is_older_than_the_misfire_threshold() {
    let bench = Bench::new();
    let lock = MemoryLock::with_clock(bench.clock.clone());
    let policy = || Policy::default().misfire_threshold(Duration::from_secs(15));
    let instance = || {
        let bench = Bench::on(bench.clock.clone(), lock.clone(), |b| b);
        bench.task_with(
            "s",
            "*/10 * * * * *",
            Duration::from_secs(5),
            policy(),
            |_| async { Ok(()) },
        );
        bench
    };
    let before = instance();
    before.start().await;
    pass(10.5).await;
    before.scheduler.stop().await;
    let at_once = instance();
    at_once.start().await;
    pass(1.0).await;
    at_once.scheduler.stop().await;
    assert_eq!(at_once.fired("s"), [""; 0]);
    pass(33.0).await; // 10:00:44: of 20, 30 and 40 only the two newest are young enough
    let after = instance();
    after.start().await;
    pass(1.0).await;
    assert_eq!(after.fired("s"), ["10:00:30", "10:00:40"]);
}

#[tokio::test(start_paused = true)]
async fn the_timer_looks_at_the_clock_at_least_every_second() {
    let bench = Bench::new();
    bench.task("yearly", "@yearly", |_| async { Ok(()) });
    bench.start().await;
    for _ in 0..10 {
        pass(1.1).await;
        let age = bench.now() - bench.scheduler.handle().last_wake().unwrap();
        assert!(age <= TimeDelta::milliseconds(1100), "{age}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_never_fires_is_taken_and_never_fires() {
    let bench = Bench::new();
    bench.task("never", "0 0 0 31 2 *", |_| async { Ok(()) });
    bench.start().await;
    pass(100_000.0).await;
    assert_eq!(bench.fired("never"), [""; 0]);
    assert_eq!(
        bench.scheduler.handle().task("never").unwrap().next_fire,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn three_schedulers_share_each_instant_whatever_their_clocks_say() {
    let reference = Bench::new();
    let lock = MemoryLock::with_clock(reference.clock.clone());
    let mut fleet = Vec::new();
    for offset_ms in [-180, 0, 180] {
        let clock = std::sync::Arc::new(tasklock::testing::TestClock::at(START));
        clock.step(TimeDelta::milliseconds(offset_ms));
        let bench = Bench::on(clock, lock.clone(), |b| b);
        for i in 0..5 {
            let task = BaseTask::new(
                format!("t{i}"),
                "* * * * * *",
                Duration::from_secs(5),
                |_| async {
                    pass(0.001).await;
                    Ok(())
                },
            );
            bench.scheduler.register(task).unwrap();
        }
        bench.start().await;
        fleet.push(bench);
    }
    pass(60.5).await;
    for i in 0..5 {
        let task = format!("t{i}");
        let mut fired: Vec<_> = fleet.iter().flat_map(|b| b.fired(&task)).collect();
        let starts = fired.len();
        fired.sort();
        fired.dedup();
        assert_eq!(fired.len(), starts, "an instant of {task} ran twice");
        assert!(starts >= 60, "{starts} of 60 instants of {task} ran");
    }
}
