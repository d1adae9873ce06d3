//! Metrics as an application sees them: a scheduler that works, and the text.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tasklock::chrono::TimeDelta;
use tasklock::{BaseTask, MemoryLock, Metrics, Policy, TaskError};

use crate::support::{Bench, clock_and_lock, instance, pass};

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
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    let text = metrics.encode().unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
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
