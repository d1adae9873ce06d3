//! Records as JSON text, the same in every store; read strictly, as others may have written there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::{Decision, Outcome, Trigger};
use crate::history::{AttemptRecord, DecisionRecord, Failure, LogLine, RunRecord};
use crate::lock::FencingToken;
use crate::task::{Progress, Shard};

/// The longest text that is read as a record, in bytes: longer ones were not written by us.
const LONGEST: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct StoredRun {
    id: String,
    task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard: Option<[u32; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    due: i64,
    started: i64,
    late_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<StoredFailure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<StoredAttempt>,
    instance: String,
    fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    params: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredFailure {
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAttempt {
    n: u32,
    started: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<StoredFailure>,
}

#[derive(Serialize, Deserialize)]
struct StoredDecision {
    task: String,
    first: i64,
    last: i64,
    n: u64,
    decision: String,
    instance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredLine {
    n: u64,
    at: i64,
    level: String,
    target: String,
    text: String,
}

/// What a run says of itself, in a place of its own.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<[u64; 2]>,
}

impl RunRecord {
    /// The record as JSON text, which [`from_json`](Self::from_json) reads: for stores.
    pub fn to_json(&self) -> String {
        text(&StoredRun {
            id: self.run_id.to_string(),
            task: self.task.to_string(),
            shard: self.shard.map(|shard| [shard.index, shard.count]),
            // Most begin by their schedule.
            trigger: (self.trigger != Trigger::Schedule).then(|| self.trigger.to_string()),
            retry_of: self.retry_of.map(|run| run.to_string()),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            due: self.fire_time.timestamp_micros(),
            started: self.started.timestamp_micros(),
            late_us: micros(self.lateness),
            ended: self.ended.map(|at| at.timestamp_micros()),
            took_us: self.duration.map(micros),
            outcome: self.outcome.map(|outcome| outcome.as_str().to_owned()),
            error: self.error.clone().map(StoredFailure::from),
            attempts: self.attempts.iter().map(StoredAttempt::from).collect(),
            instance: self.instance.clone(),
            fence: self.fencing_token.get(),
            trace: self.trace_id.clone(),
            params: self.params.clone(),
            status: self.status.clone(),
            progress: self.progress.map(|p| [p.done, p.total]),
            found_by: self.found_by.clone(),
        })
    }

    /// The record of such a text; `None` for what is none.
    pub fn from_json(text: &str) -> Option<Self> {
        let stored: StoredRun = parsed(text)?;
        let outcome = match &stored.outcome {
            Some(word) => Some(Outcome::from_word(word)?),
            None => None,
        };
        Some(Self {
            run_id: stored.id.parse().ok()?,
            task: stored.task.parse().ok()?,
            shard: stored.shard.map(|[index, count]| Shard { index, count }),
            trigger: match &stored.trigger {
                Some(word) => Trigger::from_word(word)?,
                None => Trigger::Schedule,
            },
            retry_of: match stored.retry_of {
                Some(run) => Some(run.parse().ok()?),
                None => None,
            },
            actor: stored.actor,
            reason: stored.reason,
            fire_time: instant(stored.due)?,
            started: instant(stored.started)?,
            lateness: Duration::from_micros(stored.late_us),
            ended: optional_instant(stored.ended)?,
            duration: stored.took_us.map(Duration::from_micros),
            outcome,
            error: stored.error.map(Failure::from),
            attempts: stored
                .attempts
                .into_iter()
                .map(StoredAttempt::read)
                .collect::<Option<_>>()?,
            instance: stored.instance,
            fencing_token: FencingToken::new(stored.fence),
            trace_id: stored.trace,
            params: stored.params,
            status: stored.status,
            progress: stored
                .progress
                .map(|[done, total]| Progress::new(done, total)),
            found_by: stored.found_by,
        })
    }
}

impl DecisionRecord {
    /// The record as JSON text, which [`from_json`](Self::from_json) reads: for stores.
    pub fn to_json(&self) -> String {
        text(&StoredDecision {
            task: self.task.to_string(),
            first: self.first.timestamp_micros(),
            last: self.last.timestamp_micros(),
            n: self.count,
            decision: self.decision.as_str().to_owned(),
            instance: self.instance.clone(),
            holder: self.holder.clone(),
        })
    }

    /// The record of such a text; `None` for what is none.
    pub fn from_json(text: &str) -> Option<Self> {
        let stored: StoredDecision = parsed(text)?;
        Some(Self {
            task: stored.task.parse().ok()?,
            first: instant(stored.first)?,
            last: instant(stored.last)?,
            count: stored.n,
            decision: Decision::from_word(&stored.decision)?,
            instance: stored.instance,
            holder: stored.holder,
        })
    }
}

impl LogLine {
    /// The line as JSON text, which [`from_json`](Self::from_json) reads: for stores.
    pub fn to_json(&self) -> String {
        text(&StoredLine {
            n: self.number,
            at: self.at.timestamp_micros(),
            level: self.level.clone(),
            target: self.target.clone(),
            text: self.text.clone(),
        })
    }

    /// The line of such a text; `None` for what is none.
    pub fn from_json(text: &str) -> Option<Self> {
        let stored: StoredLine = parsed(text)?;
        let at = instant(stored.at)?;
        Some(Self::new(
            stored.n,
            at,
            stored.level,
            stored.target,
            stored.text,
        ))
    }
}

impl StoredStatus {
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(super) fn to_json(&self) -> String {
        text(self)
    }

    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(super) fn from_json(text: &str) -> Option<Self> {
        parsed(text)
    }

    pub(super) fn fill(self, run: &mut RunRecord) {
        run.status = self.status.or(run.status.take());
        let progress = self
            .progress
            .map(|[done, total]| Progress::new(done, total));
        run.progress = progress.or(run.progress);
    }
}

impl From<Failure> for StoredFailure {
    fn from(failure: Failure) -> Self {
        let Failure {
            message,
            causes,
            type_name,
        } = failure;
        Self {
            message,
            causes,
            type_name,
        }
    }
}

impl From<StoredFailure> for Failure {
    fn from(stored: StoredFailure) -> Self {
        let StoredFailure {
            message,
            causes,
            type_name,
        } = stored;
        Self {
            message,
            causes,
            type_name,
        }
    }
}

impl From<&AttemptRecord> for StoredAttempt {
    fn from(attempt: &AttemptRecord) -> Self {
        Self {
            n: attempt.number,
            started: attempt.started.timestamp_micros(),
            took_us: attempt.duration.map(micros),
            error: attempt.error.clone().map(StoredFailure::from),
        }
    }
}

impl StoredAttempt {
    fn read(self) -> Option<AttemptRecord> {
        Some(AttemptRecord {
            number: self.n,
            started: instant(self.started)?,
            duration: self.took_us.map(Duration::from_micros),
            error: self.error.map(Failure::from),
        })
    }
}

fn text(stored: &impl Serialize) -> String {
    // Texts and numbers: there is nothing in them that JSON has no form for.
    serde_json::to_string(stored).unwrap_or_default()
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    (text.len() <= LONGEST).then(|| serde_json::from_str(text).ok())?
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn instant(us: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(us)
}

/// `None` for an instant that is out of range, not for one that is not there.
fn optional_instant(us: Option<i64>) -> Option<Option<DateTime<Utc>>> {
    match us {
        None => Some(None),
        Some(us) => instant(us).map(Some),
    }
}

/// A run that has just started.
#[cfg(test)]
pub(crate) fn sample(task: &str, at: &str) -> RunRecord {
    let at: DateTime<Utc> = at.parse().unwrap();
    let facts = crate::event::RunFacts {
        task: task.parse().unwrap(),
        run_id: crate::task::RunId::new(at, 7),
        fire_time: at,
        attempt: 1,
        fencing_token: FencingToken::new(9),
        started: at,
        lateness: Duration::ZERO,
        shard: None,
        trigger: Trigger::Schedule,
        request: None,
        trace_id: None,
    };
    RunRecord::started(&facts, "a")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> RunRecord {
        let mut run = sample("t", "2026-11-21T10:00:00.25Z");
        run.shard = Some(Shard { index: 1, count: 4 });
        run.trigger = Trigger::RetryOf;
        run.retry_of = Some(run.run_id);
        run.actor = Some("ana".to_owned());
        run.reason = Some("rates were \"stale\"".to_owned());
        run.params = Some("{\"a\":1}".to_owned());
        run.trace_id = Some("4bf9".to_owned());
        let error = Failure::new("", &["outer".to_owned(), "inner \u{1b}".to_owned()]);
        let error = error.of_type(Some("bank::Error"));
        run.end_attempt(run.started, Some(error.clone()));
        run.begin_attempt(2, run.started);
        run.status = Some("uploading".to_owned());
        run.progress = Some(Progress::new(3, 9));
        run.finish(
            Outcome::Failure,
            run.started + Duration::from_secs(2),
            Duration::from_micros(1_999_999),
            Some(error),
        );
        run
    }

    #[test]
    fn records_come_back_as_they_were() {
        let run = full();
        assert_eq!(RunRecord::from_json(&run.to_json()), Some(run));
        for trigger in Trigger::ALL.iter().copied() {
            let run = RunRecord {
                trigger,
                ..sample("t", "2026-11-21T10:00:00Z")
            };
            assert_eq!(RunRecord::from_json(&run.to_json()), Some(run));
        }
        let at = "2026-11-21T10:00:00Z".parse().unwrap();
        let decided = DecisionRecord::new("t".parse().unwrap(), at, 3, Decision::Paused, "a")
            .with_holder(Some("ana".to_owned()));
        assert_eq!(DecisionRecord::from_json(&decided.to_json()), Some(decided));
        let line = LogLine::new(4, at, "INFO", "app::x", "said \"this\"");
        assert_eq!(LogLine::from_json(&line.to_json()), Some(line));
    }

    #[test]
    fn what_others_have_written_is_no_record() {
        let good = full().to_json();
        let put = |from: &str, to: &str| {
            assert!(good.contains(from), "{from} in {good}");
            good.replace(from, to)
        };
        for bad in [
            String::new(),
            "{}".to_owned(),
            "[".repeat(100_000),
            "x".repeat(2_000_000),
            put("\"task\":\"t\"", "\"task\":\"{}\""),
            put("\"outcome\":\"failure\"", "\"outcome\":\"great\""),
            put("\"due\":", "\"due\":9223372036854775807,\"x\":"),
            put("\"fence\":9", "\"fence\":-1"),
            put("\"id\":\"", "\"id\":\"!"),
        ] {
            let shown: String = bad.chars().take(80).collect();
            assert_eq!(RunRecord::from_json(&bad), None, "{shown}");
            assert_eq!(DecisionRecord::from_json(&bad), None, "{shown}");
            assert_eq!(LogLine::from_json(&bad), None, "{shown}");
        }
    }
}
