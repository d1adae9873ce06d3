//! A fleet that people steer: asked on one side, done on another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::RecordingObserver;
use tasklock::{
    Answer, AuditResult, BaseTask, By, CancelReason, ControlPlane, Decision, ErrorKind, Event,
    FleetStore, IfPaused, IfRunning, Missed, Outcome, Overlap, PauseFor, Policy, Recovery,
    RedisFleet, RedisLock, Refusal, RunId, RunNow, Scheduler, Scope, Trigger, Write, chrono_tz,
};

use crate::instances::Fleet;
use crate::support::redis_server::RedisOptions;
use crate::support::{Bench, RedisServer, pass};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn by() -> By {
    By::new("ana", "a test").unwrap()
}

/// So many instances with a task that is due each ten seconds.
async fn fleet_of(ids: &[&str], spec: &str) -> (Fleet, Vec<Bench>) {
    let fleet = Fleet::new();
    let all: Vec<Bench> = ids.iter().map(|id| fleet.instance(id)).collect();
    for bench in &all {
        bench.task("t", spec, |_| async { Ok(()) });
        bench.start().await;
    }
    pass(0.1).await;
    (fleet, all)
}

fn accepted(answer: &Answer) -> &tasklock::Accepted {
    match answer {
        Answer::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

/// Has a task run now that can, and returns what was accepted.
async fn run_accepted(fleet: &Fleet, run: RunNow) -> tasklock::Accepted {
    accepted(&answer_to(fleet, run).await).clone()
}

/// What is answered to who asks for a run.
async fn answer_to(fleet: &Fleet, run: RunNow) -> Answer {
    fleet.control.run(run).await.unwrap().answer
}

fn fired(all: &[Bench], task: &str) -> Vec<String> {
    let mut fired: Vec<String> = all.iter().flat_map(|b| b.fired(task)).collect();
    fired.sort_unstable();
    fired
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

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

#[tokio::test(start_paused = true)]
async fn a_lock_of_a_run_that_has_just_begun_is_not_taken_from_an_instance_that_lives() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.instance("a"), fleet.instance("b"));
    for instance in [&a, &b] {
        instance.task("t", "0 * * * * *", |_| async {
            pass(30.0).await;
            Ok(())
        });
        instance.start().await;
    }
    // Long enough for each to know the other, and no record has been written since the run began.
    while a.seen.starts("t").is_empty() && b.seen.starts("t").is_empty() {
        pass(0.01).await;
    }
    let runs = [a.seen.starts("t"), b.seen.starts("t")].concat();
    let token = runs[0].fencing_token;
    // Whichever instance takes the command.
    for _ in 0..4 {
        let receipt = fleet.control.unlock("t", token, false, &by()).await;
        let answer = receipt.unwrap().answer;
        assert_eq!(answer.refusal(), Some(Refusal::HolderLives), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_released_by_its_own_fencing_token_only() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    let policy = || Policy::default().lease_ttl(Duration::from_secs(300));
    a.task_with("t", "0 * * * * *", HOUR, policy(), |_| async {
        pass(1000.0).await;
        Ok(())
    });
    a.start().await;
    let b = fleet.instance("b");
    b.task_with("t", "0 * * * * *", HOUR, policy(), |_| async { Ok(()) });
    pass(66.0).await;
    let token = a.seen.starts("t")[0].fencing_token;
    b.start().await;
    pass(6.0).await;
    let unlock = async |token, force| {
        fleet
            .control
            .unlock("t", token, force, &by())
            .await
            .unwrap()
            .answer
    };
    assert_eq!(
        unlock(token, false).await.refusal(),
        Some(Refusal::HolderLives)
    );
    let stale = tasklock::FencingToken::new(token.get() - 1);
    assert_eq!(
        unlock(stale, true).await.refusal(),
        Some(Refusal::TokenMovedOn)
    );
    assert!(unlock(token, true).await.is_accepted());
    assert_eq!(
        unlock(token, true).await.refusal(),
        Some(Refusal::NotLocked)
    );
    // Its renewal does not bring it back: the run is dropped, and the next firing is free.
    pass(120.0).await;
    assert_eq!(a.seen.outcomes("t"), [Outcome::LeaseLost]);
    assert!(a.seen.starts("t").len() + b.seen.starts("t").len() >= 2);
}

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

/// Three instances and their store, on a real server.
async fn in_redis(server: &RedisServer) -> (ControlPlane, Vec<(Scheduler, RecordingObserver)>) {
    let mut all = Vec::new();
    for id in ["a", "b", "c"] {
        let lock = RedisLock::connect(&server.url()).await.unwrap();
        let seen = RecordingObserver::new();
        let builder = Scheduler::builder()
            .fleet(RedisFleet::beside(&lock))
            .lock(lock);
        let scheduler = builder
            .observer(seen.clone())
            .instance_id(id)
            .build()
            .unwrap();
        let task = BaseTask::new("t", "0 0 0 1 1 *", MINUTE, |_| async { Ok(()) });
        scheduler.register(task).unwrap();
        scheduler.start().await.unwrap();
        all.push((scheduler, seen));
    }
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    (ControlPlane::new(RedisFleet::beside(&lock)), all)
}

fn runs(all: &[(Scheduler, RecordingObserver)]) -> usize {
    all.iter().map(|(_, seen)| seen.starts("t").len()).sum()
}

/// Looks until it is so, for twenty seconds at most.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        pass(0.05).await;
    }
    panic!("it never was so");
}

#[tokio::test]
async fn in_redis_commands_are_taken_once_and_rules_are_followed_by_all() {
    let server = RedisServer::start();
    let (control, all) = in_redis(&server).await;
    until(async || control.instances().await.unwrap().len() == 3).await;
    pass(1.5).await;
    let mut after = Vec::new();
    for done in 1..=20 {
        let receipt = control.run(RunNow::new("t", &by())).await.unwrap();
        after.push(accepted(&receipt.answer).after);
        until(async || runs(&all) == done).await;
    }
    // Woken, and not at the next look of each second.
    after.sort_unstable();
    assert!(
        after[after.len() / 2] < Duration::from_millis(250),
        "{after:?}"
    );
    let version = control.pause(PauseFor::all(&by())).await.unwrap();
    until(async || control.followers(version).await.unwrap().len() == 3).await;
    let refused = control.run(RunNow::new("t", &by())).await.unwrap().answer;
    assert_eq!(refused.refusal(), Some(Refusal::Paused));
    pass(1.0).await;
    assert_eq!(runs(&all), 20);
    for (scheduler, _) in &all {
        scheduler.stop().await;
    }
    assert!(control.instances().await.unwrap().is_empty());
}

#[tokio::test]
async fn in_redis_control_goes_on_after_the_server_was_restarted() {
    let options = RedisOptions {
        is_durable: true,
        ..RedisOptions::default()
    };
    let mut server = options.start();
    let (control, all) = in_redis(&server).await;
    control.pause(PauseFor::task("u", &by())).await.unwrap();
    until(async || all.iter().all(|(s, _)| !s.handle().rules().is_empty())).await;
    server.kill();
    pass(3.0).await;
    // What was known last is followed.
    assert!(all.iter().all(|(s, _)| !s.handle().rules().is_empty()));
    server.restart();
    until(async || control.instances().await.is_ok_and(|i| i.len() == 3)).await;
    let run = || RunNow::new("t", &by()).patience(Duration::from_secs(20));
    until(async || {
        control
            .run(run())
            .await
            .is_ok_and(|r| r.answer.is_accepted())
    })
    .await;
    until(async || runs(&all) == 1).await;
    pass(2.0).await;
    assert_eq!(runs(&all), 1);
    for (scheduler, seen) in &all {
        let events = seen.events();
        let downs = events
            .iter()
            .filter(|e| matches!(e, Event::FleetStoreDown { .. }))
            .count();
        let ups = events
            .iter()
            .filter(|e| matches!(e, Event::FleetStoreUp { .. }))
            .count();
        assert_eq!(downs, ups);
        assert!(downs >= 1);
        scheduler.stop().await;
    }
}
