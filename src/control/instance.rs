//! An instance, as the others see it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::shelf::{ms, text};
use crate::task::{RunId, TaskName};

/// So many tasks of an instance are in its record at most.
pub(crate) const MOST_TASKS: usize = 500;
/// So many of its runs.
pub(crate) const MOST_RUNS: usize = 1_000;

/// One instance of the fleet, as it was when it said so last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// The host it is on.
    pub host: String,
    /// The version of the application, if the scheduler was told:
    /// [`application_version`](crate::SchedulerBuilder::application_version).
    #[serde(default)]
    pub application: Option<String>,
    /// The version of this crate.
    pub version: String,
    /// When it was started, by its clock.
    #[serde(with = "ms")]
    pub started: DateTime<Utc>,
    /// When it said this, by its clock.
    #[serde(with = "ms")]
    pub said: DateTime<Utc>,
    /// How many runs may go on there at once, if that is limited.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The runs that go on there: 1 000 at most.
    #[serde(default)]
    pub running: Vec<RunningRun>,
    /// The tasks that are registered there: 500 at most.
    #[serde(default)]
    pub tasks: Vec<TaskFacts>,
    /// How many tasks are registered there.
    pub task_count: usize,
    /// How far the clock of the lock's store is ahead of its own, in milliseconds, if that is known.
    #[serde(default)]
    pub clock_offset_ms: Option<i64>,
    /// How long the fleet's store took to answer it last, in milliseconds.
    #[serde(default)]
    pub store_round_trip_ms: Option<u64>,
    /// It is stopping: takes no new firings, and ends when its runs have.
    #[serde(default)]
    pub is_stopping: bool,
    /// It was asked to drain: takes no new firings until it is asked to again.
    #[serde(default)]
    pub is_drained: bool,
    /// Up to which write to the rules it has read them.
    #[serde(default)]
    pub follows: u64,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunningRun {
    /// Its task.
    #[serde(with = "text")]
    pub task: TaskName,
    /// Its id.
    #[serde(with = "text")]
    pub run_id: RunId,
    /// Its fencing token.
    pub fencing_token: u64,
    /// When it started, by the clock of its instance.
    #[serde(with = "ms")]
    pub started: DateTime<Utc>,
}

/// What a task is on one instance, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFacts {
    /// Its name.
    #[serde(with = "text")]
    pub name: TaskName,
    /// Its spec, as its code says; cut after 200 characters.
    pub spec: String,
    /// The same wherever it is due at the same times.
    pub schedule: String,
    /// The same wherever its policy and timeout are, among instances of one version of this crate.
    pub policy: String,
}

impl Instance {
    /// Whether it takes firings.
    pub fn is_ready(&self) -> bool {
        !self.is_stopping && !self.is_drained
    }

    /// How long ago it said this, at `now` by a clock like its own.
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.said).to_std().unwrap_or_default()
    }

    /// Whether a task is registered there, as far as its record has room to say.
    pub fn has_task(&self, name: &str) -> bool {
        self.tasks.iter().any(|task| task.name.as_str() == name)
    }

    /// Whether what others wrote may be believed and shown.
    pub(crate) fn is_sound(&self) -> bool {
        let is_label =
            |s: &String| !s.is_empty() && s.len() <= 256 && s.chars().all(|c| c.is_ascii_graphic());
        let is_line = |s: &String| s.chars().count() <= 256 && !s.chars().any(char::is_control);
        is_label(&self.id)
            && [&self.host, &self.version].into_iter().all(is_line)
            && self.application.iter().all(is_line)
            && self
                .tasks
                .iter()
                .all(|task| is_line(&task.spec) && is_line(&task.schedule) && is_line(&task.policy))
    }
}
