//! What was asked of one instance, and what it answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::by::By;
use crate::control::shelf::{ms, ms_list, ms_option, text, text_list, text_option};
#[cfg(feature = "otel")]
use crate::control::traceparent;
use crate::control::traceparent::is_traceparent;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{RunId, TaskName};

/// The longest parameters of a run, in bytes: 64 KiB.
pub(crate) const LONGEST_PARAMS: usize = 64 * 1024;

/// A record of a command. It is written by who asks, once by the instance that takes it, and once more
/// by that instance with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: String,
    #[serde(with = "ms")]
    pub(crate) asked: DateTime<Utc>,
    pub(crate) by: By,
    /// The instance that is to take it, if not any.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// For how long it is kept once it was taken, in seconds.
    pub(crate) keep_s: u64,
    pub(crate) ask: Ask,
    #[serde(default)]
    pub(crate) taken: Option<Taken>,
    #[serde(default)]
    pub(crate) answer: Option<Answer>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Ask {
    Run {
        #[serde(with = "text")]
        task: TaskName,
        #[serde(with = "ms_option", default)]
        fire_time: Option<DateTime<Utc>>,
        #[serde(default)]
        params: Option<Arc<str>>,
        if_running: IfRunning,
        if_paused: IfPaused,
        /// The run that it repeats.
        #[serde(with = "text_option", default)]
        again: Option<RunId>,
        /// The span in which it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<Arc<str>>,
    },
    Cancel {
        #[serde(with = "text")]
        run_id: RunId,
        /// How long it may take to end; by its policy if it is not said.
        #[serde(default)]
        grace_ms: Option<u64>,
    },
    Skip {
        #[serde(with = "text")]
        task: TaskName,
        count: usize,
    },
    Unlock {
        #[serde(with = "text")]
        task: TaskName,
        fencing_token: u64,
        force: bool,
    },
}

impl Ask {
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Ask::Run { .. } => "run",
            Ask::Cancel { .. } => "cancel",
            Ask::Skip { .. } => "skip",
            Ask::Unlock { .. } => "unlock",
        }
    }

    pub(crate) fn task(&self) -> Option<&TaskName> {
        match self {
            Ask::Run { task, .. } | Ask::Skip { task, .. } | Ask::Unlock { task, .. } => Some(task),
            Ask::Cancel { .. } => None,
        }
    }

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Ask::Run {
                fire_time, again, ..
            } => {
                let as_of = fire_time.map(|at| format!("as of {}", at.to_rfc3339()));
                let again = again.map(|run| format!("again, after run {run}"));
                let parts: Vec<String> = as_of.into_iter().chain(again).collect();
                (!parts.is_empty()).then(|| parts.join(", "))
            }
            Ask::Cancel { run_id, grace_ms } => Some(match grace_ms {
                Some(0) => format!("run {run_id}, at once"),
                Some(ms) => format!("run {run_id}, after {ms} ms"),
                None => format!("run {run_id}"),
            }),
            Ask::Skip { count, .. } => Some(format!("{count} fire times")),
            Ask::Unlock {
                fencing_token,
                force,
                ..
            } => {
                let how = if *force { ", by force" } else { "" };
                Some(format!("fencing token {fencing_token}{how}"))
            }
        }
    }

    /// Whether what others wrote is what they may ask.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Ask::Run {
                params,
                traceparent,
                ..
            } => {
                params.as_ref().is_none_or(|p| p.len() <= LONGEST_PARAMS)
                    && traceparent.as_deref().is_none_or(is_traceparent)
            }
            Ask::Skip { count, .. } => (1..=super::rules::MOST_SKIPPED).contains(count),
            Ask::Cancel { .. } | Ask::Unlock { .. } => true,
        }
    }
}

/// Who has taken a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) by: String,
    #[serde(with = "ms")]
    pub(crate) at: DateTime<Utc>,
    /// Tells the instance that it was this attempt of its own to take it.
    pub(crate) mark: String,
    /// The ids of the runs that it will start, if it can.
    #[serde(with = "text_list", default)]
    pub(crate) runs: Vec<RunId>,
}

/// What becomes of a command when a run of its task goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IfRunning {
    /// It is refused.
    #[default]
    Refuse,
    /// It is accepted, and runs once that run has ended, if that is within ten minutes.
    Queue,
}

/// What becomes of a command when its task is paused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IfPaused {
    /// It is refused.
    #[default]
    Refuse,
    /// It runs nevertheless. The pause stays.
    Run,
}

/// A task that is to run now, beside its schedule:
/// [`ControlPlane::run`](crate::ControlPlane::run).
///
/// It takes the task's lock as a scheduled run does, so that the two never overlap where scheduled runs
/// would not, and leaves the schedule as it is: no instant is used up by it, and it counts neither as a
/// failure nor as a success for [`Policy::pause_after`](crate::Policy::pause_after) or an `@after`.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is asked for"]
pub struct RunNow {
    pub(crate) task: String,
    pub(crate) by: By,
    pub(crate) params: Option<Arc<str>>,
    pub(crate) fire_time: Option<DateTime<Utc>>,
    pub(crate) if_running: IfRunning,
    pub(crate) if_paused: IfPaused,
    pub(crate) instance: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) patience: Duration,
    pub(crate) again: Option<RunId>,
    pub(crate) traceparent: Option<Arc<str>>,
}

impl RunNow {
    /// A run of `task`, with the defaults of the setters below.
    pub fn new(task: impl Into<String>, by: &By) -> Self {
        Self {
            task: task.into(),
            by: by.clone(),
            params: None,
            fire_time: None,
            if_running: IfRunning::default(),
            if_paused: IfPaused::default(),
            instance: None,
            key: None,
            patience: Duration::from_secs(5),
            again: None,
            traceparent: None,
        }
    }

    /// What the run is told: text, often JSON, of at most 64 KiB;
    /// [`RunContext::params`](crate::RunContext::params). Default: nothing.
    pub fn params(mut self, params: impl Into<Arc<str>>) -> Self {
        self.params = Some(params.into());
        self
    }

    /// The instant that it is to run for, in the past: to do again what an instant should have done.
    /// Default: now.
    pub fn as_of(mut self, fire_time: DateTime<Utc>) -> Self {
        self.fire_time = Some(fire_time);
        self
    }

    /// What becomes of it when a run of the task goes on. Default: it is refused.
    pub fn if_running(mut self, then: IfRunning) -> Self {
        self.if_running = then;
        self
    }

    /// What becomes of it when the task is paused. Default: it is refused.
    pub fn if_paused(mut self, then: IfPaused) -> Self {
        self.if_paused = then;
        self
    }

    /// The instance that is to run it. Default: any that has the task, and a place for a run.
    pub fn on(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// A name for this wish, of 1 to 64 characters of `A-Z a-z 0-9 _ . : -`: who asks again with the
    /// same key for the same task within a day gets the answer of the first time. Default: each time
    /// is a new wish.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// It repeats this run: it has the trigger [`RetryOf`](crate::Trigger::RetryOf), and the history says
    /// which run it was. What else is to be as it was then, its fire time and its parameters say, is to be
    /// given as for any other.
    ///
    /// ```
    /// # async fn f(control: tasklock::ControlPlane, failed: tasklock::RunRecord) -> tasklock::Result<()> {
    /// # use tasklock::*;
    /// # let by = By::new("ana", "the bank is back")?;
    /// let run = RunNow::new(failed.task.as_str(), &by).again(failed.run_id).as_of(failed.fire_time);
    /// control.run(run).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn again(mut self, run: RunId) -> Self {
        self.again = Some(run);
        self
    }

    /// The span in which it is asked for, as the header `traceparent` of W3C Trace Context has it. The
    /// span of the run names it, and with the feature `otel` is linked to it. Default: none; with that
    /// feature the current span.
    pub fn traceparent(mut self, traceparent: impl Into<Arc<str>>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// How long an instance may take to take it. Default: 5 s; at most an hour.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn ask(&self, now: DateTime<Utc>) -> Result<Ask> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidConfig, text));
        let task: TaskName = self.task.parse()?;
        if let Some(params) = self.params.as_ref().filter(|p| p.len() > LONGEST_PARAMS) {
            return refuse(format!(
                "the parameters of a run of task {task} are {} bytes long: {LONGEST_PARAMS} at most",
                params.len()
            ));
        }
        let said = self.traceparent.as_deref();
        if let Some(text) = said.filter(|text| !is_traceparent(text)) {
            return refuse(format!(
                "{:?} is no traceparent of a span: give it as 00-…-…-01, or not at all",
                text.chars().take(80).collect::<String>()
            ));
        }
        #[cfg(not(feature = "otel"))]
        let traceparent = self.traceparent.clone();
        #[cfg(feature = "otel")]
        let traceparent = self.traceparent.clone().or_else(traceparent::current);
        if let Some(at) = self.fire_time.filter(|at| *at > now) {
            return refuse(format!(
                "task {task} cannot run as of {at}, which is to come"
            ));
        }
        Ok(Ask::Run {
            task,
            fire_time: self.fire_time,
            params: self.params.clone(),
            if_running: self.if_running,
            if_paused: self.if_paused,
            again: self.again,
            traceparent,
        })
    }
}

/// A command that was asked for, and what became of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    /// The command's id, for [`ControlPlane::receipt`](crate::ControlPlane::receipt).
    pub id: String,
    /// What became of it.
    pub answer: Answer,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// An instance does it, or has done it.
    Accepted(Accepted),
    /// An instance has looked at it, and does not do it.
    Refused(Refused),
    /// No instance took it in its time, and none will.
    NotTaken,
    /// An instance took it, and has not said what became of it: it may have done it, or died before. It
    /// may still say so.
    Taken {
        /// The instance.
        instance: String,
        /// The ids of the runs that it was to start.
        #[serde(with = "text_list", default)]
        runs: Vec<RunId>,
    },
}

impl Answer {
    /// Whether it was accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Answer::Accepted(_))
    }

    /// Why it was refused, if it was.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Answer::Refused(refused) => Some(refused.why),
            _ => None,
        }
    }
}

/// What an instance does for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Accepted {
    /// The instance.
    pub instance: String,
    /// How long after it was asked for it was taken, by two clocks.
    #[serde(with = "duration_ms")]
    pub after: Duration,
    /// The runs that it started, or that it will start when those that go on have ended: one, or one for
    /// each part of the task.
    #[serde(with = "text_list", default)]
    pub runs: Vec<RunId>,
    /// Another run goes on: these wait for its end.
    #[serde(default)]
    pub is_queued: bool,
    /// The fire times that will be skipped.
    #[serde(with = "ms_list", default)]
    pub skipped: Vec<DateTime<Utc>>,
}

/// Why an instance does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refused {
    /// The instance.
    pub instance: String,
    /// Why.
    pub why: Refusal,
    /// The same in words, with what it is about.
    pub text: String,
}

/// Why an instance does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// A run of the task goes on.
    AlreadyRunning,
    /// The task is paused, or too many of its runs have failed.
    Paused,
    /// No such task is registered there.
    NoSuchTask,
    /// It takes no firings: it stops, or was drained.
    Draining,
    /// As many runs go on there as may.
    Limited,
    /// The task's lock could not be asked.
    StoreDown,
    /// The task was granted anew since, so that the fencing token is not that of its lease any more.
    TokenMovedOn,
    /// The task's lock is free.
    NotLocked,
    /// The instance that has the lease says that it lives.
    HolderLives,
    /// The task is of a kind for which there is no such thing.
    NotPossible,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::AlreadyRunning => "a run of the task goes on",
            Refusal::Paused => "the task is paused",
            Refusal::NoSuchTask => "no such task is registered",
            Refusal::Draining => "the instance takes no firings",
            Refusal::Limited => "as many runs go on as may",
            Refusal::StoreDown => "the task's lock could not be asked",
            Refusal::TokenMovedOn => "the task was granted anew since",
            Refusal::NotLocked => "the task is not locked",
            Refusal::HolderLives => "the instance that has the lease lives",
            Refusal::NotPossible => "there is no such thing for this task",
        })
    }
}

mod duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}
