//! A task, for people.

use serde::{Deserialize, Serialize};

use crate::board::policy::Policy;
use crate::board::{Health, Stamp, Stats};
use crate::control::{self, Missed};
use crate::event::Outcome;
use crate::schedule;

/// A task, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Task {
    /// Its name.
    pub(crate) name: String,
    /// What it is for, if it says so.
    pub(crate) description: Option<String>,
    /// Words to find it by.
    pub(crate) tags: Vec<String>,
    /// `code`, or the kind of one that is defined at run time.
    pub(crate) kind: String,
    /// Where in the code it was registered, if that is known.
    pub(crate) source: Option<String>,
    /// How it is, in one word.
    pub(crate) health: Health,
    /// Whether a run of it goes on.
    pub(crate) running: bool,
    /// When it is due.
    pub(crate) schedule: Schedule,
    /// How it behaves; `None` if no instance says.
    pub(crate) policy: Option<Policy>,
    /// Its pause, if it is paused.
    pub(crate) pause: Option<Pause>,
    /// Fire times to come that somebody skips.
    pub(crate) skips: Vec<Stamp>,
    /// When it fires next, if it does and somebody knows.
    pub(crate) next_fire_at: Option<Stamp>,
    /// By when it has to succeed.
    pub(crate) success_deadline_at: Option<Stamp>,
    /// The end of its last run that succeeded.
    pub(crate) last_success_at: Option<Stamp>,
    /// The end of its last run that neither succeeded nor was cancelled.
    pub(crate) last_failure_at: Option<Stamp>,
    /// How many such runs there were since the last success.
    pub(crate) consecutive_failures: u64,
    /// The last run that ended.
    pub(crate) last_run: Option<LastRun>,
    /// Runs that go on, oldest first.
    pub(crate) active: Vec<Active>,
    /// How the last runs went.
    pub(crate) stats: Stats,
    /// The last 60 runs that ended, oldest first: how, and how long they took in seconds.
    #[cfg_attr(feature = "admin", schemars(with = "Vec<(String, f64)>"))]
    pub(crate) history: Vec<(Outcome, f64)>,
    /// On how many instances it is registered.
    pub(crate) registered_on: usize,
    /// On how many the code of its kind is known; `None` of a task of code.
    #[serde(default)]
    pub(crate) handler_on: Option<usize>,
    /// Of how many.
    pub(crate) instances: usize,
    /// Whether it is not the same on all of them.
    pub(crate) drift: bool,
}

/// When a task is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Schedule {
    /// Its spec.
    pub(crate) cron: String,
    /// The zone that the spec is read in.
    pub(crate) timezone: String,
    /// The same in words.
    pub(crate) text: String,
    /// What it has in place of that for a while.
    #[serde(rename = "override")]
    pub(crate) other: Option<Override>,
    /// What somebody should know who reads it.
    pub(crate) lint: Vec<Lint>,
}

/// What a task has in place of its schedule for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Override {
    /// The spec.
    pub(crate) cron: String,
    /// The zone that it is read in.
    pub(crate) timezone: String,
    /// The same in words.
    pub(crate) text: String,
    /// Who wants it.
    pub(crate) actor: String,
    /// Why.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) from: Stamp,
    /// Until when.
    pub(crate) until: Stamp,
}

/// Something that somebody should know who uses a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Lint {
    /// `never_fires`, `past`, `dst_gap` or `dst_overlap`.
    pub(crate) code: String,
    /// In words.
    pub(crate) text: String,
}

impl Lint {
    pub(crate) fn of(lint: &schedule::Lint) -> Self {
        Self {
            code: lint.as_str().to_owned(),
            text: lint.to_string(),
        }
    }
}

/// What is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum PauseOf {
    /// This task, by somebody.
    Task,
    /// All tasks, by somebody.
    All,
    /// This task, since too many of its runs have failed.
    Failures,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Pause {
    /// What is paused.
    pub(crate) of: PauseOf,
    /// Who wants it, if somebody does.
    pub(crate) actor: Option<String>,
    /// Why.
    pub(crate) reason: String,
    /// Since when, if that is known.
    pub(crate) from: Option<Stamp>,
    /// Until when; `None` until somebody ends it.
    pub(crate) until: Option<Stamp>,
    /// What becomes of what it holds back: `drop` or `run_once`.
    #[cfg_attr(feature = "admin", schemars(with = "String"))]
    pub(crate) missed: Missed,
}

impl Pause {
    pub(crate) fn of(pause: &control::Pause) -> Self {
        Self {
            of: match pause.task {
                Some(_) => PauseOf::Task,
                None => PauseOf::All,
            },
            actor: Some(pause.by.actor().to_owned()),
            reason: pause.by.reason().to_owned(),
            from: Some(pause.from.into()),
            until: Some(pause.until.into()),
            missed: pause.missed,
        }
    }

    /// That of a task that failed too often.
    pub(crate) fn of_failures(failures: u32) -> Self {
        Self {
            of: PauseOf::Failures,
            actor: None,
            reason: format!("{failures} runs in a row have failed"),
            from: None,
            until: None,
            missed: Missed::Drop,
        }
    }
}

/// The last run of a task that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct LastRun {
    /// Its id.
    pub(crate) id: String,
    /// How it ended.
    #[cfg_attr(feature = "admin", schemars(with = "String"))]
    pub(crate) outcome: Outcome,
    /// When.
    pub(crate) ended_at: Stamp,
    /// How long it took, in seconds.
    pub(crate) duration_s: Option<f64>,
    /// Where it ran, if that is known.
    pub(crate) instance: Option<String>,
    /// Why it did not succeed, if that is known.
    pub(crate) error: Option<String>,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Active {
    /// Its id.
    pub(crate) id: String,
    /// Where it runs.
    pub(crate) instance: String,
    /// Since when.
    pub(crate) started_at: Stamp,
    /// Its fencing token.
    pub(crate) fencing_token: u64,
    /// When its lease ends if it is not renewed, if that is known.
    #[serde(default)]
    pub(crate) lease_ends_at: Option<Stamp>,
}
