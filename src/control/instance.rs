//! An instance, as the others see it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize};

use crate::control::shelf::{encode_fitting, ms, text, text_option};
use crate::error::Result;
use crate::task::{Policy, RunId, TaskName};

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
    /// The runs that go on there: 1 000 at most, see [`runs_left_out`](Self::runs_left_out).
    #[serde(default)]
    pub running: Vec<RunningRun>,
    /// How many go on there, if the instance says so.
    #[serde(default)]
    pub run_count: Option<usize>,
    /// The tasks that are registered there: 500 at most, and fewer if their texts are so long that the
    /// record would have no room for them; see [`tasks_left_out`](Self::tasks_left_out).
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
    /// The zone that its spec is read in, if the instance says so.
    #[serde(with = "text_option", default)]
    pub timezone: Option<Tz>,
    /// How long a run may take, if the instance says so.
    #[serde(with = "duration_option", rename = "timeout_ms", default)]
    pub timeout: Option<Duration>,
    /// The kind of one that is defined at run time.
    #[serde(default)]
    pub kind: Option<String>,
    /// Words by which people find it: 8 of 40 characters at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its kind is not known there, so that others have to run it.
    #[serde(default, skip_serializing_if = "is_no")]
    pub lacks_kind: bool,
    /// How it behaves, if the instance says so in a way that is known here.
    #[serde(deserialize_with = "known", default)]
    pub settings: Option<Policy>,
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

    /// How many tasks are registered there of which its record has no room to say more.
    pub fn tasks_left_out(&self) -> usize {
        self.task_count.saturating_sub(self.tasks.len())
    }

    /// How many runs go on there of which its record has no room to say more.
    pub fn runs_left_out(&self) -> usize {
        let count = self.run_count.unwrap_or_default();
        count.saturating_sub(self.running.len())
    }

    /// Its record, with as many of its tasks as there is room for.
    pub(crate) fn into_text(self) -> Result<String> {
        let take = |this: &mut Self| std::mem::take(&mut this.tasks);
        encode_fitting(self, take, |this, tasks| this.tasks = tasks)
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
            && self.tasks.iter().all(|task| {
                let others = task.kind.iter();
                let mut texts = [&task.spec, &task.schedule, &task.policy]
                    .into_iter()
                    .chain(others);
                texts.all(is_line)
            })
    }
}

fn is_no(flag: &bool) -> bool {
    !flag
}

/// Settings that this version knows. Those of a later one are no reason to pass over the record.
fn known<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<Policy>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(from)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Durations in milliseconds, which may be missing.
mod duration_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        let ms = |d: &Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        match d {
            Some(d) => s.serialize_some(&ms(d)),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_millis))
    }
}
