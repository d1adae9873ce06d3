//! Tasks defined at run time, as the engine has them: their kinds, and what they run.

mod body;
mod definitions;
mod following;
mod kinds;

use std::sync::Mutex;

use tokio::sync::Notify;

use crate::store::TaskStore;

use definitions::Definitions;
pub(crate) use following::{load, run};
pub(crate) use kinds::Kinds;

/// What a scheduler knows of the tasks that are defined at run time.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) kinds: Kinds,
    /// Where they are, if the fleet meets anywhere.
    pub(crate) store: Option<TaskStore>,
    // Held for as long as it takes to go through what was read, never across an await.
    definitions: Mutex<Definitions>,
    /// A kind or a task of code has come or gone.
    pub(crate) nudged: Notify,
}

impl Stored {
    pub(crate) fn new(store: Option<TaskStore>) -> Self {
        Self {
            kinds: Kinds::default(),
            store,
            definitions: Mutex::default(),
            nudged: Notify::new(),
        }
    }
}
