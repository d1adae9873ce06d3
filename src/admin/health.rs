//! How a scheduler is, for probes.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::scheduler::{SchedulerHandle, SchedulerState};

/// The timer looks at the clock at least every second. Sixty times that is no busy machine any more.
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(60);

/// The answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pass,
    /// The instance does its part; its lock's store does not.
    Degraded,
    Fail,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Degraded => "degraded",
            Status::Fail => "fail",
        }
    }
}

/// What probes look at, all taken at one moment.
#[derive(Debug)]
pub(super) struct Health {
    instance: String,
    state: SchedulerState,
    now: DateTime<Utc>,
    last_wake: Option<DateTime<Utc>>,
    store_down_since: Option<DateTime<Utc>>,
    tasks: usize,
}

impl Health {
    pub(super) fn of(handle: &SchedulerHandle) -> Self {
        Self {
            instance: handle.instance().to_owned(),
            state: handle.state(),
            // Before the time it is now, so that a wake between the two does not lie ahead.
            last_wake: handle.last_wake(),
            now: handle.now(),
            store_down_since: handle.store_down_since(),
            tasks: handle.tasks().len(),
        }
    }

    /// Whether the process should go on.
    ///
    /// The timer wakes only while the scheduler runs. Before that it may wait for its lock for as
    /// long as it was told to, and a restart would not help; while it drains, a restart would kill
    /// the runs that it waits for.
    pub(super) fn live(&self) -> Status {
        match self.state {
            SchedulerState::Running => self.timer(),
            SchedulerState::Stopped => Status::Fail,
            _ => Status::Pass,
        }
    }

    /// Whether the instance does its part.
    pub(super) fn ready(&self) -> Status {
        match self.state {
            SchedulerState::Running => self.store(),
            _ => Status::Fail,
        }
    }

    fn timer(&self) -> Status {
        match self.last_wake {
            Some(wake) if self.now - wake > LONGEST_SLEEP => Status::Fail,
            _ => Status::Pass,
        }
    }

    fn store(&self) -> Status {
        match self.store_down_since {
            Some(_) => Status::Degraded,
            None => Status::Pass,
        }
    }

    /// `status` and what led to it.
    pub(super) fn json(&self, status: Status) -> String {
        let instant = |at: Option<DateTime<Utc>>| match at {
            Some(at) => quoted(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => "null".to_owned(),
        };
        let age = |at: Option<DateTime<Utc>>| match at {
            Some(at) => format!("{:.3}", (self.now - at).as_seconds_f64().max(0.0)),
            None => "null".to_owned(),
        };
        let timer = self.live();
        format!(
            concat!(
                r#"{{"status":{status},"state":{state},"instance":{instance},"version":{version},"#,
                r#""tasks":{tasks},"checks":{{"#,
                r#""loop":{{"status":{timer},"last_wake":{last_wake},"age_seconds":{age}}},"#,
                r#""store":{{"status":{store},"down_since":{down_since},"down_seconds":{down}}}}}}}"#,
                "\n"
            ),
            status = quoted(status.as_str()),
            state = quoted(self.state.as_str()),
            instance = quoted(&self.instance),
            version = quoted(env!("CARGO_PKG_VERSION")),
            tasks = self.tasks,
            timer = quoted(timer.as_str()),
            last_wake = instant(self.last_wake),
            age = age(self.last_wake),
            store = quoted(self.store().as_str()),
            down_since = instant(self.store_down_since),
            down = age(self.store_down_since),
        )
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(state: SchedulerState, asleep: i64) -> Health {
        let now: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        Health {
            instance: "a\"b\\c".to_owned(),
            state,
            now,
            last_wake: Some(now - TimeDelta::milliseconds(asleep)),
            store_down_since: None,
            tasks: 3,
        }
    }

    #[test]
    fn a_running_scheduler_lives_while_its_timer_wakes() {
        assert_eq!(health(SchedulerState::Running, 60_000).live(), Status::Pass);
        assert_eq!(health(SchedulerState::Running, 60_001).live(), Status::Fail);
        // The clock was set back: the wake seems to lie ahead.
        assert_eq!(health(SchedulerState::Running, -5_000).live(), Status::Pass);
    }

    #[test]
    fn a_scheduler_that_starts_or_drains_lives_and_is_not_ready() {
        for state in [
            SchedulerState::Idle,
            SchedulerState::Starting,
            SchedulerState::Draining,
        ] {
            assert_eq!(health(state, 3_600_000).live(), Status::Pass);
            assert_eq!(health(state, 0).ready(), Status::Fail);
        }
        assert_eq!(health(SchedulerState::Stopped, 0).live(), Status::Fail);
        assert_eq!(health(SchedulerState::Stopped, 0).ready(), Status::Fail);
    }

    #[test]
    fn a_store_that_is_down_degrades_and_does_not_fail() {
        let mut health = health(SchedulerState::Running, 250);
        health.store_down_since = Some(health.now - TimeDelta::seconds(90));
        assert_eq!(
            (health.live(), health.ready()),
            (Status::Pass, Status::Degraded)
        );

        let json: serde_json::Value = serde_json::from_str(&health.json(health.ready())).unwrap();
        assert_eq!(json["status"], "degraded");
        assert_eq!(json["state"], "running");
        assert_eq!(json["instance"], "a\"b\\c");
        assert_eq!(json["tasks"], 3);
        assert_eq!(json["checks"]["loop"]["status"], "pass");
        assert_eq!(json["checks"]["loop"]["age_seconds"], 0.25);
        assert_eq!(json["checks"]["store"]["status"], "degraded");
        assert_eq!(
            json["checks"]["store"]["down_since"],
            "2026-11-21T09:58:30.000Z"
        );
        assert_eq!(json["checks"]["store"]["down_seconds"], 90.0);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            serde_json::from_str::<String>(&quoted("a\n\u{1}ä\u{7f}\"")).unwrap(),
            "a\n\u{1}ä\u{7f}\""
        );
    }
}
