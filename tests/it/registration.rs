//! What `build` and `register` refuse, and how they say it.

use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{BaseTask, Error, ErrorKind, MemoryLock, Policy, Scheduler};

use crate::support::{Bench, START, ScriptedLock, pass};

fn task(name: &str, spec: &str) -> BaseTask {
    BaseTask::new(name, spec, Duration::from_secs(1), |_| async { Ok(()) })
}

fn refused(bench: &Bench, task: BaseTask) -> Error {
    bench.scheduler.register(task).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_once() {
    let bench = Bench::new();
    bench.scheduler.register(task("a", "@hourly")).unwrap();
    let error = refused(&bench, task("a", "@daily"));
    assert_eq!(error.kind(), ErrorKind::DuplicateTask);
    assert_eq!(error.to_string(), "task a is registered already");
    assert_eq!(bench.scheduler.list_tasks(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_name_is_refused_with_the_place() {
    let bench = Bench::new();
    let error = refused(&bench, task("a b", "@hourly"));
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert!(error.to_string().contains("' ' at character 2"), "{error}");
    assert!(bench.scheduler.list_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_spec_is_refused_with_task_field_and_column() {
    let bench = Bench::new();
    let error = refused(&bench, task("report", "0 0 24 * * *"));
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    let text = error.to_string();
    assert!(text.starts_with("task report: hour: "), "{text}");
    assert!(text.contains("column 5"), "{text}");
    assert_eq!(error.spec_error().unwrap().column(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_bad_zone_is_refused_with_task_and_zone() {
    let bench = Bench::new();
    let error = refused(&bench, task("report", "CRON_TZ=Asia/Shangai 0 0 2 * * *"));
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    let text = error.to_string();
    assert!(
        text.starts_with("task report: ") && text.contains("Asia/Shangai"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_is_refused() {
    let bench = Bench::new();
    let zero = BaseTask::new("a", "@hourly", Duration::ZERO, |_| async { Ok(()) });
    let error = refused(&bench, zero);
    assert_eq!(error.kind(), ErrorKind::InvalidTask);
    assert!(
        error.to_string().starts_with("task a: its timeout is zero"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_out_of_range_is_refused_with_its_setting() {
    let seconds = Duration::from_secs;
    let table = [
        (Policy::default().lease_ttl(Duration::ZERO), "lease_ttl"),
        (Policy::default().lease_ttl(seconds(3601)), "lease_ttl"),
        (
            Policy::default().lease_ttl(Duration::from_millis(1500)),
            "whole seconds",
        ),
        (
            Policy::default().misfire_threshold(Duration::ZERO),
            "misfire_threshold",
        ),
        (
            Policy::default().misfire_threshold(Duration::MAX),
            "misfire_threshold",
        ),
        (
            Policy::default().cancel_grace(Duration::MAX),
            "cancel_grace",
        ),
    ];
    let bench = Bench::new();
    for (policy, part) in table {
        let error = refused(&bench, task("a", "@hourly").policy(policy));
        assert_eq!(error.kind(), ErrorKind::InvalidTask);
        let text = error.to_string();
        assert!(
            text.starts_with("task a: ") && text.contains(part),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_without_an_end_of_time_is_accepted() {
    let bench = Bench::new();
    let forever = BaseTask::new("a", "* * * * * *", Duration::MAX, |ctx| async move {
        assert!(!ctx.is_cancelled());
        Ok(())
    });
    bench.scheduler.register(forever).unwrap();
    bench.start().await;
    crate::support::pass(1.5).await;
    assert_eq!(bench.seen.outcomes("a"), [tasklock::Outcome::Success]);
}

#[test]
fn a_scheduler_without_a_lock_is_refused_with_the_choices() {
    let error = Scheduler::builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    for choice in ["RedisLock", "FileLock", "MemoryLock"] {
        assert!(error.to_string().contains(choice), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let builder = || Scheduler::builder().lock(MemoryLock::new());
    let table = [
        (builder().shutdown_grace(Duration::MAX), "shutdown_grace"),
        (builder().wait_for_lock(Duration::MAX), "wait_for_lock"),
        (builder().instance_id(""), "instance id"),
        (builder().instance_id("a|b"), "instance id"),
        (builder().instance_id("x".repeat(1_000_000)), "instance id"),
    ];
    for (builder, part) in table {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(
            error.to_string().contains(part) && error.to_string().len() < 300,
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_in_the_order_of_their_registration() {
    let bench = Bench::new();
    for name in ["zeta", "alpha", "mid"] {
        bench.scheduler.register(task(name, "@hourly")).unwrap();
    }
    assert_eq!(bench.scheduler.list_tasks(), ["zeta", "alpha", "mid"]);
    let tasks = bench.scheduler.handle().tasks();
    assert_eq!(tasks[1].name, "alpha");
    assert_eq!(&*tasks[1].spec, "@hourly");
    assert_eq!(
        tasks[1].next_fire.unwrap().to_rfc3339(),
        "2026-11-21T11:00:00+00:00"
    );
}

#[tokio::test(start_paused = true)]
async fn the_zone_of_the_spec_goes_before_the_policys_and_that_before_the_schedulers() {
    use tasklock::chrono_tz::{America::New_York, Asia::Shanghai};
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.timezone(Shanghai),
    );
    let in_new_york = || Policy::default().timezone(New_York);
    bench
        .scheduler
        .register(task("scheduler", "0 0 12 * * *"))
        .unwrap();
    bench
        .scheduler
        .register(task("policy", "0 0 12 * * *").policy(in_new_york()))
        .unwrap();
    let spec = "CRON_TZ=Europe/Berlin 0 0 12 * * *";
    bench
        .scheduler
        .register(task("spec", spec).policy(in_new_york()))
        .unwrap();
    let next: Vec<String> = bench
        .scheduler
        .handle()
        .tasks()
        .iter()
        .map(|t| format!("{} {}", t.timezone, t.next_fire.unwrap().format("%d %H:%M")))
        .collect();
    assert_eq!(
        next,
        [
            "Asia/Shanghai 22 04:00",
            "America/New_York 21 17:00",
            "Europe/Berlin 21 11:00"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_scheduler_takes_no_tasks_and_is_not_started_again() {
    let bench = Bench::new();
    bench.start().await;
    let again = bench.scheduler.start().await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::WrongState);
    bench.scheduler.stop().await;
    assert_eq!(
        refused(&bench, task("a", "@hourly")).kind(),
        ErrorKind::WrongState
    );
    let error = bench.scheduler.start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the scheduler is stopped: it can be started once"
    );
}

#[tokio::test(start_paused = true)]
async fn of_many_tasks_a_start_asks_in_pages_and_knows_the_past_of_each() {
    let clock = Arc::new(TestClock::at(START));
    let lock = ScriptedLock::new(MemoryLock::with_clock(clock.clone()));
    let instance = || Bench::on(clock.clone(), lock.clone(), |builder| builder);
    let first = instance();
    first.task("minutely", "0 * * * * *", |_| async { Ok(()) });
    first.start().await;
    pass(61.0).await;
    first.scheduler.stop().await;
    assert_eq!(first.fired("minutely"), ["10:01:00"]);

    pass(80.0).await;
    let second = instance();
    for n in 0..16_400 {
        let idle = task(&format!("idle-{n}"), "@yearly");
        second.scheduler.register(idle).unwrap();
    }
    second.task("minutely", "0 * * * * *", |_| async { Ok(()) });
    second.start().await;
    pass(1.0).await;
    assert_eq!(lock.asked_for_states(), [1, 8_192, 8_192, 17]);
    assert_eq!(second.fired("minutely"), ["10:02:00"]);
}
