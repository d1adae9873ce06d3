//! The same behaviour, whatever wakes the timer: a schedule's instants, one decision for each.
//!
//! In paused time a `JobScheduler`'s looks come twice a second as ever, but it goes by the machine's
//! clock, which stands still: its jobs of a second and more do not ring. So these tests are about
//! alarms that do not ring, too.

use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::testing::{RecordingObserver, TestClock};
use tasklock::{BaseTask, Decision, Event, MemoryLock, Outcome, Scheduler, TimerEngine};

use crate::support::{Bench, START, pass};

const ENGINES: [TimerEngine; 2] = [TimerEngine::Own, TimerEngine::TokioCron];

fn bench_on(engine: TimerEngine) -> Bench {
    Bench::with(|clock| MemoryLock::with_clock(clock), |b| b.engine(engine))
}

/// By how much a firing may be late that cannot be claimed ahead.
fn slack(engine: TimerEngine) -> Duration {
    match engine {
        TimerEngine::TokioCron => Duration::from_millis(510),
        _ => Duration::from_millis(5),
    }
}

#[tokio::test(start_paused = true)]
async fn each_engine_runs_a_task_of_every_minute_at_each_minute_and_never_early() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("minutely", "0 * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(3600.8).await;
        let runs = bench.seen.starts("minutely");
        assert_eq!(runs.len(), 60, "{engine:?}");
        for (i, run) in runs.iter().enumerate() {
            let due = START.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(1 + i as i64);
            assert_eq!(run.fire_time, due);
            assert!(run.started >= due, "{engine:?}: {run:?}");
            // Claimed ahead, it waits for its time by itself.
            assert!(
                run.lateness < Duration::from_millis(5),
                "{engine:?}: {run:?}"
            );
        }
        assert_eq!(
            bench.seen.decisions("minutely"),
            vec![Decision::Started; 60]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_lead_each_engine_is_late_by_no_more_than_its_slack() {
    for engine in ENGINES {
        let bench = Bench::with(
            |clock| MemoryLock::with_clock(clock),
            |b| b.engine(engine).lead(Duration::ZERO),
        );
        bench.task("s", "* * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(30.8).await;
        let runs = bench.seen.starts("s");
        assert_eq!(runs.len(), 30, "{engine:?}");
        let latest = runs.iter().map(|run| run.lateness).max().unwrap();
        assert!(latest <= slack(engine), "{engine:?}: {latest:?}");
        assert_eq!(bench.seen.decisions("s"), vec![Decision::Started; 30]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_engine_notices_a_task_registered_later() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.start().await;
        pass(0.2).await;
        bench.task("late", "*/1 * * * * *", |_| async { Ok(()) });
        pass(1.5).await;
        assert_eq!(bench.fired("late"), ["10:00:01"], "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_engine_keeps_to_one_shots_grids_and_pauses_after_runs() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("once", "@at 2026-11-21T10:01:00Z", |_| async { Ok(()) });
        bench.task("every", "@every 7s", |_| async { Ok(()) });
        bench.task("after", "@after 20s", |_| async { Ok(()) });
        bench.start().await;
        pass(121.0).await;
        assert_eq!(bench.fired("once"), ["10:01:00"], "{engine:?}");
        let every = bench.seen.starts("every");
        assert_eq!(every.len(), 17, "{engine:?}");
        assert!(every.iter().all(|run| run.fire_time.timestamp() % 7 == 0));
        let after = bench.seen.starts("after").len();
        assert!((6..=7).contains(&after), "{engine:?}: {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_each_engine_a_clock_stepped_forward_passes_over_what_is_too_late() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(5.0).await;
        bench.clock.step(TimeDelta::hours(1));
        pass(2.0).await;
        assert_eq!(bench.fired("s"), ["10:59:50", "11:00:00"], "{engine:?}");
        let decisions = bench.seen.decisions("s");
        let misfired = decisions
            .iter()
            .filter(|d| **d == Decision::Misfired)
            .count();
        assert_eq!((misfired, decisions.len()), (358, 360), "{engine:?}");
        pass(10.0).await;
        assert_eq!(bench.fired("s").last().unwrap(), "11:00:10", "{engine:?}");
        let step = bench.seen.events().into_iter().find_map(|e| match e {
            Event::ClockStepped { by_ms } => Some(by_ms),
            _ => None,
        });
        assert!((3_599_000..=3_601_000).contains(&step.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn on_each_engine_a_clock_stepped_back_repeats_no_instant_and_silences_nothing() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        bench.task("never_fired", "0 0 * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(31.0).await;
        bench.clock.step(TimeDelta::seconds(-25));
        pass(35.0).await;
        assert_eq!(
            bench.fired("s"),
            ["10:00:10", "10:00:20", "10:00:30", "10:00:40"],
            "{engine:?}"
        );
        bench.clock.step(TimeDelta::days(-365));
        pass(3600.0).await;
        assert_eq!(bench.fired("never_fired"), ["11:00:00"], "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_each_engine_a_suspended_machine_is_noticed_and_nothing_else_is_called_a_stall() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(25.5).await;
        bench.clock.suspend(Duration::from_secs(600));
        pass(20.0).await;
        let stalls = bench.seen.events().into_iter().filter_map(|e| match e {
            Event::TimerStalled { by } => Some(by.as_secs()),
            _ => None,
        });
        let stalls: Vec<_> = stalls.collect();
        assert!(matches!(stalls[..], [599 | 600]), "{engine:?}: {stalls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_each_engine_a_firing_is_skipped_while_the_run_before_it_goes_on() {
    use Decision::{Overlap, Started};
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("slow", "* * * * * *", |_| async {
            pass(2.5).await;
            Ok(())
        });
        bench.start().await;
        pass(7.9).await;
        let fired = bench.fired("slow");
        assert_eq!(fired[..2], ["10:00:01", "10:00:04"], "{engine:?}");
        let decisions = bench.seen.decisions("slow");
        assert_eq!(
            decisions[..4],
            [Started, Overlap, Overlap, Started],
            "{engine:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn on_each_engine_what_no_instance_was_up_for_is_caught_up_at_the_start() {
    for engine in ENGINES {
        let clock = Arc::new(TestClock::at(START));
        let lock = MemoryLock::with_clock(clock.clone());
        let before = Bench::on(clock.clone(), lock.clone(), |b| b.engine(engine));
        before.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        before.start().await;
        pass(11.0).await;
        before.scheduler.stop().await;
        pass(24.0).await;
        let after = Bench::on(clock, lock, |b| b.engine(engine));
        after.task("s", "*/10 * * * * *", |_| async { Ok(()) });
        after.start().await;
        pass(1.0).await;
        assert_eq!(before.fired("s"), ["10:00:10"], "{engine:?}");
        assert_eq!(after.fired("s"), ["10:00:20", "10:00:30"], "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_instant_of_a_short_interval_has_one_decision_on_each_engine() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("short", "@every 100ms", |_| async { Ok(()) });
        bench.start().await;
        pass(10.05).await;
        bench.scheduler.stop().await;
        let mut settled = 0;
        let mut newest: Option<DateTime<Utc>> = None;
        for event in bench.seen.events() {
            if let Event::FiringDecided {
                fire_time, count, ..
            } = event
            {
                settled += count;
                newest = newest.max(Some(fire_time));
            }
        }
        let since = newest.unwrap() - START.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(settled, since.num_milliseconds() as u64 / 100, "{engine:?}");
        assert!(settled >= 90, "{engine:?}: {settled}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_scheduler_fires_no_more_on_either_engine() {
    for engine in ENGINES {
        let bench = bench_on(engine);
        bench.task("s", "* * * * * *", |_| async { Ok(()) });
        bench.start().await;
        pass(3.6).await;
        bench.scheduler.stop().await;
        let decided = bench.seen.decisions("s").len();
        pass(5.0).await;
        assert_eq!(bench.seen.decisions("s").len(), decided, "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn schedulers_of_both_engines_share_each_instant() {
    let reference = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(reference);
    let mut fleet = Vec::new();
    for (offset_ms, engine) in [
        (-180, TimerEngine::TokioCron),
        (0, TimerEngine::Own),
        (180, TimerEngine::TokioCron),
    ] {
        let clock = Arc::new(TestClock::at(START));
        clock.step(TimeDelta::milliseconds(offset_ms));
        let bench = Bench::on(clock, lock.clone(), |b| b.engine(engine));
        bench.task("s", "* * * * * *", |_| async {
            pass(0.001).await;
            Ok(())
        });
        bench.start().await;
        fleet.push(bench);
    }
    pass(60.5).await;
    let mut fired: Vec<_> = fleet.iter().flat_map(|b| b.fired("s")).collect();
    let starts = fired.len();
    fired.sort();
    fired.dedup();
    assert_eq!(fired.len(), starts, "an instant ran twice");
    assert!(starts >= 60, "{starts} of 60 instants ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_real_time_each_engine_runs_each_second_once() {
    let mut fleet = Vec::new();
    for engine in ENGINES {
        let seen = RecordingObserver::new();
        let scheduler = Scheduler::builder()
            .lock(MemoryLock::new())
            .observer(seen.clone())
            .engine(engine)
            .build()
            .unwrap();
        for i in 0..300 {
            let name = format!("t{i}");
            let task = BaseTask::new(name, "* * * * * *", Duration::from_secs(5), |_| async {
                Ok(())
            });
            scheduler.register(task).unwrap();
        }
        scheduler.start().await.unwrap();
        fleet.push((engine, seen, scheduler));
    }
    for (_, seen, _) in &fleet {
        let last_has_run = |events: &[Event]| {
            let is_last =
                |e: &&Event| matches!(e, Event::RunFinished { run, .. } if run.task == *"t299");
            (events.iter().filter(is_last).count() >= 5).then_some(())
        };
        seen.wait_for(Duration::from_secs(60), last_has_run).await;
    }
    for (engine, seen, scheduler) in fleet {
        scheduler.stop().await;
        for i in 0..300 {
            let name = format!("t{i}");
            let starts = seen.starts(&name);
            let times: Vec<i64> = starts.iter().map(|r| r.fire_time.timestamp()).collect();
            assert!(times.len() >= 4, "{engine:?}: {times:?}");
            // In order and without a gap, so that none ran twice.
            let expected: Vec<i64> = (times[0]..).take(times.len()).collect();
            assert_eq!(times, expected, "{engine:?}");
            assert!(starts.iter().all(|run| run.started >= run.fire_time));
            let outcomes = seen.outcomes(&name);
            assert!(outcomes.iter().all(|o| *o == Outcome::Success));
            assert_eq!(seen.decisions(&name).len(), times.len(), "{engine:?}");
        }
    }
}
