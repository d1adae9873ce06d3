//! What people did, for those who come after them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::by::By;
use crate::control::shelf::{Malformed, ms, text_option};
use crate::fleet::EntryId;
use crate::task::TaskName;

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
