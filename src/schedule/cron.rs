//! The rule of a spec with fields: which wall-clock seconds match, as bit sets.
//!
//! Nothing here knows time zones. The search walks year, month, day and then the time of day, each
//! by the lowest (or highest) bit that is left, so that a year without a match costs a few
//! nanoseconds a month and a spec that never matches is through in less than a tenth of a
//! millisecond.

use super::civil;

/// The first year in which anything fires.
pub(super) const FIRST_YEAR: i64 = 1900;
/// The last year in which anything fires.
pub(super) const LAST_YEAR: i64 = 2199;
/// The first year that the year field can name.
pub(super) const FIRST_NAMED_YEAR: i64 = 1970;

/// Years from 1970 on as bits.
pub(super) type Years = [u64; 4];

/// One bit per allowed value. Bit n is value n, in a year set bit n is the year 1970 + n.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Cron {
    pub(super) second: u64,
    pub(super) minute: u64,
    /// `n#k`: bit 7 (k - 1) + n.
    pub(super) nth_weekday: u64,
    pub(super) hour: u32,
    pub(super) day: u32,
    /// `L-n`: bit n; `L` is bit 0.
    pub(super) from_last: u32,
    /// `nW`: bit n.
    pub(super) near: u32,
    /// `L-nW`: bit n; `LW` is bit 0.
    pub(super) near_from_last: u32,
    pub(super) month: u16,
    /// Sunday is bit 0.
    pub(super) weekday: u8,
    /// `nL` or `n#L`: bit n.
    pub(super) last_weekday: u8,
    pub(super) flags: Flags,
    /// Every year if absent. The one part on the heap, and rare.
    pub(super) years: Option<Box<Years>>,
}

/// What the sets of values do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Flags(u8);

impl Flags {
    /// The day-of-month field holds `*` or `?` with step 1.
    pub(super) const DAY_STAR: Self = Self(1);
    /// The day-of-week field holds `*` or `?` with step 1.
    pub(super) const WEEKDAY_STAR: Self = Self(2);
    /// The day-of-week field starts with `+`.
    pub(super) const BOTH_DAYS: Self = Self(4);
    /// The minute field starts with `*` or `?`, whatever the step.
    pub(super) const MINUTE_STAR: Self = Self(8);
    /// The hour field starts with `*` or `?`, whatever the step.
    pub(super) const HOUR_STAR: Self = Self(16);

    pub(super) fn set(&mut self, flag: Self, on: bool) {
        if on {
            self.0 |= flag.0;
        }
    }

    pub(super) fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Cron {
    /// Whether the spec names times of day, rather than an interval: neither its minutes nor its
    /// hours start with a star. Vixie's distinction, which decides what happens when the clock
    /// changes. The second does not count.
    pub(super) fn is_fixed(&self) -> bool {
        !self.flags.any(Flags::MINUTE_STAR.or(Flags::HOUR_STAR))
    }

    /// The first matching wall-clock second at or after `from`.
    pub(super) fn next_wall(&self, from: i64) -> Option<i64> {
        let today = from.div_euclid(civil::SECONDS_PER_DAY);
        let (mut year, first_month, first_day) = civil::date(today);
        let mut month = first_month;
        // The days of the current month from which on we look.
        let mut day = first_day;
        while year <= LAST_YEAR {
            if self.has_year(year) {
                while let Some(found) = lowest(u64::from(self.month), month) {
                    if found != month {
                        (month, day) = (found, 1);
                    }
                    let first = civil::day_number(year, month, 1);
                    let days = u64::from(self.days_of(year, month, first));
                    while let Some(found) = lowest(days, day) {
                        let number = first + i64::from(found) - 1;
                        let midnight = number * civil::SECONDS_PER_DAY;
                        let time = if number == today {
                            self.time_from((from - midnight) as u32)
                        } else {
                            self.time_from(0)
                        };
                        if let Some(time) = time {
                            return Some(midnight + i64::from(time));
                        }
                        day = found + 1;
                    }
                    (month, day) = (month + 1, 1);
                }
            }
            (year, month, day) = (year + 1, 1, 1);
        }
        None
    }

    /// The last matching wall-clock second at or before `to`.
    pub(super) fn prev_wall(&self, to: i64) -> Option<i64> {
        let today = to.div_euclid(civil::SECONDS_PER_DAY);
        let (mut year, mut month, mut day) = civil::date(today);
        // A clock west of Greenwich shows the year before when the first year begins in UTC.
        while year >= FIRST_YEAR - 1 {
            if year <= LAST_YEAR && self.has_year(year) {
                while let Some(found) = highest(u64::from(self.month), month) {
                    if found != month {
                        (month, day) = (found, 31);
                    }
                    let first = civil::day_number(year, month, 1);
                    let days = u64::from(self.days_of(year, month, first));
                    while let Some(found) = highest(days, day) {
                        let number = first + i64::from(found) - 1;
                        let midnight = number * civil::SECONDS_PER_DAY;
                        let time = if number == today {
                            self.time_up_to((to - midnight) as u32)
                        } else {
                            self.time_up_to(civil::SECONDS_PER_DAY as u32 - 1)
                        };
                        if let Some(time) = time {
                            return Some(midnight + i64::from(time));
                        }
                        day = found - 1;
                    }
                    (month, day) = (month - 1, 31);
                }
            }
            (year, month, day) = (year - 1, 12, 31);
        }
        None
    }

    fn has_year(&self, year: i64) -> bool {
        let Some(years) = &self.years else {
            return true;
        };
        let Ok(bit) = usize::try_from(year - FIRST_NAMED_YEAR) else {
            return false;
        };
        years
            .get(bit / 64)
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The matching days of a month as bits 1 to 31; `first` is the day number of its first day.
    fn days_of(&self, year: i64, month: u32, first: i64) -> u32 {
        let length = civil::month_length(year, month);
        let in_month = u32::MAX >> (31 - length) & !1;
        // A set of weekdays as the first seven days of the month, then as all of its days.
        let starts_on = civil::weekday(first);
        let week = |set: u32| (set | set << 7) >> starts_on & 0x7f;
        let weekly = |set: u32| (u64::from(week(set)) * 0x1020_4081) as u32;
        // `L-n` counts backwards: bit n becomes day `length - n`, or falls off.
        let from_last = |set: u32| set.reverse_bits() >> (31 - length);

        let mut days = self.day | from_last(self.from_last);
        let near = (self.near | from_last(self.near_from_last)) & in_month;
        if near != 0 {
            let (first_day, last_day) = (1 << 1, 1 << length);
            let saturdays = near & weekly(1 << 6) << 1;
            let sundays = near & weekly(1) << 1;
            days |= near & !saturdays & !sundays;
            // To Friday, but from the 1st forward to Monday the 3rd: it must not leave the month.
            days |= (saturdays & !first_day) >> 1 | (saturdays & first_day) << 2;
            // To Monday, but from the last day back to Friday.
            days |= (sundays & !last_day) << 1 | (sundays & last_day) >> 2;
        }

        let mut weekdays = weekly(u32::from(self.weekday)) << 1;
        if self.nth_weekday != 0 {
            for nth in 0..5 {
                weekdays |= week((self.nth_weekday >> (7 * nth)) as u32 & 0x7f) << (7 * nth + 1);
            }
        }
        if self.last_weekday != 0 {
            let last_week = 0x7f << (length - 6);
            weekdays |= weekly(u32::from(self.last_weekday)) << 1 & last_week;
        }

        let both = Flags::DAY_STAR.or(Flags::WEEKDAY_STAR).or(Flags::BOTH_DAYS);
        let matching = if self.flags.any(both) {
            days & weekdays
        } else {
            days | weekdays
        };
        matching & in_month
    }

    /// The first matching second of the day at or after `from`.
    fn time_from(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        let first_second = self.second.trailing_zeros();
        let first_minute = self.minute.trailing_zeros();
        let hours = u64::from(self.hour);
        if hours >> hour & 1 == 1 {
            if self.minute >> minute & 1 == 1
                && let Some(second) = lowest(self.second, second)
            {
                return Some(hour * 3_600 + minute * 60 + second);
            }
            if let Some(minute) = lowest(self.minute, minute + 1) {
                return Some(hour * 3_600 + minute * 60 + first_second);
            }
        }
        let hour = lowest(hours, hour + 1)?;
        Some(hour * 3_600 + first_minute * 60 + first_second)
    }

    /// The last matching second of the day at or before `to`.
    fn time_up_to(&self, to: u32) -> Option<u32> {
        let (hour, minute, second) = (to / 3_600, to / 60 % 60, to % 60);
        let last_second = highest(self.second, 59)?;
        let last_minute = highest(self.minute, 59)?;
        let hours = u64::from(self.hour);
        if hours >> hour & 1 == 1 {
            if self.minute >> minute & 1 == 1
                && let Some(second) = highest(self.second, second)
            {
                return Some(hour * 3_600 + minute * 60 + second);
            }
            if let Some(minute) = minute.checked_sub(1).and_then(|m| highest(self.minute, m)) {
                return Some(hour * 3_600 + minute * 60 + last_second);
            }
        }
        let hour = hour.checked_sub(1).and_then(|h| highest(hours, h))?;
        Some(hour * 3_600 + last_minute * 60 + last_second)
    }
}

/// The lowest bit set at or above `from`.
fn lowest(set: u64, from: u32) -> Option<u32> {
    let left = set & u64::MAX.checked_shl(from)?;
    (left != 0).then(|| left.trailing_zeros())
}

/// The highest bit set at or below `to`, which is at most 63.
fn highest(set: u64, to: u32) -> Option<u32> {
    let left = set & u64::MAX >> 63_u32.saturating_sub(to);
    left.checked_ilog2()
}

#[cfg(test)]
mod tests {
    use crate::Schedule;
    use chrono::{DateTime, Datelike, Utc};

    /// The days of a month on which a spec fires.
    fn days(spec: &str, year: i32, month: u32) -> Vec<u32> {
        let schedule: Schedule = spec.parse().unwrap();
        let first: DateTime<Utc> = format!("{year}-{month:02}-01T00:00:00Z").parse().unwrap();
        schedule
            .upcoming(first - chrono::TimeDelta::seconds(1))
            .take_while(|at| (at.year(), at.month()) == (year, month))
            .map(|at| at.day())
            .collect()
    }

    #[test]
    fn the_nearest_weekday_never_leaves_the_month() {
        for (spec, year, month, expected) in [
            // 1 August 2026 is a Saturday, 31 May 2026 a Sunday, 28 February 2026 a Saturday.
            ("0 0 1W * *", 2026, 8, vec![3]),
            ("0 0 31W * *", 2026, 5, vec![29]),
            ("0 0 LW * *", 2026, 5, vec![29]),
            ("0 0 LW * *", 2026, 2, vec![27]),
            ("0 0 15W * *", 2026, 8, vec![14]),
            ("0 0 16W * *", 2026, 8, vec![17]),
            ("0 0 12W * *", 2026, 8, vec![12]),
            ("0 0 31W * *", 2026, 4, vec![]),
            ("0 0 30W * *", 2026, 2, vec![]),
            ("0 0 L-30W * *", 2026, 8, vec![3]),
            ("0 0 L-30W * *", 2026, 4, vec![]),
            ("0 0 L-29W * *", 2026, 4, vec![1]),
            ("0 0 1W,2W,3W * *", 2026, 8, vec![3]),
        ] {
            assert_eq!(days(spec, year, month), expected, "{spec} {year}-{month}");
        }
    }

    #[test]
    fn days_from_the_last_one_follow_the_length_of_the_month() {
        for (spec, year, month, expected) in [
            ("0 0 L * *", 2028, 2, vec![29]),
            ("0 0 L * *", 2026, 2, vec![28]),
            ("0 0 L-27 * *", 2026, 2, vec![1]),
            ("0 0 L-28 * *", 2026, 2, vec![]),
            ("0 0 L-30 * *", 2026, 1, vec![1]),
            ("0 0 L-0,1 * *", 2026, 4, vec![1, 30]),
        ] {
            assert_eq!(days(spec, year, month), expected, "{spec} {year}-{month}");
        }
    }

    #[test]
    fn weekdays_of_the_month_are_counted_from_both_ends() {
        // November 2026 begins on a Sunday and has thirty days.
        for (spec, expected) in [
            ("0 0 * * SUN#1", vec![1]),
            ("0 0 * * 7#5", vec![29]),
            ("0 0 * * MON#5", vec![30]),
            ("0 0 * * TUE#5", vec![]),
            ("0 0 * * TUEL", vec![24]),
            ("0 0 * * mon#l", vec![30]),
            ("0 0 * * SAT-SUN#L", vec![28, 29]),
            ("0 0 * * MON-FRI#1", vec![2, 3, 4, 5, 6]),
            ("0 0 * * FRI,MON#1", vec![2, 6, 13, 20, 27]),
        ] {
            assert_eq!(days(spec, 2026, 11), expected, "{spec}");
        }
    }
}
