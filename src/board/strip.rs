//! The last runs of each task, in short; read again only when one more has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::event::{Outcome, Trigger};
use crate::history::{Counters, History, RunQuery, RunRecord};
use crate::task::{RunId, TaskName};

/// So many runs of a task are known.
pub(crate) const MOST: usize = 100;
/// The strips of so many tasks are read for one snapshot: of more, in turns.
const READS: usize = 200;
/// Strips of so many tasks are kept.
const TASKS: usize = 2_000;

/// A run that has ended, in short.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Brief {
    pub(crate) run_id: RunId,
    pub(crate) trigger: Trigger,
    pub(crate) fire_time: DateTime<Utc>,
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: DateTime<Utc>,
    pub(crate) duration: Duration,
    pub(crate) outcome: Outcome,
}

/// The last runs of a task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strip {
    /// Newest first.
    pub(crate) runs: Arc<[Brief]>,
    /// There were more.
    pub(crate) is_cut: bool,
    /// Why the last of them did not succeed, and where it ran.
    pub(crate) last: Option<Arc<RunRecord>>,
    /// The run that had ended last when it was read.
    seen: Option<(RunId, DateTime<Utc>)>,
}

/// The strips of all tasks.
#[derive(Debug, Default)]
pub(crate) struct Strips(HashMap<TaskName, Strip>);

impl Strips {
    pub(crate) fn of(&self, task: &TaskName) -> Strip {
        self.0.get(task).cloned().unwrap_or_default()
    }

    /// Reads those again of which another run has ended, by what is counted.
    pub(crate) async fn follow(
        &mut self,
        history: &dyn History,
        counted: &[(TaskName, Option<Counters>)],
    ) -> Result<()> {
        let is_new = |(task, counters): &&(TaskName, Option<Counters>)| {
            let last = counters.as_ref().and_then(|counters| counters.last_run);
            last.is_some() && self.0.get(task).is_none_or(|strip| strip.seen != last)
        };
        let mut new: Vec<_> = counted.iter().filter(is_new).cloned().collect();
        // Those that were never read go first.
        new.sort_by_key(|(task, _)| self.0.contains_key(task));
        for (task, counters) in new.into_iter().take(READS) {
            let page = history
                .runs(&RunQuery::of(task.clone()).limit(MOST))
                .await?;
            let ended = page.runs.iter().filter(|run| !run.is_running());
            let last = ended.clone().max_by_key(|run| run.ended);
            let strip = Strip {
                last: last.cloned().map(Arc::new),
                runs: ended.filter_map(Brief::of).collect(),
                is_cut: page.next.is_some(),
                seen: counters.and_then(|counters| counters.last_run),
            };
            if self.0.len() >= TASKS && !self.0.contains_key(&task) {
                continue;
            }
            self.0.insert(task, strip);
        }
        if self.0.len() > counted.len() {
            // Tasks that are gone.
            let there: std::collections::HashSet<&TaskName> =
                counted.iter().map(|(task, _)| task).collect();
            self.0.retain(|task, _| there.contains(task));
        }
        Ok(())
    }
}

impl Brief {
    /// `None` of a run that goes on.
    fn of(run: &RunRecord) -> Option<Self> {
        Some(Self {
            run_id: run.run_id,
            trigger: run.trigger,
            fire_time: run.fire_time,
            started: run.started,
            ended: run.ended?,
            duration: run.duration.unwrap_or_default(),
            outcome: run.outcome?,
        })
    }
}

/// For tests.
#[cfg(test)]
pub(crate) fn brief(started: DateTime<Utc>, outcome: Outcome, duration: Duration) -> Brief {
    Brief {
        run_id: RunId::new(started, 7),
        trigger: Trigger::Schedule,
        fire_time: started,
        started,
        ended: started + duration,
        duration,
        outcome,
    }
}
