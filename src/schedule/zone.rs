//! Wall times and instants, in integers: which instants a wall time names.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::date::{DAY, Date, is_leap, weekday};

/// What a wall time names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wall {
    /// One instant.
    Once(i64),
    /// Two: the clock was set back over it.
    Twice {
        first: i64,
        second: i64,
        change: Change,
    },
    /// None: the clock was set forward over it.
    Never(Change),
}

/// A change of a zone's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The first instant with the new offset.
    pub(super) at: i64,
    before: i64,
    after: i64,
}

impl Change {
    /// What the wall clock shows from then on.
    pub(super) fn local_after(self) -> i64 {
        self.at + self.after
    }

    /// What the wall clock would have shown without the change.
    pub(super) fn local_before(self) -> i64 {
        self.at + self.before
    }

    /// How many seconds of the wall clock are skipped.
    pub(super) fn gap(self) -> i64 {
        self.after - self.before
    }
}

/// Seconds that the wall clock of `zone` is ahead of UTC at an instant.
pub(super) fn offset(zone: Tz, instant: i64) -> i64 {
    if zone == Tz::UTC {
        return 0;
    }
    let known = instant - beyond_tables(instant);
    let Some(utc) = DateTime::from_timestamp(known, 0) else {
        return 0;
    };
    i64::from(
        zone.offset_from_utc_datetime(&utc.naive_utc())
            .fix()
            .local_minus_utc(),
    )
}

/// The first second of 2100: chrono-tz keeps changes up to the year before.
const TABLES_END: i64 = 4_102_444_800;

/// How far back an instant is looked up. The rules of daylight saving repeat with the calendar, so
/// that a year beyond the tables is looked up as one within them that has the same weekdays.
fn beyond_tables(instant: i64) -> i64 {
    if instant < TABLES_END {
        return 0;
    }
    let year = Date::from_days(instant.div_euclid(DAY)).year;
    let start = |year| {
        Date {
            year,
            month: 1,
            day: 1,
        }
        .days()
    };
    let is_alike =
        |y: &i64| is_leap(*y) == is_leap(year) && weekday(start(*y)) == weekday(start(year));
    // Any 28 years in a row without an exception to the leap rule have all fourteen calendars.
    let twin = (2072..2100).find(is_alike).unwrap_or(2099);
    (start(year) - start(twin)) * DAY
}

/// What the wall time `local` (seconds since 1970-01-01 on the wall clock) names in `zone`.
pub(super) fn wall(zone: Tz, local: i64) -> Wall {
    if zone == Tz::UTC {
        return Wall::Once(local);
    }
    // No zone is more than a day from UTC, nor changes twice within two days.
    let (lo, hi) = (local - DAY, local + DAY);
    let (before, after) = (offset(zone, lo), offset(zone, hi));
    if before == after {
        return Wall::Once(local - before);
    }
    let change = Change {
        at: first_with_other_offset(zone, lo, hi, before),
        before,
        after,
    };
    let (first, second) = (local - before, local - after);
    match (first < change.at, second >= change.at) {
        (true, true) => Wall::Twice {
            first,
            second,
            change,
        },
        (true, false) => Wall::Once(first),
        (false, true) => Wall::Once(second),
        (false, false) => Wall::Never(change),
    }
}

/// The first instant in (`lo`, `hi`] whose offset is not `before`, by bisection.
fn first_with_other_offset(zone: Tz, mut lo: i64, mut hi: i64, before: i64) -> i64 {
    while hi - lo > 1 {
        let middle = lo + (hi - lo) / 2;
        if offset(zone, middle) == before {
            lo = middle
        } else {
            hi = middle
        }
    }
    hi
}
