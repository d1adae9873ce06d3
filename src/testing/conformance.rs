//! What every [`Lock`] must do, as tests that any implementation can run.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

use crate::error::Result;
use crate::lock::{
    Acquired, Claim, Completion, Grant, Holder, Lock, Released, Renewed, RunStatus, Token,
};
use crate::task::TaskName;

/// A lock, and the means to make its time pass.
#[async_trait]
pub trait LockUnderTest: Send + Sync {
    /// The lock.
    fn lock(&self) -> Arc<dyn Lock>;

    /// Makes the lease of `task` end now: moves a clock by ten seconds, the longest lease here, or deletes the lock
    /// from the store, which is what an end looks like from outside.
    async fn end_lease(&self, task: &TaskName);

    /// The time by the store's clock.
    async fn now(&self) -> DateTime<Utc>;
}

/// How long the suite's leases last.
const TTL: Duration = Duration::from_secs(10);

/// Runs every case on tasks of its own; the lock may hold other tasks. Needs a tokio runtime.
///
/// # Panics
///
/// At the first breach, with the case's name and what was wrong.
pub async fn lock_conformance(subject: &impl LockUnderTest) {
    macro_rules! run {
        ($($case:ident)*) => {
            $(run(stringify!($case), $case(&Case::new(subject).await)).await;)*
        };
    }
    run! {
        a_free_task_is_granted
        a_repeated_claim_gets_the_same_grant
        another_claim_on_a_taken_instant_is_told_who_took_it
        another_instant_is_held_while_a_run_goes_on
        an_instant_is_taken_once_and_for_all
        an_older_instant_is_superseded
        the_next_instant_is_granted_with_a_larger_fencing_token
        an_abandoned_instant_can_be_granted_again
        an_abandoned_instant_does_not_bring_back_older_ones
        a_repeated_claim_after_the_run_is_burned
        a_repeated_claim_after_a_takeover_is_burned
        a_repeated_claim_takes_its_lapsed_lease_up_again
        a_dead_run_is_not_taken_over_by_default
        a_dead_run_is_taken_over_when_attempts_are_left
        an_ended_run_is_not_taken_over
        a_dead_run_is_finished_before_later_instants
        an_instant_far_ahead_is_too_early
        an_instant_long_past_is_too_late
        a_renewal_extends_a_lease
        a_renewal_brings_a_lapsed_lease_back
        a_renewal_after_a_takeover_is_lost
        a_delayed_renewal_does_not_bring_a_released_lease_back
        a_release_frees_the_task
        a_repeated_release_changes_nothing
        a_release_after_the_end_of_the_lease_still_records_the_run
        a_release_after_a_takeover_says_who_has_the_task
        every_completion_is_recorded
        an_unknown_task_was_never_fired
        a_batch_is_answered_in_order
        a_batch_handles_duplicates_one_after_the_other
        every_allowed_character_makes_a_name_of_its_own
        tasks_do_not_disturb_each_other
        check_and_describe_answer
        no_update_under_the_lock_is_lost
    }
}

async fn run(name: &str, case: impl Future<Output = Outcome>) {
    #[allow(clippy::panic)] // A suite that finds a breach has nothing else to say.
    if let Err(Breach(what)) = case.await {
        panic!("lock conformance, case {name}: {what}");
    }
}

type Outcome = std::result::Result<(), Breach>;

/// What a case found to be wrong.
struct Breach(String);

impl From<crate::Error> for Breach {
    fn from(error: crate::Error) -> Self {
        Breach(format!("a call failed: {error}"))
    }
}

/// One case's task, and its instants.
struct Case<'a> {
    subject: &'a dyn LockUnderTest,
    lock: Arc<dyn Lock>,
    task: TaskName,
    /// The instant 0, long enough ago that the next hundred are due too.
    base: DateTime<Utc>,
}

impl<'a> Case<'a> {
    async fn new(subject: &'a dyn LockUnderTest) -> Self {
        Self {
            subject,
            lock: subject.lock(),
            task: fresh_task(""),
            base: subject.now().await.trunc_subsecs(0) - Duration::from_secs(200),
        }
    }

    /// A claim of `owner` on the instant so many seconds after the first.
    fn claim(&self, owner: &str, instant: u64) -> Claim {
        self.claim_on(&self.task, owner, instant)
    }

    fn claim_on(&self, task: &TaskName, owner: &str, instant: u64) -> Claim {
        let fire_time = self.base + Duration::from_secs(instant);
        Claim::new(task.clone(), fire_time, fresh_token(), owner)
            .with_ttl(TTL)
            .with_late(Duration::from_secs(3600))
    }

    async fn granted(&self, claim: &Claim) -> std::result::Result<Grant, Breach> {
        match self.lock.acquire(claim).await? {
            Acquired::Granted(grant) => Ok(grant),
            other => Err(Breach(format!("not granted: {other:?}"))),
        }
    }

    async fn acquires(&self, claim: &Claim, expected: Acquired) -> Outcome {
        same(self.lock.acquire(claim).await?, expected)
    }

    async fn renews(&self, grant: &Grant, expected: Renewed) -> Outcome {
        same(self.lock.renew(grant).await?, expected)
    }

    async fn releases(&self, grant: &Grant, how: Completion, expected: Released) -> Outcome {
        same(self.lock.release(grant, how).await?, expected)
    }

    /// That the last instant taken is `instant`, and how far its run has come.
    async fn records(&self, instant: Option<u64>, status: RunStatus) -> Outcome {
        let tasks = [self.task.clone()];
        let last = self.lock.last_fired(&tasks).await?;
        let [Some(last)] = last.as_slice() else {
            return Err(Breach(format!("no record: {last:?}")));
        };
        let fire_time = instant.map(|n| self.base + Duration::from_secs(n));
        same((last.fire_time, last.status), (fire_time, status))
    }

    async fn end_lease(&self) {
        self.subject.end_lease(&self.task).await;
    }
}

fn same<T: PartialEq + fmt::Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Breach(format!("{found:?} in place of {expected:?}")))
}

fn holds(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Breach(what()))
    }
}

fn already(owner: &str, status: RunStatus) -> Acquired {
    Acquired::AlreadyFired {
        owner: owner.to_owned(),
        status,
    }
}

fn fresh_token() -> Token {
    let random = || u128::from(RandomState::new().hash_one(0_u8));
    Token::from_bits(random() << 64 | random())
}

/// A name that no run of the suite has used in a store that outlives it.
fn fresh_task(end: &str) -> TaskName {
    let name = format!("conformance.{}{end}", fresh_token().as_str());
    #[allow(clippy::expect_used)] // The suite's own names are good.
    name.parse().expect("a task name")
}

async fn a_free_task_is_granted(case: &Case<'_>) -> Outcome {
    let claim = case.claim("a", 0);
    let grant = case.granted(&claim).await?;
    same(grant.task(), &case.task)?;
    same(grant.fire_time(), claim.fire_time())?;
    same(grant.owner(), "a")?;
    same(grant.attempt(), 1)?;
    same(grant.ttl(), TTL)?;
    same(grant.remaining(), TTL)?;
    case.records(Some(0), RunStatus::Running).await
}

async fn a_repeated_claim_gets_the_same_grant(case: &Case<'_>) -> Outcome {
    let claim = case.claim("a", 0);
    let first = case.granted(&claim).await?;
    let second = case.granted(&claim).await?;
    same(second.fencing_token(), first.fencing_token())?;
    same(second.attempt(), first.attempt())?;
    holds(second.remaining() <= TTL, || {
        format!("{:?} left of {TTL:?}", second.remaining())
    })
}

async fn another_claim_on_a_taken_instant_is_told_who_took_it(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let same_instant = case.claim("b", 0);
    case.acquires(&same_instant, already("a", RunStatus::Running))
        .await
}

async fn another_instant_is_held_while_a_run_goes_on(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    match case.lock.acquire(&case.claim("b", 1)).await? {
        Acquired::Held(Holder {
            owner: Some(owner),
            remaining: Some(remaining),
        }) => {
            same(owner.as_str(), "a")?;
            holds(remaining <= TTL, || {
                format!("{remaining:?} left of {TTL:?}")
            })
        }
        other => Err(Breach(format!("not held: {other:?}"))),
    }
}

async fn an_instant_is_taken_once_and_for_all(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    for owner in ["a", "b"] {
        let again = case.claim(owner, 0).with_max_attempts(5);
        case.acquires(&again, already("a", RunStatus::Succeeded))
            .await?;
    }
    Ok(())
}

async fn an_older_instant_is_superseded(case: &Case<'_>) -> Outcome {
    let newer = case.claim("a", 5);
    let grant = case.granted(&newer).await?;
    let expected = || Acquired::Superseded {
        last: newer.fire_time(),
    };
    case.acquires(&case.claim("b", 4), expected()).await?;
    case.releases(&grant, Completion::Failed, Released::Freed)
        .await?;
    case.acquires(&case.claim("b", 4), expected()).await
}

async fn the_next_instant_is_granted_with_a_larger_fencing_token(case: &Case<'_>) -> Outcome {
    let mut last = None;
    for instant in 0..5 {
        let grant = case.granted(&case.claim("a", instant)).await?;
        holds(last < Some(grant.fencing_token()), || {
            format!("{:?} after {last:?}", grant.fencing_token())
        })?;
        last = Some(grant.fencing_token());
        case.releases(&grant, Completion::Succeeded, Released::Freed)
            .await?;
    }
    Ok(())
}

async fn an_abandoned_instant_can_be_granted_again(case: &Case<'_>) -> Outcome {
    let mut last = None;
    for owner in ["a", "a", "b"] {
        let grant = case.granted(&case.claim(owner, 0)).await?;
        same(grant.attempt(), 1)?;
        holds(last < Some(grant.fencing_token()), || {
            format!("{:?} after {last:?}", grant.fencing_token())
        })?;
        last = Some(grant.fencing_token());
        case.releases(&grant, Completion::Abandoned, Released::Freed)
            .await?;
        case.records(None, RunStatus::Abandoned).await?;
    }
    Ok(())
}

async fn an_abandoned_instant_does_not_bring_back_older_ones(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 1)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    for _ in 0..2 {
        let grant = case.granted(&case.claim("a", 3)).await?;
        case.releases(&grant, Completion::Abandoned, Released::Freed)
            .await?;
    }
    case.records(Some(1), RunStatus::Abandoned).await?;
    let last = case.base + Duration::from_secs(1);
    case.acquires(&case.claim("b", 0), Acquired::Superseded { last })
        .await?;
    match case.lock.acquire(&case.claim("b", 1)).await? {
        Acquired::AlreadyFired { .. } => {}
        other => return Err(Breach(format!("{other:?}"))),
    }
    case.granted(&case.claim("b", 2)).await.map(drop)
}

async fn a_repeated_claim_after_the_run_is_burned(case: &Case<'_>) -> Outcome {
    for (instant, how) in [(0, Completion::Succeeded), (1, Completion::Abandoned)] {
        let claim = case.claim("a", instant);
        let grant = case.granted(&claim).await?;
        case.releases(&grant, how, Released::Freed).await?;
        case.acquires(&claim, Acquired::Burned).await?;
    }
    Ok(())
}

async fn a_repeated_claim_after_a_takeover_is_burned(case: &Case<'_>) -> Outcome {
    let dead = case.claim("a", 0).with_max_attempts(2);
    case.granted(&dead).await?;
    case.end_lease().await;
    case.granted(&case.claim("b", 0).with_max_attempts(2))
        .await?;
    match case.lock.acquire(&dead).await? {
        // The record of the claim is gone with the other's grant.
        Acquired::Burned | Acquired::AlreadyFired { .. } => Ok(()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

async fn a_repeated_claim_takes_its_lapsed_lease_up_again(case: &Case<'_>) -> Outcome {
    let claim = case.claim("a", 0);
    let first = case.granted(&claim).await?;
    case.end_lease().await;
    let second = case.granted(&claim).await?;
    same(second.fencing_token(), first.fencing_token())?;
    same(second.remaining(), TTL)?;
    match case.lock.acquire(&case.claim("b", 1)).await? {
        Acquired::Held(_) => Ok(()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

async fn a_dead_run_is_not_taken_over_by_default(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    let same_instant = case.claim("b", 0);
    case.acquires(&same_instant, already("a", RunStatus::Running))
        .await?;
    case.granted(&case.claim("b", 1)).await.map(drop)
}

async fn a_dead_run_is_taken_over_when_attempts_are_left(case: &Case<'_>) -> Outcome {
    let first = case
        .granted(&case.claim("a", 0).with_max_attempts(2))
        .await?;
    let takeover = case.claim("b", 0).with_max_attempts(2);
    // Not while its lease lasts.
    case.acquires(&takeover, already("a", RunStatus::Running))
        .await?;
    case.end_lease().await;
    let second = case.granted(&takeover).await?;
    same(second.attempt(), 2)?;
    holds(second.fencing_token() > first.fencing_token(), || {
        format!(
            "{:?} after {:?}",
            second.fencing_token(),
            first.fencing_token()
        )
    })?;
    case.end_lease().await;
    let third = case.claim("c", 0).with_max_attempts(2);
    case.acquires(&third, already("b", RunStatus::Running))
        .await
}

async fn an_ended_run_is_not_taken_over(case: &Case<'_>) -> Outcome {
    for (instant, how, is_over) in [
        (0, Completion::Succeeded, true),
        (1, Completion::Failed, true),
        (2, Completion::TimedOut, true),
        (3, Completion::Cancelled, false),
    ] {
        let grant = case.granted(&case.claim("a", instant)).await?;
        case.releases(&grant, how, Released::Freed).await?;
        let takeover = case.claim("b", instant).with_max_attempts(2);
        if is_over {
            case.acquires(&takeover, already("a", how.into())).await?;
        } else {
            same(case.granted(&takeover).await?.attempt(), 2)?;
        }
    }
    Ok(())
}

async fn a_dead_run_is_finished_before_later_instants(case: &Case<'_>) -> Outcome {
    let dead = case.claim("a", 0).with_max_attempts(2);
    case.granted(&dead).await?;
    case.end_lease().await;
    let later = case.claim("b", 1).with_max_attempts(2);
    let first = Acquired::FinishEarlier {
        fire_time: dead.fire_time(),
    };
    case.acquires(&later, first).await?;
    let grant = case
        .granted(&case.claim("b", 0).with_max_attempts(2))
        .await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.granted(&later).await.map(drop)
}

async fn an_instant_far_ahead_is_too_early(case: &Case<'_>) -> Outcome {
    // A minute ahead, and the store's clock may move on while we ask.
    let ahead = case.claim("a", 260);
    match case.lock.acquire(&ahead).await? {
        Acquired::TooEarly { wait } => {
            let expected = Duration::from_secs(50)..=Duration::from_secs(61);
            holds(expected.contains(&wait), || format!("{wait:?} to wait"))?;
        }
        other => return Err(Breach(format!("{other:?}"))),
    }
    case.granted(&ahead.with_early(Duration::from_secs(90)))
        .await
        .map(drop)
}

async fn an_instant_long_past_is_too_late(case: &Case<'_>) -> Outcome {
    let past = || case.claim("a", 0);
    let late = past().with_late(Duration::from_secs(65));
    match case.lock.acquire(&late).await? {
        Acquired::TooLate { lateness } => {
            let expected = Duration::from_secs(200)..=Duration::from_secs(215);
            holds(expected.contains(&lateness), || {
                format!("{lateness:?} late")
            })?;
        }
        other => return Err(Breach(format!("{other:?}"))),
    }
    case.granted(&past()).await.map(drop)
}

async fn a_renewal_extends_a_lease(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    for _ in 0..2 {
        case.renews(&grant, Renewed::Extended).await?;
    }
    case.records(Some(0), RunStatus::Running).await
}

async fn a_renewal_brings_a_lapsed_lease_back(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    case.renews(&grant, Renewed::Reasserted).await?;
    case.renews(&grant, Renewed::Extended).await?;
    match case.lock.acquire(&case.claim("b", 1)).await? {
        Acquired::Held(_) => Ok(()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

async fn a_renewal_after_a_takeover_is_lost(case: &Case<'_>) -> Outcome {
    let late = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    let other = case.granted(&case.claim("b", 1)).await?;
    let lost = || Renewed::Lost {
        owner: Some("b".to_owned()),
    };
    case.renews(&late, lost()).await?;
    case.releases(&other, Completion::Succeeded, Released::Freed)
        .await?;
    case.renews(&late, lost()).await?;
    case.records(Some(1), RunStatus::Succeeded).await
}

async fn a_delayed_renewal_does_not_bring_a_released_lease_back(case: &Case<'_>) -> Outcome {
    for (instant, how) in [(0, Completion::Succeeded), (1, Completion::Abandoned)] {
        let grant = case.granted(&case.claim("a", instant)).await?;
        case.releases(&grant, how, Released::Freed).await?;
        case.renews(&grant, Renewed::Lost { owner: None }).await?;
    }
    case.granted(&case.claim("b", 2)).await.map(drop)
}

async fn a_release_frees_the_task(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.granted(&case.claim("b", 1)).await.map(drop)
}

async fn a_repeated_release_changes_nothing(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Failed, Released::Freed)
        .await?;
    for how in [Completion::Failed, Completion::Abandoned] {
        case.releases(&grant, how, Released::WasGone).await?;
        case.records(Some(0), RunStatus::Failed).await?;
    }
    Ok(())
}

async fn a_release_after_the_end_of_the_lease_still_records_the_run(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    case.releases(&grant, Completion::Succeeded, Released::WasGone)
        .await?;
    case.records(Some(0), RunStatus::Succeeded).await
}

async fn a_release_after_a_takeover_says_who_has_the_task(case: &Case<'_>) -> Outcome {
    let late = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    let other = case.granted(&case.claim("b", 1)).await?;
    let not_owner = Released::NotOwner {
        owner: Some("b".to_owned()),
    };
    case.releases(&late, Completion::Succeeded, not_owner)
        .await?;
    case.records(Some(1), RunStatus::Running).await?;
    case.renews(&other, Renewed::Extended).await
}

async fn every_completion_is_recorded(case: &Case<'_>) -> Outcome {
    for (instant, how, status, last) in [
        (1, Completion::Succeeded, RunStatus::Succeeded, 1),
        (2, Completion::Failed, RunStatus::Failed, 2),
        (3, Completion::TimedOut, RunStatus::TimedOut, 3),
        (4, Completion::Cancelled, RunStatus::Cancelled, 4),
        (5, Completion::Abandoned, RunStatus::Abandoned, 4),
    ] {
        let grant = case.granted(&case.claim("a", instant)).await?;
        case.releases(&grant, how, Released::Freed).await?;
        case.records(Some(last), status).await?;
    }
    Ok(())
}

async fn an_unknown_task_was_never_fired(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let tasks = [fresh_task(""), case.task.clone(), fresh_task("")];
    let last = case.lock.last_fired(&tasks).await?;
    let known: Vec<bool> = last.iter().map(Option::is_some).collect();
    same(known, vec![false, true, false])?;
    same(case.lock.last_fired(&[]).await?, Vec::new())
}

async fn a_batch_is_answered_in_order(case: &Case<'_>) -> Outcome {
    same(case.lock.acquire_all(&[]).await.len(), 0)?;
    // More than stores are likely to handle at once.
    let tasks: Vec<TaskName> = (0..300).map(|_| fresh_task("")).collect();
    let taken = |n: usize| n.is_multiple_of(3);
    for (n, task) in tasks.iter().enumerate() {
        if taken(n) {
            case.granted(&case.claim_on(task, "b", 0)).await?;
        }
    }
    let claims: Vec<Claim> = tasks.iter().map(|t| case.claim_on(t, "a", 0)).collect();
    let answers = case.lock.acquire_all(&claims).await;
    same(answers.len(), claims.len())?;
    let mut grants = Vec::new();
    for (n, (claim, answer)) in claims.iter().zip(answers).enumerate() {
        match answer? {
            Acquired::Granted(grant) if !taken(n) => {
                same(grant.task(), claim.task())?;
                grants.push(grant);
            }
            Acquired::AlreadyFired { .. } if taken(n) => {}
            other => return Err(Breach(format!("claim {n}: {other:?}"))),
        }
    }
    if let Some(grant) = grants.get(7) {
        case.releases(grant, Completion::Succeeded, Released::Freed)
            .await?;
    }
    let renewed = case.lock.renew_all(&grants).await;
    same(renewed.len(), grants.len())?;
    for (n, answer) in renewed.into_iter().enumerate() {
        let expected = if n == 7 {
            Renewed::Lost { owner: None }
        } else {
            Renewed::Extended
        };
        same(answer?, expected)?;
    }
    same(case.lock.renew_all(&[]).await.len(), 0)
}

async fn a_batch_handles_duplicates_one_after_the_other(case: &Case<'_>) -> Outcome {
    let first = case.claim("a", 0);
    let claims = [
        first.clone(),
        first.clone(),
        case.claim("b", 0),
        case.claim("b", 1),
    ];
    let answers: Vec<Acquired> = case
        .lock
        .acquire_all(&claims)
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    match answers.as_slice() {
        [
            Acquired::Granted(one),
            Acquired::Granted(two),
            Acquired::AlreadyFired { .. },
            Acquired::Held(_),
        ] => same(one.fencing_token(), two.fencing_token()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

async fn every_allowed_character_makes_a_name_of_its_own(case: &Case<'_>) -> Outcome {
    let allowed = ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .chain("_.:-".chars());
    let stem = fresh_token();
    let mut names: Vec<String> = allowed.map(|c| format!("{}{c}", stem.as_str())).collect();
    names.extend(
        [
            "..".to_owned(),
            ".".to_owned(),
            "-".to_owned(),
            ":".to_owned(),
        ]
        .map(|end| {
            // Traps for stores that make file names or keys of them.
            format!("{}{end}x{end}", stem.as_str())
        }),
    );
    names.push(format!(
        "{}{}",
        stem.as_str(),
        "x".repeat(TaskName::MAX_LEN - 32)
    ));
    for name in &names {
        let task = name.parse()?;
        match case.lock.acquire(&case.claim_on(&task, "a", 0)).await? {
            Acquired::Granted(_) => {}
            other => return Err(Breach(format!("{name}: {other:?}"))),
        }
    }
    Ok(())
}

async fn tasks_do_not_disturb_each_other(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 5)).await?;
    let name = format!("{}.x", case.task);
    let neighbour = name.parse()?;
    let other = case.granted(&case.claim_on(&neighbour, "a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.renews(&other, Renewed::Extended).await
}

async fn check_and_describe_answer(case: &Case<'_>) -> Outcome {
    case.lock.check().await?;
    holds(!case.lock.describe().is_empty(), || {
        "describe() says nothing".to_owned()
    })
}

/// Workers read, yield, change and write a counter, and do so only under the lock.
async fn no_update_under_the_lock_is_lost(case: &Case<'_>) -> Outcome {
    const WORKERS: usize = 8;
    const INSTANTS: u64 = 40;
    let counter = Arc::new(Mutex::new(0_u64));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let owner = format!("worker-{worker}");
        let claims: Vec<Claim> = (0..INSTANTS).map(|n| case.claim(&owner, n)).collect();
        let lock = case.lock.clone();
        let (counter, order) = (counter.clone(), order.clone());
        workers.spawn(async move {
            for claim in claims {
                loop {
                    match lock.acquire(&claim).await? {
                        Acquired::Granted(grant) => {
                            let token = grant.fencing_token();
                            with(&order, |o| o.push((claim.fire_time(), token)));
                            let seen = with(&counter, |c| *c);
                            for _ in 0..=worker {
                                tokio::task::yield_now().await;
                            }
                            with(&counter, |c| *c = seen + 1);
                            lock.release(&grant, Completion::Succeeded).await?;
                            break;
                        }
                        Acquired::AlreadyFired { .. } | Acquired::Superseded { .. } => break,
                        Acquired::Held(_) => tokio::task::yield_now().await,
                        other => return Err(Breach(format!("{other:?}"))),
                    }
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|e| Breach(format!("a worker panicked: {e}")))??;
    }
    let order = with(&order, std::mem::take);
    same(with(&counter, |c| *c), INSTANTS)?;
    let instants: BTreeSet<_> = order.iter().map(|(instant, _)| *instant).collect();
    same(
        (instants.len(), order.len()),
        (INSTANTS as usize, INSTANTS as usize),
    )?;
    holds(order.is_sorted_by(|(_, a), (_, b)| a < b), || {
        format!("fencing tokens do not grow: {order:?}")
    })
}

fn with<T, R>(cell: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut cell.lock().unwrap_or_else(PoisonError::into_inner))
}
