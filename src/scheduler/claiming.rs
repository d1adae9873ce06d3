//! From due to granted: each firing is brought to its one decision with the lock.
//!
//! ```text
//! due ── admit ──> claim ──┬─ granted ───────────────> started (firing.rs)
//!            │             ├─ fired before, superseded > fired_elsewhere
//!            │             ├─ held ── wait for the end of that lease, look again ──> overlap
//!            │             │             └── its owner died: claim once more
//!            │             ├─ too early ── wait, claim again with the same token
//!            │             ├─ too late ──────────────> misfired
//!            │             └─ no answer ── claim again with the same token ──> store_down
//!            ├─ behind another firing of the task: waits its turn
//!            └─ draining, misfired, overlap
//! ```
//! A claim is never dropped half way: whoever gives one up that may have been executed takes it
//! back, so that nobody is locked out by a grant that nobody knows of.
//!
//! Two kinds of tasks take some answers otherwise: `after.rs` for `@after`, whose fire time the lock
//! knows best, and `startup.rs` for `@startup`, which is due on every instance and waits its turn.

mod after;
mod batch;
mod claim;
mod give_back;
mod holder;
mod line;
mod request;
mod startup;

pub(crate) use after::plan_next;
pub(crate) use claim::off_schedule;
pub(crate) use give_back::take_back;
pub(crate) use line::{
    Firing, Manual, claim_those_ready, claim_together, dispatch, next_in_line, settle,
};
