//! Locks that are taken ahead of the fire time, and leases that are given back together.

use std::time::Duration;

use tasklock::{
    Decision, ErrorKind, Event, LockOperation, MemoryLock, Outcome, Overlap, Policy, Scheduler,
    SchedulerBuilder,
};

use crate::support::{Bench, Fault, ScriptedLock, clock_and_lock, instance, pass};

/// An instance whose lock takes so long for each answer to a claim.
fn slow(
    ms: u64,
    settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder,
) -> (Bench, ScriptedLock) {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let late = Fault::Late(Duration::from_millis(ms));
    lock.always(LockOperation::Acquire, late);
    (Bench::on(clock, lock.clone(), settings), lock)
}

fn latest(bench: &Bench, task: &str, from: usize) -> Duration {
    let starts = bench.seen.starts(task);
    let runs = starts.iter().skip(from);
    runs.map(|run| run.lateness).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn runs_start_on_time_and_never_early_though_the_store_is_slow() {
    let (bench, _lock) = slow(100, |b| b);
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(205.0).await;
    assert_eq!(bench.seen.starts("t").len(), 20);
    // The first teaches it how slow the store is.
    assert!(latest(&bench, "t", 1) < Duration::from_millis(5));
    let starts = bench.seen.starts("t");
    assert!(starts.iter().all(|run| run.started >= run.fire_time));
}

#[tokio::test(start_paused = true)]
async fn a_store_slower_than_the_longest_lead_makes_runs_late_by_the_rest() {
    let (bench, _lock) = slow(300, |b| b.lead(Duration::from_millis(200)));
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(105.0).await;
    let late = latest(&bench, "t", 1).as_millis();
    // One that knows of no other instance waits an eighth of the lead, for others to come first.
    assert!((100..=130).contains(&late), "{late} ms");
}

#[tokio::test(start_paused = true)]
async fn thousands_are_claimed_in_two_requests_at_a_time() {
    const TASKS: usize = 2_000;
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let slow = Fault::Late(Duration::from_millis(300));
    // In each round one claim in each of two requests is slow. One request after the other would take
    // longer than the longest lead.
    let round = [vec![slow; 2], vec![Fault::None; TASKS - 2]].concat();
    lock.next(LockOperation::Acquire, [round.clone(), round].concat());
    let bench = Bench::on(clock, lock.clone(), |b| b);
    for n in 0..TASKS {
        bench.task(&format!("t{n}"), "*/10 * * * * *", |_| async { Ok(()) });
    }
    bench.start().await;
    pass(25.0).await;
    for n in 0..TASKS {
        let task = format!("t{n}");
        assert_eq!(bench.seen.starts(&task).len(), 2, "{task}");
        assert!(
            latest(&bench, &task, 1) < Duration::from_millis(5),
            "{task}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_lead_the_lock_is_asked_when_the_firing_is_due() {
    let (bench, lock) = slow(100, |b| b.lead(Duration::ZERO));
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(9.999).await;
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 0);
    pass(0.002).await;
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 1);
    pass(1.0).await;
    let late = latest(&bench, "t", 0).as_millis();
    assert!((100..=105).contains(&late), "{late} ms");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_just_before_the_next_firing_does_not_overlap_with_it() {
    // The lock is asked ahead while the run before goes on: here, and on another instance.
    let (clock, lock) = clock_and_lock();
    let fleet = [(); 2].map(|()| instance(&clock, lock.clone()));
    for bench in &fleet {
        bench.task("t", "*/10 * * * * *", |_| async {
            pass(9.99).await;
            Ok(())
        });
        bench.start().await;
    }
    pass(65.0).await;
    let ran: Vec<usize> = fleet.iter().map(|b| b.seen.starts("t").len()).collect();
    assert_eq!(ran.iter().sum::<usize>(), 6, "{ran:?}");
    let decisions: Vec<_> = fleet.iter().flat_map(|b| b.seen.decisions("t")).collect();
    assert!(!decisions.contains(&Decision::Overlap), "{decisions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_stops_with_a_lock_in_hand_runs_its_firing_first() {
    let (bench, lock) = slow(1, |b| b);
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(9.99).await;
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 1);
    assert!(bench.seen.starts("t").is_empty());
    let report = bench.scheduler.stop().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(bench.fired("t"), ["10:00:10"]);
    assert_eq!(bench.seen.outcomes("t"), [Outcome::Success]);
    assert_eq!(bench.seen.decisions("t"), [Decision::Started]);
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_is_dropped_with_a_lock_in_hand_gives_it_back_and_another_runs_it() {
    let (clock, lock) = clock_and_lock();
    let seen = ScriptedLock::new(lock.clone());
    let first = Bench::on(clock.clone(), seen.clone(), |b| b);
    first.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    first.start().await;
    pass(9.99).await;
    assert_eq!(seen.asked(LockOperation::Acquire, "t"), 1);
    drop(first.scheduler);
    pass(0.002).await;
    // It comes up now, and has not heard that the instant was taken.
    let second = instance(&clock, lock);
    second.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    second.start().await;
    pass(1.0).await;
    assert_eq!(first.seen.decisions("t"), [Decision::Draining]);
    assert!(first.seen.starts("t").is_empty());
    assert_eq!(second.fired("t"), ["10:00:10"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_may_have_to_wait_for_a_place_are_claimed_when_they_are_due() {
    let (bench, lock) = slow(1, |b| b.max_concurrent(5));
    bench.task("t", "*/10 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(9.999).await;
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 0);
    pass(0.1).await;
    assert_eq!(bench.fired("t"), ["10:00:10"]);
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_locks_would_refuse_is_refused() {
    let builder = Scheduler::builder().lock(MemoryLock::new());
    let error = builder.lead(Duration::from_secs(1)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("lead is 1s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_runs_that_end_together_cost_a_few_releases_and_each_frees_its_lock() {
    let bench = Bench::new();
    let policy = || Policy::default().overlap(Overlap::Skip);
    for n in 0..1000 {
        let (name, long) = (format!("t{n}"), Duration::from_secs(5));
        bench.task_with(&name, "*/10 * * * * *", long, policy(), |_| async {
            Ok(())
        });
    }
    bench.start().await;
    pass(25.0).await;
    let (mut requests, mut freed) = (0, 0);
    for event in bench.seen.events() {
        if let Event::LockOperation {
            operation: LockOperation::Release,
            results,
            ..
        } = event
        {
            requests += 1;
            freed += results.ok;
        }
    }
    assert_eq!(freed, 2000);
    assert!(requests <= 100, "{requests} requests");
    assert_eq!(bench.fired("t999"), ["10:00:10", "10:00:20"]);
}
