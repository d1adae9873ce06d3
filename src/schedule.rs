//! When a task is due: [`Schedule`], a pure function from an instant to the next.
//!
//! ```text
//!  spec ──parse──▶ Cron   sets of seconds, minutes, … years     ─┐ civil: the calendar
//!   │              Every  a period on a grid from the epoch      ├─▶ zone: from wall clock
//!   ╰─error        Once   one instant                           ─┘         to instants
//!                  After  a delay after a run, Startup: what the engine has to find out
//! ```
//!
//! There is no clock here and no state: two replicas that ask the same question get the same
//! answer.

mod after;
mod civil;
mod cover;
mod cron;
mod days;
mod duration;
mod error;
mod every;
mod explain;
mod field;
mod hint;
mod lint;
mod offset;
mod once;
mod parse;
mod print;
mod zone;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use after::After;
use cron::{Cron, LAST_YEAR};
use every::Every;
use once::Once;
use zone::Zoned;

pub use error::{SpecError, SpecErrorKind};
pub use lint::Lint;

/// The first instant that a schedule can name: 1900-01-01T00:00:00Z, in seconds.
const FIRST: i64 = -2_208_988_800;
/// An instant after all that a schedule can name: 2200-01-02T00:00:00Z, in seconds.
const BEYOND: i64 = 7_258_204_800;

/// When a task is due: a parsed spec in its time zone.
///
/// A spec is five fields (minute, hour, day of month, month, day of week), six (a second before
/// them) or seven (a year, 1970 to 2199, behind them); or one of `@yearly`, `@annually`,
/// `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`; or `@every` and a Go duration; or `@after`
/// and a Go duration, counted from the end of the last run; or `@at` and an RFC 3339 instant; or
/// `@startup`, at each start of an instance. `CRON_TZ=Europe/Berlin` or `TZ=Europe/Berlin` before it
/// names the zone whose clock the fields are about.
///
/// ```
/// use tasklock::Schedule;
/// use tasklock::chrono::{DateTime, Utc};
///
/// let schedule: Schedule = "CRON_TZ=Europe/Berlin 0 30 4 * * MON-FRI".parse()?;
/// let friday: DateTime<Utc> = "2026-01-02T12:00:00Z".parse().unwrap();
/// let monday: DateTime<Utc> = "2026-01-05T03:30:00Z".parse().unwrap();
/// assert_eq!(schedule.next_after(friday), Some(monday));
/// assert_eq!(schedule.explain(), "at 04:30, Monday to Friday, in Europe/Berlin");
/// # Ok::<(), tasklock::SpecError>(())
/// ```
///
/// # Fields
///
/// A field is a list of items with commas between. An item is `*` or `?` (all values), a value, or a
/// range `2-5`, and may have a step: `*/15`, `20-40/5`; `5/15` starts at 5 and ends at the field's
/// last value. Months and days of the week have names of three letters in any case. Day 0 and day 7
/// are Sunday.
///
/// Days of the month may be `L` (the last), `L-3` (three before it), `15W` (the day of Monday to
/// Friday nearest to the 15th, in the same month), `LW` and `L-3W`. Days of the week may be `FRI#2`
/// (the second Friday), `FRI#L` or `FRIL` (the last), with ranges as in `MON-FRI#1`.
///
/// # The two day fields
///
/// If one of them is a star (holds `*` or `?`, without a step above 1), a day has to match both; so
/// it has if the day of the week starts with `+`. Otherwise a day has to match one of them. This is
/// the rule of robfig/cron; Vixie's differs in that `*/2` is a star there.
///
/// # When the clock changes
///
/// See [`DstPolicy`].
///
/// # Limits
///
/// Specs have at most 1 024 bytes. Nothing is due before 1900 or after 2199. The changes of clocks
/// are those that the crate `chrono-tz` was built with; from 2100 on they follow the rules of its
/// last years.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
    dst: DstPolicy,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Rule {
    Cron(Cron),
    Every(Every),
    After(After),
    Once(Once),
    Startup,
}

/// What becomes of wall-clock times that a change of the clock skips or repeats.
///
/// ```text
/// 30 2 * * * in Berlin            RunOnce                Robfig
/// 2026-03-29, no 02:30 that day   03:00, after the gap   no run
/// 2026-10-25, 02:30 comes twice   the first 02:30        both
/// ```
///
/// It matters to specs with fields only: `@every`, `@after`, `@at` and `@startup` are not about times
/// of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DstPolicy {
    /// A *fixed* task, whose minutes and hours do not start with `*` or `?`, runs once: times that
    /// the clock skips give one run at the first instant after the gap, times that come twice run on
    /// the first pass only. An interval task (`*/10 * * * *`, `0 * * * *`, `@hourly`) goes by the
    /// clock: nothing in the gap, both passes.
    ///
    /// So a daily task runs exactly once on every day. The rule is that of Vixie, Debian and cronie
    /// and has their limit: for a gap of three hours or more, as when a zone moves or loses a day,
    /// nothing is made up for.
    #[default]
    RunOnce,
    /// Every task goes by the clock: no run in a gap, and one in each pass of a repeated hour. The
    /// rule of robfig/cron, and so of the CronJobs of Kubernetes.
    Robfig,
}

impl Schedule {
    /// Reads `spec`; its fields are about the clock of `zone` unless it names its own.
    ///
    /// # Errors
    ///
    /// The spec does not follow the grammar, names an unknown time zone or is longer than 1 024
    /// bytes. A date that never comes, such as 31 February, is no error: see
    /// [`never_fires`](Self::never_fires).
    pub fn parse_in(spec: &str, zone: Tz) -> Result<Self, SpecError> {
        let (rule, zone) = parse::parse(spec, zone)?;
        let dst = DstPolicy::default();
        Ok(Self { rule, zone, dst })
    }

    /// The same schedule under another policy for changes of the clock.
    #[must_use]
    pub fn with_dst(mut self, dst: DstPolicy) -> Self {
        self.dst = dst;
        self
    }

    /// The first fire time strictly after `after`, or `None` if there is none up to the end of 2199.
    ///
    /// Fire times of fields are whole seconds, those of `@every` whole multiples of its duration
    /// from 1970-01-01T00:00:00Z. An instant before 1900 counts as the start of 1900.
    ///
    /// What no instant tells: `@after` answers as if the last run had ended at `after`, and
    /// `@startup`, which depends on no clock, is `None`.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = match DateTime::from_timestamp(FIRST - 1, 999_999_999) {
            Some(first) => after.max(first),
            None => after,
        };
        let next = match &self.rule {
            Rule::Cron(cron) => {
                let seconds = self.zoned(cron).next(after.timestamp())?;
                return DateTime::from_timestamp(seconds, 0);
            }
            Rule::Every(every) => every.next(after)?,
            Rule::After(delay) => delay.next(after)?,
            Rule::Once(once) => once.next(after)?,
            Rule::Startup => return None,
        };
        (i64::from(next.year()) <= LAST_YEAR).then_some(next)
    }

    /// The last fire time strictly before `before`, or `None` if there is none from 1900 on, or if
    /// no instant tells, as of `@after` and `@startup`.
    pub fn prev_before(&self, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let before = match DateTime::from_timestamp(BEYOND, 0) {
            Some(beyond) => before.min(beyond),
            None => before,
        };
        let mut prev = match &self.rule {
            Rule::Cron(cron) => {
                let is_whole = before.timestamp_subsec_nanos() == 0;
                let last = before.timestamp() - i64::from(is_whole);
                if last < FIRST {
                    return None;
                }
                DateTime::from_timestamp(self.zoned(cron).prev(last)?, 0)?
            }
            Rule::Every(every) => every.prev(before)?,
            Rule::Once(once) => once.prev(before)?,
            Rule::After(_) | Rule::Startup => return None,
        };
        if let Rule::Every(every) = &self.rule
            && i64::from(prev.year()) > LAST_YEAR
        {
            // The grid has no end of its own.
            prev = every.prev(DateTime::from_timestamp(BEYOND - 86_400, 0)?)?;
        }
        (prev.timestamp() >= FIRST).then_some(prev)
    }

    /// The fire times strictly after `after`, in order. It ends where
    /// [`next_after`](Self::next_after) gives `None`.
    ///
    /// ```
    /// # use tasklock::Schedule;
    /// let schedule: Schedule = "@every 90m".parse()?;
    /// let day = "2026-01-01T00:00:00Z".parse().unwrap();
    /// let times: Vec<String> = schedule
    ///     .upcoming(day)
    ///     .take(2)
    ///     .map(|time| time.to_string())
    ///     .collect();
    /// assert_eq!(times, ["2026-01-01 01:30:00 UTC", "2026-01-01 03:00:00 UTC"]);
    /// # Ok::<(), tasklock::SpecError>(())
    /// ```
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |at| self.next_after(*at))
    }

    /// Whether there is no fire time at all, from 1900 to 2199: `0 0 31 2 *`. Not so `@startup`.
    ///
    /// A schedule whose fire times are all past is another matter: ask
    /// [`next_after`](Self::next_after).
    pub fn never_fires(&self) -> bool {
        !self.is_startup() && self.next_after(DateTime::<Utc>::MIN_UTC).is_none()
    }

    /// How long after the end of the last run the next one comes, for `@after`.
    pub fn delay(&self) -> Option<Duration> {
        match &self.rule {
            Rule::After(after) => Some(after.delay()),
            _ => None,
        }
    }

    /// Whether it is `@startup`: due at each start of an instance.
    pub fn is_startup(&self) -> bool {
        self.rule == Rule::Startup
    }

    /// What somebody should know who uses the schedule: that it never fires, or that changes of the
    /// clock within a year from `now` will skip, move or repeat some of its fire times.
    ///
    /// Specs for every hour of a day are not mentioned for changes of the clock: they go on by it.
    ///
    /// ```
    /// # use tasklock::Schedule;
    /// let schedule: Schedule = "TZ=Europe/Berlin 30 2 * * *".parse()?;
    /// let lints = schedule.lint("2027-01-01T00:00:00Z".parse().unwrap());
    /// assert_eq!(lints.len(), 1);
    /// assert_eq!(
    ///     lints[0].to_string(),
    ///     "no 02:30 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead",
    /// );
    /// # Ok::<(), tasklock::SpecError>(())
    /// ```
    pub fn lint(&self, now: DateTime<Utc>) -> Vec<Lint> {
        lint::lint(self, now)
    }

    /// The schedule in English, with its zone: `every 10 minutes (UTC)`.
    ///
    /// For people to read: the wording may change in any version.
    pub fn explain(&self) -> String {
        explain::explain(self)
    }

    /// The zone whose clock the fields are about.
    pub fn timezone(&self) -> Tz {
        self.zone
    }

    /// What becomes of wall-clock times that a change of the clock skips or repeats.
    pub fn dst(&self) -> DstPolicy {
        self.dst
    }

    fn zoned<'a>(&self, cron: &'a Cron) -> Zoned<'a> {
        Zoned {
            cron,
            zone: self.zone,
            run_once: self.dst == DstPolicy::RunOnce && cron.is_fixed(),
        }
    }
}

/// Reads a spec; its fields are about UTC unless it names a zone.
impl FromStr for Schedule {
    type Err = SpecError;

    fn from_str(spec: &str) -> Result<Self, SpecError> {
        Self::parse_in(spec, Tz::UTC)
    }
}

/// A spec that [`FromStr`] reads as the same schedule: fields in their shortest usual form, and the
/// zone unless it is UTC. Not the text that was parsed, which a schedule does not keep, and without
/// the [`DstPolicy`], which no spec can express.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.zone != Tz::UTC {
            write!(f, "CRON_TZ={} ", self.zone.name())?;
        }
        match &self.rule {
            Rule::Cron(cron) => write!(f, "{cron}"),
            Rule::Every(every) => write!(f, "@every {every}"),
            Rule::After(after) => write!(f, "@after {after}"),
            Rule::Startup => f.write_str("@startup"),
            Rule::Once(once) => write!(f, "@at {once}"),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("spec", &self.to_string())
            .field("dst", &self.dst)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_small_and_so_is_its_error() {
        assert!(size_of::<Schedule>() <= 96, "{}", size_of::<Schedule>());
        assert!(size_of::<Result<Schedule, SpecError>>() <= 96);
        assert_eq!(size_of::<SpecError>(), size_of::<usize>());
    }

    #[test]
    fn the_limits_are_the_years_that_the_documentation_names() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339();
        assert_eq!(at(FIRST), "1900-01-01T00:00:00+00:00");
        assert_eq!(at(BEYOND), "2200-01-02T00:00:00+00:00");
        for spec in ["* * * * * *", "@every 10ms", "30 12 * * *"] {
            let schedule: Schedule = spec.parse().unwrap();
            let first = schedule.next_after(DateTime::<Utc>::MIN_UTC).unwrap();
            let last = schedule.prev_before(DateTime::<Utc>::MAX_UTC).unwrap();
            assert_eq!((first.year(), last.year()), (1900, 2199), "{spec}");
            assert_eq!(schedule.next_after(last), None, "{spec}");
            assert_eq!(schedule.prev_before(first), None, "{spec}");
            assert_eq!(schedule.next_after(DateTime::<Utc>::MAX_UTC), None);
            assert_eq!(schedule.prev_before(DateTime::<Utc>::MIN_UTC), None);
        }
    }
}
