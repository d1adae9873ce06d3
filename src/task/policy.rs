//! How a task behaves when things are not as planned.

use std::time::Duration;

use chrono_tz::Tz;

use crate::error::{Error, ErrorKind};
use crate::schedule::DstPolicy;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) timezone: Option<Tz>,
    pub(crate) dst: Option<DstPolicy>,
    pub(crate) spread: Duration,
    pub(crate) jitter: Duration,
    pub(crate) misfire_threshold: Duration,
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

    /// How late a firing may start. One noticed or granted later ends as `misfired` and does not
    /// run. Default: 60 s; at least 1 s, at most 7 days.
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

    /// How long a run may go on after it was asked to end (timeout, shutdown) before it is
    /// dropped. Default: 5 s. A lost lease knows no grace.
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

    /// Says what is wrong with the values, if anything.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidTask, text));
        let seconds = Duration::from_secs;
        if self.lease_ttl < seconds(1) || self.lease_ttl > seconds(3600) {
            return refuse(format!(
                "lease_ttl is {:?}: give it 1 s to 1 h",
                self.lease_ttl
            ));
        }
        if self.lease_ttl.subsec_nanos() != 0 {
            return refuse(format!(
                "lease_ttl is {:?}: the lock counts whole seconds",
                self.lease_ttl
            ));
        }
        if self.misfire_threshold < seconds(1) || self.misfire_threshold > seconds(7 * 86_400) {
            return refuse(format!(
                "misfire_threshold is {:?}: give it 1 s to 7 days",
                self.misfire_threshold
            ));
        }
        for (name, value) in [("spread", self.spread), ("jitter", self.jitter)] {
            if value > seconds(86_400) {
                return refuse(format!("{name} is {value:?}: give it at most 24 h"));
            }
        }
        if self.cancel_grace > seconds(3600) {
            return refuse(format!(
                "cancel_grace is {:?}: give it at most 1 h",
                self.cancel_grace
            ));
        }
        Ok(())
    }
}
