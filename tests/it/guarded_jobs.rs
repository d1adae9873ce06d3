//! Jobs of a `JobScheduler` that the application runs itself, guarded by the lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{TimeDelta, Timelike};
use tasklock::chrono_tz::Tz;
use tasklock::testing::RecordingObserver;
use tasklock::tokio_cron_scheduler::{Job, JobScheduler};
use tasklock::{
    BaseTask, Clock, Decision, ErrorKind, Event, Lock, MemoryLock, Misfire, Policy, RedisLock,
    Scheduler, SystemClock, tokio_cron,
};

use crate::support::RedisServer;

const PATIENCE: Duration = Duration::from_secs(60);

fn scheduler(lock: impl Lock) -> (Scheduler, RecordingObserver) {
    let seen = RecordingObserver::new();
    let builder = Scheduler::builder().lock(lock).observer(seen.clone());
    (builder.build().unwrap(), seen)
}

/// Waits until so many runs of a task have started.
async fn wait_for_starts(seen: &RecordingObserver, name: &str, count: usize) {
    let enough = |events: &[Event]| {
        let is_start = |e: &&Event| matches!(e, Event::RunStarted { run } if run.task == *name);
        (events.iter().filter(is_start).count() >= count).then_some(())
    };
    seen.wait_for(PATIENCE, enough).await;
}

fn task(name: &str, spec: &str) -> BaseTask {
    BaseTask::new(name, spec, Duration::from_secs(5), |_| async { Ok(()) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_two_job_schedulers_run_each_instant_once_on_redis() {
    let redis = RedisServer::start();
    let mut fleet = Vec::new();
    for _ in 0..2 {
        let lock = RedisLock::connect(&redis.url()).await.unwrap();
        let (scheduler, seen) = scheduler(lock);
        let jobs = JobScheduler::new().await.unwrap();
        for i in 0..5 {
            let task = task(&format!("t{i}"), "* * * * * *");
            let job = tokio_cron::guarded_job(&scheduler, task).unwrap();
            jobs.add(job).await.unwrap();
        }
        scheduler.start().await.unwrap();
        jobs.start().await.unwrap();
        fleet.push((scheduler, seen, jobs));
        // Their looks are a quarter of a second apart.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let begun = SystemClock.now();
    let end = begun + TimeDelta::seconds(5);
    for (_, seen, _) in &fleet {
        let has_decided_all = |events: &[Event]| {
            let is_decided = |name: &str| {
                events.iter().any(|e| {
                    matches!(e, Event::FiringDecided { task, fire_time, .. }
                        if task.as_str() == name && *fire_time >= end)
                })
            };
            let all = (0..5).all(|i| is_decided(&format!("t{i}")));
            all.then_some(())
        };
        seen.wait_for(PATIENCE, has_decided_all).await;
    }
    for (scheduler, _, jobs) in &mut fleet {
        jobs.shutdown().await.unwrap();
        scheduler.stop().await;
    }
    for i in 0..5 {
        let name = format!("t{i}");
        let starts: Vec<_> = fleet.iter().flat_map(|f| f.1.starts(&name)).collect();
        let instants: BTreeSet<_> = starts.iter().map(|run| run.fire_time).collect();
        assert_eq!(
            instants.len(),
            starts.len(),
            "an instant of {name} ran twice"
        );
        assert!(instants.iter().all(|t| t.nanosecond() == 0));
        // From the second in which the later of them was up, and up to the last that both looked at.
        for second in 1..=4 {
            let at = begun.with_nanosecond(0).unwrap() + TimeDelta::seconds(second);
            assert!(instants.contains(&at), "{name} did not run at {at}");
        }
        for (_, seen, _) in &fleet {
            let mut decided = BTreeSet::new();
            for event in seen.events() {
                if let Event::FiringDecided {
                    task, fire_time, ..
                } = event
                    && task.as_str() == name
                {
                    assert!(
                        decided.insert(fire_time),
                        "{name} {fire_time} decided twice"
                    );
                }
            }
            assert!(decided.len() >= 4, "{decided:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_in_no_job_scheduler_fires_nothing_and_one_that_comes_late_settles_what_it_missed()
 {
    let (scheduler, seen) = scheduler(MemoryLock::new());
    let _idle = tokio_cron::guarded_job(&scheduler, task("idle", "* * * * * *")).unwrap();
    let late = task("late", "* * * * * *").policy(Policy::default().misfire(Misfire::RunAll(10)));
    let late = tokio_cron::guarded_job(&scheduler, late).unwrap();
    scheduler.register(task("own", "* * * * * *")).unwrap();
    scheduler.start().await.unwrap();
    wait_for_starts(&seen, "own", 3).await;
    assert!(seen.decisions("late").is_empty());
    let jobs = JobScheduler::new().await.unwrap();
    jobs.add(late).await.unwrap();
    jobs.start().await.unwrap();
    wait_for_starts(&seen, "late", 4).await;
    scheduler.stop().await;
    let starts = seen.starts("late");
    for pair in starts.windows(2) {
        assert_eq!(pair[1].fire_time - pair[0].fire_time, TimeDelta::seconds(1));
    }
    assert_eq!(
        seen.decisions("late"),
        vec![Decision::Started; starts.len()]
    );
    assert!(seen.decisions("idle").is_empty());
    // Its scheduler is gone: nobody is there to guard it.
    drop(scheduler);
    let (tick, mut ticks) = tokio::sync::mpsc::unbounded_channel();
    let unguarded = Job::new("* * * * * *", move |_, _| {
        let _ = tick.send(());
    })
    .unwrap();
    let mut jobs = jobs;
    jobs.add(unguarded).await.unwrap();
    for _ in 0..2 {
        ticks.recv().await.unwrap();
    }
    jobs.shutdown().await.unwrap();
    assert_eq!(seen.starts("late").len(), starts.len());
}

#[tokio::test]
async fn specs_that_the_two_do_not_read_alike_are_refused_and_the_text_says_why() {
    let (scheduler, _) = scheduler(MemoryLock::new());
    let refused = |spec: &str, zone: Tz| {
        let policy = Policy::default().timezone(zone);
        let task = task("refused", spec).policy(policy);
        let error = tokio_cron::guarded_job(&scheduler, task).err();
        error.map(|e| (e.kind(), e.to_string()))
    };
    for spec in [
        "30 4 * * *",
        "@every 10s",
        "@after 10s",
        "@startup",
        "0 0 0 L-3 * *",
        "@at 2100-01-01T00:00:00Z",
        "CRON_TZ=Asia/Tokyo 0 30 4 * * *",
    ] {
        let (kind, text) = refused(spec, Tz::UTC).unwrap_or_else(|| panic!("{spec} was taken"));
        assert_eq!(kind, ErrorKind::InvalidTask);
        assert!(text.contains("cannot read it"), "{spec}: {text}");
    }
    // Both days: one of them has to match for us, both for tokio-cron-scheduler.
    let (_, text) = refused("0 0 0 13 * FRI", Tz::UTC).expect("it was taken");
    assert!(text.contains("would fire it at"), "{text}");
    // It goes on with the offset of today.
    let (_, text) = refused("0 30 4 * * *", Tz::Europe__Berlin).expect("it was taken");
    assert!(text.contains("would fire it at"), "{text}");
    assert!(
        scheduler.list_tasks().is_empty(),
        "what is refused is not registered"
    );

    let good = [
        ("0 30 4 * * MON-FRI", Tz::UTC),
        ("*/7 * * * * *", Tz::UTC),
        ("0 0 12 L * *", Tz::UTC),
        ("0 0 12 * * FRI#2", Tz::UTC),
        ("0 0 0 13 * +FRI", Tz::UTC),
        ("0 0 0 1 1 * 2099", Tz::UTC),
        ("@daily", Tz::UTC),
        ("0 0 0 29 2 *", Tz::UTC),
        ("0 30 4 * * *", Tz::Asia__Tokyo),
        ("0 */5 * * * *", Tz::Europe__Berlin),
    ];
    for (i, (spec, zone)) in good.into_iter().enumerate() {
        let task = task(&format!("good_{i}"), spec).policy(Policy::default().timezone(zone));
        tokio_cron::guarded_job(&scheduler, task).unwrap();
    }
    assert_eq!(scheduler.list_tasks().len(), good.len());
    let again = tokio_cron::guarded_job(&scheduler, task("good_0", "0 30 4 * * MON-FRI"));
    assert_eq!(again.err().unwrap().kind(), ErrorKind::DuplicateTask);
}

#[tokio::test]
async fn a_guarded_job_may_outlive_the_clock_of_its_scheduler() {
    // The clock says what the instant is; the job says only that it is time.
    let clock = Arc::new(tasklock::testing::SkewedClock::new(
        TimeDelta::milliseconds(-300),
    ));
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::with_clock(clock.clone()))
        .clock(clock)
        .observer(seen.clone())
        .build()
        .unwrap();
    let job = tokio_cron::guarded_job(&scheduler, task("s", "* * * * * *")).unwrap();
    let jobs = JobScheduler::new().await.unwrap();
    jobs.add(job).await.unwrap();
    scheduler.start().await.unwrap();
    jobs.start().await.unwrap();
    wait_for_starts(&seen, "s", 3).await;
    scheduler.stop().await;
    let starts = seen.starts("s");
    assert!(starts.iter().all(|run| run.started >= run.fire_time));
    for pair in starts.windows(2) {
        assert_eq!(pair[1].fire_time - pair[0].fire_time, TimeDelta::seconds(1));
    }
}
