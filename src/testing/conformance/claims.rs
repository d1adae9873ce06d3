//! Which claims are granted, and what the others are told.

use super::*;

pub(super) async fn a_free_task_is_granted(case: &Case<'_>) -> Outcome {
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

pub(super) async fn a_repeated_claim_gets_the_same_grant(case: &Case<'_>) -> Outcome {
    let claim = case.claim("a", 0);
    let first = case.granted(&claim).await?;
    let second = case.granted(&claim).await?;
    same(second.fencing_token(), first.fencing_token())?;
    same(second.attempt(), first.attempt())?;
    holds(second.remaining() <= TTL, || {
        format!("{:?} left of {TTL:?}", second.remaining())
    })
}

pub(super) async fn another_claim_on_a_taken_instant_is_told_who_took_it(
    case: &Case<'_>,
) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let same_instant = case.claim("b", 0);
    case.acquires(&same_instant, already("a", RunStatus::Running))
        .await
}

pub(super) async fn another_instant_is_held_while_a_run_goes_on(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_instant_is_taken_once_and_for_all(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_older_instant_is_superseded(case: &Case<'_>) -> Outcome {
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

pub(super) async fn the_next_instant_is_granted_with_a_larger_fencing_token(
    case: &Case<'_>,
) -> Outcome {
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

pub(super) async fn an_abandoned_instant_can_be_granted_again(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_abandoned_instant_does_not_bring_back_older_ones(
    case: &Case<'_>,
) -> Outcome {
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

pub(super) async fn a_repeated_claim_after_the_run_is_burned(case: &Case<'_>) -> Outcome {
    for (instant, how) in [(0, Completion::Succeeded), (1, Completion::Abandoned)] {
        let claim = case.claim("a", instant);
        let grant = case.granted(&claim).await?;
        case.releases(&grant, how, Released::Freed).await?;
        case.acquires(&claim, Acquired::Burned).await?;
    }
    Ok(())
}

pub(super) async fn a_repeated_claim_after_a_takeover_is_burned(case: &Case<'_>) -> Outcome {
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

pub(super) async fn a_repeated_claim_takes_its_lapsed_lease_up_again(case: &Case<'_>) -> Outcome {
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

pub(super) async fn a_dead_run_is_not_taken_over_by_default(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    let same_instant = case.claim("b", 0);
    case.acquires(&same_instant, already("a", RunStatus::Running))
        .await?;
    case.granted(&case.claim("b", 1)).await.map(drop)
}

pub(super) async fn a_dead_run_is_taken_over_when_attempts_are_left(case: &Case<'_>) -> Outcome {
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
    case.acquires(&third, already_at(2, "b", RunStatus::Running))
        .await
}

pub(super) async fn an_ended_run_is_not_taken_over(case: &Case<'_>) -> Outcome {
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

pub(super) async fn a_dead_run_is_finished_before_later_instants(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_instant_far_ahead_is_too_early(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_instant_long_past_is_too_late(case: &Case<'_>) -> Outcome {
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
