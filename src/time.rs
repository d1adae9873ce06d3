//! The only place that reads the time.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Where the time comes from.
///
/// Fire times and records are wall time, [`now`](Clock::now); durations and the validity of a
/// lease are [`monotonic`](Clock::monotonic). The two are never mixed. Tests bring a clock of
/// their own (`testing::TestClock`, feature `testing`); everybody else wants [`SystemClock`].
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Wall time. It may step, both ways.
    fn now(&self) -> DateTime<Utc>;

    /// Time since an arbitrary fixed point. It never steps and never goes back. It should go on
    /// while the machine is suspended, since a lease in a store ends meanwhile.
    fn monotonic(&self) -> Duration;

    /// Whether it goes as a sleeping thread's does, so that one may be used to wait more finely
    /// than to the millisecond of tokio's timer. Default `false`: time is what tokio takes for it,
    /// which a test may have stopped.
    fn is_machine_time(&self) -> bool {
        false
    }
}

/// The machine's own clocks.
///
/// [`monotonic`](Clock::monotonic) is `CLOCK_BOOTTIME` on Linux, which counts the time that the
/// machine was suspended, as the lease in the store does; elsewhere it is [`std::time::Instant`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn is_machine_time(&self) -> bool {
        true
    }

    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The kernel never hands out a negative boot time, nor nanoseconds of 1e9 and more.
        Duration::new(
            t.tv_sec.unsigned_abs(),
            u32::try_from(t.tv_nsec).unwrap_or(0),
        )
    }

    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        ORIGIN.get_or_init(std::time::Instant::now).elapsed()
    }
}
