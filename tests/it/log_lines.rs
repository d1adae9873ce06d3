//! The log lines that people search for, word for word, and the metric beside each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tasklock::testing::TestClock;
use tasklock::{By, MemoryLock, Metrics, PauseFor, Policy, Retry, Scope, TaskError};

use crate::instances::Fleet;
use crate::support::lines::Lines;
use crate::support::{Bench, START, pass};

#[tokio::test(start_paused = true)]
async fn metrics_that_are_folded_are_told_once() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let metrics = Metrics::new().unwrap().with_task_limit(2);
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    for task in ["_other", "a", "b"] {
        bench.task(task, "@daily", |_| async { Ok(()) });
    }
    assert!(!lines.text().contains("metrics.limit"));
    for task in ["c", "d"] {
        bench.task(task, "* * * * * *", |_| async { Ok(()) });
    }
    bench.start().await;
    pass(3.5).await;
    lines.one(&["WARN", "metrics.limit", " task=c", " limit=2"]);
    let text = metrics.encode().unwrap();
    let runs = "task_runs_total{outcome=\"success\",task_name=\"_other\"} 6";
    assert!(text.lines().any(|line| line == runs), "{text}");
}

#[tokio::test(start_paused = true)]
async fn each_end_of_a_run_has_its_line_and_its_metric() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let metrics = Metrics::new().unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    let once = "@at 2026-11-21T10:00:01Z";
    bench.task("fine", once, |_| async { Ok(()) });
    bench.task("fails", once, |_| async { Err(TaskError::new("sold out")) });
    bench.task("panics", once, |_| async { panic!("no luck") });
    let short = Duration::from_secs(2);
    bench.task_with("deaf", once, short, Policy::default(), |_| async {
        std::future::pending().await
    });
    bench.start().await;
    pass(20.0).await;

    lines.one(&[
        "INFO",
        "Task registered",
        " name=fine",
        " spec=@at 2026-11-21T10:00:01Z",
    ]);
    lines.one(&["INFO", "Task scheduler started", " tasks=4"]);
    lines.one(&["INFO", "Task started", " task=fine"]);
    let done = lines.one(&["INFO", "Task completed", " task=fine", " duration="]);
    assert!(
        done.contains("task_run{") && done.contains("task.name=fine"),
        "no span: {done}"
    );
    for (task, error, outcome) in [
        ("fails", "sold out", "failure"),
        ("panics", "panicked: no luck", "panicked"),
        ("deaf", "timed out after 2s", "timeout"),
    ] {
        let task_field = format!(" task={task}");
        let error_field = format!("error=\"{error}\"");
        lines.one(&[
            "ERROR",
            "Task failed",
            &task_field,
            &error_field,
            " duration=",
        ]);
        let text = metrics.encode().unwrap();
        for series in [
            format!("task_errors_total{{task_name=\"{task}\"}} 1"),
            format!("task_runs_total{{outcome=\"{outcome}\",task_name=\"{task}\"}} 1"),
        ] {
            assert!(text.contains(&series), "{series} is not in\n{text}");
        }
    }

    let last = bench.scheduler.handle().task("deaf").unwrap();
    assert!(last.running.is_empty());
    assert_eq!(last.last_run.unwrap().outcome, tasklock::Outcome::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_elsewhere_has_its_line() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let one = Bench::new();
    let lock = MemoryLock::with_clock(one.clock.clone());
    let fleet = [(); 2].map(|()| Bench::on(one.clock.clone(), lock.clone(), |b| b));
    for instance in &fleet {
        instance.task("shared", "@at 2026-11-21T10:00:01Z", |_| async { Ok(()) });
        instance.start().await;
    }
    pass(2.0).await;
    lines.one(&[
        "DEBUG",
        "Task already running on another instance",
        " task=shared",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_registration_warns_of_a_spec_that_will_not_do_what_it_says() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let bench = Bench::new();
    bench.task("never", "0 0 31 2 *", |_| async { Ok(()) });
    bench.task("moved", "TZ=Europe/Berlin 30 2 * * *", |_| async { Ok(()) });
    bench.task("fine", "TZ=Europe/Berlin 30 4 * * *", |_| async { Ok(()) });
    bench.task("start", "@startup", |_| async { Ok(()) });
    lines.one(&["WARN", "Task never fires", "never", "lint=\"never_fires\""]);
    lines.one(&[
        "WARN",
        "Task meets a clock change",
        "lint=\"dst_gap\"",
        "detail=no 02:30 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead",
    ]);
    let text = lines.text();
    assert_eq!(text.matches("WARN").count(), 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_tasks_of_one_second_are_told_of_once_at_the_start() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let bench = Bench::new();
    let jitter = Policy::default().jitter(Duration::from_secs(60));
    let spread = Policy::default().spread(Duration::from_secs(3_600));
    let minute = Duration::from_secs(60);
    for n in 0..120 {
        let name = |of: &str| format!("{of}-{n}");
        // Those that are spread, or are drawn, meet nobody; nor do fewer than a hundred.
        bench.task_with(
            &name("spread"),
            "0 0 3 * * *",
            minute,
            spread.clone(),
            |_| async { Ok(()) },
        );
        bench.task_with(
            &name("drawn"),
            "0 0 4 * * *",
            minute,
            jitter.clone(),
            |_| async { Ok(()) },
        );
        if n < 99 {
            bench.task(&name("few"), "0 0 1 * * *", |_| async { Ok(()) });
        }
    }
    let silent = Bench::new();
    silent.task("alone", "* * * * * *", |_| async { Ok(()) });
    silent.start().await;
    bench.start().await;
    assert!(!lines.text().contains("collision"), "{}", lines.text());

    let crowded = Bench::new();
    for n in 0..120 {
        crowded.task(&format!("report.{n}"), "0 30 2 * * *", |_| async { Ok(()) });
    }
    crowded.start().await;
    pass(70.0).await;
    lines.one(&[
        "WARN",
        "Many tasks are due in the same second",
        "event=\"task.lint\"",
        "task=\"report.0, report.1, report.2\"",
        "lint=\"collision\"",
        "count=120",
        "at=\"2026-11-22T02:30:00+00:00\"",
    ]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_paused_is_no_warning_and_what_has_failed_too_often_is() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let fleet = Fleet::new();
    let bench = fleet.instance("a");
    bench.task("held", "*/10 * * * * *", |_| async { Ok(()) });
    let policy = Policy::default().pause_after(1);
    bench.task_with(
        "fails",
        "*/20 * * * * *",
        Duration::from_secs(5),
        policy,
        |_| async { Err(TaskError::new("sold out")) },
    );
    let by = By::new("ana", "a test").unwrap();
    fleet
        .control
        .pause(PauseFor::task("held", &by))
        .await
        .unwrap();
    bench.start().await;
    pass(45.0).await;
    let skipped = |level: &str, task: &str| {
        let text = lines.text();
        let fits = |line: &&str| {
            line.contains("Task firing skipped") && line.contains(task) && line.contains(level)
        };
        text.lines().filter(fits).count()
    };
    assert_eq!(
        (skipped("WARN", "task=held"), skipped("DEBUG", "task=held")),
        (0, 4)
    );
    assert_eq!(
        (
            skipped("WARN", "task=fails"),
            skipped("DEBUG", "task=fails")
        ),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_overlap_says_where_the_task_runs() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let clock = Arc::new(TestClock::at(START));
    let lock = MemoryLock::with_clock(clock.clone());
    let fleet = ["host-a", "host-b"]
        .map(|name| Bench::on(clock.clone(), lock.clone(), |b| b.instance_id(name)));
    let long = |_| async {
        pass(600.0).await;
        Ok(())
    };
    fleet[0].task_with(
        "t",
        "0 * * * * *",
        Duration::from_secs(999),
        Policy::default(),
        long,
    );
    fleet[0].start().await;
    pass(61.0).await;
    fleet[1].task_with(
        "t",
        "0 * * * * *",
        Duration::from_secs(999),
        Policy::default(),
        long,
    );
    fleet[1].start().await;
    pass(110.0).await;
    let here = lines.one(&["DEBUG", "Task already running on this instance", " task=t"]);
    assert!(!here.contains("holder"), "{here}");
    lines.one(&[
        "Task already running on another instance",
        "holder=\"host-a\"",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_is_lost_to_a_limit_is_warned_of() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.max_concurrent(1),
    );
    for name in ["a", "b"] {
        let long = Duration::from_secs(999);
        bench.task_with(name, "0 * * * * *", long, Policy::default(), |_| async {
            pass(600.0).await;
            Ok(())
        });
    }
    bench.start().await;
    pass(125.0).await;
    lines.one(&["WARN", "Task firing skipped", "decision=\"limited\""]);
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_part_have_its_shard_and_others_have_none() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let bench = Bench::new();
    let sharded = Policy::default().scope(Scope::Sharded(3));
    let minute = Duration::from_secs(60);
    let once = "@at 2026-11-21T10:00:01Z";
    bench.task_with("parts", once, minute, sharded, |_| async { Ok(()) });
    bench.task("whole", once, |_| async { Ok(()) });
    bench.start().await;
    pass(20.0).await;
    for message in ["Task started", "Task completed"] {
        let line = lines.one(&[message, " task=parts", " shard=2/3"]);
        assert!(line.contains("task.shard=2/3"), "no span: {line}");
        assert!(!lines.one(&[message, " task=whole"]).contains("shard"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_manual_lists_each_event_of_the_log_with_its_metric() {
    let mut logged = BTreeSet::new();
    for (file, code) in crate::layers::modules() {
        // A cron of its own has a page of its own.
        if ["cli", "config", "bin"]
            .iter()
            .any(|other| file.starts_with(other))
        {
            continue;
        }
        let events = code.split("event = \"").skip(1);
        logged.extend(events.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(logged.contains("run.finished"), "{logged:?}");
    let exported = crate::metrics::exported().await;
    let manual = include_str!("../../docs/operations.md");
    let mut listed = BTreeSet::new();
    for line in manual.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [
            "",
            "DEBUG" | "INFO" | "WARN" | "ERROR",
            _,
            event,
            _,
            metric,
            "",
        ] = cells[..]
        else {
            continue;
        };
        let metric = metric.trim_matches('`');
        assert!(metric.is_empty() || exported.contains_key(metric), "{line}");
        if event != "none" {
            listed.insert(event.trim_matches('`').to_owned());
        }
    }
    assert_eq!(listed, logged);
}

#[tokio::test(start_paused = true)]
async fn lines_of_runs_say_why_they_began_and_how_long_they_took() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let bench = Bench::new();
    let policy = Policy::default().retry(Retry::times(1));
    let minute = Duration::from_secs(60);
    bench.task_with(
        "t",
        "@at 2026-11-21T10:00:01Z",
        minute,
        policy,
        |ctx| async move {
            match ctx.attempt() {
                1 => Err(TaskError::new("sold out")),
                _ => {
                    pass(0.25).await;
                    Ok(())
                }
            }
        },
    );
    bench.start().await;
    pass(30.0).await;
    lines.one(&["INFO", "Task started", " task=t", "trigger=\"schedule\""]);
    let retried = lines.one(&["WARN", "Task attempt failed, trying again", "attempt=1"]);
    // It is of the attempt that failed.
    assert!(
        retried.contains(":attempt{") && retried.contains("attempt 1"),
        "{retried}"
    );
    let done = lines.one(&["INFO", "Task completed", " attempt=2", " duration_s="]);
    assert!(!done.contains(":attempt{"), "{done}");
    let part = done.split(" duration_s=").nth(1).unwrap();
    let seconds: f64 = part.split(' ').next().unwrap().parse().unwrap();
    assert!((0.25..30.0).contains(&seconds), "{done}");
}
