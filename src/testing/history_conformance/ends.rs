//! What is counted, and runs whose instances are gone.

use super::*;

pub(super) async fn what_is_written_twice_counts_once(case: &Case<'_>) -> Outcome {
    let failed = case.ended(&case.started(0), Ended::Failure);
    for _ in 0..3 {
        case.write(&failed).await?;
    }
    same(case.counters().await?.consecutive_failures, 1)?;
    let abandoned = case.ended(&case.started(10), Ended::Abandoned);
    for _ in 0..3 {
        case.write(&abandoned).await?;
    }
    same(case.counters().await?.consecutive_failures, 2)?;
    let success = case.ended(&case.started(20), Ended::Success);
    case.write_all([success.clone(), failed]).await?;
    let counters = case.counters().await?;
    same(counters.consecutive_failures, 0)?;
    same(counters.last_success, success.ended)?;
    same(counters.last_failure, abandoned.ended)?;
    same(counters.last_start, Some(success.started))?;
    same(counters.last_outcome, Some(Ended::Success))?;
    same(counters.last_duration, success.duration)?;
    same(counters.last_run.map(|(id, _)| id), Some(success.run_id))
}

pub(super) async fn counters_of_many_tasks_come_in_their_order(case: &Case<'_>) -> Outcome {
    let tasks: Vec<TaskName> = (0..1_200).map(|_| fresh_task()).collect();
    let known = |n: usize| n % 3 != 1;
    let mut runs = Vec::new();
    for (n, task) in tasks.iter().enumerate().filter(|(n, _)| known(*n)) {
        let at = case.now - TimeDelta::seconds(n as i64);
        runs.push(case.started_at(task, at));
    }
    case.write_all(runs).await?;
    let counters = case.other.counters(&tasks).await?;
    same(counters.len(), tasks.len())?;
    for (n, counters) in counters.iter().enumerate() {
        let at = case.now - TimeDelta::seconds(n as i64);
        let start = counters.as_ref().and_then(|c| c.last_start);
        same(start, Some(at).filter(|_| known(n)))?;
        same(counters.is_some(), known(n))?;
    }
    same(case.other.counters(&[]).await?, Vec::new())
}

pub(super) async fn counters_outlive_the_runs_that_they_count(case: &Case<'_>) -> Outcome {
    let old = case.started_at(&case.task, case.now - TimeDelta::days(8));
    let old = case.ended(&old, Ended::Success);
    case.write(&old).await?;
    case.write(&case.started_at(&fresh_task(), case.now))
        .await?;
    same(case.other.run(old.run_id).await?, None)?;
    same(case.counters().await?.last_success, old.ended)
}

pub(super) async fn a_task_is_known_since_it_was_first_seen(case: &Case<'_>) -> Outcome {
    for later in [0, 60] {
        let (task, at) = (case.task.clone(), case.now + TimeDelta::seconds(later));
        case.history
            .write(&[HistoryWrite::Seen { task, at }])
            .await?;
    }
    case.write(&case.started(0)).await?;
    same(case.counters().await?.known_since, Some(case.now))
}

pub(super) async fn a_task_is_excused_until_the_latest_instant_that_was_said(
    case: &Case<'_>,
) -> Outcome {
    let until = |seconds| case.now + TimeDelta::seconds(seconds);
    for seconds in [10, 60, 20] {
        let (task, until) = (case.task.clone(), until(seconds));
        case.history
            .write(&[HistoryWrite::Excused { task, until }])
            .await?;
    }
    same(case.counters().await?.excused_until, Some(until(60)))?;
    same(case.counters().await?.known_since, None)?;
    // What else is counted is not touched, nor does it touch that.
    let run = case.started(0);
    case.write(&case.ended(&run, Ended::Success)).await?;
    let counters = case.counters().await?;
    same(counters.excused_until, Some(until(60)))?;
    same(counters.known_since, Some(run.started))
}

pub(super) async fn runs_of_silent_instances_are_found(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    let alive = HistoryWrite::Alive {
        instance: case.instance.clone(),
    };
    let quiet = Duration::from_millis(500);
    case.history.write(std::slice::from_ref(&alive)).await?;
    let is_silent = async || -> std::result::Result<bool, Breach> {
        Ok(case.other.silent(quiet).await?.contains(&run))
    };
    same(is_silent().await?, false)?;
    case.subject.pass(quiet + Duration::from_millis(200)).await;
    same(is_silent().await?, true)?;
    case.history.write(&[alive]).await?;
    same(is_silent().await?, false)?;
    case.write(&case.ended(&run, Ended::Success)).await?;
    case.subject.pass(quiet + Duration::from_millis(200)).await;
    same(is_silent().await?, false)
}

pub(super) async fn of_two_who_end_a_run_one_does(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    let found = |by: &str| run.found(Ended::Abandoned, case.now, by, "gone");
    let (a, b) = (found("a"), found("b"));
    let (first, second) = tokio::join!(case.history.end(&a), case.other.end(&b));
    let (first, second) = (first?, second?);
    holds(first != second, || format!("{first} and {second}"))?;
    case.reads(if first { &a } else { &b }).await?;
    same(case.counters().await?.consecutive_failures, 1)?;
    let done = case.started(10);
    case.write(&case.ended(&done, Ended::Success)).await?;
    let late = done.found(Ended::Abandoned, case.now, "a", "gone");
    same(case.history.end(&late).await?, false)?;
    let unknown = case.started(20);
    let unknown = unknown.found(Ended::Abandoned, case.now, "a", "gone");
    same(case.history.end(&unknown).await?, false)?;
    same(case.other.run(unknown.run_id).await?, None)
}

pub(super) async fn the_own_instance_knows_better_than_who_found_a_run_abandoned(
    case: &Case<'_>,
) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    let found = run.found(Ended::Abandoned, case.now, "b", "gone");
    same(case.other.end(&found).await?, true)?;
    same(case.other.running(Some(&case.instance)).await?, Vec::new())?;
    let mut ended = case.ended(&run, Ended::Success);
    ended.ended = Some(case.now + TimeDelta::seconds(1));
    case.write(&ended).await?;
    case.reads(&ended).await?;
    same(case.counters().await?.consecutive_failures, 0)
}
