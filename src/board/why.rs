//! Why a task ran at an instant, or did not, for people.

use serde::{Deserialize, Serialize};

use crate::board::{Run, Stamp};
use crate::event::Decision;
use crate::history::{self, Because};
use crate::text::contained_line;

/// Why a task ran at an instant, or did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Why {
    /// The task.
    pub(crate) task: String,
    /// The instant.
    pub(crate) at: Stamp,
    /// The answer in one word: `ran`, `not_due`, `ahead`, `claimed`, `decided`, `missed`, `unknown`.
    pub(crate) answer: String,
    /// The answer in a sentence.
    pub(crate) text: String,
    /// The runs of that instant, oldest first.
    pub(crate) runs: Vec<Run>,
    /// What each instance decided that did not run it.
    pub(crate) decisions: Vec<Decided>,
}

/// What an instance decided of an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Decided {
    /// The instance.
    pub(crate) instance: String,
    /// What it decided.
    #[cfg_attr(feature = "admin", schemars(with = "String"))]
    pub(crate) decision: Decision,
    /// Who had it instead, or has paused it, where that is known.
    pub(crate) holder: Option<String>,
}

impl Why {
    pub(crate) fn of(why: &history::Why) -> Self {
        let answer = match why.because {
            Because::Ran { .. } => "ran",
            Because::NotDue { .. } => "not_due",
            Because::Ahead => "ahead",
            Because::ClaimedBy { .. } => "claimed",
            Because::Decided { .. } => "decided",
            Because::Missed => "missed",
            Because::Unknown => "unknown",
        };
        Self {
            task: why.task.to_string(),
            at: why.at.into(),
            answer: answer.to_owned(),
            text: why.to_string(),
            runs: why.runs.iter().map(Run::of).collect(),
            decisions: why
                .decisions
                .iter()
                .map(|decided| Decided {
                    instance: contained_line(&decided.instance, 64),
                    decision: decided.decision,
                    holder: decided
                        .holder
                        .as_ref()
                        .map(|holder| contained_line(holder, 200)),
                })
                .collect(),
        }
    }
}
