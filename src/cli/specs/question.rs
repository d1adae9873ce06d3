//! What is asked about a spec: options that the commands share.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use crate::schedule::{DstPolicy, Schedule, SpecError};
use crate::time::{Clock, SystemClock};

/// How a spec is to be read, and from when on.
#[derive(Debug, Clone, Args)]
pub(crate) struct Question {
    /// Ask for fire times after this RFC 3339 instant, such as 2030-01-31T09:00:00Z [default: now]
    #[arg(long, visible_alias = "from", value_name = "TIME", value_parser = instant)]
    pub(crate) after: Option<DateTime<Utc>>,

    /// The time zone of specs that do not name their own [default: UTC], or the one that times of tasks are
    /// shown in [default: that of each task]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(crate) tz: Option<Tz>,

    /// What becomes of times that a change of the clock skips or repeats
    #[arg(long, value_name = "POLICY", default_value = "run-once")]
    pub(crate) dst: Dst,
}

/// The names of [`DstPolicy`].
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Dst {
    /// A daily task runs once on every day
    RunOnce,
    /// By the clock, as robfig/cron and Kubernetes: no run in a gap, two in a repeated hour
    Robfig,
}

impl Question {
    pub(crate) fn after(&self) -> DateTime<Utc> {
        self.after.unwrap_or_else(|| SystemClock.now())
    }

    pub(crate) fn read(&self, spec: &str) -> Result<Schedule, SpecError> {
        let policy = match self.dst {
            Dst::RunOnce => DstPolicy::RunOnce,
            Dst::Robfig => DstPolicy::Robfig,
        };
        Ok(Schedule::parse_in(spec, self.tz.unwrap_or(Tz::UTC))?.with_dst(policy))
    }
}

pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(at.to_utc()),
        Err(error) => Err(format!(
            "{error}; expected RFC 3339, such as 2030-01-31T09:00:00Z"
        )),
    }
}

pub(crate) fn zone(text: &str) -> Result<Tz, String> {
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        return Err("a time zone's name has no blanks".to_owned());
    }
    // Read as a spec's zone, so that a name that is nearly right gets its hint.
    match format!("TZ={text} @daily").parse::<Schedule>() {
        Ok(schedule) => Ok(schedule.timezone()),
        Err(error) => Err(match error.hint() {
            Some(hint) => format!("{}; {hint}", error.reason()),
            None => error.reason().to_owned(),
        }),
    }
}
