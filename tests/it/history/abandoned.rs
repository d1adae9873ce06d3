//! Runs whose instance is gone.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_whose_instance_is_gone_is_found_abandoned_by_one_of_two() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let (clock, lock, history) = parts();
    // Its own way to the history breaks once its run is known there.
    let dying = ScriptedHistory::new(history.inner.clone());
    let kept = dying.clone();
    let dead = Bench::on(clock.clone(), lock.clone(), |b| {
        b.history(kept).instance_id("dead")
    });
    let policy = Policy::default;
    dead.task_with("t", ONCE, seconds(36_000), policy(), |_| async {
        std::future::pending().await
    });
    dead.start().await;
    pass(5.0).await;
    dying.set(Away::Hangs);
    let others = ["a", "b"].map(|id| {
        let kept = history.clone();
        Bench::on(clock.clone(), lock.clone(), move |b| {
            b.history(kept).instance_id(id)
        })
    });
    for bench in &others {
        bench.task("other", "* * * * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(60.0).await;
    assert!(last(&history, "t").await.is_running());
    pass(120.0).await;
    let run = last(&history, "t").await;
    assert_eq!(run.outcome, Some(Outcome::Abandoned));
    let found_by = run.found_by.unwrap();
    assert!(["a", "b"].contains(&found_by.as_str()));
    lines.one(&["ERROR", "run.abandoned", " task=t", " instance=dead"]);
    let counters = history.counters(&["t".parse().unwrap()]).await.unwrap();
    assert_eq!(counters[0].as_ref().unwrap().consecutive_failures, 1);
    // Runs of instances that live are left alone.
    assert!(
        runs(&history, "other")
            .await
            .iter()
            .all(|run| run.found_by.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn long_runs_of_instances_that_live_are_not_found_abandoned() {
    let (clock, lock, history) = parts();
    let benches = ["a", "b"].map(|id| {
        let kept = history.clone();
        Bench::on(clock.clone(), lock.clone(), move |b| {
            b.history(kept).instance_id(id)
        })
    });
    for bench in &benches {
        bench.task_with("t", ONCE, seconds(36_000), Policy::default(), |_| async {
            std::future::pending().await
        });
        bench.start().await;
    }
    pass(1_800.0).await;
    assert!(last(&history, "t").await.is_running());
}
