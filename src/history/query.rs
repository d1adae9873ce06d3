//! Which runs somebody asks for.

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::event::Outcome;
use crate::history::counters::is_failure;
use crate::history::{History, RunRecord};
use crate::task::{RunId, TaskName};

/// The most runs that are answered at once.
pub(crate) const MOST_RUNS: usize = 200;
/// The most runs that are answered of those that have not ended.
pub(crate) const MOST_RUNNING: usize = 1_000;
/// So many runs are looked at for one answer, at the most: what is left follows by the cursor.
#[cfg_attr(not(feature = "redis"), allow(dead_code))]
pub(crate) const MOST_LOOKED_AT: usize = 5_000;

/// All runs of a task since then, newest first, page by page.
pub(crate) async fn runs_since(
    history: &dyn History,
    task: &TaskName,
    since: DateTime<Utc>,
) -> Result<Vec<RunRecord>> {
    let mut query = RunQuery::of(task.clone()).since(since).limit(MOST_RUNS);
    let mut runs = Vec::new();
    loop {
        let page = history.runs(&query).await?;
        runs.extend(page.runs);
        match page.next {
            Some(next) => query = query.before(next),
            None => return Ok(runs),
        }
    }
}

/// Which runs are asked for: newest first, 50 unless it is said otherwise.
///
/// ```
/// use tasklock::{Outcome, RunQuery};
///
/// let query = RunQuery::of("invoices.sync".parse()?).outcome(Outcome::Failure).limit(10);
/// # Ok::<(), tasklock::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    pub(crate) task: Option<TaskName>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) only_failed: bool,
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) before: Option<RunId>,
    pub(crate) limit: usize,
}

/// Runs that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunRecord>,
    /// Where the next page begins: for [`RunQuery::before`]. `None` if this is the last one.
    pub next: Option<RunId>,
}

impl RunQuery {
    /// Runs of all tasks.
    pub fn all() -> Self {
        Self {
            task: None,
            outcome: None,
            only_failed: false,
            since: None,
            before: None,
            limit: 50,
        }
    }

    /// Runs of one task.
    pub fn of(task: TaskName) -> Self {
        Self {
            task: Some(task),
            ..Self::all()
        }
    }

    /// Only those that ended so.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Only those that ended in any way but success or `cancelled`.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.only_failed = true;
        self
    }

    /// Only those that started at `since` or later.
    #[must_use]
    pub fn since(mut self, since: DateTime<Utc>) -> Self {
        self.since = Some(since);
        self
    }

    /// Only those before this one: [`RunPage::next`] of the page before.
    #[must_use]
    pub fn before(mut self, run: RunId) -> Self {
        self.before = Some(run);
        self
    }

    /// At most so many, 1 to 200. Default: 50.
    #[must_use]
    pub fn limit(mut self, most: usize) -> Self {
        self.limit = most.clamp(1, MOST_RUNS);
        self
    }

    /// For stores: which task's runs.
    pub fn task(&self) -> Option<&TaskName> {
        self.task.as_ref()
    }

    /// For stores: how many runs at the most.
    pub fn most(&self) -> usize {
        self.limit
    }

    /// For stores: whether a run is one of those that are asked for.
    pub fn fits(&self, run: &RunRecord) -> bool {
        self.task.as_ref().is_none_or(|task| *task == run.task)
            && self.outcome.is_none_or(|o| run.outcome == Some(o))
            && (!self.only_failed || run.outcome.is_some_and(is_failure))
            && self.since.is_none_or(|since| run.started >= since)
            && self.before.is_none_or(|before| run.run_id < before)
    }
}
