//! What is counted of a task, over all instances and their lives.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Outcome;
use crate::history::RunRecord;
use crate::task::{RunId, TaskName};

/// What is counted of a task, over all instances and their lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Since when the task is known.
    pub known_since: Option<DateTime<Utc>>,
    /// Until when nothing was expected of it, as far as somebody has seen to: its last pause ended then,
    /// or it got the schedule that it has.
    pub excused_until: Option<DateTime<Utc>>,
    /// The start of its last run.
    pub last_start: Option<DateTime<Utc>>,
    /// The end of its last run that succeeded.
    pub last_success: Option<DateTime<Utc>>,
    /// The end of its last run that neither succeeded nor was cancelled.
    pub last_failure: Option<DateTime<Utc>>,
    /// How many such runs there were since the last success.
    pub consecutive_failures: u64,
    /// The last run that ended, and when.
    pub last_run: Option<(RunId, DateTime<Utc>)>,
    /// How that run ended.
    pub last_outcome: Option<Outcome>,
    /// How long it took.
    pub last_duration: Option<Duration>,
}

/// What is counted of a task, and what follows from its schedule.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskCounters {
    /// The task.
    pub task: TaskName,
    /// What is counted.
    pub counters: Counters,
    /// The start of its oldest run that goes on, if one does.
    pub running_since: Option<DateTime<Utc>>,
    /// Since when it is paused, if it is: by somebody, for itself or with all others; or as too many of
    /// its runs in a row have failed.
    pub paused_since: Option<DateTime<Utc>>,
    /// By when it has to succeed; `None` while it is paused, and if nobody knows, as of
    /// `@startup`.
    pub success_deadline: Option<DateTime<Utc>>,
    /// The time from the fire time before the next one to the next one.
    pub interval: Option<Duration>,
    /// Its timeout.
    pub timeout: Duration,
}

/// Whether a run that ended so counts as one that failed.
pub(crate) fn is_failure(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Success | Outcome::Cancelled)
}

impl Counters {
    /// Those of a task that is known from now on.
    pub(crate) fn known(now: DateTime<Utc>) -> Self {
        Self {
            known_since: Some(now),
            ..Self::default()
        }
    }

    /// Since when a success is waited for: the last one, or since the task is known, or since the last
    /// instant before which nothing was expected of it.
    pub(crate) fn expected_since(&self) -> Option<DateTime<Utc>> {
        self.last_success
            .or(self.known_since)
            .max(self.excused_until)
    }

    /// A run is known to have started.
    pub(crate) fn note_start(&mut self, run: &RunRecord) {
        self.known_since = self.known_since.or(Some(run.started));
        self.last_start = self.last_start.max(Some(run.started));
    }

    /// A run has ended; to be told once of each.
    pub(crate) fn note_end(&mut self, run: &RunRecord) {
        let (Some(outcome), Some(ended)) = (run.outcome, run.ended) else {
            return;
        };
        if outcome == Outcome::Success {
            // Ends of several instances may be told in any order.
            if self.last_failure.is_none_or(|failed| failed <= ended) {
                self.consecutive_failures = 0;
            }
            self.last_success = self.last_success.max(Some(ended));
        } else if is_failure(outcome) {
            if self.last_success.is_none_or(|succeeded| succeeded < ended) {
                self.consecutive_failures += 1;
            }
            self.last_failure = self.last_failure.max(Some(ended));
        }
        if self.last_run.is_none_or(|(_, at)| at <= ended) {
            self.last_run = Some((run.run_id, ended));
            self.last_outcome = Some(outcome);
            self.last_duration = run.duration;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::stored::sample;

    fn ended(outcome: Outcome, at: &str) -> RunRecord {
        let run = sample("t", at);
        run.found(outcome, at.parse().unwrap(), "a", "")
    }

    #[test]
    fn failures_in_a_row_count_from_the_last_success() {
        let mut counters = Counters::default();
        for (outcome, at, in_a_row) in [
            (Outcome::Failure, "2026-11-21T10:00:01Z", 1),
            (Outcome::Timeout, "2026-11-21T10:00:02Z", 2),
            (Outcome::Cancelled, "2026-11-21T10:00:03Z", 2),
            (Outcome::Success, "2026-11-21T10:00:04Z", 0),
            (Outcome::LeaseLost, "2026-11-21T10:00:05Z", 1),
            // Told late: it ended before the success.
            (Outcome::Failure, "2026-11-21T10:00:03Z", 1),
            // Told late: a failure came after it.
            (Outcome::Success, "2026-11-21T10:00:04.5Z", 1),
        ] {
            counters.note_end(&ended(outcome, at));
            assert_eq!(counters.consecutive_failures, in_a_row, "{outcome} {at}");
        }
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(counters.last_success, at("2026-11-21T10:00:04.5Z"));
        assert_eq!(counters.last_failure, at("2026-11-21T10:00:05Z"));
        assert_eq!(counters.last_outcome, Some(Outcome::LeaseLost));
    }
}
