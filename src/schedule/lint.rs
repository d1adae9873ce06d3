//! What somebody should know who uses a schedule: it never fires, or a change of the clock meets it.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::zone::Change;
use super::{Rule, Schedule};

/// How far ahead changes of the clock are looked for: a year and a day.
const AHEAD: i64 = 366 * 86_400;
/// All hours of a day.
const EVERY_HOUR: u32 = 0x00ff_ffff;

/// Something that somebody should know who uses a schedule. Its text is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// There is no such date: `0 0 31 2 *`.
    NeverFires,
    /// All fire times are past.
    Past {
        /// The last of them.
        last: DateTime<Utc>,
    },
    /// The clock skips a fire time, and the schedule fires after the gap in its place.
    Moved {
        /// The first time skipped, by the wall clock.
        wall: NaiveDateTime,
        /// When it fires instead.
        to: DateTime<Tz>,
    },
    /// The clock skips a fire time, and the schedule does not fire.
    Skipped {
        /// The first time skipped, by the wall clock.
        wall: NaiveDateTime,
        /// The end of the gap.
        gap_end: DateTime<Tz>,
    },
    /// The clock shows a fire time twice, and the schedule fires twice.
    Repeated {
        /// The first time repeated, by the wall clock.
        wall: NaiveDateTime,
        /// When the second pass begins.
        second_pass: DateTime<Tz>,
    },
}

impl Lint {
    /// The word for it in logs: `never_fires`, `past`, `dst_gap` or `dst_overlap`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Lint::NeverFires => "never_fires",
            Lint::Past { .. } => "past",
            Lint::Moved { .. } | Lint::Skipped { .. } => "dst_gap",
            Lint::Repeated { .. } => "dst_overlap",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lint::NeverFires => f.write_str("never fires: there is no such date"),
            Lint::Past { last } => {
                let last = last.format("%Y-%m-%dT%H:%M:%SZ");
                write!(f, "fires no more: the last time was {last}")
            }
            Lint::Moved { wall, to } => {
                let (time, date, zone) = (short(wall), wall.date(), to.timezone().name());
                let to = short(&to.naive_local());
                write!(f, "no {time} on {date} in {zone}: fires at {to} instead")
            }
            Lint::Skipped { wall, gap_end } => {
                let (time, date, zone) = (short(wall), wall.date(), gap_end.timezone().name());
                write!(f, "no {time} on {date} in {zone}: does not fire")
            }
            Lint::Repeated { wall, second_pass } => {
                let (time, date) = (short(wall), wall.date());
                let zone = second_pass.timezone().name();
                write!(
                    f,
                    "{time} comes twice on {date} in {zone}: fires both times"
                )
            }
        }
    }
}

/// `02:30`, with seconds where there are any.
fn short(at: &NaiveDateTime) -> impl fmt::Display + use<> {
    let has_seconds = at.and_utc().timestamp() % 60 != 0;
    at.format(if has_seconds { "%H:%M:%S" } else { "%H:%M" })
}

pub(super) fn lint(schedule: &Schedule, now: DateTime<Utc>) -> Vec<Lint> {
    if schedule.is_startup() {
        return Vec::new();
    }
    if schedule.next_after(now).is_none() {
        let moment = TimeDelta::nanoseconds(1);
        let last = schedule.prev_before(now.checked_add_signed(moment).unwrap_or(now));
        return vec![last.map_or(Lint::NeverFires, |last| Lint::Past { last })];
    }
    let Rule::Cron(cron) = &schedule.rule else {
        return Vec::new();
    };
    // What fires in every hour goes on by the clock, and nobody misses a run.
    if cron.hour == EVERY_HOUR || schedule.zone == Tz::UTC {
        return Vec::new();
    }
    let zoned = schedule.zoned(cron);
    let (mut from, until) = (now.timestamp(), now.timestamp() + AHEAD);
    let mut lints = Vec::new();
    while let Some(change) = zoned.next_change(from, until) {
        from = change.at;
        let Change { at, old, new } = change;
        // The wall-clock times that the change skips or repeats.
        let affected = (at + old).min(at + new)..(at + old).max(at + new);
        let Some(wall) = cron
            .next_wall(affected.start)
            .filter(|w| affected.contains(w))
        else {
            continue;
        };
        let Some(wall) = DateTime::from_timestamp(wall, 0).map(|wall| wall.naive_utc()) else {
            continue;
        };
        let Some(at) = schedule.zone.timestamp_opt(at, 0).single() else {
            continue;
        };
        if new < old {
            if !zoned.run_once {
                lints.push(Lint::Repeated {
                    wall,
                    second_pass: at,
                });
            }
        } else if zoned.makes_up(old, new) {
            lints.push(Lint::Moved { wall, to: at });
        } else {
            lints.push(Lint::Skipped { wall, gap_end: at });
        }
    }
    lints
}
