//! A fleet as people see and steer it: who there is, what is paused, what was asked of whom.
//!
//! What people want is kept as records in the fleet's store, and every instance follows them; a
//! store that is away delays what they want and never a firing. [`ControlPlane`] writes and reads
//! them, beside a scheduler or without one.
//!
//! ```text
//! ControlPlane ── pause, skip, override, drain ──> rules     <── followed by all instances
//!              ── run now, cancel, unlock ───────> commands  <── taken by exactly one
//!              <─ instances ────────────────────── written by each instance
//!              ── who asked for what, and why ──-> audit
//! ```

mod audit;
mod by;
mod command;
mod drift;
mod happening;
mod instance;
mod plane;
mod rules;
mod shelf;
mod traceparent;

pub(crate) use audit::AUDIT_KEPT;
pub use audit::{AuditEntry, AuditResult};
pub use by::By;
pub use command::{Accepted, Answer, IfPaused, IfRunning, Receipt, Refusal, Refused, RunNow};
pub(crate) use command::{Ask, Command, Taken};
pub(crate) use drift::drifts;
pub use drift::{Drift, DriftKind};
pub(crate) use happening::{HAPPENINGS_KEPT, Happening, What};
pub use instance::{Instance, RunningRun, TaskFacts};
pub(crate) use instance::{MOST_RUNS, MOST_TASKS};
pub use plane::{ControlPlane, PauseFor};
#[cfg(feature = "admin")]
pub(crate) use rules::MOST_SKIPPED;
pub use rules::{Drain, Missed, Override, Pause, Rules, Skip};
pub(crate) use rules::{Overridden, Rule, RuleKey, upcoming};
pub(crate) use shelf::{
    AUDIT, COMMANDS, HAPPENINGS, INSTANCES, Malformed, RULES, TOLD, decode, encode, instance_key,
};
#[cfg(feature = "admin")]
pub(crate) use traceparent::is_traceparent;
#[cfg(feature = "otel")]
pub(crate) use traceparent::link;
