//! Records of runs.

use chrono::TimeDelta;

use super::*;
use crate::history::{AttemptRecord, Failure};
use crate::task::{Progress, Shard};

pub(super) async fn a_run_is_there_from_its_start(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    case.reads(&run).await?;
    let running = case.other.running(Some(&case.instance)).await?;
    same(running, vec![run.clone()])?;
    let all = case.other.running(None).await?;
    holds(all.contains(&run), || {
        "it is not among all that run".to_owned()
    })?;
    let ended = case.ended(&run, Ended::Success);
    case.write(&ended).await?;
    case.reads(&ended).await?;
    same(case.other.running(Some(&case.instance)).await?, Vec::new())?;
    same(case.other.run(case.started(1).run_id).await?, None)
}

pub(super) async fn an_end_needs_no_start(case: &Case<'_>) -> Outcome {
    let ended = case.ended(&case.started(0), Ended::Failure);
    case.write(&ended).await?;
    case.reads(&ended).await?;
    let counters = case.counters().await?;
    same(counters.last_start, Some(ended.started))?;
    same(counters.last_failure, ended.ended)
}

pub(super) async fn an_end_is_not_undone_by_a_start_that_comes_later(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    let ended = case.ended(&run, Ended::Success);
    case.write(&ended).await?;
    case.write(&run).await?;
    case.reads(&ended).await?;
    same(case.other.running(Some(&case.instance)).await?, Vec::new())
}

pub(super) async fn records_come_back_as_they_were(case: &Case<'_>) -> Outcome {
    let hostile = "\"]}|\n'\\ {} %s \u{1b}[31m <script> ä 漢 \u{202e}";
    let failure = Failure {
        message: hostile.repeat(50),
        causes: vec![hostile.to_owned(), String::new()],
        type_name: Some("bank::Error".to_owned()),
    };
    let run = case.started(0);
    let mut run = RunRecord {
        shard: Some(Shard { index: 3, count: 4 }),
        trigger: Trigger::RetryOf,
        retry_of: Some(run.run_id),
        actor: Some(hostile.to_owned()),
        reason: Some(String::new()),
        trace_id: Some("4bf9".to_owned()),
        params: Some(format!("[{hostile:?}]")),
        fencing_token: FencingToken::new((1 << 53) - 1),
        attempts: vec![AttemptRecord {
            number: 7,
            started: run.started,
            duration: Some(Duration::from_micros(1)),
            error: Some(failure),
        }],
        ..run
    };
    case.write(&run).await?;
    case.reads(&run).await?;
    run = case.ended(&run, Ended::Panicked);
    run.status = Some(hostile.to_owned());
    run.progress = Some(Progress::new(u64::MAX, 0));
    case.write(&run).await?;
    case.reads(&run).await?;
    same(
        case.page(&RunQuery::of(case.task.clone())).await?.runs,
        vec![run],
    )
}

pub(super) async fn runs_are_listed_newest_first_and_in_pages(case: &Case<'_>) -> Outcome {
    let runs: Vec<RunRecord> = (0..7).map(|n| case.started(n)).collect();
    // In no order.
    for n in [3, 0, 6, 1, 5, 2, 4] {
        case.write_all(runs.get(n).cloned()).await?;
    }
    let mut newest_first = ids(&runs);
    newest_first.reverse();
    let mut query = RunQuery::of(case.task.clone()).limit(3);
    let mut found = Vec::new();
    loop {
        let page = case.page(&query).await?;
        holds(page.runs.len() <= 3, || "a page is too long".to_owned())?;
        found.extend(ids(&page.runs));
        match page.next {
            Some(next) => query = query.before(next),
            None => break,
        }
    }
    same(found, newest_first)?;
    let all = case.page(&RunQuery::all().limit(10_000)).await?;
    holds(all.runs.len() <= 200, || {
        "a limit is not clamped".to_owned()
    })?;
    holds(all.runs.is_sorted_by(|a, b| a.run_id > b.run_id), || {
        "runs of all tasks are in no order".to_owned()
    })
}

pub(super) async fn runs_are_listed_by_outcome_and_time(case: &Case<'_>) -> Outcome {
    let outcomes = [
        Ended::Success,
        Ended::Failure,
        Ended::Success,
        Ended::Failure,
    ];
    let runs: Vec<RunRecord> = (0..)
        .zip(outcomes)
        .map(|(n, outcome)| case.ended(&case.started(n * 10), outcome))
        .collect();
    case.write_all(runs.clone()).await?;
    case.write(&case.started(100)).await?;
    let query = RunQuery::of(case.task.clone());
    let failures = case
        .page(&query.clone().outcome(Ended::Failure))
        .await?
        .runs;
    let of = |places: [usize; 2]| places.map(|n| runs.get(n).map(|run| run.run_id));
    same(
        ids(&failures).into_iter().map(Some).collect::<Vec<_>>(),
        of([3, 1]).to_vec(),
    )?;
    let since = case.now - TimeDelta::seconds(600 - 20);
    let late = case
        .page(&query.since(since).outcome(Ended::Success))
        .await?
        .runs;
    same(
        ids(&late).into_iter().map(Some).collect::<Vec<_>>(),
        of([2, 2])[..1].to_vec(),
    )
}

pub(super) async fn a_task_keeps_its_last_runs(case: &Case<'_>) -> Outcome {
    let runs: Vec<RunRecord> = (0..510)
        .map(|n| case.ended(&case.started(n), Ended::Success))
        .collect();
    case.write_all(runs.clone()).await?;
    let other = fresh_task();
    let other = case.started_at(&other, case.now);
    case.write(&other).await?;
    let mut query = RunQuery::of(case.task.clone()).limit(200);
    let mut found = Vec::new();
    loop {
        let page = case.page(&query).await?;
        found.extend(ids(&page.runs));
        match page.next {
            Some(next) => query = query.before(next),
            None => break,
        }
    }
    let mut kept = ids(runs.get(10..).unwrap_or_default());
    kept.reverse();
    same(found, kept)?;
    for forgotten in ids(&runs).into_iter().take(10) {
        same(case.other.run(forgotten).await?, None)?;
    }
    case.reads(&other).await
}

pub(super) async fn runs_that_are_too_old_are_gone(case: &Case<'_>) -> Outcome {
    let day = TimeDelta::days(1);
    let old = case.started_at(&case.task, case.now - day * 8);
    let young = case.started_at(&case.task, case.now - day * 6);
    case.write_all([old.clone(), young.clone()]).await?;
    // Others bring it to an end.
    case.write(&case.started_at(&fresh_task(), case.now))
        .await?;
    same(case.other.run(old.run_id).await?, None)?;
    case.reads(&young).await?;
    let page = case.page(&RunQuery::of(case.task.clone())).await?;
    same(page.runs, vec![young])
}

pub(super) async fn a_status_ends_by_itself_and_with_its_run(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    let status = |ttl| HistoryWrite::Status {
        run_id: run.run_id,
        status: Some("uploading".to_owned()),
        progress: Some(Progress::new(2, 5)),
        ttl,
    };
    case.history
        .write(&[status(Duration::from_millis(500))])
        .await?;
    let said = RunRecord {
        status: Some("uploading".to_owned()),
        progress: Some(Progress::new(2, 5)),
        ..run.clone()
    };
    case.reads(&said).await?;
    same(case.other.running(Some(&case.instance)).await?, vec![said])?;
    case.subject.pass(Duration::from_millis(600)).await;
    case.reads(&run).await?;
    case.history
        .write(&[status(Duration::from_secs(60))])
        .await?;
    let ended = case.ended(&run, Ended::Success);
    case.write(&ended).await?;
    case.history
        .write(&[status(Duration::from_secs(60))])
        .await?;
    case.reads(&ended).await
}
