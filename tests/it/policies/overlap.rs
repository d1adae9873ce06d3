//! Firings that are due during a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tasklock::{CancelReason, Decision, Outcome, Overlap, TaskError};

use super::{policy, seconds};
use crate::support::{Bench, clock_and_lock, instance, pass};
use Decision::{Overlap as Overlapped, Started};
use Outcome::Cancelled;

#[tokio::test(start_paused = true)]
async fn a_queued_firing_runs_when_the_run_before_it_has_ended() {
    let bench = Bench::new();
    let queue = policy().overlap(Overlap::QueueOne);
    bench.task_with(
        "t",
        "*/10 * * * * *",
        seconds(600),
        queue,
        |ctx| async move {
            // The first run takes 35 s, the others one.
            let is_first = ctx.fire_time().timestamp() % 60 == 10;
            pass(if is_first { 35.0 } else { 1.0 }).await;
            Ok(())
        },
    );
    bench.start().await;
    pass(58.0).await;
    // 20 and 30 gave way to 40, which waited for the end of 10.
    assert_eq!(bench.fired("t"), ["10:00:10", "10:00:40", "10:00:50"]);
    let started: Vec<i64> = bench
        .seen
        .starts("t")
        .iter()
        .map(|r| r.started.timestamp() % 60)
        .collect();
    assert_eq!(started, [10, 45, 50]);
    assert_eq!(
        bench.seen.decisions("t"),
        [Started, Overlapped, Overlapped, Started, Started]
    );
}

#[tokio::test(start_paused = true)]
async fn a_queued_firing_waits_for_a_run_elsewhere_too_and_longer_than_the_threshold() {
    let (clock, lock) = clock_and_lock();
    let queue = || policy().overlap(Overlap::QueueOne);
    let [a, b] = [(); 2].map(|()| instance(&clock, lock.clone()));
    let long = |_| async {
        pass(200.0).await;
        Ok(())
    };
    a.task_with("t", "@every 5m", seconds(600), queue(), long);
    a.start().await;
    // The next fire time is 10:05.
    pass(301.0).await;
    assert_eq!(a.fired("t"), ["10:05:00"]);
    b.task_with("t", "@every 1m", seconds(600), queue(), |_| async {
        Ok(())
    });
    b.start().await;
    pass(202.0).await;
    assert_eq!(
        b.fired("t"),
        ["10:08:00"],
        "the newest of those that waited"
    );
    let lateness = b.seen.starts("t")[0].lateness;
    assert!(
        lateness >= seconds(20) && lateness <= seconds(21),
        "{lateness:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replaced_run_is_asked_to_end_and_the_next_one_follows() {
    let bench = Bench::new();
    let reasons: Arc<std::sync::Mutex<Vec<CancelReason>>> = Arc::default();
    let heard = reasons.clone();
    let replace = policy().overlap(Overlap::Replace);
    bench.task_with("t", "*/10 * * * * *", seconds(600), replace, move |ctx| {
        let heard = heard.clone();
        async move {
            ctx.cancelled().await;
            heard.lock().unwrap().push(ctx.cancel_reason().unwrap());
            pass(1.0).await;
            Err(TaskError::new("interrupted"))
        }
    });
    bench.start().await;
    pass(45.0).await;
    assert_eq!(
        bench.fired("t"),
        ["10:00:10", "10:00:20", "10:00:30", "10:00:40"]
    );
    assert_eq!(bench.seen.outcomes("t"), [Cancelled; 3]);
    assert_eq!(reasons.lock().unwrap()[..], [CancelReason::Replaced; 3]);
    assert_eq!(bench.seen.decisions("t"), [Started; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_run_on_another_instance_is_replaced_too() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        let replace = policy().overlap(Overlap::Replace);
        bench.task_with(
            "t",
            "*/10 * * * * *",
            seconds(600),
            replace,
            |ctx| async move {
                ctx.cancelled().await;
                Ok(())
            },
        );
        bench.start().await;
    }
    pass(65.0).await;
    let mut runs: Vec<_> = fleet.iter().flat_map(|b| b.seen.starts("t")).collect();
    runs.sort_by_key(|run| run.fencing_token);
    let fired: Vec<i64> = runs.iter().map(|r| r.fire_time.timestamp() % 60).collect();
    assert_eq!(fired, [10, 20, 30, 40, 50, 0]);
    for run in &runs {
        assert!(run.lateness < seconds(2), "{:?}", run.lateness);
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_runs_go_on_beside_each_other_in_the_fleet_as_are_allowed() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..3).map(|_| instance(&clock, lock.clone())).collect();
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    for bench in &fleet {
        let allow = policy().overlap(Overlap::Allow(2));
        let (now, most) = (now.clone(), most.clone());
        bench.task_with("t", "*/10 * * * * *", seconds(60), allow, move |_| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pass(25.0).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        });
        bench.start().await;
    }
    pass(95.0).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    let mut runs: Vec<_> = fleet.iter().flat_map(|b| b.seen.starts("t")).collect();
    runs.sort_by_key(|run| run.fencing_token);
    let fired: Vec<i64> = runs
        .iter()
        .map(|r| (r.fire_time.timestamp() - 10) % 100)
        .collect();
    let origin = fired[0];
    let fired: Vec<i64> = fired.iter().map(|t| (t - origin).rem_euclid(100)).collect();
    // 10 and 20 go on until 35 and 45; 30 is one too many, 40 and 50 are not; and so on.
    assert_eq!(fired, [0, 10, 30, 40, 60, 70]);
    for bench in &fleet {
        assert_eq!(bench.seen.decisions("t").len(), 9);
    }
}
