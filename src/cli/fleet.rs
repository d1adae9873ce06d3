//! The fleet that a command is about: its stores, or the HTTP API of one of its instances.

#[cfg(feature = "http")]
mod api;
mod place;
mod stores;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::board::{Fire, Instance, Lock, Run, Stamp, Summary, Task, Why};
use crate::cli::status::Failure;
use crate::control::{By, IfPaused, IfRunning, Missed, RunNow};
use crate::event::Outcome;
use crate::history::LogLine;
use crate::lock::{FencingToken, Finding};
use crate::task::RunId;

pub use place::Place;
pub(crate) use stores::{Stores, refusal};

/// What commands ask of a fleet, and have it do.
#[async_trait]
pub(crate) trait Fleet: Send + Sync {
    /// The whole of it in short.
    async fn summary(&self) -> Result<Summary, Failure>;

    /// Its tasks, those first that somebody should look at.
    async fn tasks(&self) -> Result<Vec<Task>, Failure>;

    /// Fire times of a task to come.
    async fn fires(
        &self,
        task: &str,
        from: DateTime<Utc>,
        most: usize,
    ) -> Result<Vec<Fire>, Failure>;

    /// Runs, newest first.
    async fn runs(&self, asked: &RunsAsked) -> Result<Vec<Run>, Failure>;

    /// One run, if it is known.
    async fn run(&self, id: RunId) -> Result<Option<Run>, Failure>;

    /// What a run has logged after a line.
    async fn lines(&self, id: RunId, after: u64) -> Result<Vec<Line>, Failure>;

    async fn instances(&self) -> Result<Vec<Instance>, Failure>;

    async fn locks(&self) -> Result<Vec<Lock>, Failure>;

    /// Why a task ran at an instant, or did not.
    async fn why(&self, task: &str, at: DateTime<Utc>) -> Result<Why, Failure>;

    /// What is wrong with its store, and what is right.
    async fn diagnose(&self) -> Result<Vec<Finding>, Failure>;

    /// Whether it can be asked at all, and an instance is ready: that on the host of that name, or any.
    async fn is_ready(&self, host: Option<&str>) -> Result<Readiness, Failure>;

    /// Has it do something.
    async fn act(&self, act: &Act, by: &By) -> Result<Done, Failure>;

    /// One task. Whoever mistyped it is told of those whose names are like it.
    async fn task(&self, name: &str) -> Result<Task, Failure>;
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunsAsked {
    pub(crate) task: Option<String>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) since: Option<DateTime<Utc>>,
    /// Only those that have not ended.
    pub(crate) is_running: bool,
    pub(crate) most: usize,
}

/// A line that a run has logged, as the HTTP API has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(rename = "n")]
    pub(crate) number: u64,
    pub(crate) at: Stamp,
    pub(crate) level: String,
    pub(crate) target: String,
    pub(crate) text: String,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        Self {
            number: line.number,
            at: line.at.into(),
            level: line.level,
            target: line.target,
            text: line.text,
        }
    }
}

/// Whether firings are taken, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    pub(crate) is_ready: bool,
    pub(crate) text: String,
}

/// What somebody wants done.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Run(Wanted),
    /// Of one task, or of all.
    Pause {
        task: Option<String>,
        length: Duration,
        missed: Missed,
    },
    Resume {
        task: Option<String>,
    },
    Skip {
        task: String,
        count: usize,
    },
    Override {
        task: String,
        spec: String,
        timezone: Tz,
        length: Duration,
    },
    Reset {
        task: String,
    },
    /// One that is defined at run time.
    Delete {
        task: String,
    },
    Cancel {
        run: RunId,
        grace: Option<Duration>,
    },
    Drain {
        instance: String,
    },
    Undrain {
        instance: String,
    },
    Unlock {
        task: String,
        fence: FencingToken,
        force: bool,
    },
}

/// A run that somebody wants.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) task: String,
    pub(crate) params: Option<String>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) if_running: IfRunning,
    pub(crate) if_paused: IfPaused,
    pub(crate) instance: Option<String>,
    pub(crate) key: Option<String>,
}

impl Wanted {
    /// As the control of a fleet is asked for it.
    pub(crate) fn run_now(&self, by: &By) -> RunNow {
        let mut run = RunNow::new(&self.task, by)
            .if_running(self.if_running)
            .if_paused(self.if_paused);
        if let Some(params) = &self.params {
            run = run.params(params.as_str());
        }
        if let Some(at) = self.due_at {
            run = run.as_of(at);
        }
        if let Some(instance) = &self.instance {
            run = run.on(instance);
        }
        match &self.key {
            Some(key) => run.idempotency_key(key),
            None => run,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// In a sentence.
    pub(crate) text: String,
    /// The runs that were started.
    pub(crate) runs: Vec<RunId>,
}

impl Done {
    pub(crate) fn said(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            runs: Vec::new(),
        }
    }
}

impl Act {
    /// The task it is about, if it is about one.
    pub(crate) fn task(&self) -> Option<&str> {
        match self {
            Act::Run(wanted) => Some(&wanted.task),
            Act::Skip { task, .. }
            | Act::Override { task, .. }
            | Act::Reset { task }
            | Act::Delete { task }
            | Act::Unlock { task, .. } => Some(task),
            Act::Pause { task, .. } | Act::Resume { task } => task.as_deref(),
            Act::Cancel { .. } | Act::Drain { .. } | Act::Undrain { .. } => None,
        }
    }
}

/// The id of an instance that is there: whole, or the beginning of one alone.
pub(crate) async fn instance_id(fleet: &dyn Fleet, text: &str) -> Result<String, Failure> {
    let instances = fleet.instances().await?;
    if instances.iter().any(|instance| instance.id == text) {
        return Ok(text.to_owned());
    }
    let is_like = |instance: &&Instance| !text.is_empty() && instance.id.starts_with(text);
    let mut like = instances.iter().filter(is_like);
    let short: String = text.chars().take(64).collect();
    match (like.next(), like.next()) {
        (Some(one), None) => Ok(one.id.clone()),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{short:?} is the beginning of several ids: write more of it"
        ))),
        (None, _) => Err(Failure::not_found(format!(
            "no instance {short:?} is there; instances shows those that are"
        ))),
    }
}
