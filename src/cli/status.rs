//! How a command ended, for whoever called it.

use std::fmt;
use std::process::ExitCode;

/// Exit statuses, the same for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// It is done.
    Done = 0,
    /// It failed; of `state`: there is a pid file of a process that is gone.
    Failed = 1,
    /// There is no daemon.
    NotRunning = 3,
    /// It was refused: another daemon is running.
    Refused = 4,
    /// It took too long.
    TimedOut = 124,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}

/// Why a command was not carried out, in a sentence, and its status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(Status::Failed, text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
