//! Several locks of one task.

use super::*;

pub(super) async fn each_lane_excludes_for_itself(case: &Case<'_>) -> Outcome {
    let first = case.granted(&case.claim("a", 0)).await?;
    let second = case.granted(&case.claim("b", 1).with_lane(1)).await?;
    holds(first.fencing_token() < second.fencing_token(), || {
        format!(
            "{:?} before {:?}",
            first.fencing_token(),
            second.fencing_token()
        )
    })?;
    for lane in [0, 1] {
        match case
            .lock
            .acquire(&case.claim("c", 2).with_lane(lane))
            .await?
        {
            Acquired::Held(_) => {}
            other => return Err(Breach(format!("lane {lane} not held: {other:?}"))),
        }
    }
    let third = case.granted(&case.claim("c", 2).with_lane(2)).await?;
    case.renews(&first, Renewed::Extended).await?;
    case.releases(&second, Completion::Succeeded, Released::Freed)
        .await?;
    case.granted(&case.claim("d", 3).with_lane(1)).await?;
    case.releases(&third, Completion::Failed, Released::Freed)
        .await?;
    case.releases(&first, Completion::Succeeded, Released::Freed)
        .await
}

pub(super) async fn an_instant_is_taken_once_for_all_lanes(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 1).with_lane(1)).await?;
    for lane in [0, 1, 2] {
        let same_instant = case.claim("b", 1).with_lane(lane);
        case.acquires(&same_instant, already("a", RunStatus::Running))
            .await?;
    }
    let last = case.base + Duration::from_secs(1);
    let older = case.claim("b", 0).with_lane(2);
    case.acquires(&older, Acquired::Superseded { last }).await
}

pub(super) async fn a_repeated_claim_on_a_lane_gets_the_same_grant(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let claim = case.claim("b", 1).with_lane(3);
    let first = case.granted(&claim).await?;
    let second = case.granted(&claim).await?;
    same(second.fencing_token(), first.fencing_token())?;
    same(second.lane(), 3)
}

pub(super) async fn a_repeated_claim_keeps_its_lane_when_another_was_granted_since(
    case: &Case<'_>,
) -> Outcome {
    let claim = case.claim("a", 0).with_lanes(2);
    case.granted(&claim).await?;
    let newer = case.claim("b", 1).with_lane(1);
    let other = case.granted(&newer).await?;
    let again = case.granted(&claim).await?;
    holds(again.fencing_token() > other.fencing_token(), || {
        format!("{} is not new", again.fencing_token())
    })?;
    same((again.lane(), again.attempt()), (0, 1))?;
    let repeated = case.granted(&newer).await?;
    holds(repeated.fencing_token() > again.fencing_token(), || {
        format!("{} is given twice", again.fencing_token())
    })?;
    case.records(Some(1), RunStatus::Running).await?;
    case.releases(&again, Completion::Succeeded, Released::Freed)
        .await?;
    // Its run is over: nothing is left to be granted again.
    let last = case.base + Duration::from_secs(1);
    case.acquires(&claim, Acquired::Superseded { last }).await
}

/// As after a loss of data, when the first of several runs has brought its record back.
pub(super) async fn a_renewal_takes_its_lane_back_whoever_was_granted_another(
    case: &Case<'_>,
) -> Outcome {
    let older = case.granted(&case.claim("a", 0).with_lanes(2)).await?;
    let newer = case.granted(&case.claim("b", 1).with_lane(1)).await?;
    case.end_lease().await;
    case.renews(&older, Renewed::Reasserted).await?;
    case.records(Some(1), RunStatus::Running).await?;
    match case.lock.renew(&newer).await? {
        Renewed::Extended | Renewed::Reasserted => {}
        other => return Err(Breach(format!("the newer one: {other:?}"))),
    }
    case.releases(&older, Completion::Succeeded, Released::Freed)
        .await?;
    case.releases(&newer, Completion::Succeeded, Released::Freed)
        .await
}

pub(super) async fn without_lanes_a_renewal_takes_nothing_back_from_a_newer_grant(
    case: &Case<'_>,
) -> Outcome {
    let older = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    let newer = case.granted(&case.claim("b", 1)).await?;
    case.releases(&newer, Completion::Succeeded, Released::Freed)
        .await?;
    let lost = Renewed::Lost {
        owner: Some("b".to_owned()),
    };
    case.renews(&older, lost).await
}
