//! What happened, one by one: runs, firings that did not run, what people did, what the fleet went through.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::{Stamp, span};
use crate::control::{AuditEntry, AuditResult, Happening, What};
use crate::event::{Decision, Outcome, Trigger};
use crate::history::RunRecord;
use crate::text::contained_line;

/// What took less is told in milliseconds.
const SHORT: Duration = Duration::from_secs(1);

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// A run that started, and how it ended if it has.
    Run,
    /// What somebody did.
    Action,
    /// Firings that did not run.
    Skip,
    /// What happened to the fleet itself.
    Cluster,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Event {
    /// Its id: that of the run, its place in the audit trail or the fleet's journal, or of firings their
    /// task and the last of them.
    pub(crate) id: String,
    /// When: a run by its start, firings by the last of them.
    pub(crate) at: Stamp,
    /// What it is about.
    pub(crate) kind: EventKind,
    /// The same in words.
    pub(crate) text: String,
    /// The same without what it is about.
    #[serde(skip)]
    pub(crate) detail: String,
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
    /// `undrain`, `unlock`, `save`, `delete`; of the fleet `joined`, `left`, `lost`, `drained`,
    /// `undrained`, `drift`.
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
    /// Why firings did not run.
    #[cfg_attr(feature = "admin", schemars(with = "Option<String>"))]
    #[serde(default)]
    pub(crate) decision: Option<Decision>,
}

impl Event {
    /// That of a run.
    pub(crate) fn of_run(run: &RunRecord) -> Self {
        let how = match (run.outcome, run.duration) {
            (None, _) => "runs".to_owned(),
            (Some(outcome), Some(took)) if took < SHORT => {
                format!("{outcome} after {} ms", took.as_millis())
            }
            (Some(outcome), Some(took)) => format!("{outcome} after {}", span(took)),
            (Some(outcome), None) => outcome.to_string(),
        };
        let mut detail = how;
        if run.trigger != Trigger::Schedule {
            detail.push_str(&format!(" ({})", run.trigger));
        }
        if let Some(error) = &run.error {
            detail.push_str(": ");
            detail.push_str(&contained_line(&error.to_string(), 300));
        }
        let text = format!("{}: {detail}", run.task);
        let line = |text: &String| contained_line(text, 500);
        Self {
            id: run.run_id.to_string(),
            at: run.started.into(),
            kind: EventKind::Run,
            text,
            detail,
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
            decision: None,
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
        let became = match &entry.result {
            AuditResult::Refused { why, .. } => Some(format!("refused, {why}")),
            AuditResult::NotTaken => Some("no instance took it".to_owned()),
            AuditResult::GivenUp { why, .. } => Some(format!("given up, {why}")),
            AuditResult::Done { .. } => Some("done".to_owned()),
            AuditResult::Asked => None,
        };
        let parts: Vec<&str> = entry
            .detail
            .iter()
            .chain(&became)
            .map(String::as_str)
            .collect();
        let detail = parts.join(": ");
        let mut text = format!("{} {}", entry.by.actor(), entry.action);
        if let Some(task) = &entry.task {
            text.push_str(&format!(" {task}"));
        }
        if let Some(more) = &entry.detail {
            text.push_str(&format!(" ({more})"));
        }
        if let Some(became) = &became {
            text.push_str(&format!(": {became}"));
        }
        Self {
            id: entry.id.to_string(),
            at: entry.id.at().into(),
            kind: EventKind::Action,
            text: contained_line(&text, 1_000),
            detail: contained_line(&detail, 1_000),
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
            decision: None,
        }
    }

    /// What happened to the fleet itself.
    pub(crate) fn of_happening(happening: &Happening) -> Self {
        let line = |text: &String| contained_line(text, 256);
        let how = match happening.what {
            What::Joined => "joined",
            What::Left => "left",
            What::Lost => "is not heard of any more",
            What::Drained => "takes no new firings",
            What::Undrained => "takes firings again",
            What::Drift => "tasks are not the same on all instances",
        };
        let detail = match &happening.detail {
            Some(more) => format!("{how}: {}", contained_line(more, 1_024)),
            None => how.to_owned(),
        };
        Self {
            id: happening.id.to_string(),
            at: happening.id.at().into(),
            kind: EventKind::Cluster,
            text: match &happening.instance {
                Some(instance) => format!("{} {detail}", line(instance)),
                None => detail.clone(),
            },
            detail,
            task: None,
            run_id: None,
            outcome: None,
            instance: Some(line(happening.instance.as_ref().unwrap_or(&happening.by))),
            action: Some(happening.what.as_str().to_owned()),
            actor: None,
            reason: None,
            result: None,
            request_id: None,
            address: None,
            decision: None,
        }
    }
}
