//! When a task is due: [`Schedule`], a pure function from an instant to the next one.

mod cron;
mod date;
mod error;
mod every;
mod field;
mod parse;
mod print;
mod zone;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;

pub use error::SpecError;

use cron::Cron;
use every::Every;

/// A parsed spec: which instants it names.
///
/// ```
/// use tasklock::Schedule;
///
/// let schedule: Schedule = "CRON_TZ=Europe/Berlin 0 30 9 * * MON-FRI".parse()?;
/// let friday_evening = "2026-11-20T20:00:00Z".parse()?;
/// let next = schedule.next_after(friday_evening).unwrap();
/// assert_eq!(next.to_rfc3339(), "2026-11-23T08:30:00+00:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Grammar
///
/// ```text
/// spec    = [ ("CRON_TZ=" | "TZ=") zone blank ] ( macro | fields )
/// macro   = @yearly @annually @monthly @weekly @daily @midnight @hourly
///         | @every duration | @at time
/// fields  = 5: minute hour day-of-month month day-of-week        (second 0)
///         | 6: second minute hour day-of-month month day-of-week
///         | 7: the same and a year, 1970 to 2199
/// field   = item { "," item }
/// item    = ( "*" | "?" | n | n-n ) [ "/" step ]
/// ```
/// Names of months and days are their first three letters, in any case. Sunday is 0, 7 or `SUN`.
/// Days of the month also take `L` (the last), `L-n`, `nW` (the weekday nearest to n), `LW`, `L-nW`;
/// days of the week `n#k` (the k-th of the month), `nL` (the last), and a leading `+`. The whole of
/// it, with examples, is in `docs/schedules.md`.
///
/// If both day fields are given, a day that matches *either* is meant, as in every cron since
/// Vixie's; if one of them is a star, or the day of the week begins with `+`, both must match.
///
/// # Daylight saving
///
/// By default ([`DstPolicy::RunOnce`]) a task of every day runs once on each day of the year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
    dst: DstPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Cron(Cron),
    Every(Every),
    /// Once.
    At(DateTime<Utc>),
}

/// What happens to a wall time that the clock skips, or shows twice, at a change of daylight saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DstPolicy {
    /// What Vixie's cron and its successors do. A schedule whose minute and hour do not start with
    /// a star names times of day: one that is skipped runs at the first instant after the gap (if
    /// that is shorter than three hours; several collapse into one), one that comes twice runs on
    /// the first pass. Others are intervals: they just go on.
    #[default]
    RunOnce,
    /// What robfig/cron does, and so Kubernetes: a time that is skipped does not run that day, one
    /// that comes twice runs twice.
    Robfig,
}

impl Schedule {
    /// Reads `spec`, in `zone` unless the spec names its own.
    ///
    /// Takes bounded time for any text; specs of more than 1024 bytes are refused.
    ///
    /// # Errors
    ///
    /// Says which field, at which column, and why.
    pub fn parse_in(spec: &str, zone: Tz) -> Result<Self, SpecError> {
        let (rule, zone) = parse::parse(spec, zone)?;
        Ok(Self {
            rule,
            zone,
            dst: DstPolicy::default(),
        })
    }

    /// The same schedule with another policy for daylight saving.
    #[must_use]
    pub fn with_dst(mut self, policy: DstPolicy) -> Self {
        self.dst = policy;
        self
    }

    /// The first fire time strictly after `after`; `None` if there is none up to the year 2199.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.rule {
            Rule::Cron(cron) => cron.next_after(after.timestamp(), self.zone, self.dst),
            Rule::Every(every) => every.next_after(after),
            Rule::At(at) => (*at > after).then_some(*at),
        }
    }

    /// The fire times after `after`, one by one.
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |t| self.next_after(*t))
    }

    /// The zone in which the spec is read.
    pub fn timezone(&self) -> Tz {
        self.zone
    }
}

impl FromStr for Schedule {
    type Err = SpecError;

    /// As [`Schedule::parse_in`], in UTC.
    fn from_str(spec: &str) -> Result<Self, SpecError> {
        Self::parse_in(spec, Tz::UTC)
    }
}

/// A spec that means the same, in six fields (seven with a year), with the zone unless it is UTC.
/// Parsing it gives an equal schedule, except for the DST policy, which no spec says.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.zone != Tz::UTC {
            write!(f, "CRON_TZ={} ", self.zone)?;
        }
        match &self.rule {
            Rule::Cron(cron) => print::cron(cron, f),
            Rule::Every(every) => write!(f, "@every {every}"),
            Rule::At(at) if at.trunc_subsecs(0) == *at => {
                write!(
                    f,
                    "@at {}",
                    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
                )
            }
            Rule::At(at) => {
                write!(
                    f,
                    "@at {}",
                    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
                )
            }
        }
    }
}

/// The last year of a fire time.
const LAST_YEAR: i64 = 2199;
/// The first year of the year field.
const FIRST_YEAR: i64 = 1970;
