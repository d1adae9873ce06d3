//! Runs that are asked for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for_runs_once_on_one_instance_and_tells_it_why() {
    let fleet = Fleet::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = ["a", "b", "c"].map(|id| fleet.instance(id));
    for bench in &all {
        let heard = heard.clone();
        bench.task("t", "0 0 0 * * *", move |ctx| {
            let told = (
                ctx.run_id(),
                ctx.params().map(str::to_owned),
                ctx.actor().map(str::to_owned),
                ctx.trigger(),
            );
            heard.lock().unwrap().push(told);
            async { Ok(()) }
        });
        bench.start().await;
    }
    pass(0.1).await;
    let run = RunNow::new("t", &by()).params(r#"{"full":true}"#);
    let receipt = fleet.control.run(run).await.unwrap();
    let accepted = accepted(&receipt.answer);
    assert!(accepted.after < Duration::from_millis(50), "{accepted:?}");
    pass(5.0).await;
    let expected = (
        accepted.runs[0],
        Some(r#"{"full":true}"#.to_owned()),
        Some("ana".to_owned()),
        Trigger::Manual,
    );
    assert_eq!(*heard.lock().unwrap(), [expected]);
    let starts: Vec<_> = all.iter().flat_map(|b| b.seen.starts("t")).collect();
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].trigger.as_str(), "manual");
    assert_eq!(
        starts[0].request.as_ref().unwrap().command.as_ref(),
        receipt.id
    );
    // No firing of the schedule: no decision.
    assert!(all.iter().all(|b| b.seen.decisions("t").is_empty()));
    let again = fleet.control.receipt(&receipt.id).await.unwrap().unwrap();
    assert_eq!(again, receipt);
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_asked_for_take_no_instant_from_the_schedule() {
    let (fleet, all) = fleet_of(&["a", "b"], "*/10 * * * * *").await;
    // One just before each instant, one just after, and one as of an instant that is past.
    for _ in 0..6 {
        for _ in 0..2 {
            // A lock that is taken ahead of an instant is waited for.
            let run = RunNow::new("t", &by()).if_running(IfRunning::Queue);
            run_accepted(&fleet, run).await;
            pass(4.99).await;
        }
    }
    pass(2.0).await;
    let past = RunNow::new("t", &by()).as_of(at("09:00:00"));
    run_accepted(&fleet, past).await;
    pass(1.0).await;
    let runs: Vec<_> = all.iter().flat_map(|b| b.seen.starts("t")).collect();
    let (manual, scheduled): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|r| r.trigger == Trigger::Manual);
    assert_eq!(manual.len(), 13);
    assert!(manual.iter().any(|r| r.fire_time == at("09:00:00")));
    let mut instants: Vec<String> = scheduled
        .iter()
        .map(|r| r.fire_time.format("%H:%M:%S").to_string())
        .collect();
    instants.sort_unstable();
    assert_eq!(
        instants,
        [
            "10:00:10", "10:00:20", "10:00:30", "10:00:40", "10:00:50", "10:01:00"
        ]
    );
    let mut tokens: Vec<_> = manual
        .iter()
        .chain(&scheduled)
        .map(|r| (r.started, r.fencing_token.get()))
        .collect();
    tokens.sort_unstable();
    assert!(tokens.is_sorted_by(|a, b| a.1 < b.1), "{tokens:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for_never_overlaps_with_a_scheduled_one() {
    let fleet = Fleet::new();
    let all = ["a", "b"].map(|id| fleet.instance(id));
    for bench in &all {
        bench.task("t", "0 * * * * *", |_| async {
            pass(30.0).await;
            Ok(())
        });
        bench.start().await;
    }
    pass(70.0).await;
    assert_eq!(fired(&all, "t"), ["10:01:00"]);
    let refused = answer_to(&fleet, RunNow::new("t", &by())).await;
    assert_eq!(
        refused.refusal(),
        Some(Refusal::AlreadyRunning),
        "{refused:?}"
    );
    let queued = RunNow::new("t", &by()).if_running(IfRunning::Queue);
    let receipt = fleet.control.run(queued).await.unwrap();
    assert!(accepted(&receipt.answer).is_queued);
    assert_eq!(fired(&all, "t").len(), 1);
    // The other one ends at 10:01:30; what is due at 10:02:00 comes as ever, and finds this one's end
    // or goes as overlap.
    pass(21.0).await;
    let runs: Vec<_> = all.iter().flat_map(|b| b.seen.starts("t")).collect();
    assert_eq!(runs.len(), 2);
    let manual = runs.iter().find(|r| r.trigger == Trigger::Manual).unwrap();
    assert_eq!(manual.run_id, accepted(&receipt.answer).runs[0]);
    assert!(manual.started >= at("10:01:30") && manual.started < at("10:01:31"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_firing_during_a_run_that_was_asked_for_goes_by_the_overlap_policy() {
    for (overlap, expected) in [(Overlap::Skip, 0), (Overlap::QueueOne, 1)] {
        let fleet = Fleet::new();
        let all = ["a", "b"].map(|id| fleet.instance(id));
        for bench in &all {
            let policy = Policy::default().overlap(overlap);
            bench.task_with("t", "0 * * * * *", MINUTE, policy, |_| async {
                pass(20.0).await;
                Ok(())
            });
            bench.start().await;
        }
        pass(55.0).await;
        run_accepted(&fleet, RunNow::new("t", &by())).await;
        pass(55.0).await;
        let runs: Vec<_> = all.iter().flat_map(|b| b.seen.starts("t")).collect();
        let scheduled = runs.iter().filter(|r| r.trigger != Trigger::Manual).count();
        assert_eq!(scheduled, expected, "{overlap:?} {runs:?}");
        pass(30.0).await;
        assert!(
            fired(&all, "t").contains(&"10:02:00".to_owned()),
            "the schedule goes on"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_the_same_wish() {
    let (fleet, all) = fleet_of(&["a", "b"], "0 0 0 * * *").await;
    let wish = || RunNow::new("t", &by()).idempotency_key("order-7");
    let first = fleet.control.run(wish()).await.unwrap();
    let at_once = tokio::join!(fleet.control.run(wish()), fleet.control.run(wish()));
    pass(600.0).await;
    let later = fleet.control.run(wish()).await.unwrap();
    for receipt in [at_once.0.unwrap(), at_once.1.unwrap(), later] {
        assert_eq!(receipt, first);
    }
    assert_eq!(fired(&all, "t").len(), 1);
    let other = RunNow::new("t", &by()).idempotency_key("order-8");
    assert_ne!(fleet.control.run(other).await.unwrap(), first);
    assert_eq!(fired(&all, "t").len(), 2);
    let bad = RunNow::new("t", &by()).idempotency_key("a b\n");
    assert_eq!(
        fleet.control.run(bad).await.unwrap_err().kind(),
        ErrorKind::InvalidConfig
    );
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_nobody_takes_in_its_time_is_withdrawn() {
    let (fleet, all) = fleet_of(&["a"], "0 0 0 * * *").await;
    let begun = fleet.clock_now();
    let nobody_has_it = fleet.control.run(RunNow::new("u", &by())).await.unwrap();
    assert_eq!(nobody_has_it.answer, Answer::NotTaken);
    let waited = fleet.clock_now() - begun;
    assert_eq!(waited.num_seconds(), 5);
    let away = RunNow::new("t", &by())
        .on("b")
        .patience(Duration::from_secs(2));
    let away = fleet.control.run(away).await.unwrap();
    assert_eq!(away.answer, Answer::NotTaken);
    // It comes back, and does nothing late.
    let b = fleet.instance("b");
    b.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    b.start().await;
    pass(60.0).await;
    assert_eq!(fired(&[b], "t").len() + fired(&all, "t").len(), 0);
    let trail = fleet.control.audit(None, 10).await.unwrap();
    assert_eq!(trail[0].result, AuditResult::NotTaken);
}

#[tokio::test(start_paused = true)]
async fn a_wish_waits_for_its_target_to_be_back_in_time() {
    let (fleet, all) = fleet_of(&["a"], "0 0 0 * * *").await;
    let control = fleet.control.clone();
    let asked = tokio::spawn(async move {
        let run = RunNow::new("t", &by()).on("b").patience(MINUTE);
        control.run(run).await.unwrap()
    });
    pass(10.0).await;
    let b = fleet.instance("b");
    b.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    b.start().await;
    let receipt = asked.await.unwrap();
    assert_eq!(accepted(&receipt.answer).instance, "b");
    assert_eq!((b.fired("t").len(), fired(&all, "t").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_taken_a_wish_and_died_is_named_and_nobody_acts_on_it_again() {
    let (fleet, _) = fleet_of(&["a"], "0 0 0 * * *").await;
    let control = fleet.control.clone();
    let asked = tokio::spawn(async move {
        let run = RunNow::new("t", &by()).on("dead").patience(MINUTE);
        control.run(run).await.unwrap()
    });
    pass(1.0).await;
    let listing = fleet
        .store
        .list("commands", tasklock::Version::default())
        .await
        .unwrap();
    let record = &listing.records[0];
    let taken = r#""taken":{"by":"dead","at":0,"mark":"x"}"#;
    let value = record.value.replacen(r#""taken":null"#, taken, 1);
    assert_ne!(value, record.value);
    fleet
        .store
        .write(&Write::put("commands", &record.key, value))
        .await
        .unwrap();
    let answer = asked.await.unwrap().answer;
    assert!(
        matches!(&answer, Answer::Taken { instance, .. } if instance == "dead"),
        "{answer:?}"
    );
    let back = fleet.instance("dead");
    back.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    back.start().await;
    pass(30.0).await;
    assert!(back.fired("t").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_instance_leaves_a_wish_to_others() {
    let fleet = Fleet::new();
    let store = fleet.store.clone();
    let full = Bench::on(fleet.clock.clone(), fleet.lock.clone(), |b| {
        b.fleet(store).instance_id("full").max_concurrent(1)
    });
    full.task("long", "0 0 0 * * *", |_| async {
        pass(50.0).await;
        Ok(())
    });
    full.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    full.start().await;
    pass(0.1).await;
    run_accepted(&fleet, RunNow::new("long", &by())).await;
    let answer = answer_to(&fleet, RunNow::new("t", &by())).await;
    assert_eq!(answer, Answer::NotTaken);
    let other = fleet.instance("other");
    other.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    other.start().await;
    pass(0.1).await;
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    assert_eq!(accepted(&receipt.answer).instance, "other");
}

#[tokio::test(start_paused = true)]
async fn all_parts_of_a_task_run_or_none() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    let policy = Policy::default().scope(Scope::Sharded(3));
    a.task_with("t", "0 0 * * * *", MINUTE, policy, |ctx| async move {
        if ctx.shard().unwrap().index == 1 {
            pass(30.0).await;
        }
        Ok(())
    });
    a.start().await;
    pass(0.1).await;
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    assert_eq!(accepted(&receipt.answer).runs.len(), 3);
    pass(5.0).await;
    let refused = answer_to(&fleet, RunNow::new("t", &by())).await;
    assert_eq!(refused.refusal(), Some(Refusal::AlreadyRunning));
    assert_eq!(a.seen.starts("t").len(), 3);
    pass(60.0).await;
    let receipt = fleet.control.run(RunNow::new("t", &by())).await.unwrap();
    assert_eq!(
        accepted(&receipt.answer).runs.len(),
        3,
        "what was given back is free"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_asked_for_again_and_says_of_which() {
    let (fleet, all) = fleet_of(&["a", "b"], "0 0 0 * * *").await;
    let first = run_accepted(&fleet, RunNow::new("t", &by())).await.runs[0];
    pass(1.0).await;
    let again = RunNow::new("t", &by()).again(first).as_of(at("09:00:00"));
    let again = run_accepted(&fleet, again).await.runs[0];
    pass(1.0).await;
    let starts: Vec<_> = all.iter().flat_map(|b| b.seen.starts("t")).collect();
    let of = |id: RunId| starts.iter().find(|run| run.run_id == id).unwrap();
    assert_eq!(of(first).trigger, Trigger::Manual);
    let run = of(again);
    assert_eq!(
        (run.trigger, run.fire_time),
        (Trigger::RetryOf, at("09:00:00"))
    );
    assert_eq!(run.lateness, Duration::ZERO);
    assert_eq!(run.request.as_ref().unwrap().again, Some(first));
    let record = tasklock::RunRecord::started(run, "a");
    assert_eq!(record.retry_of, Some(first));
    let trail = fleet.control.audit(None, 10).await.unwrap();
    let said = trail.iter().filter_map(|entry| entry.detail.as_deref());
    assert!(
        said.clone()
            .any(|detail| detail.contains(&first.to_string())),
        "{trail:?}"
    );
}
