//! What is kept of who asked for what.

use super::*;

#[tokio::test(start_paused = true)]
async fn everything_that_is_done_is_in_the_trail_with_who_and_why() {
    let (fleet, _all) = fleet_of(&["a"], "0 0 0 * * *").await;
    let control = &fleet.control;
    control.pause(PauseFor::task("t", &by())).await.unwrap();
    control.resume(Some("t"), &by()).await.unwrap();
    control.run(RunNow::new("t", &by())).await.unwrap();
    control.drain("a", &by()).await.unwrap();
    pass(1.0).await;
    let trail = control.audit(None, 100).await.unwrap();
    let acts: Vec<String> = trail
        .iter()
        .rev()
        .map(|e| format!("{} {:?}", e.action, e.result))
        .collect();
    assert_eq!(
        acts,
        [
            "pause Asked",
            "resume Asked",
            "run Asked",
            "run Done { instance: Some(\"a\") }",
            "drain Asked",
        ]
    );
    assert!(trail.iter().all(|e| e.by == by()));
    assert!(trail.iter().all(|e| e.id.at() >= at("10:00:00")));
    let page = control.audit(Some(trail[1].id), 2).await.unwrap();
    assert_eq!(page, trail[2..4]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_says_what_it_was_asked_and_answered() {
    let (fleet, all) = fleet_of(&["a"], "0 0 0 * * *").await;
    fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    pass(0.1).await;
    let said = all[0]
        .seen
        .events()
        .into_iter()
        .find_map(|event| match event {
            Event::CommandAnswered {
                action, by, answer, ..
            } => Some((action, by, answer.is_accepted())),
            _ => None,
        });
    assert_eq!(said, Some(("run", by(), true)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_did_not_get_its_turn_is_given_up_in_the_trail() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    a.task_with("t", "0 0 0 * * *", HOUR, Policy::default(), |_| async {
        pass(3_000.0).await;
        Ok(())
    });
    a.start().await;
    pass(0.1).await;
    let first = run_accepted(&fleet, RunNow::new("t", &by())).await;
    let queued = RunNow::new("t", &by()).if_running(IfRunning::Queue);
    let queued = fleet.control.run(queued).await.unwrap();
    assert!(accepted(&queued.answer).is_queued);
    pass(590.0).await;
    let given_up = async || {
        let trail = fleet.control.audit(None, 100).await.unwrap();
        let of = |entry: tasklock::AuditEntry| match entry.result {
            AuditResult::GivenUp { instance, why } => Some((entry.command?, instance, why)),
            _ => None,
        };
        trail.into_iter().filter_map(of).collect::<Vec<_>>()
    };
    assert!(given_up().await.is_empty());
    pass(20.0).await;
    let found = given_up().await;
    let [(command, instance, why)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((command, instance.as_str()), (&queued.id, "a"));
    assert!(why.contains("a run of task t goes on"), "{why}");
    let runs: Vec<RunId> = a.seen.starts("t").iter().map(|run| run.run_id).collect();
    assert_eq!(runs, first.runs);
}
