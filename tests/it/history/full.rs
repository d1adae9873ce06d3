//! A history that is away, slow or full.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_history_that_is_away_delays_nothing_and_what_it_misses_comes_later() {
    for away in [Away::Fails, Away::Hangs] {
        let lines = Lines::default();
        let _guard = lines.listen();
        let (bench, history) = bench(|builder| builder);
        bench.task("t", "* * * * * *", |_| async { Ok(()) });
        history.set(away);
        bench.start().await;
        pass(60.5).await;
        let starts = bench.seen.starts("t");
        assert_eq!(starts.len(), 60);
        assert!(
            starts
                .iter()
                .all(|run| run.lateness < Duration::from_millis(20))
        );
        assert_eq!(runs(&history, "t").await, []);
        lines.one(&["WARN", "history.down"]);
        history.set(Away::No);
        pass(20.0).await;
        assert!(runs(&history, "t").await.len() >= 75, "{away:?}");
        let dropped = bench.seen.events();
        assert!(
            !dropped
                .iter()
                .any(|e| matches!(e, Event::HistoryDropped { .. }))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_dropped_counted_and_told_once_a_minute() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let metrics = Metrics::new().unwrap();
    let counted = metrics.clone();
    let (bench, history) = bench(|builder| builder.metrics(counted));
    for n in 0..40 {
        bench.task(&format!("t{n}"), "* * * * * *", |_| async {
            Err(TaskError::new("x".repeat(4_000)))
        });
    }
    history.set(Away::Fails);
    bench.start().await;
    pass(100.5).await;
    let dropped = |kind: RecordKind| -> u64 {
        let events = bench.seen.events();
        let of = events.iter().filter_map(|event| match event {
            Event::HistoryDropped { kind: k, count } if *k == kind => Some(*count),
            _ => None,
        });
        of.sum()
    };
    // 4 000 runs of 9 kB do not fit into 16 MiB.
    let ended: usize = (0..40)
        .map(|n| bench.seen.outcomes(&format!("t{n}")).len())
        .sum();
    assert_eq!(ended, 4_000);
    let warnings = lines.text().matches("history.dropped").count();
    assert!((1..=2).contains(&warnings), "{warnings}");
    history.set(Away::No);
    bench.scheduler.stop().await;
    let mut kept = 0;
    for n in 0..40 {
        kept += runs(&history, &format!("t{n}"))
            .await
            .iter()
            .filter(|r| !r.is_running())
            .count() as u64;
    }
    let dropped = dropped(RecordKind::Run);
    assert!(dropped > 1_000 && kept > 1_000, "{dropped} {kept}");
    // Nothing is lost that is not counted.
    assert!(dropped + kept >= 4_000, "{dropped} {kept}");
    let text = metrics.encode().unwrap();
    let line = format!("task_history_dropped_total{{kind=\"run\"}} {dropped}");
    assert!(text.lines().any(|l| l == line), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_refuses_for_good_is_given_up_and_counted() {
    let (bench, history) = bench(|builder| builder);
    bench.task("t", "* * * * * *", |_| async { Ok(()) });
    history.set(Away::Denied);
    bench.start().await;
    pass(120.5).await;
    let events = bench.seen.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::HistoryDropped { .. }))
    );
    history.set(Away::No);
    pass(10.0).await;
    assert!(runs(&history, "t").await.len() > 5);
}

#[tokio::test(start_paused = true)]
async fn short_runs_are_written_once_and_together() {
    let (bench, history) = bench(|builder| builder);
    for n in 0..50 {
        bench.task(&format!("t{n}"), ONCE, |_| async { Ok(()) });
    }
    bench.start().await;
    pass(10.0).await;
    let calls = history.calls();
    let written: usize = calls.iter().sum();
    // Fifty records of runs, a sign of life, and since when the fifty are known.
    assert!((51..=102).contains(&written), "{calls:?}");
    assert!(calls.len() <= 5, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn firings_that_others_have_are_written_rarely() {
    let (clock, lock, history) = parts();
    let instance = |id: &'static str| {
        let kept = history.clone();
        let bench = Bench::on(clock.clone(), lock.clone(), move |builder| {
            builder.history(kept).instance_id(id)
        });
        for n in 0..20 {
            bench.task(&format!("t{n}"), "* * * * * *", |_| async { Ok(()) });
        }
        bench
    };
    let benches = ["a", "b", "c", "d"].map(instance);
    for bench in &benches {
        bench.start().await;
    }
    pass(60.5).await;
    let elsewhere: usize = benches
        .iter()
        .map(|bench| {
            let of = |n: usize| bench.seen.decisions(&format!("t{n}"));
            let all = (0..20).flat_map(of);
            all.filter(|d| *d == Decision::FiredElsewhere).count()
        })
        .sum();
    assert_eq!(elsewhere, 3 * 20 * 60);
    for bench in &benches {
        bench.scheduler.stop().await;
    }
    let (mut records, mut told) = (0, 0);
    for n in 0..20 {
        let decisions = history
            .decisions(&format!("t{n}").parse().unwrap())
            .await
            .unwrap();
        records += decisions.len();
        told += decisions.iter().map(|d| d.count).sum::<u64>();
    }
    assert_eq!(told, 3 * 20 * 60);
    assert!(records < 3 * 20 * 60 / 4, "{records}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_is_left_and_waits_no_longer_than_it_may() {
    for (away, kept) in [(Away::No, 1), (Away::Hangs, 0)] {
        let (bench, history) = bench(|builder| builder);
        bench.task("t", ONCE, |_| async { Ok(()) });
        bench.start().await;
        pass(1.01).await;
        history.set(away);
        let begun = bench.now();
        bench.scheduler.stop().await;
        assert!(
            (bench.now() - begun).num_milliseconds() <= 2_100,
            "{away:?}"
        );
        assert_eq!(runs(&history, "t").await.len(), kept);
        let dropped = bench.seen.events().iter().any(|e| {
            matches!(
                e,
                Event::HistoryDropped {
                    kind: RecordKind::Run,
                    count: 1
                }
            )
        });
        assert_eq!(dropped, kept == 0);
    }
}
