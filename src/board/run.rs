//! A run, for people.

use serde::{Deserialize, Serialize};

use crate::board::{Stamp, seconds};
use crate::event::{Outcome, Trigger};
use crate::history::{AttemptRecord, Failure, RunRecord};
use crate::text::{contained, contained_line};

/// A run, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Run {
    /// Its id.
    pub(crate) id: String,
    /// Its task.
    pub(crate) task: String,
    /// Whether it goes on.
    pub(crate) state: RunState,
    /// How it ended; `None` while it runs.
    #[cfg_attr(feature = "admin", schemars(with = "Option<String>"))]
    pub(crate) outcome: Option<Outcome>,
    /// Why it began.
    pub(crate) trigger: Cause,
    /// The instant it ran for.
    pub(crate) due_at: Stamp,
    /// When it started.
    pub(crate) started_at: Stamp,
    /// When it ended.
    pub(crate) ended_at: Option<Stamp>,
    /// Start minus the instant it ran for, in seconds.
    pub(crate) start_delay_s: f64,
    /// How long it took, in seconds.
    pub(crate) duration_s: Option<f64>,
    /// The instance that ran it.
    pub(crate) instance: String,
    /// Which part of its firing it did, from 0, and of how many.
    pub(crate) shard: Option<Part>,
    /// Calls of its task's code: of more than 20 the first and the last ones.
    pub(crate) attempts: Vec<Attempt>,
    /// Its lock.
    pub(crate) lock: Fence,
    /// Why it did not succeed.
    pub(crate) error: Option<Fault>,
    /// What it said of itself last, in words.
    pub(crate) status: Option<String>,
    /// What it said of itself last, in numbers.
    pub(crate) progress: Option<Progress>,
    /// What it was given, without secrets; text that is no JSON is a string.
    pub(crate) params: Option<serde_json::Value>,
    /// The trace it belongs to.
    pub(crate) trace_id: Option<String>,
    /// Who found that it was gone, if it did not end by itself.
    pub(crate) found_by: Option<String>,
    /// What it has logged; `None` where that was not looked at, as in lists.
    pub(crate) logs: Option<Logs>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// It has not ended.
    Running,
    /// It has ended.
    Finished,
}

/// Why a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Cause {
    /// `schedule`, `manual`, `catch_up` or `retry_of`.
    #[cfg_attr(feature = "admin", schemars(with = "String"))]
    pub(crate) kind: Trigger,
    /// Who asked for it, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
    /// Why they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A part of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Part {
    /// Which, from 0.
    pub(crate) index: u32,
    /// Of how many.
    pub(crate) count: u32,
}

/// One call of a task's code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Attempt {
    /// Its number, from 1.
    pub(crate) n: u32,
    /// When it began.
    pub(crate) started_at: Stamp,
    /// How long it took, in seconds; `None` while it goes on.
    pub(crate) duration_s: Option<f64>,
    /// Why it did not succeed.
    pub(crate) error: Option<String>,
}

/// The lock of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Fence {
    /// Its fencing token.
    pub(crate) fencing_token: u64,
}

/// Why a run did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Fault {
    /// What went wrong.
    pub(crate) message: String,
    /// The errors that caused it, one by one.
    pub(crate) chain: Vec<String>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Progress {
    /// So much is done.
    pub(crate) done: u64,
    /// Of so much.
    pub(crate) total: u64,
}

/// What is kept of what a run has logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Logs {
    /// How many lines.
    pub(crate) lines: usize,
    /// Whether there were more, before them.
    pub(crate) truncated: bool,
}

impl Run {
    pub(crate) fn of(run: &RunRecord) -> Self {
        let line = |text: &String| contained_line(text, 500);
        Self {
            id: run.run_id.to_string(),
            task: run.task.to_string(),
            state: match run.is_running() {
                true => RunState::Running,
                false => RunState::Finished,
            },
            outcome: run.outcome,
            trigger: Cause {
                kind: run.trigger,
                actor: run.actor.as_ref().map(line),
                reason: run.reason.as_ref().map(line),
            },
            due_at: run.fire_time.into(),
            started_at: run.started.into(),
            ended_at: run.ended.map(Stamp),
            start_delay_s: seconds(run.lateness),
            duration_s: run.duration.map(seconds),
            instance: contained_line(&run.instance, 64),
            shard: run.shard.map(|shard| Part {
                index: shard.index,
                count: shard.count,
            }),
            attempts: run.attempts.iter().map(Attempt::of).collect(),
            lock: Fence {
                fencing_token: run.fencing_token.get(),
            },
            error: run.error.as_ref().map(Fault::of),
            status: run.status.as_ref().map(line),
            progress: run.progress.map(|progress| Progress {
                done: progress.done,
                total: progress.total,
            }),
            params: run.params.as_ref().map(|text| {
                serde_json::from_str(text).unwrap_or_else(|_| contained(text, 16 * 1024).into())
            }),
            trace_id: run.trace_id.as_ref().map(|id| contained_line(id, 64)),
            found_by: run.found_by.as_ref().map(line),
            logs: None,
        }
    }
}

impl Attempt {
    fn of(attempt: &AttemptRecord) -> Self {
        let error = attempt.error.as_ref();
        Self {
            n: attempt.number,
            started_at: attempt.started.into(),
            duration_s: attempt.duration.map(seconds),
            error: error.map(|error| contained(&error.to_string(), 4_096)),
        }
    }
}

impl Fault {
    fn of(failure: &Failure) -> Self {
        Self {
            message: contained(&failure.message, 4_096),
            chain: failure
                .causes
                .iter()
                .map(|cause| contained(cause, 1_024))
                .collect(),
        }
    }
}
