//! From due to granted, when the lock's answers go wrong.

use std::time::Duration;

use tasklock::{
    Acquired, Claim, Completion, Decision, ErrorKind, Event, Lock, LockOperation, MemoryLock,
    Outcome, Policy, RunStatus, SchedulerState, Token,
};

use crate::support::{Bench, Fault, pass};

fn impatient() -> Policy {
    Policy::default().misfire_threshold(Duration::from_secs(2))
}

fn at(second: u32) -> String {
    format!("@at 2026-11-21T10:00:{second:02}Z")
}

fn count(bench: &Bench, pick: impl Fn(&Event) -> bool) -> usize {
    bench.seen.events().iter().filter(|e| pick(e)).count()
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_does_not_lock_us_out_of_our_own_lock() {
    let (bench, lock) = Bench::scripted(|b| b);
    lock.next(LockOperation::Acquire, [Fault::ReplyLost, Fault::ReplyLost]);
    bench.task("a", &at(1), |_| async { Ok(()) });
    bench.start().await;
    pass(2.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::Started]);
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
    assert_eq!(lock.asked(LockOperation::Acquire, "a"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_past_the_misfire_threshold_ends_the_firing_and_nothing_is_left_locked()
 {
    let (bench, lock) = Bench::scripted(|b| b);
    lock.always(LockOperation::Acquire, Fault::ReplyLost);
    lock.next(LockOperation::Release, [Fault::NotSent, Fault::NotSent]);
    bench.task_with(
        "a",
        &at(1),
        Duration::from_secs(5),
        impatient(),
        |_| async { Ok(()) },
    );
    bench.start().await;
    pass(5.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::StoreDown]);
    assert!(bench.seen.starts("a").is_empty());
    let last = lock
        .inner
        .last_fired(&["a".parse().unwrap()])
        .await
        .unwrap();
    assert_eq!(last[0].as_ref().unwrap().status, RunStatus::Abandoned);
}

#[tokio::test(start_paused = true)]
async fn when_the_store_comes_back_firing_resumes_within_a_second_and_only_both_ends_are_announced()
{
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task_with(
        "a",
        "* * * * * *",
        Duration::from_secs(5),
        impatient(),
        |_| async { Ok(()) },
    );
    bench.start().await;
    pass(3.5).await;
    lock.everything(Fault::NotSent);
    pass(20.0).await;
    let down_since = bench.scheduler.handle().store_down_since().unwrap();
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Running);
    lock.everything(Fault::None);
    let back = bench.now();
    pass(1.0).await;
    let first = bench
        .seen
        .starts("a")
        .into_iter()
        .find(|run| run.started > back)
        .unwrap();
    assert!(
        (first.started - back).num_milliseconds() < 1000,
        "{first:?}"
    );
    assert!((down_since - back).num_seconds() >= -20);
    assert_eq!(bench.scheduler.handle().store_down_since(), None);
    assert_eq!(count(&bench, |e| matches!(e, Event::StoreDown { .. })), 1);
    assert_eq!(count(&bench, |e| matches!(e, Event::StoreUp { .. })), 1);
    pass(10.0).await;
    // Each fire time has found one end: 34 were due.
    let decisions = bench.seen.decisions("a");
    assert_eq!(decisions.len(), 34, "{decisions:?}");
    assert!(decisions.contains(&Decision::StoreDown));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_us_is_not_asked_again_for_the_same_firing() {
    let (bench, lock) = Bench::scripted(|b| b);
    lock.always(LockOperation::Acquire, Fault::Denied);
    bench.task("a", &at(1), |_| async { Ok(()) });
    bench.start().await;
    pass(30.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::StoreDown]);
    assert_eq!(lock.asked(LockOperation::Acquire, "a"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_never_answers_is_given_up_and_asked_again() {
    let (bench, lock) = Bench::scripted(|b| b);
    lock.next(LockOperation::Acquire, [Fault::Hangs]);
    bench.task("a", &at(1), |_| async { Ok(()) });
    bench.task("b", "@at 2026-11-21T10:00:02Z", |_| async { Ok(()) });
    bench.start().await;
    pass(3.0).await;
    assert_eq!(
        bench.seen.outcomes("b"),
        [Outcome::Success],
        "one claim held up another"
    );
    pass(10.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_when_its_lease_is_as_good_as_over_is_claimed_again_and_not_given_back()
{
    let (bench, lock) = Bench::scripted(|b| b);
    lock.next(
        LockOperation::Acquire,
        [Fault::Late(Duration::from_secs(4))],
    );
    let policy = Policy::default().lease_ttl(Duration::from_secs(5));
    bench.task_with("a", &at(1), Duration::from_secs(60), policy, |_| async {
        Ok(())
    });
    bench.start().await;
    pass(8.0).await;
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
    // A release could come after the next claim, which would then find the instant taken.
    assert_eq!(lock.asked(LockOperation::Release, "a"), 1);
    let run = &bench.seen.starts("a")[0];
    assert!(run.lateness >= Duration::from_secs(3), "{run:?}");
}

/// Takes the lock of `task` for another owner.
async fn take(lock: &impl Lock, task: &str, fire_time: &str, bits: u128) -> tasklock::Grant {
    let claim = Claim::new(
        task.parse().unwrap(),
        fire_time.parse().unwrap(),
        Token::from_bits(bits),
        "other",
    );
    match lock
        .acquire(&claim.with_ttl(Duration::from_secs(10)))
        .await
        .unwrap()
    {
        Acquired::Granted(grant) => grant,
        answer => panic!("{answer:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_instant_that_another_took_is_decided_with_its_name() {
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task("a", &at(1), |_| async { Ok(()) });
    bench.start().await;
    pass(0.5).await;
    let grant = take(&lock.inner, "a", "2026-11-21T10:00:01Z", 7).await;
    lock.inner
        .release(&grant, Completion::Succeeded)
        .await
        .unwrap();
    pass(2.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::FiredElsewhere]);
    let holder = bench.seen.events().into_iter().find_map(|e| match e {
        Event::FiringDecided { holder, .. } => holder,
        _ => None,
    });
    assert_eq!(holder.as_deref(), Some("other"));
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_finds_the_task_running_elsewhere_is_an_overlap_if_that_run_goes_on() {
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task("a", &at(5), |_| async { Ok(()) });
    bench.start().await;
    pass(4.5).await;
    let grant = take(&lock.inner, "a", "2026-11-21T10:00:04Z", 7).await;
    for _ in 0..4 {
        pass(5.0).await;
        lock.inner.renew(&grant).await.unwrap();
    }
    assert_eq!(bench.seen.decisions("a"), [Decision::Overlap]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_finds_the_task_running_elsewhere_is_an_overlap_if_that_run_ends_well() {
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task("a", &at(5), |_| async { Ok(()) });
    bench.start().await;
    pass(4.5).await;
    let grant = take(&lock.inner, "a", "2026-11-21T10:00:04Z", 7).await;
    pass(3.0).await;
    lock.inner
        .release(&grant, Completion::Succeeded)
        .await
        .unwrap();
    pass(20.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::Overlap]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_owner_does_not_eat_the_next_firing() {
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task("a", &at(5), |_| async { Ok(()) });
    bench.start().await;
    pass(4.5).await;
    take(&lock.inner, "a", "2026-11-21T10:00:04Z", 7).await; // and never renews
    pass(9.0).await;
    assert!(
        bench.seen.decisions("a").is_empty(),
        "it waits for the lease to end"
    );
    pass(3.0).await;
    assert_eq!(bench.seen.decisions("a"), [Decision::Started]);
    assert_eq!(bench.seen.outcomes("a"), [Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_firing_takes_the_place_of_one_that_waits_for_a_dead_owner() {
    let (bench, lock) = Bench::scripted(|b| b);
    bench.task("a", "*/4 * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(3.5).await;
    take(&lock.inner, "a", "2026-11-21T10:00:03Z", 7).await; // its lease ends at 13.5
    pass(13.0).await;
    use Decision::{Overlap, Started};
    assert_eq!(
        bench.seen.decisions("a"),
        [Overlap, Overlap, Started, Started]
    );
    assert_eq!(bench.fired("a"), ["10:00:12", "10:00:16"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_finds_several_firings_due_and_a_dead_owner_goes_on_firing() {
    let (bench, lock) = Bench::scripted(|b| b);
    take(&lock.inner, "a", "2026-11-21T10:00:00Z", 7).await; // its lease ends at 10
    pass(4.5).await; // 1 to 4 are due
    bench.task("a", "* * * * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(10.0).await;
    assert_eq!(
        bench.fired("a"),
        ["10:00:10", "10:00:11", "10:00:12", "10:00:13", "10:00:14"]
    );
    assert_eq!(bench.seen.decisions("a").len(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_clock_ahead_of_the_stores_waits_for_the_stores() {
    let reference = Bench::new();
    let store = MemoryLock::with_clock(reference.clock.clone());
    let clock = std::sync::Arc::new(tasklock::testing::TestClock::at(crate::support::START));
    clock.step(tasklock::chrono::TimeDelta::seconds(10));
    let fast = Bench::on(clock, store, |b| b);
    fast.task("a", "*/2 * * * * *", |_| async { Ok(()) });
    fast.start().await;
    pass(31.0).await;
    let runs = fast.seen.starts("a");
    assert!(runs.len() >= 9, "{:?}", fast.fired("a"));
    for run in &runs {
        let by_the_store = run.started - tasklock::chrono::TimeDelta::seconds(10);
        let early = (run.fire_time - by_the_store).num_milliseconds();
        assert!(early <= 1000, "{early} ms early by the store's clock");
    }
    let mut order: Vec<_> = runs.iter().map(|r| r.fire_time).collect();
    order.dedup();
    assert!(order.is_sorted() && order.len() == runs.len());
}

#[tokio::test(start_paused = true)]
async fn a_start_without_the_store_fails_with_its_words_and_can_be_tried_again() {
    let (bench, lock) = Bench::scripted(|b| b);
    lock.everything(Fault::NotSent);
    let error = bench.scheduler.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    let text = error.to_string();
    assert_eq!(
        text,
        "the scheduler cannot start: its lock cannot serve: connection refused"
    );
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Idle);
    lock.everything(Fault::None);
    bench.start().await;
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_store_when_told_to() {
    let (bench, lock) = Bench::scripted(|b| b.wait_for_lock(Duration::from_secs(30)));
    lock.everything(Fault::NotSent);
    let comes_back = async {
        pass(10.0).await;
        assert_eq!(bench.scheduler.handle().state(), SchedulerState::Starting);
        lock.everything(Fault::None);
    };
    let (started, ()) = tokio::join!(bench.scheduler.start(), comes_back);
    started.unwrap();
    assert_eq!(count(&bench, |e| matches!(e, Event::StoreDown { .. })), 1);
    assert_eq!(count(&bench, |e| matches!(e, Event::StoreUp { .. })), 1);

    let (bench, lock) = Bench::scripted(|b| b.wait_for_lock(Duration::from_secs(30)));
    lock.everything(Fault::NotSent);
    let error = bench.scheduler.start().await.unwrap_err().to_string();
    assert!(error.contains("within 30s"), "{error}");

    let (bench, lock) = Bench::scripted(|b| b.wait_for_lock(Duration::from_secs(30)));
    lock.everything(Fault::Denied);
    let begun = tokio::time::Instant::now();
    assert_eq!(
        bench.scheduler.start().await.unwrap_err().kind(),
        ErrorKind::StoreDenied
    );
    assert!(
        begun.elapsed() < Duration::from_millis(10),
        "a wrong password does not get better"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_dropped_can_be_tried_again() {
    let (bench, lock) = Bench::scripted(|b| b.wait_for_lock(Duration::from_secs(30)));
    lock.everything(Fault::NotSent);
    let start = tokio::time::timeout(Duration::from_secs(1), bench.scheduler.start());
    assert!(start.await.is_err());
    assert_eq!(bench.scheduler.handle().state(), SchedulerState::Idle);
    lock.everything(Fault::None);
    bench.start().await;
}
