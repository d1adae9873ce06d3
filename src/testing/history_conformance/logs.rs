//! Lines that runs have logged.

use super::*;
use crate::history::{LogLine, LogTail};

fn lines(case: &Case<'_>, numbers: std::ops::RangeInclusive<u64>) -> Vec<LogLine> {
    let line = |n| LogLine::new(n, case.now, "INFO", "app", format!("line {n} \u{1b}\n\"|"));
    numbers.map(line).collect()
}

async fn write(case: &Case<'_>, run: &RunRecord, lines: Vec<LogLine>, keep_from: u64) -> Outcome {
    let write = HistoryWrite::Log {
        run_id: run.run_id,
        task: run.task.clone(),
        lines,
        keep_from,
    };
    Ok(case.history.write(&[write]).await?)
}

async fn read(
    case: &Case<'_>,
    run: &RunRecord,
    after: u64,
) -> std::result::Result<LogTail, Breach> {
    Ok(case.other.log(run.run_id, after).await?)
}

pub(super) async fn lines_are_read_after_a_line(case: &Case<'_>) -> Outcome {
    let run = case.started(0);
    case.write(&run).await?;
    same(read(case, &run, 0).await?, LogTail::default())?;
    write(case, &run, lines(case, 1..=3), 1).await?;
    // Again, as after an answer that was lost.
    write(case, &run, lines(case, 1..=3), 1).await?;
    write(case, &run, lines(case, 4..=12), 1).await?;
    let all = read(case, &run, 0).await?;
    same((all.lines, all.is_cut), (lines(case, 1..=12), false))?;
    let some = read(case, &run, 9).await?;
    same((some.lines, some.is_cut), (lines(case, 10..=12), false))?;
    same(read(case, &run, 12).await?.lines, Vec::new())
}

pub(super) async fn lines_that_are_not_kept_any_more_are_said_to_be_cut(
    case: &Case<'_>,
) -> Outcome {
    let run = case.started(0);
    write(case, &run, lines(case, 1..=3), 1).await?;
    write(case, &run, lines(case, 6..=8), 3).await?;
    let tail = read(case, &run, 0).await?;
    let numbers: Vec<u64> = tail.lines.iter().map(|line| line.number).collect();
    same((numbers, tail.is_cut), (vec![3, 6, 7, 8], true))
}

pub(super) async fn the_logs_of_the_last_runs_are_kept(case: &Case<'_>) -> Outcome {
    let runs: Vec<RunRecord> = (0..25).map(|n| case.started(n)).collect();
    for run in &runs {
        case.write(run).await?;
        write(case, run, lines(case, 1..=1), 1).await?;
    }
    for (n, run) in runs.iter().enumerate() {
        let is_kept = !read(case, run, 0).await?.lines.is_empty();
        same((n, is_kept), (n, n >= 5))?;
    }
    // One that is older than those that are kept stays out.
    let late = case.started(-1);
    write(case, &late, lines(case, 1..=1), 1).await?;
    same(read(case, &late, 0).await?.lines, Vec::new())
}
