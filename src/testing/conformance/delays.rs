//! Claims that come so long after the end of the last run.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// When the last run of the case's task ended, as the lock recorded it.
async fn end_of_last_run(case: &Case<'_>) -> std::result::Result<Option<DateTime<Utc>>, Breach> {
    let last = case
        .lock
        .last_fired(std::slice::from_ref(&case.task))
        .await?;
    Ok(last.into_iter().next().flatten().and_then(|l| l.ended_at))
}

/// That a claim is told to come back an hour after the recorded end.
async fn is_delayed_by_an_hour(case: &Case<'_>, claim: &Claim) -> Outcome {
    match case.lock.acquire(claim).await? {
        Acquired::Delayed { fire_time, wait } => {
            let ended = end_of_last_run(case).await?;
            same(ended.map(|ended| ended + HOUR), Some(fire_time))?;
            let is_near = wait <= HOUR && wait > HOUR - Duration::from_secs(60);
            holds(is_near, || format!("a wait of {wait:?}"))
        }
        other => Err(Breach(format!("not delayed: {other:?}"))),
    }
}

pub(super) async fn a_first_run_waits_for_no_other(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0).with_delay(HOUR)).await?;
    same(end_of_last_run(case).await?, None)
}

pub(super) async fn the_end_of_a_run_is_recorded_and_kept_by_the_next(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    same(end_of_last_run(case).await?, None)?;
    case.releases(&grant, Completion::Failed, Released::Freed)
        .await?;
    let now = case.subject.now().await;
    let ended = end_of_last_run(case).await?;
    let is_now = |at: DateTime<Utc>| (now - at).abs().num_seconds() < 60;
    holds(ended.is_some_and(is_now), || format!("{ended:?} at {now}"))?;
    case.granted(&case.claim("a", 1)).await?;
    same(end_of_last_run(case).await?, ended)
}

pub(super) async fn a_run_too_soon_after_the_last_one_is_delayed(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    for owner in ["a", "b"] {
        is_delayed_by_an_hour(case, &case.claim(owner, 1).with_delay(HOUR)).await?;
    }
    // Also one whose clock is behind: it is to learn when.
    let before = Claim::new(case.task.clone(), case.base - HOUR, fresh_token(), "late");
    is_delayed_by_an_hour(case, &before.with_delay(HOUR)).await
}

pub(super) async fn a_run_long_enough_after_the_last_one_is_granted(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    let sooner = case.claim("a", 1).with_delay(Duration::ZERO);
    let due = match case.lock.acquire(&sooner).await? {
        Acquired::Delayed { fire_time, wait } => {
            same(wait, Duration::ZERO)?;
            fire_time
        }
        other => return Err(Breach(format!("granted for an instant before: {other:?}"))),
    };
    let claim = Claim::new(case.task.clone(), due, fresh_token(), "b").with_delay(Duration::ZERO);
    let grant = case.granted(&claim).await?;
    same(grant.fire_time(), due)
}

pub(super) async fn a_delayed_claim_is_held_while_a_run_goes_on(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let claim = case.claim("b", 1).with_delay(Duration::ZERO);
    match case.lock.acquire(&claim).await? {
        Acquired::Held(_) => Ok(()),
        other => Err(Breach(format!("not held: {other:?}"))),
    }
}

pub(super) async fn a_dead_run_has_ended_when_a_delayed_claim_finds_it(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    for owner in ["b", "c"] {
        is_delayed_by_an_hour(case, &case.claim(owner, 1).with_delay(HOUR)).await?;
    }
    case.records(Some(0), RunStatus::Cancelled).await?;
    // Its owner, should it wake, has lost it.
    case.renews(&grant, Renewed::Lost { owner: None }).await
}

pub(super) async fn an_abandoned_run_leaves_the_end_of_the_one_before(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Abandoned, Released::Freed)
        .await?;
    same(end_of_last_run(case).await?, None)?;
    let grant = case.granted(&case.claim("a", 0).with_delay(HOUR)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    let ended = end_of_last_run(case).await?;
    let grant = case.granted(&case.claim("a", 1)).await?;
    case.releases(&grant, Completion::Abandoned, Released::Freed)
        .await?;
    same(end_of_last_run(case).await?, ended)
}
