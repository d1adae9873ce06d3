//! What tests of tasks, locks and observers need (feature `testing`).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tasklock::testing::{RecordingObserver, TestClock};
//! use tasklock::{BaseTask, MemoryLock, Outcome, Scheduler};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> tasklock::Result<()> {
//! // With tokio's time paused, a day takes no time.
//! let clock = Arc::new(TestClock::at("2026-11-21T00:00:00Z"));
//! let seen = RecordingObserver::new();
//! let scheduler = Scheduler::builder()
//!     .lock(MemoryLock::with_clock(clock.clone()))
//!     .clock(clock.clone())
//!     .observer(seen.clone())
//!     .build()?;
//! scheduler.register(BaseTask::new("nightly", "0 0 2 * * *", Duration::from_secs(60), |_| async {
//!     Ok(())
//! }))?;
//! scheduler.start().await?;
//! tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
//! assert_eq!(seen.outcomes("nightly"), [Outcome::Success, Outcome::Success]);
//! # Ok(())
//! # }
//! ```

mod case;
mod clock;
mod conformance;
mod fleet_conformance;
mod history_conformance;
mod observer;

pub use clock::{SkewedClock, TestClock};
pub use conformance::{LockUnderTest, lock_conformance};
pub use fleet_conformance::{FleetStoreUnderTest, fleet_conformance};
pub use history_conformance::{HistoryUnderTest, history_conformance};
pub use observer::RecordingObserver;

pub use crate::random::seeded::seed_randomness;
