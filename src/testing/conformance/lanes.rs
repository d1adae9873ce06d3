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
