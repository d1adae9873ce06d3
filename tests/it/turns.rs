//! Who goes first at a task, in a fleet whose instances have met.

use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{Decision, Lock, LockOperation, MemoryLock, Policy, Recovery};

use crate::support::{Bench, START, ScriptedLock, pass};

const TASKS: usize = 60;

/// Three instances with the same tasks of every 10 s, each with a look at what it asks the lock.
async fn fleet(policy: &Policy) -> Vec<(Bench, ScriptedLock)> {
    let clock = Arc::new(TestClock::at(START));
    let shared = MemoryLock::with_clock(clock.clone());
    let mut fleet = Vec::new();
    for name in ["host-a:1", "host-b:1", "host-c:1"] {
        let lock = ScriptedLock::new(shared.clone());
        let seen = lock.clone();
        let bench = Bench::on(clock.clone(), lock, |b| b.instance_id(name));
        for task in 0..TASKS {
            let (name, long) = (format!("t{task}"), Duration::from_secs(5));
            bench.task_with(&name, "*/10 * * * * *", long, policy.clone(), |_| async {
                Ok(())
            });
        }
        bench.start().await;
        fleet.push((bench, seen));
    }
    fleet
}

fn count(bench: &Bench, decision: Decision) -> usize {
    let of = |task| bench.seen.decisions(&format!("t{task}"));
    let all = (0..TASKS).flat_map(of);
    all.filter(|d| *d == decision).count()
}

fn claims(lock: &ScriptedLock) -> usize {
    let asked = |task| lock.asked(LockOperation::Acquire, &format!("t{task}"));
    (0..TASKS).map(asked).sum()
}

#[tokio::test(start_paused = true)]
async fn instances_that_have_met_share_the_tasks_and_claim_only_their_own() {
    let fleet = fleet(&Policy::default()).await;
    pass(31.0).await;
    let before: Vec<(usize, usize)> = fleet
        .iter()
        .map(|(bench, lock)| (count(bench, Decision::Started), claims(lock)))
        .collect();
    pass(100.0).await;
    let mut all = 0;
    for ((bench, lock), (started, claimed)) in fleet.iter().zip(before) {
        let started = count(bench, Decision::Started) - started;
        let claimed = claims(lock) - claimed;
        assert!((100..300).contains(&started), "{started} of 600");
        assert_eq!(claimed, started, "what others have taken is not claimed");
        all += started;
    }
    assert_eq!(all, 600);
    let decided: usize = fleet
        .iter()
        .map(|(b, _)| count(b, Decision::Started) + count(b, Decision::FiredElsewhere))
        .sum();
    assert_eq!(decided, 3 * 13 * TASKS);
}

#[tokio::test(start_paused = true)]
async fn what_one_that_has_gone_should_have_taken_first_the_others_take_on_time() {
    let mut fleet = fleet(&Policy::default()).await;
    pass(31.0).await;
    let (gone, _) = fleet.remove(1);
    gone.scheduler.stop().await;
    let runs = |fleet: &[(Bench, ScriptedLock)]| -> usize {
        fleet.iter().map(|(b, _)| count(b, Decision::Started)).sum()
    };
    let before = runs(&fleet);
    pass(30.0).await;
    assert_eq!(runs(&fleet) - before, 3 * TASKS);
    for (bench, _) in &fleet {
        for task in 0..TASKS {
            for run in bench.seen.starts(&format!("t{task}")) {
                assert!(run.lateness < Duration::from_millis(5), "{run:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_to_be_run_again_are_claimed_by_all_to_watch_their_runs() {
    let fleet = fleet(&Policy::default().recovery(Recovery::Rerun { max: 2 })).await;
    pass(31.0).await;
    let before: usize = fleet.iter().map(|(_, lock)| claims(lock)).sum();
    pass(10.0).await;
    let after: usize = fleet.iter().map(|(_, lock)| claims(lock)).sum();
    assert!(after - before >= 3 * TASKS);
    let last = fleet[0].1.last_fired(&["t0".parse().unwrap()]).await;
    assert!(last.unwrap()[0].is_some());
}
