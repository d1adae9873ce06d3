//! What a run says of itself while it goes on: a short text, and how far it is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::RunId;
use crate::text::contained_line;

/// The longest status, in bytes; what is longer is cut.
const LONGEST_STATUS: usize = 256;

/// How far a run is: so many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many; 0 if nobody knows.
    pub total: u64,
}

impl Progress {
    /// `done` of `total`.
    pub fn new(done: u64, total: u64) -> Self {
        Self { done, total }
    }
}

/// `120 of 400`, or `120` if nobody knows of how many.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            0 => write!(f, "{}", self.done),
            total => write!(f, "{} of {total}", self.done),
        }
    }
}

/// What a run has said of itself last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) status: Option<String>,
    pub(crate) progress: Option<Progress>,
}

/// Whoever wants to know that a run has said something of itself.
pub(crate) trait NoteReader: fmt::Debug + Send + Sync {
    /// There is something to take, for the first time since it was [taken](RunNotes::take). Must
    /// not block.
    fn noted(&self, notes: &Arc<RunNotes>);
}

/// Where a run leaves what it says of itself. Only the last is kept.
#[derive(Debug)]
pub(crate) struct RunNotes {
    pub(crate) run_id: RunId,
    reader: Option<Arc<dyn NoteReader>>,
    // Held to set or to copy a short text.
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    noted: Noted,
    is_told: bool,
}

impl RunNotes {
    pub(crate) fn new(run_id: RunId, reader: Option<Arc<dyn NoteReader>>) -> Self {
        Self {
            run_id,
            reader,
            latest: Mutex::default(),
        }
    }

    pub(crate) fn status(self: &Arc<Self>, text: &str) {
        let text = contained_line(text, LONGEST_STATUS);
        self.note(|noted| noted.status = Some(text));
    }

    pub(crate) fn progress(self: &Arc<Self>, progress: Progress) {
        self.note(|noted| noted.progress = Some(progress));
    }

    fn note(self: &Arc<Self>, note: impl FnOnce(&mut Noted)) {
        let Some(reader) = &self.reader else {
            return;
        };
        let was_told = {
            let mut latest = self.latest();
            note(&mut latest.noted);
            std::mem::replace(&mut latest.is_told, true)
        };
        if !was_told {
            reader.noted(self);
        }
    }

    /// What was said last; what is said next is told again.
    pub(crate) fn take(&self) -> Noted {
        let mut latest = self.latest();
        latest.is_told = false;
        latest.noted.clone()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        // Nothing that can panic happens while it is held.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
