//! What is written into a history.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::history::{DecisionRecord, LogLine, RunRecord};
use crate::task::{Progress, RunId, TaskName};

/// One thing that is written into a history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HistoryWrite {
    /// A run that has started, or ended.
    Run(Box<RunRecord>),
    /// A firing that did not run on an instance.
    Decided(DecisionRecord),
    /// What a run says of itself.
    Status {
        /// The run.
        run_id: RunId,
        /// In words.
        status: Option<String>,
        /// In numbers.
        progress: Option<Progress>,
        /// For how long it stands unless it is said again.
        ttl: Duration,
    },
    /// What a run has logged.
    Log {
        /// The run.
        run_id: RunId,
        /// Its task.
        task: TaskName,
        /// Lines, in their order.
        lines: Vec<LogLine>,
        /// Lines with smaller numbers are dropped.
        keep_from: u64,
    },
    /// A task is known from this instant on, unless it was known before.
    Seen {
        /// The task.
        task: TaskName,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// Nothing is expected of a task before this instant, later ones counting: until then it was paused,
    /// or had another schedule.
    Excused {
        /// The task.
        task: TaskName,
        /// Until when.
        until: DateTime<Utc>,
    },
    /// An instance lives.
    Alive {
        /// Its id.
        instance: String,
    },
}

impl HistoryWrite {
    /// About how many bytes it takes in memory and in a store.
    pub(crate) fn weight(&self) -> usize {
        match self {
            HistoryWrite::Run(run) => run.weight(),
            HistoryWrite::Decided(_) => 300,
            HistoryWrite::Log { lines, .. } => {
                200 + lines.iter().map(LogLine::weight).sum::<usize>()
            }
            HistoryWrite::Status { .. } => 500,
            HistoryWrite::Seen { .. }
            | HistoryWrite::Excused { .. }
            | HistoryWrite::Alive { .. } => 200,
        }
    }
}
