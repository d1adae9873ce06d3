//! Skips, overrides and drains.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_instance_skips_the_same_fire_times() {
    let (fleet, all) = fleet_of(&["a", "b"], "*/10 * * * * *").await;
    let receipt = fleet.control.skip("t", 2, &by()).await.unwrap();
    assert_eq!(
        accepted(&receipt.answer).skipped,
        [at("10:00:10"), at("10:00:20")]
    );
    let more = fleet.control.skip("t", 1, &by()).await.unwrap();
    assert_eq!(accepted(&more.answer).skipped, [at("10:00:30")]);
    pass(55.0).await;
    assert_eq!(fired(&all, "t"), ["10:00:40", "10:00:50"]);
    assert!(fleet.control.skip("t", 0, &by()).await.is_err());
    assert!(fleet.control.skip("t", 101, &by()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_override_lasts_until_its_end_and_the_code_is_back() {
    let (fleet, all) = fleet_of(&["a", "b"], "0 * * * * *").await;
    let utc = chrono_tz::UTC;
    fleet
        .control
        .override_spec("t", "*/20 * * * * *", utc, Duration::from_secs(100), &by())
        .await
        .unwrap();
    pass(1.0).await;
    let next = all[0].scheduler.handle().task("t").unwrap().next_fire;
    assert_eq!(next, Some(at("10:00:20")));
    pass(200.0).await;
    let expected = [
        "10:00:20", "10:00:40", "10:01:00", "10:01:20", "10:01:40", "10:02:00", "10:03:00",
    ];
    assert_eq!(fired(&all, "t"), expected);
    fleet
        .control
        .override_spec("t", "*/5 * * * * *", utc, HOUR, &by())
        .await
        .unwrap();
    pass(6.0).await;
    assert!(fleet.control.reset("t", &by()).await.unwrap());
    pass(25.0).await;
    let after: Vec<String> = fired(&all, "t").split_off(expected.len());
    assert!((1..=2).contains(&after.len()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_anybody_hears_of_it() {
    let (fleet, _) = fleet_of(&[], "").await;
    let (control, by) = (&fleet.control, by());
    let long = RunNow::new("t", &by).params("x".repeat(64 * 1024 + 1));
    let future = RunNow::new("t", &by).as_of(at("11:00:00"));
    let name = RunNow::new("a\u{1b}[31m b", &by);
    for run in [long, future, name, RunNow::new("t", &by).on("")] {
        assert!(control.run(run.clone()).await.is_err(), "{run:?}");
    }
    for length in [Duration::ZERO, HOUR * 24 * 31, Duration::MAX] {
        assert!(
            control
                .pause(PauseFor::task("t", &by).lasting(length))
                .await
                .is_err()
        );
    }
    let utc = chrono_tz::UTC;
    for spec in ["@after 5m", "@startup", "no spec", "* * *"] {
        assert!(
            control
                .override_spec("t", spec, utc, HOUR, &by)
                .await
                .is_err(),
            "{spec}"
        );
    }
    assert!(control.drain("a\nb", &by).await.is_err());
    assert!(fleet.control.audit(None, 10).await.unwrap().is_empty());
    assert!(control.rules().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drained_instance_takes_nothing_until_it_is_undrained() {
    let (fleet, all) = fleet_of(&["a", "b"], "*/10 * * * * *").await;
    fleet.control.drain("a", &by()).await.unwrap();
    pass(0.1).await;
    let handle = all[0].scheduler.handle();
    assert!(handle.is_drained());
    let instances = fleet.control.instances().await.unwrap();
    assert_eq!(
        instances.iter().map(|i| i.is_ready()).collect::<Vec<_>>(),
        [false, true]
    );
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    assert_eq!(accepted(&receipt.answer).instance, "b");
    let refused = answer_to(&fleet, RunNow::new("t", &by()).on("a")).await;
    assert_eq!(refused.refusal(), Some(Refusal::Draining));
    pass(30.0).await;
    assert_eq!((all[0].fired("t").len(), all[1].fired("t").len()), (0, 4));
    assert_eq!(all[0].seen.decisions("t"), [Decision::Draining; 3]);
    assert!(fleet.control.undrain("a", &by()).await.unwrap());
    pass(0.1).await;
    assert!(!handle.is_drained());
    fleet.control.drain("b", &by()).await.unwrap();
    pass(20.0).await;
    assert_eq!(all[0].fired("t").len(), 2);
}
