//! Renewal, release, and the record they leave.

use super::*;

pub(super) async fn a_renewal_extends_a_lease(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    for _ in 0..2 {
        case.renews(&grant, Renewed::Extended).await?;
    }
    case.records(Some(0), RunStatus::Running).await
}

pub(super) async fn a_renewal_brings_a_lapsed_lease_back(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    case.renews(&grant, Renewed::Reasserted).await?;
    case.renews(&grant, Renewed::Extended).await?;
    match case.lock.acquire(&case.claim("b", 1)).await? {
        Acquired::Held(_) => Ok(()),
        other => Err(Breach(format!("{other:?}"))),
    }
}

pub(super) async fn a_renewal_after_a_takeover_is_lost(case: &Case<'_>) -> Outcome {
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

pub(super) async fn a_delayed_renewal_does_not_bring_a_released_lease_back(
    case: &Case<'_>,
) -> Outcome {
    for (instant, how) in [(0, Completion::Succeeded), (1, Completion::Abandoned)] {
        let grant = case.granted(&case.claim("a", instant)).await?;
        case.releases(&grant, how, Released::Freed).await?;
        case.renews(&grant, Renewed::Lost { owner: None }).await?;
    }
    case.granted(&case.claim("b", 2)).await.map(drop)
}

/// A lock that does not tell breaks no promise.
pub(super) async fn a_lease_is_shown_with_how_long_it_lasts(case: &Case<'_>) -> Outcome {
    let tasks = [fresh_task(""), case.task.clone()];
    same(case.lock.leases(&tasks).await?, vec![None, None])?;
    let grant = case.granted(&case.claim("a", 0)).await?;
    let shown = case.lock.leases(&tasks).await?;
    let is_fit = |left: &Duration| !left.is_zero() && *left <= TTL;
    holds(
        shown.len() == 2 && shown.first() == Some(&None) && shown.iter().flatten().all(is_fit),
        || format!("{shown:?} of a lease of {TTL:?}"),
    )?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    same(case.lock.leases(&tasks).await?, vec![None, None])
}

pub(super) async fn a_release_frees_the_task(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Succeeded, Released::Freed)
        .await?;
    case.granted(&case.claim("b", 1)).await.map(drop)
}

pub(super) async fn a_repeated_release_changes_nothing(case: &Case<'_>) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.releases(&grant, Completion::Failed, Released::Freed)
        .await?;
    for how in [Completion::Failed, Completion::Abandoned] {
        case.releases(&grant, how, Released::WasGone).await?;
        case.records(Some(0), RunStatus::Failed).await?;
    }
    Ok(())
}

pub(super) async fn a_release_after_the_end_of_the_lease_still_records_the_run(
    case: &Case<'_>,
) -> Outcome {
    let grant = case.granted(&case.claim("a", 0)).await?;
    case.end_lease().await;
    case.releases(&grant, Completion::Succeeded, Released::WasGone)
        .await?;
    case.records(Some(0), RunStatus::Succeeded).await
}

pub(super) async fn a_release_after_a_takeover_says_who_has_the_task(case: &Case<'_>) -> Outcome {
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

pub(super) async fn every_completion_is_recorded(case: &Case<'_>) -> Outcome {
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

pub(super) async fn an_unknown_task_was_never_fired(case: &Case<'_>) -> Outcome {
    case.granted(&case.claim("a", 0)).await?;
    let tasks = [fresh_task(""), case.task.clone(), fresh_task("")];
    let last = case.lock.last_fired(&tasks).await?;
    let known: Vec<bool> = last.iter().map(Option::is_some).collect();
    same(known, vec![false, true, false])?;
    same(case.lock.last_fired(&[]).await?, Vec::new())
}
