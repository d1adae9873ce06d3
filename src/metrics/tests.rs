//! What events make of the series.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::table::{INFO, NEXT_FIRE, TABLE, TASK};
use super::*;
use crate::event::{Decision, LeaseLoss, Outcome, RunFacts};
use crate::task::{Overlap, RunId};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn registered(task: &str) -> Event {
    Event::TaskRegistered {
        task: task.parse().unwrap(),
        spec: "0 0 2 * * \"MON\"".into(),
        timezone: chrono_tz::Asia::Shanghai,
        overlap: Overlap::Skip,
        next_fire: None,
        lints: Arc::default(),
    }
}

fn run(task: &str, attempt: u32) -> RunFacts {
    RunFacts {
        task: task.parse().unwrap(),
        run_id: RunId::new(at("2026-11-21T10:00:00Z"), 1),
        fire_time: at("2026-11-21T10:00:00Z"),
        attempt,
        fencing_token: crate::lock::FencingToken::new(7),
        started: at("2026-11-21T10:00:00.500Z"),
        lateness: Duration::from_millis(500),
        shard: None,
        trigger: crate::event::Trigger::Schedule,
        request: None,
        trace_id: None,
    }
}

fn finished(task: &str, outcome: Outcome) -> Event {
    Event::RunFinished {
        run: run(task, 1),
        outcome,
        duration: Duration::from_secs(2),
        error: None,
        causes: Arc::default(),
        error_type: None,
        at: at("2026-11-21T10:00:02.500Z"),
    }
}

fn text_after(events: impl IntoIterator<Item = Event>) -> String {
    let metrics = Metrics::new().unwrap();
    for event in events {
        metrics.on_event(&event);
    }
    metrics.encode().unwrap()
}

fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|l| l == line),
        "no line {line:?} in:\n{text}"
    );
}

#[test]
fn all_series_of_a_task_are_there_at_zero_from_its_registration() {
    let text = text_after([registered("a.b")]);
    for outcome in Outcome::ALL {
        let labels = format!("outcome=\"{outcome}\",task_name=\"a.b\"");
        has(&text, &format!("task_runs_total{{{labels}}} 0"));
    }
    for decision in Decision::ALL {
        let labels = format!("decision=\"{decision}\",task_name=\"a.b\"");
        has(&text, &format!("task_firings_total{{{labels}}} 0"));
    }
    for metric in TABLE
        .iter()
        .filter(|m| m.labels == [TASK] && m.buckets.is_empty())
        // There once the history was read.
        .filter(|m| !m.help.starts_with("Shared: "))
    {
        let value = if metric.name == NEXT_FIRE.name {
            "+Inf"
        } else {
            "0"
        };
        has(
            &text,
            &format!("{}{{task_name=\"a.b\"}} {value}", metric.name),
        );
    }
    has(&text, "task_duration_seconds_count{task_name=\"a.b\"} 0");
    has(&text, "task_start_delay_seconds_count{task_name=\"a.b\"} 0");
    has(
        &text,
        "task_info{overlap=\"skip\",schedule=\"0 0 2 * * \\\"MON\\\"\",task_name=\"a.b\",\
         timezone=\"Asia/Shanghai\"} 1",
    );
}

#[test]
fn what_belongs_to_no_task_is_there_before_any_event() {
    let text = text_after([]);
    for operation in LockOperation::ALL {
        for result in ["ok", "contended", "lost", "error"] {
            has(
                &text,
                &format!(
                    "task_lock_operations_total{{operation=\"{operation}\",result=\"{result}\"}} 0"
                ),
            );
        }
    }
    has(&text, "task_scheduler_running 0");
    has(&text, "task_scheduler_last_wake_timestamp_seconds 0");
    has(
        &text,
        &format!(
            "tasklock_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ),
    );
}

#[test]
fn what_is_wrong_with_the_locks_store_is_as_it_was_found_last() {
    let metrics = Metrics::new().unwrap();
    let found = |severities: &[Severity]| {
        let mut diagnosis = crate::lock::Diagnosis::new("a store");
        for severity in severities {
            diagnosis.add(*severity, "clock", "what it is");
        }
        let diagnosis = Arc::new(diagnosis);
        metrics.on_event(&Event::StoreDiagnosed { diagnosis });
        let text = metrics.encode().unwrap();
        let count = |severity: &str| {
            let series = format!("task_lock_store_findings{{severity=\"{severity}\"}} ");
            let value = text.lines().find_map(|l| l.strip_prefix(&series));
            value.unwrap().parse::<u32>().unwrap()
        };
        (count("warning"), count("error"))
    };
    let (ok, warning, error) = (Severity::Ok, Severity::Warning, Severity::Error);
    assert_eq!(found(&[warning, ok, error, warning]), (2, 1));
    assert_eq!(found(&[ok]), (0, 0));
}

#[test]
fn errors_are_the_outcomes_that_are_neither_success_nor_cancelled() {
    for outcome in Outcome::ALL {
        let text = text_after([registered("t"), finished("t", *outcome)]);
        let is_error = !matches!(outcome, Outcome::Success | Outcome::Cancelled);
        let labels = format!("outcome=\"{outcome}\",task_name=\"t\"");
        has(&text, &format!("task_runs_total{{{labels}}} 1"));
        has(
            &text,
            &format!("task_errors_total{{task_name=\"t\"}} {}", is_error as u8),
        );
    }
}

#[test]
fn a_run_is_measured_from_its_start_to_its_end() {
    let metrics = Metrics::new().unwrap();
    metrics.on_event(&registered("t"));
    metrics.on_event(&Event::RunStarted { run: run("t", 2) });
    let text = metrics.encode().unwrap();
    has(&text, "task_running{task_name=\"t\"} 1");
    has(&text, "task_retries_total{task_name=\"t\"} 1");
    has(&text, "task_start_delay_seconds_sum{task_name=\"t\"} 0.5");
    has(
        &text,
        "task_last_start_timestamp_seconds{task_name=\"t\"} 1795255200.5",
    );

    metrics.on_event(&Event::LeaseLost {
        run: run("t", 2),
        cause: LeaseLoss::Taken,
    });
    metrics.on_event(&finished("t", Outcome::LeaseLost));
    let text = metrics.encode().unwrap();
    has(&text, "task_running{task_name=\"t\"} 0");
    has(&text, "task_lease_lost_total{task_name=\"t\"} 1");
    has(
        &text,
        "task_duration_seconds_bucket{task_name=\"t\",le=\"1\"} 0",
    );
    has(
        &text,
        "task_duration_seconds_bucket{task_name=\"t\",le=\"5\"} 1",
    );
    has(&text, "task_last_run_duration_seconds{task_name=\"t\"} 2");
    has(
        &text,
        "task_last_failure_timestamp_seconds{task_name=\"t\"} 1795255202.5",
    );
    has(
        &text,
        "task_last_success_timestamp_seconds{task_name=\"t\"} 0",
    );
}

#[test]
fn an_event_before_the_registration_is_counted() {
    let text = text_after([Event::RunStarted { run: run("t", 1) }, registered("t")]);
    has(&text, "task_running{task_name=\"t\"} 1");
}

#[test]
fn several_answers_of_the_lock_to_one_request_are_counted_each() {
    let text = text_after([Event::LockOperation {
        operation: LockOperation::Acquire,
        results: LockResults {
            ok: 3,
            contended: 2,
            lost: 0,
            error: 1,
        },
        took: Duration::from_millis(2),
    }]);
    let count = |result: &str, n: u32| {
        let labels = format!("operation=\"acquire\",result=\"{result}\"");
        has(
            &text,
            &format!("task_lock_operations_total{{{labels}}} {n}"),
        );
    };
    count("ok", 3);
    count("contended", 2);
    count("lost", 0);
    count("error", 1);
    has(
        &text,
        "task_lock_operation_duration_seconds_count{operation=\"acquire\"} 1",
    );
}

#[test]
fn a_task_registered_again_with_another_spec_has_one_info() {
    let again = Event::TaskRegistered {
        task: "t".parse().unwrap(),
        spec: "@hourly".into(),
        timezone: chrono_tz::UTC,
        overlap: Overlap::Allow(2),
        next_fire: None,
        lints: Arc::default(),
    };
    let text = text_after([registered("t"), again]);
    assert_eq!(
        text.lines().filter(|l| l.starts_with("task_info{")).count(),
        1
    );
    assert!(text.contains("overlap=\"allow\",schedule=\"@hourly\""));
}

#[test]
fn a_name_that_is_taken_is_told_and_leaves_the_registry_as_it_was() {
    let registry = Registry::new();
    let taken = prometheus::IntGauge::new("task_running", "the application's own").unwrap();
    registry.register(Box::new(taken)).unwrap();
    for _ in 0..2 {
        let error = Metrics::register(&registry).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Metrics);
        assert!(
            error.to_string().contains("metric task_running cannot"),
            "{error}"
        );
    }
    assert_eq!(registry.gather().len(), 1);
}

#[test]
fn they_join_the_registry_of_an_application_once() {
    let registry = Registry::new();
    let own = prometheus::IntCounter::new("app_total", "x inf").unwrap();
    registry.register(Box::new(own)).unwrap();
    let metrics = Metrics::register(&registry).unwrap();
    metrics.on_event(&registered("t"));
    let text = metrics.encode().unwrap();
    has(&text, "# HELP app_total x inf");
    has(&text, "app_total 0");
    has(
        &text,
        "task_next_fire_timestamp_seconds{task_name=\"t\"} +Inf",
    );
    assert!(Metrics::register(&registry).is_err());
}

#[test]
fn each_help_says_whose_it_is() {
    for metric in TABLE {
        let begins = [
            "Local: ",
            "Shared: ",
            "Shared, by the schedule: ",
            "Shared with a history, else local: ",
        ];
        assert!(
            begins.iter().any(|b| metric.help.starts_with(b)),
            "{}",
            metric.help
        );
    }
}

#[test]
fn the_manual_lists_every_metric_with_its_labels() {
    let manual = include_str!("../../docs/operations.md");
    for metric in TABLE {
        let labels: Vec<_> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let row = format!("| `{}` | ", metric.name);
        let line = manual.lines().find(|l| l.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row for {}", metric.name));
        assert!(
            line.contains(&format!("| {} |", labels.join(", "))),
            "{line}"
        );
    }
    let rows = manual.lines().filter(|l| {
        l.starts_with("| `task") && l.contains("| gauge |")
            || l.contains("| counter |")
            || l.contains("| histogram |")
    });
    assert_eq!(rows.count(), TABLE.len());
}

#[test]
fn tasks_beyond_the_limit_add_up_in_one_and_a_scrape_stays_bounded() {
    let metrics = Metrics::new().unwrap();
    let name = |n: usize| format!("t{n}");
    for n in 0..=5_000 {
        metrics.on_event(&registered(&name(n)));
    }
    let at_limit = metrics.encode().unwrap().lines().count();
    for n in 5_001..8_000 {
        metrics.on_event(&registered(&name(n)));
    }
    for n in 4_998..5_003 {
        metrics.on_event(&Event::RunStarted {
            run: run(&name(n), 2),
        });
        metrics.on_event(&Event::FiringDecided {
            task: name(n).parse().unwrap(),
            fire_time: at("2026-11-21T10:00:00Z"),
            decision: Decision::Misfired,
            count: 4,
            holder: None,
        });
        metrics.on_event(&Event::NextFire {
            task: name(n).parse().unwrap(),
            at: Some(at("2026-11-21T10:00:10Z")),
        });
    }
    for n in 4_998..5_002 {
        metrics.on_event(&finished(&name(n), Outcome::Failure));
    }
    let text = metrics.encode().unwrap();
    assert_eq!(text.lines().count(), at_limit);
    for n in [4_998, 4_999] {
        let task = format!("task_name=\"t{n}\"");
        has(&text, &format!("task_errors_total{{{task}}} 1"));
        has(
            &text,
            &format!("task_next_fire_timestamp_seconds{{{task}}} 1795255210"),
        );
    }
    let other = |metric: &str, labels: &str, value: &str| {
        has(
            &text,
            &format!("{metric}{{{labels}task_name=\"_other\"}} {value}"),
        );
    };
    other("task_runs_total", "outcome=\"failure\",", "2");
    other("task_runs_total", "outcome=\"success\",", "0");
    other("task_firings_total", "decision=\"misfired\",", "12");
    other("task_errors_total", "", "2");
    other("task_retries_total", "", "3");
    other("task_running", "", "1");
    other("task_start_delay_seconds_count", "", "3");
    other("task_duration_seconds_sum", "", "4");
    other("task_last_failure_timestamp_seconds", "", "1795255202.5");
    for metric in [NEXT_FIRE, INFO] {
        let of_other = |l: &&str| l.starts_with(metric.name) && l.contains("\"_other\"");
        assert_eq!(text.lines().find(of_other), None);
    }
    assert!(!text.contains("\"t5000\""));
}

#[test]
fn how_many_tasks_have_series_of_their_own_is_settable() {
    let metrics = Metrics::new().unwrap().with_task_limit(1);
    for task in ["a", "b", "c"] {
        metrics.on_event(&registered(task));
        metrics.on_event(&finished(task, Outcome::Success));
    }
    let text = metrics.encode().unwrap();
    let runs = |task: &str, n: u32| {
        let labels = format!("outcome=\"success\",task_name=\"{task}\"");
        has(&text, &format!("task_runs_total{{{labels}}} {n}"));
    };
    runs("a", 1);
    runs("_other", 2);
}

#[test]
fn a_task_whose_name_is_that_of_the_others_is_one_of_them() {
    let text = text_after([registered("_other"), finished("_other", Outcome::Success)]);
    has(
        &text,
        "task_runs_total{outcome=\"success\",task_name=\"_other\"} 1",
    );
    assert!(!text.contains("task_info{"));
}

#[test]
fn every_metric_of_tasks_is_read() {
    let of_tasks = TABLE.iter().filter(|m| m.labels.contains(&TASK));
    let names: Vec<&str> = of_tasks.map(|m| m.name).collect();
    let read = task_metric::METRICS.iter().map(|(m, _)| m.name);
    assert_eq!(read.collect::<Vec<_>>(), names);
}

/// A clock that a test sets.
#[derive(Debug, Default)]
struct SetClock(std::sync::atomic::AtomicU64);

impl crate::time::Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

fn counted(task: &str) -> Event {
    let counters = crate::history::Counters {
        last_success: Some(at("2026-11-21T09:00:00Z")),
        last_failure: Some(at("2026-11-21T10:30:00Z")),
        consecutive_failures: 3,
        ..Default::default()
    };
    let counted = crate::history::TaskCounters {
        task: task.parse().unwrap(),
        counters,
        running_since: Some(at("2026-11-21T10:31:00Z")),
        paused_since: Some(at("2026-11-21T10:32:00Z")),
        success_deadline: None,
        interval: Some(Duration::from_secs(60)),
        timeout: Duration::from_secs(300),
    };
    Event::Counted {
        tasks: [counted].into(),
    }
}

#[test]
fn what_is_shared_and_can_fall_is_left_out_when_it_is_old() {
    let clock = Arc::new(SetClock::default());
    let metrics = Metrics::on(&Registry::new(), clock.clone()).unwrap();
    metrics.on_event(&registered("t"));
    let text = metrics.encode().unwrap();
    assert!(!text.contains("task_consecutive_failures{"), "{text}");
    metrics.on_event(&counted("t"));
    metrics.on_event(&Event::FleetSeen {
        instances: 3,
        drifting: ["t".parse().unwrap()].into(),
    });
    let fall = [
        "task_instances 3",
        "task_schedule_drift{task_name=\"t\"} 1",
        "task_consecutive_failures{task_name=\"t\"} 3",
        "task_running_since_timestamp_seconds{task_name=\"t\"} 1795257060",
        "task_paused{task_name=\"t\"} 1",
        "task_paused_since_timestamp_seconds{task_name=\"t\"} 1795257120",
    ];
    let stay = [
        "task_success_deadline_timestamp_seconds{task_name=\"t\"} +Inf",
        "task_schedule_interval_seconds{task_name=\"t\"} 60",
        "task_timeout_seconds{task_name=\"t\"} 300",
        "task_last_success_timestamp_seconds{task_name=\"t\"} 1795251600",
        "task_last_failure_timestamp_seconds{task_name=\"t\"} 1795257000",
    ];
    for (seconds, is_there) in [(60, true), (61, false)] {
        clock.0.store(seconds, std::sync::atomic::Ordering::Relaxed);
        let text = metrics.encode().unwrap();
        for line in stay {
            has(&text, line);
        }
        for line in fall {
            assert_eq!(text.lines().any(|l| l == line), is_there, "{line}\n{text}");
        }
    }
}

#[test]
fn what_is_shared_never_makes_an_instant_fall_and_is_not_folded() {
    let metrics = Metrics::new().unwrap().with_task_limit(1);
    for event in [
        registered("t"),
        registered("folded"),
        Event::RunStarted { run: run("t", 1) },
        finished("t", Outcome::Success),
        counted("t"),
        counted("folded"),
    ] {
        metrics.on_event(&event);
    }
    let text = metrics.encode().unwrap();
    has(
        &text,
        "task_last_success_timestamp_seconds{task_name=\"t\"} 1795255202.5",
    );
    assert!(!text.contains("task_consecutive_failures{task_name=\"_other\"}"));
}
