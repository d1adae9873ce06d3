//! What people on call look at: tasks with a word for their health, worst first; runs, instances,
//! locks, what was done, and a verdict in words.
//!
//! ```text
//! control, history, lock, store ──┐
//! this instance, if there is one ─┴─> Board::look ──> Snapshot ──> page, HTTP API, commands
//!                                     once a second, whoever asks
//! ```
//! Values are plain data with the JSON of the HTTP API. What is judged is judged by pure functions of
//! facts and an instant; [`Board`] alone reads anything. It needs no scheduler: with the stores of a
//! fleet it shows what instances say of themselves.

mod activity;
mod cache;
mod entry;
mod event;
mod facts;
mod fire;
mod health;
mod instance;
mod locked;
mod plan;
mod policy;
mod pool;
mod reading;
mod run;
mod snapshot;
mod span;
mod stamp;
mod stats;
mod strip;
mod summary;
mod task;
mod timeline;
mod verdict;
mod why;

pub(crate) use activity::{Activity, Cursor, Wish};
pub(crate) use cache::{Board, Parts};
pub(crate) use entry::Entry;
pub(crate) use event::{Event, EventKind};
pub(crate) use facts::{Facts, Local};
pub(crate) use fire::Fire;
pub(crate) use health::Health;
pub(crate) use instance::{Instance, InstanceState};
pub(crate) use locked::Lock;
pub(crate) use plan::Plan;
pub(crate) use policy::Policy;
pub(crate) use pool::Plans;
pub(crate) use run::{Attempt, Logs, Run, RunState};
pub(crate) use snapshot::Snapshot;
pub(crate) use span::span;
pub(crate) use stamp::{Stamp, seconds};
pub(crate) use stats::Stats;
pub(crate) use strip::Brief;
pub(crate) use summary::Summary;
pub(crate) use task::{Lint, Pause, PauseOf, Task};
pub(crate) use timeline::{Bin, Timeline, timeline};
pub(crate) use verdict::{Attention, Verdict};
pub(crate) use why::Why;
