//! The one error type of the library.

use std::error::Error as StdError;
use std::fmt;

use crate::schedule::SpecError;

/// What [`Error`]-returning functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of this library broke.
///
/// The text says which task, key, spec or address is meant and what to do; [`kind`](Error::kind)
/// is for programs. Expected answers (a lock held by somebody else, an instant already fired) are
/// values, never errors.
pub struct Error {
    // Boxed, so that `Result<T, Error>` stays one word wider than `T` at most.
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A schedule could not be read; [`Error::spec_error`] says where.
    InvalidSpec,
    /// A task name is empty, too long or has a character outside `[A-Za-z0-9_.:-]`.
    InvalidName,
    /// A task contradicts itself, such as one with a timeout of zero.
    InvalidTask,
    /// A task of that name is registered already.
    DuplicateTask,
    /// The scheduler, a lock or an address was configured with values that cannot work.
    InvalidConfig,
    /// The scheduler is not in a state that allows this: started twice, or stopped.
    WrongState,
    /// The lock's store could not be reached, or said that it cannot serve now. Nothing was done.
    /// Transient.
    StoreUnavailable,
    /// The request was sent and no answer came: it may have been executed. Transient, and safe to
    /// repeat with the same claim or grant.
    StoreAmbiguous,
    /// The store refused to write: a replica, a full memory, too few replicas. Nothing was done.
    /// Transient.
    StoreRefused,
    /// The store refused us: wrong password, missing permission. Not transient.
    StoreDenied,
    /// The store answered something that the protocol does not know, or holds a record that it
    /// cannot read. Not transient.
    StoreProtocol,
    /// A metric could not be registered, as when its name is taken in the registry.
    Metrics,
}

impl Error {
    /// An error of `kind` whose text is `message`: a sentence, lower case, without a full stop.
    ///
    /// Public for implementations of [`Lock`](crate::Lock) outside this crate.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The same error, its text preceded by `context` and a colon: `task a.b: …`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Whether the same call may succeed later without a change by anybody.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::StoreUnavailable | ErrorKind::StoreAmbiguous | ErrorKind::StoreRefused
        )
    }

    /// Where and why a schedule could not be read, for [`ErrorKind::InvalidSpec`].
    pub fn spec_error(&self) -> Option<&SpecError> {
        self.inner.source.as_deref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Error");
        s.field("kind", &self.inner.kind)
            .field("message", &self.inner.message);
        if let Some(source) = &self.inner.source {
            s.field("source", source);
        }
        s.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}

impl From<SpecError> for Error {
    fn from(source: SpecError) -> Self {
        Error::new(ErrorKind::InvalidSpec, source.to_string()).with_source(source)
    }
}
