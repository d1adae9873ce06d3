//! All settings of a task beside its name, spec and timeout.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::schedule::DstPolicy;
use crate::task::policy::plain::Plain;
use crate::task::policy::{Misfire, OnStoreDown, Overlap, Recovery, Retry, Scope};

/// Settings of one task beside its name, schedule and timeout.
///
/// Plain data; `Policy::default()` is right for most tasks.
///
/// ```
/// use std::time::Duration;
/// use tasklock::Policy;
///
/// let policy = Policy::default()
///     .timezone(tasklock::chrono_tz::Asia::Shanghai)
///     .misfire_threshold(Duration::from_secs(300));
/// ```
///
/// Written as plain data (serde), it has the settings that differ from the default, durations in
/// seconds: `{"misfire":"run_once","misfire_threshold_s":300,"retry":{"times":3}}`. Read, it refuses
/// settings that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Plain", from = "Plain")]
pub struct Policy {
    pub(crate) timezone: Option<Tz>,
    pub(crate) dst: Option<DstPolicy>,
    pub(crate) spread: Duration,
    pub(crate) jitter: Duration,
    pub(crate) misfire_threshold: Duration,
    pub(crate) misfire: Misfire,
    pub(crate) start_deadline: Option<Duration>,
    pub(crate) overlap: Overlap,
    pub(crate) retry: Retry,
    pub(crate) recovery: Recovery,
    pub(crate) scope: Scope,
    pub(crate) on_store_down: OnStoreDown,
    pub(crate) pause_after: Option<u32>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) lease_ttl: Duration,
    pub(crate) cancel_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timezone: None,
            dst: None,
            spread: Duration::ZERO,
            jitter: Duration::ZERO,
            misfire_threshold: Duration::from_secs(60),
            misfire: Misfire::default(),
            start_deadline: None,
            overlap: Overlap::default(),
            retry: Retry::default(),
            recovery: Recovery::default(),
            scope: Scope::default(),
            on_store_down: OnStoreDown::default(),
            pause_after: None,
            group: None,
            lease_ttl: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(5),
        }
    }
}

impl Policy {
    /// The zone of the schedule's wall clock. Default: the scheduler's, which is UTC unless set.
    /// A `CRON_TZ=` prefix of the spec goes before both.
    #[must_use]
    pub fn timezone(mut self, zone: Tz) -> Self {
        self.timezone = Some(zone);
        self
    }

    /// What becomes of times that a change of the clock skips or repeats. Default: the scheduler's,
    /// which is [`DstPolicy::RunOnce`] unless set.
    #[must_use]
    pub fn dst(mut self, dst: DstPolicy) -> Self {
        self.dst = Some(dst);
        self
    }

    /// Starts the task's firings later by a part of `max` that its name decides: always the same
    /// for this task, on every instance, and another for other tasks. For many tasks of one spec
    /// that should not all start in the same second. Default: zero; at most 24 h.
    ///
    /// ```text
    /// fire time      start
    ///     |------------x------------|----->
    ///     |<- spread ->|           max
    /// ```
    ///
    /// The fire time stays the one that the schedule names, in the run's context, the lock, metrics
    /// and logs; the start delay of metrics shows the spread.
    #[must_use]
    pub fn spread(mut self, max: Duration) -> Self {
        self.spread = max;
        self
    }

    /// Starts each firing later by a random part of `max`, beside [`spread`](Self::spread). Each
    /// instance draws its own, so that the first of several comes early in `max`. It is drawn from
    /// less than the time to the task's next fire time, so that firings stay in their order. The
    /// fire time stays the one that the schedule names. Default: zero; at most 24 h.
    #[must_use]
    pub fn jitter(mut self, max: Duration) -> Self {
        self.jitter = max;
        self
    }

    /// How late a firing may start. One noticed or granted later is missed: it ends as `misfired`,
    /// unless [`misfire`](Self::misfire) says otherwise. Default: 60 s; at least 1 s, at most 7 days.
    ///
    /// ```text
    /// fire time      start: still in time       noticed here: misfired
    ///     |---------------x----------|----------------x----->
    ///     |<--- misfire threshold -->|
    /// ```
    ///
    /// It counts from the latest start that [`spread`](Self::spread) and [`jitter`](Self::jitter)
    /// allow. `@after` and `@startup` miss nothing: they wait.
    ///
    /// It is also how far back an instance looks when it starts: an instant that came due while no
    /// instance was up still runs if it is younger than this and the lock has not seen it.
    #[must_use]
    pub fn misfire_threshold(mut self, threshold: Duration) -> Self {
        self.misfire_threshold = threshold;
        self
    }

    /// What becomes of firings that were missed. Default: [`Misfire::Skip`].
    #[must_use]
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }

    /// How late a firing may start at all: one that was missed and runs by [`misfire`](Self::misfire),
    /// that came in time and waited for another run, or whose instance died. Later than that it ends as `misfired`. For the nightly task that must not run at
    /// noon. Default: 7 days; at most that, at least the misfire threshold.
    #[must_use]
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = Some(deadline);
        self
    }

    /// What becomes of a firing that is due while the run before it goes on. Default:
    /// [`Overlap::Skip`].
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// How often the task is called again within a run when it fails. Default: [`Retry::never`].
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What becomes of a run whose instance died. Default: [`Recovery::Skip`].
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// On how many instances a firing runs. Default: [`Scope::Once`].
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// What becomes of a firing for which the lock's store could not be asked. Default:
    /// [`OnStoreDown::Skip`].
    #[must_use]
    pub fn on_store_down(mut self, then: OnStoreDown) -> Self {
        self.on_store_down = then;
        self
    }

    /// Pauses the task in the whole fleet after so many firings in a row that failed or timed out:
    /// the next ones end as `paused`, until [`SchedulerHandle::resume`](crate::SchedulerHandle::resume)
    /// on any instance. Default: off. At least 1.
    ///
    /// ```text
    /// pause_after(3)                                resume
    /// A   |=1=✗           |=3=✗   paused   paused     |    |=6=|
    /// B           |=2=✗           paused   paused     |
    /// ```
    ///
    /// A run counts once, however often it was [retried](Retry), and one that was cancelled does not
    /// count. Each part of a task in [parts](Scope::Sharded) is counted for itself.
    #[must_use]
    pub fn pause_after(mut self, failures: u32) -> Self {
        self.pause_after = Some(failures);
        self
    }

    /// Puts the task into a group whose runs on one instance are limited together, by
    /// [`SchedulerBuilder::group`](crate::SchedulerBuilder::group). Default: none.
    #[must_use]
    pub fn group(mut self, name: impl Into<Arc<str>>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// How long the lease of a run lasts without renewal: whole seconds from 1 s to 1 h.
    /// Default: 30 s.
    ///
    /// It is renewed every third of this while the run goes on, so it has nothing to do with how
    /// long the task takes: it is how long a dead owner blocks the others. The owner stops
    /// believing in its lease one tenth of this, at least 1 s (at most a third), before the store
    /// does. Below 5 s a slow store or a busy process may lose leases for nothing.
    #[must_use]
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// How long a run may go on after it was asked to end (timeout, shutdown, replacement) before it
    /// is dropped. Default: 5 s. A lost lease knows no grace.
    ///
    /// ```text
    /// start          timeout: ctx.cancelled()      future dropped, then the lock released
    ///   |------------------|-----------------------------|
    ///                      |<------- cancel grace ------>|
    /// ```
    #[must_use]
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Whether some firing may start after the misfire threshold: because it was missed, waited for
    /// another run, or is run again.
    pub(crate) fn may_start_late(&self) -> bool {
        self.misfire != Misfire::Skip
            || matches!(self.overlap, Overlap::QueueOne | Overlap::Replace)
            || self.recovery != Recovery::Skip
    }
}
