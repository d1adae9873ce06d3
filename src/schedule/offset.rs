//! The offsets of zones from UTC, and what is remembered of them.

use std::cell::Cell;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::civil::{self, SECONDS_PER_DAY};

/// 2100-01-01T00:00:00Z. Chrono-tz knows the changes of clocks up to here.
const TABLES_END: i64 = 4_102_444_800;

/// A stretch of time of one zone.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    zone: Tz,
    number: i32,
    /// The offset all through it; `None` if the clock changes within.
    offset: Option<i32>,
}

/// How long a stretch is, in bits of seconds: about a day and a half, less than the window.
const STRETCH_BITS: u32 = 17;
const STRETCHES: usize = 256;

thread_local! {
    /// The stretches asked about last. Most questions are about the days around now, and the binary
    /// search in chrono-tz's tables is what a search spends most of its time with.
    static KNOWN: [Cell<Option<Stretch>>; STRETCHES] = const { [const { Cell::new(None) }; STRETCHES] };
}

/// Seconds east of UTC at an instant.
pub(super) fn offset(zone: Tz, at: i64) -> i64 {
    if zone == Tz::UTC {
        return 0;
    }
    let number = at >> STRETCH_BITS;
    let Ok(short) = i32::try_from(number) else {
        return looked_up(zone, at);
    };
    let place = (short as usize).wrapping_add(zone as usize * 61) % STRETCHES;
    KNOWN.with(|known| {
        let Some(cell) = known.get(place) else {
            return looked_up(zone, at);
        };
        let stretch = match cell.get() {
            Some(stretch) if stretch.zone == zone && stretch.number == short => stretch,
            _ => {
                let first = looked_up(zone, number << STRETCH_BITS);
                let last = looked_up(zone, ((number + 1) << STRETCH_BITS) - 1);
                let stretch = Stretch {
                    zone,
                    number: short,
                    offset: (first == last).then_some(first as i32),
                };
                cell.set(Some(stretch));
                stretch
            }
        };
        stretch
            .offset
            .map_or_else(|| looked_up(zone, at), i64::from)
    })
}

/// The offset from chrono-tz's tables.
fn looked_up(zone: Tz, at: i64) -> i64 {
    match DateTime::from_timestamp(within_tables(at), 0) {
        Some(at) => {
            let offset = zone.offset_from_utc_datetime(&at.naive_utc());
            i64::from(offset.fix().local_minus_utc())
        }
        // Outside of what chrono can count, where no fire time lies.
        None => 0,
    }
}

/// The instant under which the offset at `at` is looked up: one before 2100 in the same season.
///
/// Clocks change by rules such as "the last Sunday in March", so that a year is as good as another
/// one with the same weekdays. From March on that is one whose first of March is the same day of the
/// week; whether it is a leap year matters no more. All seven are among the last twelve years of the
/// tables. Older ones will not do: until 2087 they foresee Ramadan.
fn within_tables(at: i64) -> i64 {
    if at < TABLES_END {
        return at;
    }
    let (year, month, _) = civil::date(at.div_euclid(SECONDS_PER_DAY));
    let anchor = if month < 3 { 1 } else { 3 };
    let start = civil::day_number(year, anchor, 1);
    let twin = (2088..2100)
        .map(|year| civil::day_number(year, anchor, 1))
        .find(|twin| civil::weekday(*twin) == civil::weekday(start));
    at - (start - twin.unwrap_or(start)) * SECONDS_PER_DAY
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chrono_tz::TZ_VARIANTS;

    /// The changes of a zone in the years from `first` up to `end`, to the day, with their size.
    pub(in super::super) fn changes(zone: Tz, first: i64, end: i64) -> Vec<(i64, i64)> {
        let start = civil::day_number(first, 1, 1) * SECONDS_PER_DAY;
        let end = civil::day_number(end, 1, 1) * SECONDS_PER_DAY;
        let mut last = offset(zone, start);
        let mut changes = Vec::new();
        for at in (start..=end).step_by(SECONDS_PER_DAY as usize) {
            let now = offset(zone, at);
            if now != last {
                changes.push((at, now - last));
                last = now;
            }
        }
        changes
    }

    #[test]
    fn what_is_known_of_a_stretch_is_what_the_tables_say() {
        let mut at = -2_208_988_800;
        let mut step = 1_u64;
        while at < 7_258_118_400 {
            // Steps of up to a week that fall on all times of day, in zones in turn.
            step = step
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let zone = TZ_VARIANTS[usize::try_from(step >> 40).unwrap() % TZ_VARIANTS.len()];
            for at in [at, at + 3_600, at - 86_400, at] {
                assert_eq!(offset(zone, at), looked_up(zone, at), "{zone} {at}");
            }
            at += i64::try_from(step >> 44).unwrap() % (7 * SECONDS_PER_DAY);
        }
    }

    #[test]
    fn clocks_change_after_the_tables_as_they_did_in_their_last_year() {
        for zone in TZ_VARIANTS {
            let sizes = |year| -> Vec<i64> {
                let changes = changes(zone, year, year + 1);
                changes.into_iter().map(|(_, by)| by).collect()
            };
            let last = sizes(2099);
            for year in [2100, 2101, 2104, 2150, 2199] {
                assert_eq!(sizes(year), last, "{zone} {year}");
            }
        }
    }
}
