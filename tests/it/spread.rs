//! Starts that are spread or drawn, and clock changes by policy: the fire time stays the schedule's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{BaseTask, Decision, DstPolicy, Event, MemoryLock, Policy, chrono_tz};

use crate::support::{Bench, START, pass};

fn spread(seconds: u64) -> Policy {
    Policy::default().spread(Duration::from_secs(seconds))
}

fn jitter(seconds: u64) -> Policy {
    Policy::default().jitter(Duration::from_secs(seconds))
}

fn register(bench: &Bench, name: &str, spec: &str, policy: Policy) {
    let minute = Duration::from_secs(60);
    bench.task_with(name, spec, minute, policy, |_| async { Ok(()) });
}

#[tokio::test(start_paused = true)]
async fn a_spread_is_the_names_own_and_the_same_at_every_firing() {
    let bench = Bench::new();
    for n in 0..50 {
        register(&bench, &format!("t{n}"), "0 * * * * *", spread(30));
    }
    bench.start().await;
    pass(185.0).await;
    let mut delays = HashSet::new();
    for n in 0..50 {
        let runs = bench.seen.starts(&format!("t{n}"));
        assert_eq!(bench.fired(&format!("t{n}"))[..2], ["10:01:00", "10:02:00"]);
        // By the millisecond, as the timer sleeps by it.
        let mut own: Vec<u128> = runs.iter().map(|r| r.lateness.as_millis() / 10).collect();
        own.dedup();
        assert_eq!(own.len(), 1, "{own:?}");
        assert!(own[0] < 3_000, "{own:?}");
        delays.insert(own[0]);
    }
    assert!(delays.len() > 40, "{} different ones", delays.len());
}

#[tokio::test(start_paused = true)]
async fn a_spread_is_the_same_on_all_instances() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let bench = Bench::on(clock.clone(), lock.clone(), |builder| builder);
        register(&bench, "report", "0 * * * * *", spread(50));
        bench.start().await;
        pass(120.0).await;
        seen.push(bench.seen.starts("report")[0].lateness.as_millis() / 10);
        bench.scheduler.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(start_paused = true)]
async fn jitter_is_drawn_for_each_firing_and_loses_none() {
    let bench = Bench::new();
    register(&bench, "t", "0 * * * * *", jitter(30));
    bench.start().await;
    pass(1835.0).await;
    let runs = bench.seen.starts("t");
    let fired = bench.fired("t");
    assert_eq!(fired.len(), 30);
    assert_eq!(fired[0], "10:01:00");
    assert_eq!(fired[29], "10:30:00");
    let delays: HashSet<u128> = runs.iter().map(|r| r.lateness.as_millis()).collect();
    assert!(delays.iter().all(|d| *d < 30_010));
    assert!(delays.len() > 20, "{delays:?}");
    assert!(delays.iter().any(|d| *d > 5_000), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_longer_than_the_period_keeps_the_order_and_loses_none() {
    let bench = Bench::new();
    register(&bench, "t", "*/5 * * * * *", jitter(60));
    bench.start().await;
    pass(600.0).await;
    let fired = bench.fired("t");
    assert!((119..=120).contains(&fired.len()), "{}", fired.len());
    assert_eq!(
        bench.seen.decisions("t"),
        vec![Decision::Started; fired.len()]
    );
    assert!(fired.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn the_misfire_threshold_counts_from_the_latest_start_that_was_allowed() {
    let bench = Bench::new();
    let strict = spread(600).misfire_threshold(Duration::from_secs(1));
    register(&bench, "t", "0 0 * * * *", strict);
    bench.start().await;
    pass(2.0 * 3600.0).await;
    assert_eq!(bench.fired("t"), ["11:00:00"]);
    assert_eq!(bench.seen.decisions("t")[0], Decision::Started);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_overlaps_with_a_firing_that_was_to_start_meanwhile() {
    let bench = Bench::new();
    let policy = spread(8);
    bench.task_with(
        "t",
        "*/10 * * * * *",
        Duration::from_secs(60),
        policy,
        |_| async {
            pass(15.0).await;
            Ok(())
        },
    );
    bench.start().await;
    pass(49.0).await;
    use Decision::{Overlap, Started};
    assert_eq!(
        bench.seen.decisions("t")[..4],
        [Started, Overlap, Started, Overlap]
    );
}

#[tokio::test(start_paused = true)]
async fn spread_and_jitter_have_a_limit() {
    let day = Duration::from_secs(86_400);
    let bench = Bench::new();
    for (policy, part) in [
        (Policy::default().spread(day * 2), "spread is"),
        (Policy::default().jitter(day * 2), "jitter is"),
    ] {
        let task = BaseTask::new("t", "@daily", day, |_| async { Ok(()) }).policy(policy);
        let error = bench.scheduler.register(task).unwrap_err().to_string();
        assert!(
            error.starts_with("task t: ") && error.contains(part),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_for_clock_changes_is_the_tasks_or_else_the_schedulers() {
    // Ten hours before the clock of Berlin goes from 02:00 to 03:00.
    let clock = Arc::new(TestClock::at("2027-03-27T15:00:00Z"));
    let lock = MemoryLock::with_clock(clock.clone());
    let bench = Bench::on(clock, lock, |builder| {
        builder
            .timezone(chrono_tz::Europe::Berlin)
            .dst(DstPolicy::Robfig)
    });
    register(&bench, "scheduler", "30 2 * * *", Policy::default());
    register(
        &bench,
        "task",
        "30 2 * * *",
        Policy::default().dst(DstPolicy::RunOnce),
    );
    bench.start().await;
    pass(24.0 * 3600.0).await;
    assert!(bench.fired("scheduler").is_empty());
    assert_eq!(bench.fired("task"), ["01:00:00"]);
    assert!(bench.now().to_rfc3339().starts_with("2027-03-28T15:00:00"));
}

#[tokio::test(start_paused = true)]
async fn a_registration_says_what_changes_of_the_clock_will_do_to_the_spec() {
    let bench = Bench::new();
    let berlin = || Policy::default().timezone(chrono_tz::Europe::Berlin);
    register(&bench, "moved", "30 2 * * *", berlin());
    register(
        &bench,
        "skipped",
        "30 2 * * *",
        berlin().dst(DstPolicy::Robfig),
    );
    register(&bench, "never", "0 0 31 2 *", Policy::default());
    register(&bench, "fine", "30 4 * * *", berlin());
    let said: Vec<(String, Vec<&str>)> = bench
        .seen
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::TaskRegistered { task, lints, .. } => {
                let words = lints.iter().map(|lint| lint.as_str()).collect();
                Some((task.to_string(), words))
            }
            _ => None,
        })
        .collect();
    let expected = [
        ("moved", vec!["dst_gap"]),
        ("skipped", vec!["dst_gap", "dst_overlap"]),
        ("never", vec!["never_fires"]),
        ("fine", vec![]),
    ];
    let expected = expected.map(|(task, words)| (task.to_owned(), words));
    assert_eq!(said, expected);
}
