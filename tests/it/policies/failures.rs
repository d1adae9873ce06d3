//! A store that is down, and a task that fails again and again.

use tasklock::{Decision, Event, OnStoreDown, Outcome, TaskError};

use super::{policy, seconds};
use crate::support::{Bench, Fault, ScriptedLock, clock_and_lock, instance, pass};
use Decision::{Started, StoreDown};
use Outcome::Success;

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_a_task_is_skipped_run_or_failed_as_it_says() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let bench = instance(&clock, lock.clone());
    for (name, then) in [
        ("skips", OnStoreDown::Skip),
        ("runs", OnStoreDown::RunLocally),
        ("fails", OnStoreDown::Fail),
    ] {
        let policy = policy().on_store_down(then).misfire_threshold(seconds(5));
        bench.task_with(name, "0 * * * * *", seconds(60), policy, |_| async {
            Ok(())
        });
    }
    bench.start().await;
    lock.everything(Fault::NotSent);
    pass(100.0).await;
    assert_eq!(bench.seen.decisions("skips"), [StoreDown]);
    assert_eq!(bench.seen.decisions("runs"), [Started]);
    assert_eq!(bench.seen.outcomes("runs"), [Success]);
    assert_eq!(bench.seen.decisions("fails"), [StoreDown]);
    let failed: Vec<String> = bench
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::FiringFailed { task, .. } => Some(task.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(failed, ["fails"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_again_and_again_is_paused_in_the_fleet_until_somebody_resumes_it() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        let fragile = policy().pause_after(3);
        bench.task_with("t", "0 * * * * *", seconds(30), fragile, |_| async {
            Err(TaskError::new("no luck"))
        });
        bench.start().await;
    }
    pass(605.0).await;
    let runs = |fleet: &[Bench]| {
        fleet
            .iter()
            .map(|b| b.seen.starts("t").len())
            .sum::<usize>()
    };
    assert_eq!(runs(&fleet), 3);
    for bench in &fleet {
        let decisions = bench.seen.decisions("t");
        assert_eq!(decisions.len(), 10);
        assert_eq!(decisions[3..], [Decision::Paused; 7]);
    }
    fleet[1].scheduler.handle().resume("t").await.unwrap();
    pass(600.0).await;
    assert_eq!(runs(&fleet), 6);
    let error = fleet[0].scheduler.handle().resume("x").await.unwrap_err();
    assert!(error.to_string().contains("\"x\""), "{error}");
}
