//! What policies do: misfires, overlaps, retries, recovery, scope, a store that is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tasklock::chrono::TimeDelta;
use tasklock::{
    Acquired, BaseTask, CancelReason, Claim, Clock, Decision, Event, Lock, LockOperation,
    MemoryLock, Misfire, OnStoreDown, Outcome, Overlap, Policy, Recovery, Retry, Scope, TaskError,
    Token,
};

use crate::support::{Bench, Fault, START, ScriptedLock, clock_and_lock, instance, pass};
use Decision::{FiredElsewhere, Misfired, Overlap as Overlapped, Started, StoreDown};
use Outcome::{Cancelled, Failure, Success};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn policy() -> Policy {
    Policy::default()
}

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

/// Fails so often, then succeeds; every call is noted.
fn failing(times: usize) -> (Arc<AtomicUsize>, impl Fn(usize) -> Result<(), TaskError>) {
    (Arc::default(), move |call| {
        if call < times {
            Err(TaskError::new(format!("no luck {call}")))
        } else {
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_within_its_run() {
    let bench = Bench::new();
    let (calls, judge) = failing(2);
    let attempts: Arc<std::sync::Mutex<Vec<(u32, i64)>>> = Arc::default();
    let (log, counted, clock) = (attempts.clone(), calls.clone(), bench.clock.clone());
    let judge = Arc::new(judge);
    let retry = policy().retry(Retry::times(5).first_wait(seconds(2)));
    bench.task_with("t", "0 * * * * *", seconds(50), retry, move |ctx| {
        log.lock()
            .unwrap()
            .push((ctx.attempt(), clock.now().timestamp() % 60));
        let end = judge(counted.fetch_add(1, Ordering::Relaxed));
        async move { end }
    });
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.starts("t").len(), 1);
    assert_eq!(bench.seen.outcomes("t"), [Success]);
    let attempts = attempts.lock().unwrap().clone();
    assert_eq!(attempts.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 2, 3]);
    // 2 s and up to as much at random, then twice that.
    assert!((2..=4).contains(&attempts[1].1), "{attempts:?}");
    assert!(
        (4..=8).contains(&(attempts[2].1 - attempts[1].1)),
        "{attempts:?}"
    );
    let errors: Vec<String> = bench
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RunRetried { error, .. } => Some(error.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(errors, ["no luck 0", "no luck 1"]);
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_their_number_the_timeout_and_the_next_firing() {
    for (retry, timeout, calls_made) in [
        (Retry::times(2).first_wait(Duration::from_millis(10)), 50, 3),
        (Retry::never(), 50, 1),
        // Waits of at least 8 s: a second one would outlast the timeout.
        (Retry::times(9).first_wait(seconds(8)), 20, 2),
        // Waits of 25 s or more: the second is past the next fire time.
        (Retry::times(9).first_wait(seconds(25)), 600, 2),
    ] {
        let bench = Bench::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        bench.task_with(
            "t",
            "0 * * * * *",
            seconds(timeout),
            policy().retry(retry),
            move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Err(TaskError::new("never")) }
            },
        );
        bench.start().await;
        pass(119.0).await;
        assert_eq!(bench.seen.outcomes("t"), [Failure], "{retry:?}");
        assert_eq!(calls.load(Ordering::Relaxed), calls_made, "{retry:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_may_say_whether_and_when_it_is_tried_again() {
    let bench = Bench::new();
    let retry = || policy().retry(Retry::times(3).first_wait(Duration::from_millis(1)));
    bench.task_with("hopeless", "0 * * * * *", seconds(50), retry(), |_| async {
        Err(TaskError::permanent("no such table"))
    });
    bench.task_with(
        "later",
        "0 * * * * *",
        seconds(50),
        retry(),
        |ctx| async move {
            match ctx.attempt() {
                1 => Err(TaskError::retry_after(seconds(7), "busy")),
                _ => Ok(()),
            }
        },
    );
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.outcomes("hopeless"), [Failure]);
    assert_eq!(bench.seen.outcomes("later"), [Success]);
    let retried: Vec<(String, Duration)> = bench
        .seen
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::RunRetried { run, wait, .. } => Some((run.task.to_string(), *wait)),
            _ => None,
        })
        .collect();
    assert_eq!(retried, [("later".to_owned(), seconds(7))]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_tried_again_and_a_timeout_is_not() {
    let bench = Bench::new();
    let retry = || policy().retry(Retry::times(3).first_wait(Duration::from_millis(1)));
    bench.task_with(
        "panics",
        "0 * * * * *",
        seconds(50),
        retry(),
        |ctx| async move {
            assert!(ctx.attempt() > 2, "too soon");
            Ok(())
        },
    );
    bench.task_with(
        "slow",
        "0 * * * * *",
        seconds(5),
        retry(),
        |ctx| async move {
            assert_eq!(ctx.attempt(), 1);
            pass(50.0).await;
            Ok(())
        },
    );
    bench.start().await;
    pass(90.0).await;
    assert_eq!(bench.seen.outcomes("panics"), [Success]);
    assert_eq!(bench.seen.outcomes("slow"), [Outcome::Timeout]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_for_a_retry() {
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.shutdown_grace(seconds(1)),
    );
    let retry = policy().retry(Retry::times(3).first_wait(seconds(30)));
    bench.task_with("t", "0 0 * * * *", seconds(600), retry, |_| async {
        Err(TaskError::new("never"))
    });
    bench.start().await;
    pass(3605.0).await;
    let begun = bench.now();
    let report = bench.scheduler.stop().await;
    assert!(bench.now() - begun < TimeDelta::seconds(10), "{report}");
    assert_eq!(bench.seen.outcomes("t"), [Cancelled]);
}

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

#[tokio::test(start_paused = true)]
async fn a_task_of_every_instance_runs_on_each_and_asks_no_lock() {
    let (clock, lock) = clock_and_lock();
    let lock = ScriptedLock::new(lock);
    let fleet: Vec<Bench> = (0..3).map(|_| instance(&clock, lock.clone())).collect();
    for bench in &fleet {
        let everywhere = policy().scope(Scope::EveryInstance);
        bench.task_with("t", "*/10 * * * * *", seconds(60), everywhere, |_| async {
            pass(15.0).await;
            Ok(())
        });
        bench.start().await;
    }
    lock.everything(Fault::NotSent);
    pass(66.0).await;
    for bench in &fleet {
        assert_eq!(bench.fired("t"), ["10:00:10", "10:00:30", "10:00:50"]);
        let overlapped = bench
            .seen
            .decisions("t")
            .iter()
            .filter(|d| **d == Overlapped)
            .count();
        assert_eq!(overlapped, 3, "its own runs do not overlap");
        assert_eq!(bench.seen.outcomes("t"), [Success, Success, Success]);
        let tokens: Vec<_> = bench
            .seen
            .starts("t")
            .iter()
            .map(|r| r.fencing_token)
            .collect();
        assert!(tokens.is_sorted());
    }
    assert_eq!(lock.asked(LockOperation::Acquire, "t"), 0);
}

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

#[tokio::test(start_paused = true)]
async fn each_part_of_a_task_runs_once_and_instances_share_them() {
    const PARTS: u32 = 12;
    let (clock, lock) = clock_and_lock();
    let parts: Arc<std::sync::Mutex<Vec<(i64, u32)>>> = Arc::default();
    // Who comes first to a part depends on the names alone.
    let named = |name| Bench::on(clock.clone(), lock.clone(), |b| b.instance_id(name));
    let fleet = ["host-a:1", "host-b:1", "host-c:1"].map(named);
    for bench in &fleet {
        let parts = parts.clone();
        let sharded = policy().scope(Scope::Sharded(PARTS));
        bench.task_with("t", "*/10 * * * * *", seconds(60), sharded, move |ctx| {
            let shard = ctx.shard().unwrap();
            assert_eq!(shard.count, PARTS);
            parts
                .lock()
                .unwrap()
                .push((ctx.fire_time().timestamp(), shard.index));
            async {
                pass(2.0).await;
                Ok(())
            }
        });
        assert_eq!(bench.scheduler.list_tasks(), ["t"]);
        bench.start().await;
    }
    pass(51.0).await;
    assert_eq!(fleet[0].scheduler.handle().tasks().len(), 1);
    let running: usize = fleet
        .iter()
        .map(|b| b.scheduler.handle().tasks()[0].running.len())
        .sum();
    assert_eq!(running, PARTS as usize);
    pass(5.0).await;
    let mut parts = parts.lock().unwrap().clone();
    parts.sort();
    let all = parts.len();
    parts.dedup();
    assert_eq!(
        (all, parts.len()),
        (5 * PARTS as usize, all),
        "each part once"
    );
    for bench in &fleet {
        let runs = bench.seen.starts("t");
        assert!(
            (10..=30).contains(&runs.len()),
            "{} of {all} runs here",
            runs.len()
        );
        assert!(runs.iter().all(|run| run.lateness < seconds(1)));
        assert_eq!(bench.seen.decisions("t").len(), 5 * PARTS as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_goes_on_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let sharded = policy().scope(Scope::Sharded(4));
    bench.task_with(
        "t",
        "*/10 * * * * *",
        seconds(600),
        sharded,
        |ctx| async move {
            if ctx.shard().unwrap().index == 0 {
                pass(25.0).await;
            }
            Ok(())
        },
    );
    bench.start().await;
    pass(35.0).await;
    let of = |index| {
        bench
            .seen
            .starts("t")
            .iter()
            .filter(|r| r.shard.unwrap().index == index)
            .count()
    };
    assert_eq!([of(0), of(1), of(2), of(3)], [1, 3, 3, 3]);
    assert_eq!(
        bench
            .seen
            .decisions("t")
            .iter()
            .filter(|d| **d == Overlapped)
            .count(),
        2
    );
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

#[tokio::test(start_paused = true)]
async fn instances_that_divide_a_task_differently_notice_each_other() {
    let (clock, lock) = clock_and_lock();
    let fleet: Vec<Bench> = (0..2).map(|_| instance(&clock, lock.clone())).collect();
    for (bench, parts) in fleet.iter().zip([4, 8]) {
        let sharded = policy().scope(Scope::Sharded(parts));
        bench.task_with("t", "*/10 * * * * *", seconds(60), sharded, |_| async {
            Ok(())
        });
        bench.start().await;
    }
    pass(60.0).await;
    // At the latest that one which is always second to claim a part.
    let differs = |e: &Event| matches!(e, Event::SpecDiffers { is_new: true, .. });
    let events = fleet.iter().flat_map(|bench| bench.seen.events());
    assert!(events.into_iter().any(|event| differs(&event)));
}
