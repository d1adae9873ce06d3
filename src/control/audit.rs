//! What people did, for those who come after them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::by::By;
use crate::control::shelf::{Malformed, ms, text_option};
use crate::fleet::EntryId;
use crate::task::{RunId, TaskName};

/// So many entries are kept, or a few more.
pub(crate) const AUDIT_KEPT: usize = 10_000;

/// One act, as it was asked for, or what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its place in the trail; the newest entry has the largest.
    #[serde(skip)]
    pub id: EntryId,
    /// When, by the clock of whoever wrote it.
    #[serde(with = "ms")]
    pub at: DateTime<Utc>,
    /// Who asked for it, and why.
    pub by: By,
    /// What was to be done: `run`, `pause`, `resume`, `skip`, `override`, `reset`, `cancel`, `drain`,
    /// `undrain`, `unlock`, and `save` and `delete` of tasks that are defined at run time.
    pub action: String,
    /// The task it is about; `None` for all, or for none.
    #[serde(with = "text_option", default)]
    pub task: Option<TaskName>,
    /// What else it is about: a run, an instance, a spec, a time.
    #[serde(default)]
    pub detail: Option<String>,
    /// The command, if it is one that an instance takes.
    #[serde(default)]
    pub command: Option<String>,
    /// What became of it.
    pub result: AuditResult,
}

/// How far an act has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditResult {
    /// It was asked for.
    Asked,
    /// It was done, by this instance, or by whoever asked.
    Done {
        /// The instance.
        instance: Option<String>,
    },
    /// It was refused by this instance.
    Refused {
        /// The instance.
        instance: String,
        /// Why.
        why: String,
    },
    /// No instance took it in its time.
    NotTaken,
    /// This instance had taken it to run it when it can, and could not in time.
    GivenUp {
        /// The instance.
        instance: String,
        /// Why.
        why: String,
    },
}

impl AuditEntry {
    /// Says in the log what people do.
    pub(crate) fn log(&self) {
        tracing::info!(
            target: "tasklock",
            event = "admin.action",
            action = self.action,
            actor = self.by.actor(),
            reason = self.by.reason(),
            task = self.task.as_ref().map(tracing::field::display),
            detail = self.detail,
            command = self.command,
            result = ?self.result,
            "Somebody steers the fleet",
        );
    }

    /// Whether it asks this run to end, and if so how long it gives it, where that is said.
    #[cfg_attr(not(feature = "admin"), allow(dead_code))] // of the page
    pub(crate) fn cancels(&self, run: RunId) -> Option<Option<Duration>> {
        let detail = self.detail.as_ref().filter(|_| self.action == "cancel")?;
        let rest = detail.strip_prefix(&format!("run {run}"))?;
        let ms = rest
            .strip_prefix(", after ")
            .and_then(|rest| rest.strip_suffix(" ms"));
        let ms = match rest {
            ", at once" => Some(0),
            _ => ms.and_then(|ms| ms.parse().ok()),
        };
        Some(ms.map(Duration::from_millis))
    }

    /// Itself, if what others wrote may be shown.
    pub(super) fn sound(self) -> Result<Self, Malformed> {
        let is_line = |text: &String| text.len() <= 4_096 && !text.chars().any(char::is_control);
        let others = self.detail.iter().chain(&self.command);
        match std::iter::once(&self.action).chain(others).all(is_line) {
            true => Ok(self),
            false => Err(Malformed("it has texts that cannot be shown".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Ask;

    #[test]
    fn what_ends_a_run_is_known_by_what_the_trail_says() {
        let (run, other) = (RunId::first_at(Utc::now()), RunId::new(Utc::now(), 9));
        for grace_ms in [None, Some(0), Some(2_500)] {
            let ask = Ask::Cancel {
                run_id: run,
                grace_ms,
            };
            let entry = AuditEntry {
                id: EntryId::default(),
                at: Utc::now(),
                by: By::new("ana", "why").unwrap(),
                action: ask.action().to_owned(),
                task: None,
                detail: ask.detail(),
                command: None,
                result: AuditResult::Asked,
            };
            assert_eq!(
                entry.cancels(run),
                Some(grace_ms.map(Duration::from_millis))
            );
            assert_eq!(entry.cancels(other), None);
        }
    }
}
