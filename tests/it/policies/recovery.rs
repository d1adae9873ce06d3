//! Runs whose instance died.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tasklock::{Acquired, Claim, Decision, Lock, MemoryLock, Recovery, TaskError, Token};

use super::{policy, seconds};
use crate::support::{Bench, START, clock_and_lock, instance, pass};
use Decision::{FiredElsewhere, Started};

/// An instance takes the firing of 10:00:10 and dies.
async fn a_death_at_ten(lock: &MemoryLock, max_attempts: u32) {
    let fire_time = START
        .parse::<tasklock::chrono::DateTime<tasklock::chrono::Utc>>()
        .unwrap()
        + seconds(10);
    let claim = Claim::new("t".parse().unwrap(), fire_time, Token::from_bits(7), "dead")
        .with_max_attempts(max_attempts);
    assert!(matches!(
        lock.acquire(&claim).await.unwrap(),
        Acquired::Granted(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_instance_died_is_run_again_by_one_that_watched() {
    let (clock, lock) = clock_and_lock();
    let bench = instance(&clock, lock.clone());
    let rerun = policy().recovery(Recovery::Rerun { max: 1 });
    let attempt = Arc::new(AtomicU32::new(0));
    let seen = attempt.clone();
    bench.task_with("t", "10 0 10 * * *", seconds(60), rerun, move |ctx| {
        seen.store(ctx.attempt(), Ordering::Relaxed);
        async { Ok(()) }
    });
    bench.start().await;
    pass(9.5).await;
    a_death_at_ten(&lock, 2).await;
    pass(60.0).await;
    assert_eq!(bench.fired("t"), ["10:00:10"]);
    assert_eq!(attempt.load(Ordering::Relaxed), 2);
    let lateness = bench.seen.starts("t")[0].lateness;
    assert!(
        lateness > seconds(28) && lateness < seconds(50),
        "{lateness:?}"
    );
    assert_eq!(bench.seen.decisions("t"), [Started]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_instance_died_is_run_again_before_later_firings() {
    let (clock, lock) = clock_and_lock();
    let bench = instance(&clock, lock.clone());
    let rerun = policy().recovery(Recovery::Rerun { max: 1 });
    bench.task_with("t", "*/10 * * * * *", seconds(60), rerun, |_| async {
        Ok(())
    });
    bench.start().await;
    pass(9.5).await;
    a_death_at_ten(&lock, 2).await;
    pass(45.0).await;
    // The lease of the dead one ends at 10:00:39.5.
    let fired = bench.fired("t");
    assert_eq!(fired[0], "10:00:10");
    assert!(
        fired.is_sorted() && fired.contains(&"10:00:50".to_owned()),
        "{fired:?}"
    );
    let decisions = bench.seen.decisions("t");
    assert_eq!(decisions[0], FiredElsewhere, "{decisions:?}");
    assert_eq!(decisions.len(), 5, "one for each fire time: {decisions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_runs_again_what_its_predecessor_did_not_finish() {
    let (clock, lock) = clock_and_lock();
    pass(10.0).await;
    a_death_at_ten(&lock, 2).await;
    pass(120.0).await;
    for (policy, fired) in [
        (policy(), 0),
        (policy().recovery(Recovery::Rerun { max: 1 }), 1),
        (policy().recovery(Recovery::Rerun { max: 1 }), 0),
    ] {
        let bench = instance(&clock, lock.clone());
        bench.task_with("t", "10 0 10 * * *", seconds(60), policy, |_| async {
            Ok(())
        });
        bench.start().await;
        pass(5.0).await;
        assert_eq!(bench.fired("t").len(), fired);
        bench.scheduler.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ended_is_not_run_again() {
    let (clock, lock) = clock_and_lock();
    let rerun = policy().recovery(Recovery::Rerun { max: 5 });
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        bench.task_with("t", "0 * * * * *", seconds(60), rerun.clone(), |_| async {
            pass(20.0).await;
            Err(TaskError::new("no luck"))
        });
        bench.start().await;
    }
    pass(170.0).await;
    let fired: Vec<String> = fleet.iter().flat_map(|b| b.fired("t")).collect();
    assert_eq!(fired.len(), 2, "{fired:?}");
    let decisions: Vec<Decision> = fleet.iter().flat_map(|b| b.seen.decisions("t")).collect();
    assert_eq!(
        decisions.iter().filter(|d| **d == FiredElsewhere).count(),
        2
    );
}
