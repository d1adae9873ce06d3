//! How a command ended, for whoever called it.

use std::any::Any;
use std::fmt;
use std::process::ExitCode;

use crate::error::{Error, ErrorKind};
use crate::text::contained;

/// The longest text of a failure, in bytes.
const LONGEST: usize = 8 * 1024;

/// Exit statuses, the same for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// It is done.
    Done = 0,
    /// It failed; of `run`: the run did; of `state`: there is a pid file of a process that is gone.
    Failed = 1,
    /// It was asked wrongly. By clap as a rule.
    Usage = 2,
    /// There is no such thing: no daemon, no task, no run.
    NotFound = 3,
    /// It was refused.
    Refused = 4,
    /// The store or the server could not be asked.
    Unreachable = 5,
    /// It took too long.
    TimedOut = 124,
}

impl Status {
    /// That of a process of ours that has ended; failed, if it is another's.
    #[cfg(unix)]
    pub(crate) fn of_code(code: Option<i32>) -> Self {
        match code {
            Some(2) => Status::Usage,
            Some(3) => Status::NotFound,
            Some(4) => Status::Refused,
            Some(5) => Status::Unreachable,
            _ => Status::Failed,
        }
    }
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

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Status::Usage, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Status::NotFound, text)
    }
}

/// What a library's error means for whoever called.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(status_of(&error), error.to_string())
    }
}

fn status_of(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::InvalidSpec
        | ErrorKind::InvalidName
        | ErrorKind::InvalidTask
        | ErrorKind::InvalidConfig => Status::Usage,
        ErrorKind::StoreUnavailable | ErrorKind::StoreAmbiguous | ErrorKind::StoreRefused => {
            Status::Unreachable
        }
        ErrorKind::StoreDenied => Status::Refused,
        _ => Status::Failed,
    }
}

/// That an application could not make its scheduler. Of our own errors the status is known, also in the
/// boxes that applications carry errors in.
pub(crate) fn not_built<E: fmt::Display + 'static>(error: E) -> Failure {
    type Boxed = Box<dyn std::error::Error>;
    type Sent = Box<dyn std::error::Error + Send + Sync>;
    let any: &dyn Any = &error;
    let boxed = any.downcast_ref::<Boxed>().map(|boxed| &**boxed);
    let sent = || -> Option<&(dyn std::error::Error + 'static)> {
        any.downcast_ref::<Sent>().map(|sent| &**sent as _)
    };
    let own = any
        .downcast_ref::<Error>()
        .or_else(|| boxed.or_else(sent)?.downcast_ref::<Error>());
    let status = own.map_or(Status::Failed, status_of);
    Failure::new(status, error.to_string())
}

/// The sentence, whatever strangers wrote into it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&contained(&self.text, LONGEST))
    }
}
