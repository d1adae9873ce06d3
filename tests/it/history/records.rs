//! What is kept of a run.

use super::*;

#[tokio::test(start_paused = true)]
async fn each_end_of_a_run_has_its_record() {
    let (bench, history) = bench(|builder| builder.shutdown_grace(Duration::ZERO));
    bench.task("fine", ONCE, |_| async { Ok(()) });
    bench.task("fails", ONCE, |_| async { Err(nested()) });
    bench.task("panics", ONCE, |_| async { panic!("no luck") });
    let retried = Policy::default().retry(Retry::times(2).first_wait(seconds(2)));
    bench.task_with("retried", ONCE, seconds(60), retried, |ctx| async move {
        match ctx.attempt() {
            1 => Err(nested()),
            2 => panic!("again"),
            _ => Ok(()),
        }
    });
    bench.task_with("late", ONCE, seconds(2), Policy::default(), |_| async {
        std::future::pending().await
    });
    bench.task("stopped", ONCE, |_| async { std::future::pending().await });
    bench.start().await;
    pass(3.0).await;
    let running = last(&history, "stopped").await;
    assert!(running.is_running() && running.ended.is_none());
    assert_eq!(history.running(Some("api-1")).await.unwrap().len(), 3);
    pass(27.0).await;
    bench.scheduler.stop().await;

    let fine = last(&history, "fine").await;
    assert_eq!(fine.outcome, Some(Outcome::Success));
    assert_eq!(fine.error, None);
    assert_eq!(fine.instance, "api-1");
    assert_eq!(fine.trigger, Trigger::Schedule);
    assert_eq!(fine.attempts.len(), 1);
    let started = bench.seen.starts("fine").remove(0);
    assert_eq!(fine.run_id, started.run_id);
    assert_eq!(fine.fire_time, started.fire_time);
    assert_eq!(fine.started, started.started);
    assert_eq!(fine.fencing_token, started.fencing_token);

    let fails = last(&history, "fails").await;
    assert_eq!(fails.outcome, Some(Outcome::Failure));
    let error = fails.error.unwrap();
    assert_eq!(error.message, "cannot report");
    assert_eq!(error.causes, ["no route to host"]);

    let retried = last(&history, "retried").await;
    assert_eq!(retried.outcome, Some(Outcome::Success));
    let told: Vec<_> = retried
        .attempts
        .iter()
        .map(|a| (a.number, a.error.as_ref().map(|e| e.to_string())))
        .collect();
    assert_eq!(
        told,
        [
            (1, Some("cannot report: no route to host".to_owned())),
            (2, Some("panicked: again".to_owned())),
            (3, None)
        ]
    );
    assert!(
        retried
            .attempts
            .windows(2)
            .all(|pair| pair[0].started < pair[1].started)
    );

    for (task, outcome, error) in [
        ("panics", Outcome::Panicked, "panicked: no luck"),
        ("late", Outcome::Timeout, "timed out after 2s"),
        (
            "stopped",
            Outcome::Cancelled,
            "cancelled by the scheduler's shutdown",
        ),
    ] {
        let run = last(&history, task).await;
        assert_eq!(run.outcome, Some(outcome), "{task}");
        assert_eq!(run.error.unwrap().to_string(), error);
        assert!(run.ended.unwrap() >= run.started);
    }
    assert_eq!(history.running(None).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_in_the_record() {
    let (clock, lock, history) = parts();
    let lock = ScriptedLock::new(lock);
    lock.always(LockOperation::Renew, Fault::Taken);
    let kept = history.clone();
    let bench = Bench::on(clock, lock, |builder| builder.history(kept));
    bench.task("t", ONCE, |_| async { std::future::pending().await });
    bench.start().await;
    pass(30.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.outcome, Some(Outcome::LeaseLost));
    assert!(run.error.unwrap().message.contains("taken"));
}

#[tokio::test(start_paused = true)]
async fn without_a_history_nothing_is_kept_and_nothing_is_missing() {
    let bench = Bench::new();
    bench.task("t", ONCE, |ctx| async move {
        ctx.progress(1, 2);
        ctx.status("half");
        Ok(())
    });
    bench.start().await;
    pass(3.0).await;
    assert_eq!(bench.seen.outcomes("t"), [Outcome::Success]);
    let handle = bench.scheduler.handle();
    assert!(handle.history().is_none());
    let error = handle.why("t", bench.now()).await.unwrap_err();
    assert!(error.to_string().contains("SchedulerBuilder::history"));
}

#[tokio::test(start_paused = true)]
async fn hostile_errors_are_cut_and_escaped() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        ctx.status("\u{1b}]0;x\u{7}\n".repeat(1_000));
        Err(TaskError::new(format!(
            "\u{1b}[2J\u{202e}<script>{}",
            "x".repeat(1_000_000)
        )))
    });
    bench.start().await;
    pass(3.0).await;
    let run = last(&history, "t").await;
    let message = run.error.unwrap().message;
    assert!(message.len() < 5_000, "{}", message.len());
    assert!(
        message.starts_with("\\u{1b}[2J\\u{202e}<script>x"),
        "{}",
        &message[..60]
    );
    let status = run.status.unwrap();
    assert!(
        status.len() < 300 && !status.contains(char::is_control),
        "{status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_names_the_type_of_an_error_and_the_trace() {
    let count = Arc::new(AtomicBool::new(false));
    let (bench, history) = bench(move |builder| {
        // One that panics knows none.
        builder.trace_id(move || match count.swap(true, Ordering::Relaxed) {
            false => Some("4bf92f3577b34da6\n".repeat(9)),
            true => panic!("no trace"),
        })
    });
    let retried = Policy::default().retry(Retry::times(1).first_wait(seconds(1)));
    bench.task_with("t", ONCE, seconds(60), retried, |_| async { Err(nested()) });
    bench.task("said", "@at 2026-11-21T10:00:20Z", |_| async {
        Err(TaskError::new("sold out"))
    });
    bench.start().await;
    pass(40.0).await;
    let run = last(&history, "t").await;
    let name = Some("tasklock::error::Error");
    let type_of = |failure: &Option<tasklock::Failure>| failure.clone().unwrap().type_name;
    assert_eq!(type_of(&run.error).as_deref(), name);
    assert_eq!(run.attempts.len(), 2);
    let all = run.attempts.iter();
    assert!(all.map(|a| type_of(&a.error)).all(|n| n.as_deref() == name));
    let trace = run.trace_id.unwrap();
    assert!(
        trace.starts_with("4bf92f3577b34da6") && trace.len() <= 80,
        "{trace:?}"
    );
    assert!(!trace.chars().any(char::is_control), "{trace:?}");
    let run = last(&history, "said").await;
    assert_eq!((type_of(&run.error), run.trace_id), (None, None));
}
