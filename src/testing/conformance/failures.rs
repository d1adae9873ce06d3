//! Failures in a row, and what the lock tells of the grant before.

use super::*;

async fn failures(case: &Case<'_>) -> std::result::Result<u32, Breach> {
    let tasks = [case.task.clone()];
    let last = case.lock.last_fired(&tasks).await?;
    Ok(last
        .into_iter()
        .next()
        .flatten()
        .map_or(0, |last| last.failures))
}

/// Runs one instant to its end.
async fn ends(case: &Case<'_>, instant: u64, how: Completion) -> Outcome {
    let grant = case.granted(&case.claim("a", instant)).await?;
    case.releases(&grant, how, Released::Freed).await
}

pub(super) async fn failures_in_a_row_are_counted_and_a_success_ends_the_row(
    case: &Case<'_>,
) -> Outcome {
    use Completion::{Abandoned, Cancelled, Failed, Succeeded, TimedOut};
    for (instant, how, expected) in [
        (0, Failed, 1),
        (1, TimedOut, 2),
        (2, Cancelled, 2),
        (3, Abandoned, 2),
        (4, Failed, 3),
        (5, Succeeded, 0),
        (6, TimedOut, 1),
    ] {
        ends(case, instant, how).await?;
        same(failures(case).await?, expected)?;
    }
    Ok(())
}

pub(super) async fn a_task_is_paused_after_as_many_failures_as_the_claim_says(
    case: &Case<'_>,
) -> Outcome {
    ends(case, 0, Completion::Failed).await?;
    ends(case, 1, Completion::Failed).await?;
    let patient = case.claim("a", 2).with_pause_after(3);
    let strict = case.claim("b", 2).with_pause_after(2);
    case.acquires(&strict, Acquired::Paused { failures: 2 })
        .await?;
    case.granted(&patient).await.map(drop)
}

pub(super) async fn a_resumed_task_is_granted_and_keeps_its_instants(case: &Case<'_>) -> Outcome {
    ends(case, 0, Completion::Failed).await?;
    let claim = case.claim("a", 1).with_pause_after(1);
    case.acquires(&claim, Acquired::Paused { failures: 1 })
        .await?;
    case.lock.resume(&case.task).await?;
    same(failures(case).await?, 0)?;
    case.records(Some(0), RunStatus::Failed).await?;
    case.granted(&claim).await.map(drop)
}

pub(super) async fn a_task_that_never_failed_can_be_resumed(case: &Case<'_>) -> Outcome {
    case.lock.resume(&case.task).await?;
    case.granted(&case.claim("a", 0).with_pause_after(1))
        .await
        .map(drop)
}

pub(super) async fn a_claim_learns_of_the_spec_of_the_grant_before(case: &Case<'_>) -> Outcome {
    let first = case.granted(&case.claim("a", 0).with_spec("5a")).await?;
    same(first.before(), None)?;
    match case
        .lock
        .acquire(&case.claim("b", 0).with_spec("6b"))
        .await?
    {
        Acquired::AlreadyFired { spec, .. } => same(spec.as_str(), "5a")?,
        other => return Err(Breach(format!("{other:?}"))),
    }
    case.releases(&first, Completion::Succeeded, Released::Freed)
        .await?;
    let second = case.granted(&case.claim("b", 1).with_spec("6b")).await?;
    let before = second.before().map(|b| (b.fire_time, b.spec.clone()));
    same(before, Some((case.base, "5a".to_owned())))
}
