//! Firings that were missed.

use tasklock::{Decision, Misfire, Policy};

use super::{policy, seconds};
use crate::support::{Bench, clock_and_lock, instance, pass};
use Decision::{Misfired, Started};

/// Runs an hourly task on one instance until 12:00, then on another from 16:10 on.
async fn after_four_hours_down(policy: Policy) -> Bench {
    let (clock, lock) = clock_and_lock();
    let first = instance(&clock, lock.clone());
    first.task_with("t", "@hourly", seconds(60), policy.clone(), |_| async {
        Ok(())
    });
    first.start().await;
    pass(2.0 * 3600.0 + 60.0).await;
    assert_eq!(first.fired("t"), ["11:00:00", "12:00:00"]);
    first.scheduler.stop().await;
    pass(4.0 * 3600.0 + 540.0).await;
    let second = instance(&clock, lock);
    second.task_with("t", "@hourly", seconds(60), policy, |_| async { Ok(()) });
    second.start().await;
    pass(2.0 * 3600.0).await;
    second
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_skipped_by_default() {
    let bench = after_four_hours_down(policy()).await;
    assert_eq!(bench.fired("t"), ["17:00:00", "18:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn of_what_was_missed_the_newest_runs_once() {
    let bench = after_four_hours_down(policy().misfire(Misfire::RunOnce)).await;
    assert_eq!(bench.fired("t"), ["16:00:00", "17:00:00", "18:00:00"]);
    let decisions = bench.seen.decisions("t");
    assert_eq!(
        decisions,
        [Misfired, Misfired, Misfired, Started, Started, Started]
    );
    let late = bench.seen.starts("t")[0].lateness;
    assert_eq!(late.as_secs() / 60, 10, "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_runs_one_after_the_other_up_to_the_most_allowed() {
    let bench = after_four_hours_down(policy().misfire(Misfire::RunAll(3))).await;
    let all = ["14:00:00", "15:00:00", "16:00:00", "17:00:00", "18:00:00"];
    assert_eq!(bench.fired("t"), all);
    assert_eq!(bench.seen.decisions("t")[0], Misfired);
}

#[tokio::test(start_paused = true)]
async fn a_start_deadline_ends_what_is_too_late() {
    let strict = policy()
        .misfire(Misfire::RunAll(10))
        .start_deadline(seconds(3600 + 1200));
    let bench = after_four_hours_down(strict).await;
    assert_eq!(
        bench.fired("t"),
        ["15:00:00", "16:00:00", "17:00:00", "18:00:00"]
    );
}

#[tokio::test(start_paused = true)]
async fn instances_that_come_up_together_run_each_missed_instant_once() {
    let (clock, lock) = clock_and_lock();
    let all = policy().misfire(Misfire::RunAll(10));
    let body = |_| async {
        pass(20.0).await;
        Ok(())
    };
    let first = instance(&clock, lock.clone());
    first.task_with("t", "@hourly", seconds(60), all.clone(), body);
    first.start().await;
    pass(3700.0).await;
    first.scheduler.stop().await;
    pass(5.0 * 3600.0).await;
    let fleet: Vec<Bench> = (0..3).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        bench.task_with("t", "@hourly", seconds(60), all.clone(), body);
        bench.start().await;
    }
    pass(300.0).await;
    let mut fired: Vec<String> = fleet.iter().flat_map(|b| b.fired("t")).collect();
    fired.sort();
    assert_eq!(
        fired,
        ["12:00:00", "13:00:00", "14:00:00", "15:00:00", "16:00:00"]
    );
    for bench in &fleet {
        let decisions = bench.seen.decisions("t");
        assert_eq!(decisions.len(), 5, "{decisions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_fired_has_missed_nothing() {
    let bench = Bench::new();
    let all = policy().misfire(Misfire::RunAll(10));
    bench.task_with("t", "@hourly", seconds(60), all, |_| async { Ok(()) });
    bench.start().await;
    pass(60.0).await;
    assert!(bench.seen.decisions("t").is_empty());
}
