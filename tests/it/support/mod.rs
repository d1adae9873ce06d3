//! What several test modules need.

mod bench;
mod scripted_lock;

pub use bench::{Bench, START, pass};
pub use scripted_lock::{Fault, ScriptedLock};
