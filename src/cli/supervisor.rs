//! What is told to a service manager that wants to know (systemd, `Type=notify`), and its watchdog, which
//! is fed for as long as the scheduler looks at the clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::scheduler::{SchedulerHandle, SchedulerState};

/// The timer looks at the clock at least every second. So much later is no busy machine any more, however
/// short the watchdog's time.
const LEAST: Duration = Duration::from_secs(5);

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    feeding: Option<AbortHandle>,
}

impl Supervisor {
    /// It fires. From now on the watchdog is fed, if there is one.
    pub(super) fn ready(&mut self, handle: &SchedulerHandle) {
        tell(&[NotifyState::Ready]);
        if self.feeding.is_none()
            && let Some(patience) = sd_notify::watchdog_enabled()
        {
            let feeding = tokio::spawn(feed(handle.clone(), patience));
            self.feeding = Some(feeding.abort_handle());
        }
    }

    /// It reads its settings again; [`ready`](Self::ready) says that it has.
    pub(super) fn reloading(&self) {
        // Newer managers want to know when that began.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// It takes no new firings, and waits for its runs.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(feeding) = &self.feeding {
            feeding.abort();
        }
    }
}

/// That nobody listens is no reason to stop.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(target: "tasklock", event = "supervisor.deaf", error = %error,
            "Service manager cannot be told");
    }
}

async fn feed(handle: SchedulerHandle, patience: Duration) {
    // Twice in its time, as its documentation wants it, and a little sooner.
    let mut ticks = tokio::time::interval(patience / 3);
    loop {
        ticks.tick().await;
        if is_alive(handle.state(), handle.last_wake(), handle.now(), patience) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Whether the scheduler does what it should: while it fires, its timer looks at the clock.
fn is_alive(
    state: SchedulerState,
    last_wake: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    patience: Duration,
) -> bool {
    let longest = TimeDelta::from_std(patience.max(LEAST)).unwrap_or(TimeDelta::MAX);
    match (state, last_wake) {
        (SchedulerState::Running, Some(wake)) => now - wake <= longest,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_whose_timer_is_stuck_is_not_alive() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let woke = |seconds| Some(now - TimeDelta::seconds(seconds));
        let alive =
            |state, wake, patience| is_alive(state, wake, now, Duration::from_secs(patience));
        let running = SchedulerState::Running;
        assert!(alive(running, woke(30), 30));
        assert!(!alive(running, woke(31), 30));
        // A busy machine, and a watchdog in a hurry.
        assert!(alive(running, woke(5), 1));
        assert!(!alive(running, woke(6), 1));
        // The clock was set back, or forward: the timer looks again within a second.
        assert!(alive(running, woke(-3_600), 30));
        // While it drains it waits for runs, which may take longer.
        assert!(alive(SchedulerState::Draining, woke(3_600), 30));
        assert!(alive(running, None, 30));
    }
}
