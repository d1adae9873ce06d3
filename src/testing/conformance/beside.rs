//! Runs beside the schedule, and leases that a person takes from their owners.

use super::{Case, Outcome, holds, same};
use crate::lock::{
    Acquired, Completion, FencingToken, Lock, Released, Renewed, RunStatus, Unlocked,
};

/// The instants of a task, with runs between them that somebody asked for.
pub(super) async fn a_run_off_schedule_takes_no_instant(case: &Case<'_>) -> Outcome {
    let mut last = None;
    let mut grows = |token: FencingToken| {
        let grows = last < Some(token);
        holds(grows, || format!("{token:?} after {last:?}"))?;
        last = Some(token);
        Ok::<(), super::Breach>(())
    };
    for instant in 0..3 {
        // The instant that it says is nothing to the lock: a later one, and the same again and again.
        for instant in [instant + 1, 0] {
            let claim = case.claim("by-hand", instant).with_off_schedule();
            let grant = case.granted(&claim).await?;
            grows(grant.fencing_token())?;
            case.releases(&grant, Completion::Failed, Released::Freed)
                .await?;
        }
        let grant = case.granted(&case.claim("a", instant)).await?;
        grows(grant.fencing_token())?;
        case.releases(&grant, Completion::Succeeded, Released::Freed)
            .await?;
        case.records(Some(instant), RunStatus::Succeeded).await?;
    }
    Ok(())
}

pub(super) async fn a_run_off_schedule_and_a_scheduled_one_exclude_each_other(
    case: &Case<'_>,
) -> Outcome {
    let held = |answer: &Acquired| {
        holds(matches!(answer, Acquired::Held(_)), || {
            format!("{answer:?}")
        })
    };
    let by_hand = case.claim("by-hand", 0).with_off_schedule();
    let grant = case.granted(&by_hand).await?;
    held(&case.lock.acquire(&case.claim("a", 0)).await?)?;
    held(
        &case
            .lock
            .acquire(&case.claim("b", 0).with_off_schedule())
            .await?,
    )?;
    case.renews(&grant, Renewed::Extended).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.releases(&grant, Completion::Succeeded, Released::WasGone)
        .await?;
    let scheduled = case.granted(&case.claim("a", 0)).await?;
    held(
        &case
            .lock
            .acquire(&case.claim("b", 0).with_off_schedule())
            .await?,
    )?;
    case.renews(&scheduled, Renewed::Extended).await?;
    case.releases(&scheduled, Completion::Succeeded, Released::Freed)
        .await
}

pub(super) async fn a_repeated_claim_off_schedule_keeps_its_lease(case: &Case<'_>) -> Outcome {
    let claim = case.claim("by-hand", 0).with_off_schedule();
    let first = case.granted(&claim).await?;
    let again = case.granted(&claim).await?;
    holds(first.fencing_token() <= again.fencing_token(), || {
        format!("{again:?}")
    })?;
    case.releases(&again, Completion::Succeeded, Released::Freed)
        .await
}

pub(super) async fn a_dead_run_does_not_come_back_from_under_one_off_schedule(
    case: &Case<'_>,
) -> Outcome {
    let dead = case.granted(&case.claim("dead", 0)).await?;
    case.end_lease().await;
    let grant = case
        .granted(&case.claim("by-hand", 0).with_off_schedule())
        .await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    let answer = case.lock.renew(&dead).await?;
    holds(matches!(answer, Renewed::Lost { .. }), || {
        format!("{answer:?}")
    })?;
    case.records(Some(0), RunStatus::Cancelled).await
}

pub(super) async fn a_lease_is_taken_from_its_owner_by_its_own_token_only(
    case: &Case<'_>,
) -> Outcome {
    let unlock = |fence| case.lock.unlock(&case.task, fence);
    same(unlock(FencingToken::new(1)).await?, Unlocked::NotLocked)?;
    let grant = case.granted(&case.claim("a", 0)).await?;
    let fence = grant.fencing_token();
    let current = Some(fence);
    let stale = FencingToken::new(fence.get() - 1);
    same(unlock(stale).await?, Unlocked::Other { current })?;
    case.renews(&grant, Renewed::Extended).await?;
    same(unlock(fence).await?, Unlocked::Freed)?;
    same(unlock(fence).await?, Unlocked::NotLocked)?;
    let answer = case.lock.renew(&grant).await?;
    holds(matches!(answer, Renewed::Lost { .. }), || {
        format!("{answer:?}")
    })?;
    let next = case.granted(&case.claim("b", 1)).await?;
    let current = Some(next.fencing_token());
    same(unlock(fence).await?, Unlocked::Other { current })
}
