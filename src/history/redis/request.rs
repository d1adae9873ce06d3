//! What the scripts are told.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Outcome;
use crate::history::stored::StoredStatus;
use crate::history::{HistoryWrite, LogLine, Retention, RunQuery, RunRecord};
use crate::task::RunId;

/// How much is kept: what `write.lua` is told first.
pub(super) fn retention(retention: &Retention) -> Vec<String> {
    vec![
        retention.runs.to_string(),
        retention.age.as_millis().to_string(),
        retention.logs.to_string(),
        retention.decisions.to_string(),
    ]
}

/// One write, as `write.lua` reads it.
pub(super) fn write(write: &HistoryWrite, args: &mut Vec<String>) {
    match write {
        HistoryWrite::Run(record) => run("run", record, args),
        HistoryWrite::Decided(decided) => {
            args.extend([
                "dec".to_owned(),
                decided.task.to_string(),
                decided.place().to_string(),
                decided.most_at_place().to_string(),
                decided.to_json(),
            ]);
        }
        HistoryWrite::Status {
            run_id,
            status,
            progress,
            ttl,
        } => {
            let said = StoredStatus {
                status: status.clone(),
                progress: progress.map(|p| [p.done, p.total]),
            };
            args.extend([
                "sta".to_owned(),
                run_id.to_string(),
                ttl.as_millis().max(1).to_string(),
                said.to_json(),
            ]);
        }
        HistoryWrite::Log {
            run_id,
            task,
            lines,
            keep_from,
        } => {
            args.extend([
                "log".to_owned(),
                run_id.to_string(),
                task.to_string(),
                keep_from.to_string(),
                lines.len().to_string(),
            ]);
            let line = |line: &LogLine| [line.number.to_string(), line.to_json()];
            args.extend(lines.iter().flat_map(line));
        }
        HistoryWrite::Seen { task, at } => {
            args.extend(["saw".to_owned(), task.to_string(), micros(Some(*at))]);
        }
        HistoryWrite::Excused { task, until } => {
            args.extend(["exc".to_owned(), task.to_string(), micros(Some(*until))]);
        }
        HistoryWrite::Alive { instance } => args.extend(["alv".to_owned(), fit(instance)]),
    }
}

pub(super) fn run(kind: &str, run: &RunRecord, args: &mut Vec<String>) {
    let letter = match run.outcome {
        None => "R",
        Some(Outcome::Abandoned) => "A",
        Some(_) => "F",
    };
    args.extend([
        kind.to_owned(),
        run.run_id.to_string(),
        run.task.to_string(),
        fit(&run.instance),
        letter.to_owned(),
        micros(Some(run.started)),
        micros(run.ended),
        run.outcome.map_or("", Outcome::as_str).to_owned(),
        run.duration.map_or(0, micros_of).to_string(),
        run.to_json(),
    ]);
}

/// The index, and the bounds of ids from the newest to the oldest.
pub(super) fn bounds(query: &RunQuery) -> [String; 3] {
    let index = match query.task() {
        Some(task) => format!(":task:{task}"),
        None => ":all".to_owned(),
    };
    let newest = query
        .before
        .map_or_else(|| "+".to_owned(), |id| format!("({id}"));
    let oldest = query.since.map_or_else(
        || "-".to_owned(),
        |since| format!("[{}", RunId::first_at(since)),
    );
    [index, newest, oldest]
}

/// An instance's id as a part of a record; builders let in no other.
fn fit(instance: &str) -> String {
    instance.replace('|', "_")
}

/// Epoch microseconds; 0 for none.
fn micros(at: Option<DateTime<Utc>>) -> String {
    at.map_or(0, |at| at.timestamp_micros().max(0)).to_string()
}

fn micros_of(duration: Duration) -> u64 {
    // As a number of the script's: whole up to 2⁵³.
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .min(1 << 53)
}
