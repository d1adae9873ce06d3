//! Metrics as an application sees them: a scheduler that works, and the text.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tasklock::chrono::TimeDelta;
use tasklock::{
    BaseTask, By, Event, Histograms, MemoryFleet, MemoryHistory, MemoryLock, Metrics, Observer,
    PauseFor, Policy, RunNow, TaskError,
};

use crate::support::lines::Lines;
use crate::support::promtool::check_metrics;
use crate::support::web::{Ask, open};
use crate::support::{Away, Bench, ScriptedHistory, SwitchedFleet, clock_and_lock, instance, pass};

fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in:\n{text}"))
        .parse()
        .unwrap()
}

async fn worked() -> (Bench, Metrics) {
    let metrics = Metrics::new().unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    bench.task("good", "*/10 * * * * *", |_| async { Ok(()) });
    bench.task("bad", "*/20 * * * * *", |_| async {
        Err(TaskError::new("sold out"))
    });
    bench.task("long", "*/15 * * * * *", |_| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(())
    });
    let never = BaseTask::new("never", "0 0 0 31 2 *", Duration::from_secs(1), |_| async {
        Ok(())
    });
    bench
        .scheduler
        .register(never.policy(Policy::default()))
        .unwrap();
    bench.start().await;
    pass(59.5).await;
    (bench, metrics)
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_work_is_counted() {
    let (bench, metrics) = worked().await;
    let text = metrics.encode().unwrap();
    let of = |series: &str| value(&text, series);

    assert_eq!(
        of("task_runs_total{outcome=\"success\",task_name=\"good\"}"),
        5.0
    );
    assert_eq!(
        of("task_firings_total{decision=\"started\",task_name=\"good\"}"),
        5.0
    );
    assert_eq!(of("task_errors_total{task_name=\"good\"}"), 0.0);
    assert_eq!(of("task_errors_total{task_name=\"bad\"}"), 2.0);
    assert_eq!(of("task_duration_seconds_count{task_name=\"bad\"}"), 2.0);
    // Due at 15 and 45; the instant at 30 came while the first run went on.
    assert_eq!(
        of("task_firings_total{decision=\"overlap\",task_name=\"long\"}"),
        1.0
    );
    assert_eq!(of("task_running{task_name=\"long\"}"), 1.0);
    assert_eq!(of("task_duration_seconds_sum{task_name=\"long\"}"), 20.0);
    assert_eq!(
        of("task_next_fire_timestamp_seconds{task_name=\"never\"}"),
        f64::INFINITY
    );

    let now = bench.now().timestamp() as f64;
    let last = of("task_last_success_timestamp_seconds{task_name=\"good\"}");
    assert!((now - 10.0..=now).contains(&last), "{last} {now}");
    let next = of("task_next_fire_timestamp_seconds{task_name=\"good\"}");
    assert!((now..=now + 10.0).contains(&next), "{next} {now}");

    assert!(of("task_lock_operations_total{operation=\"acquire\",result=\"ok\"}") >= 9.0);
    assert!(of("task_lock_operations_total{operation=\"release\",result=\"ok\"}") >= 8.0);
    assert!(now - of("task_scheduler_last_wake_timestamp_seconds") <= 1.0);
    assert_eq!(of("task_scheduler_running"), 1.0);
    bench.scheduler.stop().await;
    assert_eq!(
        value(&metrics.encode().unwrap(), "task_scheduler_running"),
        0.0
    );
}

#[tokio::test(start_paused = true)]
async fn promtool_finds_nothing_to_say() {
    let (_bench, metrics) = worked().await;
    check_metrics(&metrics.encode().unwrap());
}

#[tokio::test(start_paused = true)]
async fn steps_of_the_clock_stalls_and_different_specs_are_counted() {
    let (clock, lock) = clock_and_lock();
    let metrics = Metrics::new().unwrap();
    let bench = Bench::on(clock.clone(), lock.clone(), |b| b.metrics(metrics.clone()));
    let other = instance(&clock, lock);
    for (bench, spec) in [(&bench, "*/20 * * * * *"), (&other, "*/30 * * * * *")] {
        bench.task("differs", spec, |_| async { Ok(()) });
        bench.start().await;
    }
    pass(0.5).await;
    let of = |series: &str| value(&metrics.encode().unwrap(), series);
    let counts = || {
        [
            of("task_clock_steps_total"),
            of("task_timer_stalls_total"),
            of("task_spec_conflicts_total{task_name=\"differs\"}"),
        ]
    };
    assert_eq!(counts(), [0.0, 0.0, 0.0]);
    clock.step(TimeDelta::seconds(3));
    pass(1.1).await;
    assert_eq!(counts()[0], 1.0);
    clock.suspend(Duration::from_secs(5));
    pass(1.1).await;
    assert_eq!(counts()[1], 1.0);
    pass(120.0).await;
    let [steps, stalls, conflicts] = counts();
    assert_eq!((steps, stalls), (1.0, 1.0));
    assert!(conflicts >= 2.0, "{conflicts}");
}

/// An instance of a fleet with everything that has metrics.
async fn complete() -> (Bench, Metrics) {
    complete_with(Metrics::new().unwrap()).await
}

async fn complete_with(metrics: Metrics) -> (Bench, Metrics) {
    let (clock, lock) = clock_and_lock();
    let history = MemoryHistory::with_clock(clock.clone());
    let fleet = MemoryFleet::with_clock(clock.clone());
    let kept = metrics.clone();
    let bench = Bench::on(clock, lock, |builder| {
        builder.metrics(kept).history(history).fleet(fleet)
    });
    bench.task("t", "0 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(75.0).await;
    (bench, metrics)
}

/// How many series a task has, and how many there are that are of none.
fn series(metrics: &Metrics) -> (usize, usize) {
    let text = metrics.encode().unwrap();
    let all = text.lines().filter(|line| !line.starts_with('#'));
    let (of_task, others): (Vec<&str>, Vec<&str>) =
        all.partition(|line| line.contains("task_name=\"t\""));
    (of_task.len(), others.len())
}

#[tokio::test(start_paused = true)]
async fn a_task_has_as_many_series_as_the_manual_says() {
    let counted = async |histograms: Histograms| {
        let alone = Metrics::new().unwrap().with_histograms(histograms);
        let bench = Bench::with(
            |clock| MemoryLock::with_clock(clock),
            |builder| builder.metrics(alone.clone()),
        );
        bench.task("t", "0 * * * * *", |_| async { Ok(()) });
        let with_all = Metrics::new().unwrap().with_histograms(histograms);
        let (_bench, with_all) = complete_with(with_all).await;
        (series(&alone).0, series(&with_all))
    };
    let (alone, (of_task, others)) = counted(Histograms::Classic).await;
    let (without, (all_without, _)) = counted(Histograms::Off).await;
    assert_eq!(all_without - without, of_task - alone);
    let manual = include_str!("../../docs/operations.md").replace('\n', " ");
    for told in [
        format!("A task has {alone} series on each instance, {of_task} with a history and a fleet"),
        format!("all that is not of a task makes {others}"),
        format!("leaves {without} of a task, {all_without} with a history and a fleet"),
    ] {
        assert!(manual.contains(&told), "the manual does not say: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_histograms_there_are_sums_and_counts() {
    let metrics = Metrics::new().unwrap().with_histograms(Histograms::Off);
    let metrics = metrics.with_duration_buckets(&[1.0]).unwrap();
    let (_bench, metrics) = complete_with(metrics).await;
    let text = metrics.encode().unwrap();
    for name in ["task_duration_seconds", "task_start_delay_seconds"] {
        assert!(text.contains(&format!("# TYPE {name} summary\n")), "{text}");
        assert!(!text.contains(&format!("{name}_bucket")), "{text}");
        let count = value(&text, &format!("{name}_count{{task_name=\"t\"}}"));
        assert_eq!(count, 1.0);
        value(&text, &format!("{name}_sum{{task_name=\"t\"}}"));
    }
    check_metrics(&text);
}

/// What nobody else counts: what is wrong with specs and the store, and who panics.
#[tokio::test(start_paused = true)]
async fn warnings_of_no_task_are_counted() {
    struct Panics;
    impl Observer for Panics {
        fn on_event(&self, event: &Event) {
            if matches!(event, Event::RunStarted { .. }) {
                panic!("an observer");
            }
        }
    }
    let metrics = Metrics::new().unwrap().with_task_limit(100);
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()).observer(Panics),
    );
    let of = |series: &str| value(&metrics.encode().unwrap(), series);
    let lint = |word: &str| of(&format!("task_lints_total{{lint=\"{word}\"}}"));
    assert_eq!(
        [lint("dst_gap"), of("task_observer_panics_total")],
        [0.0; 2]
    );
    bench.task("never", "0 0 31 2 *", |_| async { Ok(()) });
    bench.task("moved", "TZ=Europe/Berlin 30 2 * * *", |_| async { Ok(()) });
    bench.task("soon", "@at 2026-11-21T10:00:01Z", |_| async { Ok(()) });
    for n in 0..100 {
        bench.task(&format!("nightly-{n}"), "0 0 1 * * *", |_| async { Ok(()) });
    }
    assert_eq!([lint("never_fires"), lint("dst_gap")], [1.0; 2]);
    assert_eq!(lint("collision"), 0.0);
    assert_eq!(of("task_metrics_folded_total"), 3.0);
    let ask = Ask::new("POST", "/api/v1/tasks/soon/runs").by("viewer");
    let ask = ask.json(serde_json::json!({ "reason": "now" }));
    assert_eq!(ask.of(&open(&bench)).await.status, 403);
    assert_eq!(of("task_admin_denied_total"), 1.0);
    bench.start().await;
    pass(5.0).await;
    assert_eq!(lint("collision"), 1.0);
    assert_eq!(of("task_observer_panics_total"), 1.0);
    assert_eq!(of("task_lock_store_findings{severity=\"error\"}"), 0.0);
}

/// Of each metric that there is, its type and its labels.
pub async fn exported() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let (_bench, metrics) = complete().await;
    let text = metrics.encode().unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').unwrap();
            found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
        let Some((series, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let ends = ["", "_bucket", "_sum", "_count"];
        let mut names = ends.iter().filter_map(|end| series.strip_suffix(end));
        let name = names.find(|name| found.contains_key(*name));
        let (_, known) = found.get_mut(name.unwrap()).unwrap();
        for label in labels.split_once('}').unwrap().0.split("\",") {
            let label = label.split_once('=').unwrap().0;
            if label != "le" {
                known.insert(label.to_owned());
            }
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn the_manual_lists_what_is_exported_and_nothing_else() {
    let manual = include_str!("../../docs/operations.md");
    let mut listed = BTreeMap::new();
    for line in manual.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [
            "",
            name,
            kind @ ("counter" | "gauge" | "histogram"),
            labels,
            ..,
        ] = cells[..]
        {
            let words = |text: &str| -> BTreeSet<String> {
                let words = text
                    .split(", ")
                    .map(|word| word.trim_matches('`').to_owned());
                words.filter(|word| !word.is_empty()).collect()
            };
            let name = name.trim_matches('`').to_owned();
            listed.insert(name, (kind.to_owned(), words(labels)));
        }
    }
    assert_eq!(listed, exported().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_by_an_instance_is_counted_there_and_what_one_does_is_too() {
    let (bench, metrics) = complete().await;
    let handle = bench.scheduler.handle();
    let by = By::new("ana", "a test").unwrap();
    let control = handle.control().unwrap();
    let of = |action: &str, result: &str| {
        let text = metrics.encode().unwrap();
        let labels = format!("action=\"{action}\",result=\"{result}\"");
        value(&text, &format!("task_admin_actions_total{{{labels}}}"))
    };
    assert_eq!(of("pause", "asked"), 0.0);
    control.pause(PauseFor::task("t", &by)).await.unwrap();
    assert_eq!(of("pause", "asked"), 1.0);
    pass(2.0).await;
    control.run(RunNow::new("t", &by)).await.unwrap();
    assert_eq!((of("run", "asked"), of("run", "refused")), (1.0, 1.0));
    control.resume(Some("t"), &by).await.unwrap();
    pass(2.0).await;
    control.run(RunNow::new("t", &by)).await.unwrap();
    assert_eq!((of("run", "asked"), of("run", "done")), (2.0, 1.0));
    let nobody = RunNow::new("t", &by).on("gone:1");
    control.run(nobody).await.unwrap();
    assert_eq!((of("run", "asked"), of("run", "not_taken")), (3.0, 1.0));
    // Of the same fleet, and not of an instance.
    let lines = Lines::default();
    let _guard = lines.listen();
    control.drain(handle.instance(), &by).await.unwrap();
    lines.one(&[
        "INFO",
        "Somebody steers the fleet",
        "admin.action",
        "action=\"drain\"",
        "actor=\"ana\"",
    ]);
    assert_eq!(of("drain", "asked"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn each_request_to_a_store_that_fails_is_counted() {
    let metrics = Metrics::new().unwrap();
    let (clock, lock) = clock_and_lock();
    let history = ScriptedHistory::new(MemoryHistory::with_clock(clock.clone()));
    let fleet = SwitchedFleet::away();
    let (kept, steered) = (history.clone(), fleet.clone());
    let bench = Bench::on(clock, lock, |builder| {
        builder
            .metrics(metrics.clone())
            .history(kept)
            .fleet(steered)
    });
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    let of = |operation: &str| {
        let text = metrics.encode().unwrap();
        value(
            &text,
            &format!("task_store_errors_total{{operation=\"{operation}\"}}"),
        )
    };
    assert_eq!([of("fleet"), of("tasks"), of("history_write")], [0.0; 3]);
    history.set(Away::Fails);
    bench.start().await;
    pass(20.0).await;
    // The log tells the first only.
    assert!(of("fleet") >= 10.0, "{}", of("fleet"));
    assert!(of("tasks") >= 5.0, "{}", of("tasks"));
    assert!(of("history_write") >= 4.0, "{}", of("history_write"));
    assert!(of("history_read") >= 1.0, "{}", of("history_read"));
    history.set(Away::No);
    fleet.set(Some(MemoryFleet::new()));
    pass(20.0).await;
    let all = || ["fleet", "tasks", "history_write", "history_read"].map(of);
    let counted = all();
    pass(30.0).await;
    assert_eq!(all(), counted);
}

#[tokio::test(start_paused = true)]
async fn buckets_can_be_others_or_none() {
    let metrics = Metrics::new().unwrap();
    let metrics = metrics.with_duration_buckets(&[15.0, 30.0]).unwrap();
    let metrics = metrics.with_start_delay_buckets(&[]).unwrap();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.metrics(metrics.clone()),
    );
    bench.task("t", "@at 2026-11-21T10:00:01Z", |_| async {
        pass(20.0).await;
        Ok(())
    });
    bench.start().await;
    pass(30.0).await;
    let text = metrics.encode().unwrap();
    let durations: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("task_duration_seconds_bucket"))
        .collect();
    assert_eq!(
        durations,
        [
            "task_duration_seconds_bucket{task_name=\"t\",le=\"15\"} 0",
            "task_duration_seconds_bucket{task_name=\"t\",le=\"30\"} 1",
            "task_duration_seconds_bucket{task_name=\"t\",le=\"+Inf\"} 1",
        ]
    );
    let delays = text.matches("\ntask_start_delay_seconds_bucket").count();
    assert_eq!(delays, 1, "{text}");
    assert_eq!(
        value(&text, "task_start_delay_seconds_count{task_name=\"t\"}"),
        1.0
    );
    check_metrics(&text);
    for refused in [
        &[2.0, 1.0][..],
        &[1.0, 1.0],
        &[f64::NAN],
        &[f64::INFINITY],
        &[0.5; 101],
    ] {
        let error = Metrics::new()
            .unwrap()
            .with_duration_buckets(refused)
            .unwrap_err();
        assert!(
            error.to_string().contains("task_duration_seconds"),
            "{error}"
        );
    }
}
