//! The file of a cron of its own: where it meets the others, and its tasks. See `docs/standalone.md`.
//!
//! Read strictly: what is not known is refused with its line and column, and nothing that a value says
//! is repeated where it may be a secret.

mod crontab;
mod fault;
mod file;
mod listed;
mod page;
mod program;
mod settings;
mod source;
mod tag;
mod task;
mod user;

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::kinds::{Http, Shell};

pub(crate) use crontab::{Crontab, Form};
pub(crate) use fault::Faults;
use fault::Source;
pub(crate) use page::{Page, Visitors};
pub(crate) use settings::{Place, Settings};
pub(crate) use source::SecretFrom;
pub(crate) use task::{Doer, TaskOfFile, Work};

/// The largest file, in bytes.
const LARGEST: u64 = 4 << 20;

/// What a file says, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// In the order of the file.
    pub(crate) tasks: Vec<TaskOfFile>,
    /// The commands that tasks may name, if it lists any.
    pub(crate) shell: Option<Arc<Shell>>,
    /// The addresses that tasks of the store may ask, if it lists any.
    pub(crate) http: Option<Arc<Http>>,
    /// What is allowed, but had better be otherwise.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads a file and checks all of it; what is in other files is read when it is needed.
    pub(crate) fn read(path: &Path, now: DateTime<Utc>) -> Result<Self, Faults> {
        let source = Source::read(path, LARGEST)?;
        let file = file::read(&source)?;
        listed::check(&source, file, now)
    }
}
