//! What a run says of itself: status, progress, lines.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_status_is_read_while_its_run_goes_on_and_written_once_a_second() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        for n in 1..=1_000 {
            ctx.progress(n, 1_000);
            ctx.status(format!("part {n}"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending().await
    });
    bench.start().await;
    pass(6.0).await;
    let run = bench.seen.starts("t")[0].run_id;
    let said = history.run(run).await.unwrap().unwrap();
    let progress = said.progress.unwrap();
    assert!((250..=500).contains(&progress.done), "{progress}");
    assert_eq!(said.status.unwrap(), format!("part {}", progress.done));
    pass(7.0).await;
    let said = history.run(run).await.unwrap().unwrap();
    assert_eq!(said.progress.unwrap().to_string(), "1000 of 1000");
    // Ten seconds of it, the start, a sign of life, and since when the task is known.
    let calls = history.calls();
    assert!(calls.iter().sum::<usize>() <= 16, "{calls:?}");
    // It said nothing more.
    pass(16.0 * 60.0).await;
    let said = history.run(run).await.unwrap();
    assert!(said.is_none_or(|run| run.status.is_none() || !run.is_running()));
}

#[tokio::test(start_paused = true)]
async fn what_a_run_said_last_is_in_its_record() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", ONCE, |ctx| async move {
        ctx.status("first");
        ctx.progress(3, 0);
        ctx.status("last");
        Ok(())
    });
    bench.start().await;
    pass(5.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.status.as_deref(), Some("last"));
    assert_eq!(run.progress.unwrap().to_string(), "3");
}

#[tokio::test(start_paused = true)]
async fn what_a_run_logs_is_kept_with_it() {
    let layer = RunLogLayer::new().without("quiet").secret("pin");
    Lines::among_others();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.clone()));
    let (bench, history) = bench(|builder| builder.run_logs(&layer));
    for task in ["t", "quiet"] {
        bench.task(task, ONCE, |_| async {
            tracing::info!(
                user = "ana",
                api_key = "k-1",
                db_password = "p",
                pin = 7,
                "signed in"
            );
            tracing::debug!("too fine");
            tracing::warn!("\u{1b}[2J {}", "x".repeat(1_000_000));
            let span = tracing::info_span!("part");
            span.in_scope(|| tracing::error!(error = "a\nb", "in a part"));
            Ok(())
        });
    }
    bench.task("many", ONCE, |_| async {
        for n in 1..=1_000 {
            tracing::info!(n, "step");
        }
        Ok(())
    });
    bench.start().await;
    tracing::info!("outside of any run");
    pass(5.0).await;
    let log = async |task: &str, after| {
        let run = last(&history, task).await.run_id;
        history.log(run, after).await.unwrap()
    };
    let kept = log("t", 0).await;
    let texts: Vec<&str> = kept.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!(
        texts[0],
        "signed in user=ana api_key=••• db_password=••• pin=•••"
    );
    assert!(texts[1].starts_with("\\u{1b}[2J xxx") && texts[1].len() < 10_000);
    assert_eq!(texts[2], "in a part error=a\nb");
    let levels: Vec<&str> = kept.lines.iter().map(|line| line.level.as_str()).collect();
    assert_eq!(levels, ["INFO", "WARN", "ERROR"]);
    assert!(!kept.is_cut && kept.lines[0].target.ends_with("history::said"));
    assert_eq!(log("quiet", 0).await.lines, []);
    let many = log("many", 0).await;
    assert!(many.is_cut);
    let numbers: Vec<u64> = many.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (801..=1_000).collect::<Vec<u64>>());
    assert_eq!(log("many", 995).await.lines.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_line_is_read_while_its_run_goes_on() {
    let layer = RunLogLayer::new().level(tracing::Level::DEBUG);
    Lines::among_others();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.clone()));
    let (bench, history) = bench(|builder| builder.run_logs(&layer));
    bench.task("t", ONCE, |_| async {
        tracing::debug!("begun");
        std::future::pending().await
    });
    bench.start().await;
    pass(4.0).await;
    let run = last(&history, "t").await;
    assert!(run.is_running());
    let log = history.log(run.run_id, 0).await.unwrap();
    assert_eq!(log.lines.len(), 1);
    assert_eq!(log.lines[0].text, "begun");
}
