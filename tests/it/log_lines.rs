//! The log lines that people search for, word for word, and the metric beside each.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::{MemoryLock, Metrics, Policy, TaskError};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Bench, pass};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// The one line that has all of `parts`.
    fn one(&self, parts: &[&str]) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        let found: Vec<&str> = text.lines().filter(fits).collect();
        assert_eq!(found.len(), 1, "{parts:?} in\n{text}");
        found[0].to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn each_end_of_a_run_has_its_line_and_its_metric() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
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
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
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
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
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
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("WARN").count(), 2, "{text}");
}
