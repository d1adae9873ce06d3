//! Tasks defined at run time: what is stored of them, where, and what code runs them.
//!
//! A stored task is data: a name, a spec, a policy, and the *kind* of work with its parameters. The
//! code of a kind is in the program; the store can only name it. Instances follow the store, and each
//! runs what it has the kinds for.

mod checked;
mod kind;
mod record;
mod stored_task;
mod task_store;

pub(crate) use checked::check_kind;
pub use kind::Kind;
pub(crate) use kind::{AnyKind, Typed, closure};
pub(crate) use record::SHELF;
pub use stored_task::StoredTask;
pub(crate) use task_store::Owner;
pub use task_store::{Deleted, Malformed, Saved, StoredTasks, TaskStore};
