//! A line that a run has logged.

use chrono::{DateTime, Utc};

/// A line that a run has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Which line of its run, from 1.
    pub number: u64,
    /// When, by its instance's clock.
    pub at: DateTime<Utc>,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// Where in the program: its `target`.
    pub target: String,
    /// What: the message, and the fields behind it as `name=value`. Secrets are `•••`.
    pub text: String,
}

/// What a run has logged, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogTail {
    /// Lines, in their order.
    pub lines: Vec<LogLine>,
    /// Lines before them are gone: there were more than are kept, or more than could be written.
    pub is_cut: bool,
}

impl LogLine {
    /// For tests of stores outside this crate.
    pub fn new(
        number: u64,
        at: DateTime<Utc>,
        level: impl Into<String>,
        target: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            number,
            at,
            level: level.into(),
            target: target.into(),
            text: text.into(),
        }
    }

    pub(crate) fn weight(&self) -> usize {
        self.target.len() + self.text.len() + 96
    }
}

impl LogTail {
    /// The lines after `after`, of those that are kept.
    pub(crate) fn new(mut lines: Vec<LogLine>, after: u64) -> Self {
        lines.sort_by_key(|line| line.number);
        lines.dedup_by_key(|line| line.number);
        lines.retain(|line| line.number > after);
        let is_cut = lines.first().is_some_and(|first| first.number > after + 1);
        Self { lines, is_cut }
    }
}
