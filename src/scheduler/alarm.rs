//! What wakes the timer when something is due.
//!
//! ```text
//! timer: what is due, what comes next ──── ring(wait) ───> alarm
//!   ^                                                        │
//!   └───────────── looks at the clock again <────────────────┘
//! ```
//! An alarm may ring early, late or never. The clock alone says what is due, and the timer looks at
//! it every second in any case: what an alarm has missed is caught up then, by the misfire rules of
//! its task.

#[cfg(feature = "tokio-cron-scheduler")]
mod tokio_cron;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::scheduler::builder::Settings;

/// What wakes a scheduler when something is due.
///
/// It has no say in what is due, nor in who runs it: fire times are those of [`Schedule`](crate::Schedule),
/// and each instant gets its one decision, whatever wakes the scheduler, late or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TimerEngine {
    /// tasklock's own timer: one sleep, until the next fire time, to the millisecond.
    #[default]
    Own,
    /// A [`JobScheduler`](tokio_cron_scheduler::JobScheduler) of the scheduler's own, with a one-shot
    /// job for the next fire time.
    ///
    /// It looks at its jobs twice a second. So locks are taken up to the whole
    /// [`lead`](crate::SchedulerBuilder::lead) ahead, and firings that cannot be taken ahead (a lead of
    /// zero, limits of runs at once, `@after`, `@startup`, `Scope::EveryInstance`) start up to half a
    /// second late. Intervals shorter than half a second are missed for the most part.
    ///
    /// It goes by the machine's clock, whatever [`clock`](crate::SchedulerBuilder::clock) says; with a
    /// clock of another speed firings are late by up to a second.
    #[cfg(feature = "tokio-cron-scheduler")]
    TokioCron,
}

/// Wakes the timer.
#[async_trait]
pub(crate) trait Alarm: fmt::Debug + Send {
    /// By how much later than asked it rings, even if all is well.
    fn slack(&self) -> Duration;

    /// Returns after `wait`, as near to it as it can; never, if there is nothing to wait for. May be
    /// dropped before, and called again with another wait.
    async fn ring(&mut self, wait: Option<Duration>);
}

/// The alarm that the settings ask for, ready to ring.
pub(crate) async fn set_up(settings: &Settings) -> Result<Box<dyn Alarm>> {
    match settings.engine {
        TimerEngine::Own => Ok(Box::new(Sleep)),
        #[cfg(feature = "tokio-cron-scheduler")]
        TimerEngine::TokioCron => {
            let clock = settings.clock.clone();
            Ok(Box::new(tokio_cron::OneShots::set_up(clock).await?))
        }
    }
}

/// Our own: sleeps.
#[derive(Debug)]
struct Sleep;

#[async_trait]
impl Alarm for Sleep {
    fn slack(&self) -> Duration {
        Duration::ZERO
    }

    async fn ring(&mut self, wait: Option<Duration>) {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    }
}
