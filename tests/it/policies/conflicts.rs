//! Settings and specs that contradict each other.

use std::time::Duration;

use tasklock::{BaseTask, Event, Misfire, OnStoreDown, Overlap, Recovery, Retry, Scope};

use super::{policy, seconds};
use crate::support::{Bench, clock_and_lock, instance, pass};

#[tokio::test(start_paused = true)]
async fn settings_that_contradict_each_other_are_refused_with_both_named() {
    let rerun = Recovery::Rerun { max: 1 };
    let table = [
        (
            "@daily",
            policy().scope(Scope::EveryInstance).recovery(rerun),
            ["EveryInstance", "Rerun"],
        ),
        (
            "@daily",
            policy()
                .scope(Scope::EveryInstance)
                .misfire(Misfire::RunOnce),
            ["EveryInstance", "Misfire"],
        ),
        (
            "@daily",
            policy().overlap(Overlap::Replace).recovery(rerun),
            ["Replace", "Rerun"],
        ),
        (
            "@daily",
            policy()
                .overlap(Overlap::Replace)
                .misfire(Misfire::RunAll(2)),
            ["Replace", "RunAll"],
        ),
        (
            "@daily",
            policy()
                .overlap(Overlap::QueueOne)
                .misfire(Misfire::RunAll(2)),
            ["QueueOne", "RunAll"],
        ),
        (
            "@daily",
            policy()
                .on_store_down(OnStoreDown::RunLocally)
                .recovery(rerun),
            ["RunLocally", "Rerun"],
        ),
        (
            "@after 5m",
            policy().misfire(Misfire::RunOnce),
            ["the spec", "Misfire"],
        ),
        (
            "@startup",
            policy().overlap(Overlap::QueueOne),
            ["the spec", "Overlap"],
        ),
        (
            "@after 5m",
            policy().scope(Scope::EveryInstance),
            ["the spec", "EveryInstance"],
        ),
        (
            "@daily",
            policy().misfire(Misfire::RunAll(0)),
            ["RunAll", "1 to 1000"],
        ),
        (
            "@daily",
            policy().scope(Scope::Sharded(1)),
            ["Sharded", "2 to 1024"],
        ),
        (
            "@daily",
            policy().recovery(Recovery::Rerun { max: 0 }),
            ["Rerun", "at least 1"],
        ),
        (
            "@daily",
            policy().pause_after(0),
            ["pause_after", "at least 1"],
        ),
        (
            "@daily",
            policy().start_deadline(seconds(10)),
            ["start_deadline", "misfire threshold"],
        ),
        (
            "@daily",
            policy().retry(Retry::times(1).first_wait(Duration::ZERO)),
            ["first_wait", "1 ms"],
        ),
        (
            "@daily",
            policy().retry(Retry::times(5000)),
            ["retry", "1000"],
        ),
    ];
    let bench = Bench::new();
    for (spec, policy, parts) in table {
        let task = BaseTask::new("t", spec, seconds(60), |_| async { Ok(()) }).policy(policy);
        let error = bench.scheduler.register(task).unwrap_err().to_string();
        assert!(error.starts_with("task t: "), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn instances_with_different_specs_notice_each_other_once() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for (bench, spec) in fleet.iter().zip(["*/20 * * * * *", "*/30 * * * * *"]) {
        bench.task("differs", spec, |_| async { Ok(()) });
        bench.task("same", "*/15 * * * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(300.0).await;
    for bench in &fleet {
        let seen: Vec<(String, bool)> = bench
            .seen
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::SpecDiffers { task, is_new, .. } => Some((task.to_string(), *is_new)),
                _ => None,
            })
            .collect();
        assert!(seen.len() > 3, "{seen:?}");
        assert!(seen.iter().all(|(task, _)| task == "differs"));
        assert_eq!(seen.iter().filter(|(_, is_new)| *is_new).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_with_another_spec_is_no_conflict_once_the_old_one_is_gone() {
    let (clock, lock) = clock_and_lock();
    for spec in ["*/20 * * * * *", "*/30 * * * * *"] {
        let bench = instance(&clock, lock.clone());
        bench.task("t", spec, |_| async { Ok(()) });
        bench.start().await;
        pass(95.0).await;
        bench.scheduler.stop().await;
        let conflicts = bench
            .seen
            .events()
            .iter()
            .any(|e| matches!(e, Event::SpecDiffers { .. }));
        assert!(!conflicts);
    }
}
