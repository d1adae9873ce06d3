//! Rules of each kind, and the records that they are.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::control::by::By;
use crate::control::shelf::{Malformed, decode, instance_key, ms, ms_list, text, text_option};
use crate::fleet::Record;
use crate::schedule::Schedule;
use crate::task::TaskName;

/// So many fire times can be skipped at once.
pub(crate) const MOST_SKIPPED: usize = 100;

/// A task, or all of them, does not fire for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pause {
    /// The task; `None` for all.
    #[serde(with = "text_option", default)]
    pub task: Option<TaskName>,
    /// Who wants it, and why.
    pub by: By,
    /// The first instant that does not fire.
    #[serde(with = "ms")]
    pub from: DateTime<Utc>,
    /// The first instant that fires again.
    #[serde(with = "ms")]
    pub until: DateTime<Utc>,
    /// What becomes of what was missed.
    pub missed: Missed,
}

/// What becomes of the firings that a pause has held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// Nothing: they are gone.
    #[default]
    Drop,
    /// The last one of each task runs when the pause ends. Tasks that are due after their last run, or
    /// on every instance, have nothing to catch up with.
    RunOnce,
}

/// Some fire times of a task do not fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Skip {
    /// The task.
    #[serde(with = "text")]
    pub task: TaskName,
    /// Who wants it, and why; of several, the last.
    pub by: By,
    /// Which: the same for all instances.
    #[serde(with = "ms_list")]
    pub fire_times: Vec<DateTime<Utc>>,
    /// The command that asked for the last of them.
    #[serde(default)]
    pub(crate) command: String,
}

impl Skip {
    pub(crate) fn new(
        task: &TaskName,
        by: &By,
        fire_times: Vec<DateTime<Utc>>,
        command: &str,
    ) -> Self {
        Self {
            task: task.clone(),
            by: by.clone(),
            fire_times,
            command: command.to_owned(),
        }
    }
}

/// A task has another schedule for a while than its code says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Override {
    /// The task.
    #[serde(with = "text")]
    pub task: TaskName,
    /// Who wants it, and why.
    pub by: By,
    /// The other schedule.
    pub spec: Arc<str>,
    /// The zone that it is read in, if it names none itself.
    #[serde(with = "text")]
    pub timezone: Tz,
    /// The first instant that it is for.
    #[serde(with = "ms")]
    pub from: DateTime<Utc>,
    /// The first instant of the code's schedule again.
    #[serde(with = "ms")]
    pub until: DateTime<Utc>,
}

/// An instance takes no new firings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drain {
    /// Its id.
    pub instance: String,
    /// Who wants it, and why.
    pub by: By,
    /// Since when.
    #[serde(with = "ms")]
    pub from: DateTime<Utc>,
}

/// One record of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub(crate) enum Rule {
    Pause(Pause),
    Skip(Skip),
    Override(Override),
    Drain(Drain),
}

/// Where a rule is kept: there is one of a kind for each.
#[derive(Debug, Clone)]
pub(crate) enum RuleKey<'a> {
    Pause(Option<&'a TaskName>),
    Skip(&'a TaskName),
    Override(&'a TaskName),
    Drain(&'a str),
}

impl std::fmt::Display for RuleKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RuleKey::Pause(None) => f.write_str("pause"),
            RuleKey::Pause(Some(task)) => write!(f, "pause/{task}"),
            RuleKey::Skip(task) => write!(f, "skip/{task}"),
            RuleKey::Override(task) => write!(f, "override/{task}"),
            RuleKey::Drain(id) => write!(f, "drain/{}", instance_key(id)),
        }
    }
}

impl Rule {
    pub(crate) fn key(&self) -> String {
        let key = match self {
            Rule::Pause(pause) => RuleKey::Pause(pause.task.as_ref()),
            Rule::Skip(skip) => RuleKey::Skip(&skip.task),
            Rule::Override(other) => RuleKey::Override(&other.task),
            Rule::Drain(drain) => RuleKey::Drain(&drain.instance),
        };
        key.to_string()
    }

    pub(crate) fn read(record: &Record) -> Result<Self, Malformed> {
        let rule: Self = decode(&record.value)?;
        if rule.key() != record.key {
            return Err(Malformed(
                "it is about something else than its key says".to_owned(),
            ));
        }
        match &rule {
            Rule::Override(other) => {
                let schedule = other.schedule();
                schedule.map_err(|e| Malformed(format!("its spec cannot be: {e}")))?;
            }
            Rule::Skip(skip) if skip.fire_times.len() > 10 * MOST_SKIPPED => {
                return Err(Malformed("it has too many fire times".to_owned()));
            }
            Rule::Drain(drain)
                if drain.instance.len() > 256
                    || !drain.instance.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                return Err(Malformed("its instance has no such id".to_owned()));
            }
            _ => {}
        }
        Ok(rule)
    }
}

impl Override {
    pub(crate) fn schedule(&self) -> Result<Schedule, crate::error::Error> {
        Ok(Schedule::parse_in(&self.spec, self.timezone)?)
    }
}
