//! Pauses, of a task and of all.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_whole_fleet_back_until_its_end_and_drops_what_was_missed() {
    let (fleet, all) = fleet_of(&["a", "b"], "*/10 * * * * *").await;
    pass(11.0).await;
    let pause = PauseFor::task("t", &by()).lasting(Duration::from_secs(30));
    let version = fleet.control.pause(pause).await.unwrap();
    pass(0.1).await;
    assert_eq!(fleet.control.followers(version).await.unwrap(), ["a", "b"]);
    let refused = answer_to(&fleet, RunNow::new("t", &by())).await;
    assert_eq!(refused.refusal(), Some(Refusal::Paused));
    pass(50.0).await;
    assert_eq!(fired(&all, "t"), ["10:00:10", "10:00:50", "10:01:00"]);
    for bench in &all {
        let paused = bench
            .seen
            .decisions("t")
            .iter()
            .filter(|d| **d == Decision::Paused)
            .count();
        assert_eq!(paused, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_pause_has_held_back_runs_once_in_the_fleet_when_it_ends() {
    // By itself, and because somebody ends it.
    for is_ended in [false, true] {
        let (fleet, all) = fleet_of(&["a", "b", "c"], "0 */10 * * * *").await;
        let pause = PauseFor::task("t", &by())
            .missed(Missed::RunOnce)
            .lasting(Duration::from_secs(35 * 60));
        fleet.control.pause(pause).await.unwrap();
        pass(34.0 * 60.0).await;
        assert!(fired(&all, "t").is_empty());
        if is_ended {
            assert!(fleet.control.resume(Some("t"), &by()).await.unwrap());
            assert!(!fleet.control.resume(Some("t"), &by()).await.unwrap());
        }
        pass(122.0).await;
        assert_eq!(fired(&all, "t"), ["10:30:00"], "{is_ended}");
        let run = all.iter().flat_map(|b| b.seen.starts("t")).next().unwrap();
        assert_eq!(run.trigger, Trigger::CatchUp);
        pass(300.0).await;
        assert_eq!(fired(&all, "t"), ["10:30:00", "10:40:00"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_knows_of_a_pause_before_it_fires() {
    let (fleet, _) = fleet_of(&[], "").await;
    fleet.control.pause(PauseFor::all(&by())).await.unwrap();
    pass(30.0).await;
    let a = fleet.instance("a");
    a.task("t", "* * * * * *", |_| async { Ok(()) });
    a.start().await;
    pass(5.0).await;
    assert!(a.fired("t").is_empty());
    let run = RunNow::new("t", &by()).if_paused(IfPaused::Run);
    run_accepted(&fleet, run).await;
    assert_eq!(a.fired("t").len(), 1);
    assert!(fleet.control.resume(None, &by()).await.unwrap());
    pass(3.0).await;
    assert!(a.fired("t").len() > 2);
}
