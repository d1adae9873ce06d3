//! How many runs go on at once on an instance, in all and in a group.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{
    BaseTask, Decision, ErrorKind, MemoryLock, Policy, Scheduler, SchedulerBuilder, Scope,
};

use crate::support::{Bench, START, pass};

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn limited(settings: impl FnOnce(SchedulerBuilder) -> SchedulerBuilder) -> Bench {
    Bench::with(|clock| MemoryLock::with_clock(clock), settings)
}

/// How many go on, and how many did at most.
#[derive(Clone, Default)]
struct Gauge {
    now: Arc<AtomicI32>,
    most: Arc<AtomicI32>,
}

impl Gauge {
    fn task(&self, bench: &Bench, name: &str, spec: &str, policy: Policy, run_s: f64) {
        let gauge = self.clone();
        bench.task_with(name, spec, Duration::from_secs(600), policy, move |_| {
            let gauge = gauge.clone();
            async move {
                let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
                gauge.most.fetch_max(now, Ordering::SeqCst);
                pass(run_s).await;
                gauge.now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        });
    }

    fn most(&self) -> i32 {
        self.most.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_run_at_once_as_the_scheduler_allows_and_the_others_follow() {
    let bench = limited(|builder| builder.max_concurrent(3));
    let gauge = Gauge::default();
    for n in 0..10 {
        gauge.task(
            &bench,
            &format!("t{n}"),
            "0 * * * * *",
            Policy::default(),
            5.0,
        );
    }
    bench.start().await;
    pass(85.0).await;
    assert_eq!(gauge.most(), 3);
    for n in 0..10 {
        let task = format!("t{n}");
        assert_eq!(bench.fired(&task), ["10:01:00"], "{task}");
        assert_eq!(bench.seen.decisions(&task), [Decision::Started]);
    }
    let latest = (0..10)
        .map(|n| bench.seen.starts(&format!("t{n}"))[0].lateness)
        .max();
    assert!(latest.unwrap() >= Duration::from_secs(15), "{latest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_longer_than_the_threshold_is_limited() {
    let bench = limited(|builder| builder.max_concurrent(1));
    let gauge = Gauge::default();
    for n in 0..3 {
        gauge.task(
            &bench,
            &format!("t{n}"),
            "0 0 * * * *",
            Policy::default(),
            100.0,
        );
    }
    bench.start().await;
    pass(3600.0 + 62.0).await;
    let mut decisions: Vec<Decision> = (0..3)
        .flat_map(|n| bench.seen.decisions(&format!("t{n}")))
        .collect();
    decisions.sort_by_key(|d| d.as_str());
    assert_eq!(
        decisions,
        [Decision::Limited, Decision::Limited, Decision::Started]
    );
    pass(3600.0).await;
    assert_eq!(gauge.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_has_a_limit_of_its_own_and_does_not_hold_up_others() {
    let bench = limited(|builder| builder.group("db", 1).max_concurrent(10));
    let (db, free) = (Gauge::default(), Gauge::default());
    let in_group = || Policy::default().group("db");
    for n in 0..3 {
        db.task(&bench, &format!("db{n}"), "0 * * * * *", in_group(), 5.0);
        free.task(
            &bench,
            &format!("free{n}"),
            "0 * * * * *",
            Policy::default(),
            5.0,
        );
    }
    let everywhere = in_group().scope(Scope::EveryInstance);
    db.task(&bench, "local", "0 * * * * *", everywhere, 5.0);
    bench.start().await;
    pass(85.0).await;
    assert_eq!((db.most(), free.most()), (1, 3));
    for task in ["db0", "db1", "db2", "local", "free0"] {
        assert_eq!(bench.seen.decisions(task), [Decision::Started], "{task}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_at_its_limit_leaves_instants_to_others() {
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let fleet: Vec<Bench> = (0..2)
        .map(|_| {
            Bench::on(clock.clone(), lock.clone(), |builder| {
                builder.max_concurrent(2)
            })
        })
        .collect();
    let gauges = [Gauge::default(), Gauge::default()];
    for (bench, gauge) in fleet.iter().zip(&gauges) {
        for n in 0..4 {
            gauge.task(
                bench,
                &format!("t{n}"),
                "0 * * * * *",
                Policy::default(),
                20.0,
            );
        }
        bench.start().await;
    }
    pass(65.0).await;
    for gauge in &gauges {
        assert_eq!(gauge.most(), 2);
    }
    pass(30.0).await;
    for n in 0..4 {
        let mut decisions: Vec<Decision> = fleet
            .iter()
            .flat_map(|b| b.seen.decisions(&format!("t{n}")))
            .collect();
        decisions.sort_by_key(|d| d.as_str());
        assert_eq!(decisions, [Decision::FiredElsewhere, Decision::Started]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_decides_those_that_wait() {
    let bench = limited(|builder| builder.max_concurrent(1));
    let gauge = Gauge::default();
    for n in 0..3 {
        gauge.task(
            &bench,
            &format!("t{n}"),
            "0 * * * * *",
            Policy::default(),
            10.0,
        );
    }
    bench.start().await;
    pass(61.0).await;
    bench.scheduler.stop().await;
    let mut decisions: Vec<Decision> = (0..3)
        .flat_map(|n| bench.seen.decisions(&format!("t{n}")))
        .collect();
    decisions.sort_by_key(|d| d.as_str());
    assert_eq!(
        decisions,
        [Decision::Draining, Decision::Draining, Decision::Started]
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_nothing_and_groups_that_do_not_exist_are_refused() {
    let builder = || Scheduler::builder().lock(MemoryLock::new());
    for (builder, part) in [
        (builder().max_concurrent(0), "max_concurrent is 0"),
        (builder().group("db", 0), "group \"db\""),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(part), "{error}");
    }
    let bench = limited(|builder| builder.group("db", 1).group("mail", 2));
    let lost = Policy::default().group("bd");
    let task = BaseTask::new("t", "@daily", minute(), |_| async { Ok(()) }).policy(lost);
    let error = bench.scheduler.register(task).unwrap_err().to_string();
    assert!(
        error.starts_with("task t: ") && error.contains("\"bd\""),
        "{error}"
    );
    assert!(error.contains("[\"db\", \"mail\"]"), "{error}");
}
