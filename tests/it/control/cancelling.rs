//! Runs that are asked to end.

use super::*;

/// A run that lasts an hour, and how it heard that it should end.
async fn long_run(
    stubborn: bool,
    policy: Policy,
) -> (Fleet, [Bench; 2], RunId, Arc<Mutex<Vec<CancelReason>>>) {
    let fleet = Fleet::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = ["a", "b"].map(|id| fleet.instance(id));
    for bench in &all {
        let heard = heard.clone();
        bench.task_with("t", "0 0 * * * *", HOUR, policy.clone(), move |ctx| {
            let heard = heard.clone();
            async move {
                ctx.cancelled().await;
                heard.lock().unwrap().extend(ctx.cancel_reason());
                if stubborn {
                    pass(1800.0).await;
                }
                Ok(())
            }
        });
        bench.start().await;
    }
    pass(0.1).await;
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    let run_id = accepted(&receipt.answer).runs[0];
    pass(1.0).await;
    (fleet, all, run_id, heard)
}

fn outcomes(all: &[Bench]) -> Vec<Outcome> {
    all.iter().flat_map(|b| b.seen.outcomes("t")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_is_asked_to_end_wherever_it_is() {
    let (fleet, all, run_id, heard) = long_run(false, Policy::default()).await;
    let receipt = fleet.control.cancel(run_id, None, &by()).await.unwrap();
    assert_eq!(accepted(&receipt.answer).runs, [run_id]);
    pass(0.1).await;
    assert_eq!(*heard.lock().unwrap(), [CancelReason::Requested]);
    // It says that its work is done nevertheless.
    assert_eq!(outcomes(&all), [Outcome::Success]);
    let gone = fleet
        .control
        .cancel(run_id, None, &by())
        .await
        .unwrap()
        .answer;
    assert_eq!(gone, Answer::NotTaken);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_end_is_dropped_after_the_grace_or_at_once() {
    let policy = Policy::default()
        .cancel_grace(MINUTE)
        .recovery(Recovery::Rerun { max: 3 });
    let (fleet, all, run_id, _) = long_run(true, policy).await;
    let begun = fleet.clock_now();
    fleet
        .control
        .cancel(run_id, Some(Duration::from_secs(10)), &by())
        .await
        .unwrap();
    pass(9.0).await;
    assert_eq!(outcomes(&all), []);
    pass(2.0).await;
    assert_eq!(outcomes(&all), [Outcome::Cancelled]);
    assert!((fleet.clock_now() - begun).num_seconds() < 15);
    // Nobody runs it again.
    pass(300.0).await;
    assert_eq!(outcomes(&all).len(), 1);
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    let run_id = accepted(&receipt.answer).runs[0];
    pass(0.1).await;
    fleet.control.cancel(run_id, None, &by()).await.unwrap();
    pass(5.0).await;
    assert_eq!(outcomes(&all).len(), 1, "its grace goes on");
    fleet
        .control
        .cancel(run_id, Some(Duration::ZERO), &by())
        .await
        .unwrap();
    pass(0.2).await;
    assert_eq!(outcomes(&all).len(), 2);
}
