//! What happened, in one feed: runs that ended, and what people did.

use serde::{Deserialize, Serialize};

use crate::board::{Stamp, span};
use crate::control::{AuditEntry, AuditResult};
use crate::event::{Outcome, Trigger};
use crate::history::RunRecord;
use crate::text::contained_line;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A run that started, and how it ended if it has.
    Run,
    /// What somebody did.
    Action,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Event {
    /// Its id: that of the run, or its place in the audit trail.
    pub(crate) id: String,
    /// When: a run by its start.
    pub(crate) at: Stamp,
    /// What it is about.
    pub(crate) kind: EventKind,
    /// The same in words.
    pub(crate) text: String,
    /// The task, if it is about one.
    pub(crate) task: Option<String>,
    /// The run, if it is about one.
    pub(crate) run_id: Option<String>,
    /// How the run ended.
    #[cfg_attr(feature = "admin", schemars(with = "Option<String>"))]
    pub(crate) outcome: Option<Outcome>,
    /// The instance, if it is about one.
    pub(crate) instance: Option<String>,
    /// What was done: `run`, `pause`, `resume`, `skip`, `override`, `reset`, `cancel`, `drain`,
    /// `undrain`, `unlock`, `save`, `delete`.
    pub(crate) action: Option<String>,
    /// Who did it, or asked for the run.
    pub(crate) actor: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// What became of it: `asked`, `done`, `refused`, `not_taken`.
    pub(crate) result: Option<String>,
    /// The request to the page or its API that asked for it, if it was one.
    pub(crate) request_id: Option<String>,
    /// Where that came from, if it is known.
    pub(crate) address: Option<String>,
}

impl Event {
    /// That of a run.
    pub(crate) fn of_run(run: &RunRecord) -> Self {
        let how = match (run.outcome, run.duration) {
            (None, _) => "runs".to_owned(),
            (Some(outcome), Some(took)) => format!("{outcome} after {}", span(took)),
            (Some(outcome), None) => outcome.to_string(),
        };
        let mut text = format!("{}: {how}", run.task);
        if run.trigger != Trigger::Schedule {
            text.push_str(&format!(" ({})", run.trigger));
        }
        if let Some(error) = &run.error {
            text.push_str(": ");
            text.push_str(&contained_line(&error.to_string(), 300));
        }
        let line = |text: &String| contained_line(text, 500);
        Self {
            id: run.run_id.to_string(),
            at: run.started.into(),
            kind: EventKind::Run,
            text,
            task: Some(run.task.to_string()),
            run_id: Some(run.run_id.to_string()),
            outcome: run.outcome,
            instance: Some(contained_line(&run.instance, 64)),
            action: None,
            actor: run.actor.as_ref().map(line),
            reason: run.reason.as_ref().map(line),
            result: None,
            request_id: None,
            address: None,
        }
    }

    /// That of an entry of the audit trail.
    pub(crate) fn of_action(entry: &AuditEntry) -> Self {
        let (result, instance) = match &entry.result {
            AuditResult::Asked => ("asked", None),
            AuditResult::Done { instance } => ("done", instance.clone()),
            AuditResult::Refused { instance, .. } => ("refused", Some(instance.clone())),
            AuditResult::NotTaken => ("not_taken", None),
            AuditResult::GivenUp { instance, .. } => ("given_up", Some(instance.clone())),
        };
        let mut text = format!("{} {}", entry.by.actor(), entry.action);
        if let Some(task) = &entry.task {
            text.push_str(&format!(" {task}"));
        }
        if let Some(detail) = &entry.detail {
            text.push_str(&format!(" ({detail})"));
        }
        match &entry.result {
            AuditResult::Refused { why, .. } => text.push_str(&format!(": refused, {why}")),
            AuditResult::NotTaken => text.push_str(": no instance took it"),
            AuditResult::GivenUp { why, .. } => text.push_str(&format!(": given up, {why}")),
            AuditResult::Done { .. } => text.push_str(": done"),
            AuditResult::Asked => {}
        }
        Self {
            id: entry.id.to_string(),
            at: entry.id.at().into(),
            kind: EventKind::Action,
            text: contained_line(&text, 1_000),
            task: entry.task.as_ref().map(ToString::to_string),
            run_id: None,
            outcome: None,
            instance: instance.map(|instance| contained_line(&instance, 64)),
            action: Some(contained_line(&entry.action, 64)),
            actor: Some(entry.by.actor().to_owned()),
            reason: Some(entry.by.reason().to_owned()),
            result: Some(result.to_owned()),
            request_id: entry.by.request_id().map(str::to_owned),
            address: entry.by.address().map(|address| address.to_string()),
        }
    }
}
