//! A cron rule: which civil times match, and the search for the next one.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::date::{DAY, Date, days_in_month, weekday};
use super::zone::{self, Wall};
use super::{DstPolicy, FIRST_YEAR, LAST_YEAR};

/// The fields as bits: bit n stands for the value n.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cron {
    pub(super) second: u64,
    pub(super) minute: u64,
    /// n#k: bit `n * 5 + k - 1`.
    pub(super) nth: u64,
    pub(super) hour: u32,
    pub(super) day: u32,
    /// L-n: bit n.
    pub(super) last: u32,
    /// nW.
    pub(super) near: u32,
    /// L-nW: bit n.
    pub(super) near_last: u32,
    pub(super) month: u16,
    pub(super) weekday: u8,
    /// nL.
    pub(super) last_weekday: u8,
    pub(super) flags: Flags,
    /// `None` for all: a year is rare, and larger than the rest.
    pub(super) years: Option<Box<Years>>,
}

/// What the bits do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// The minute field begins with a star; with the hour's it makes the rule an interval.
    pub(super) minute_star: bool,
    pub(super) hour_star: bool,
    /// The field has a star with step 1, which turns "either day field" into "both".
    pub(super) day_star: bool,
    pub(super) weekday_star: bool,
    /// The day of the week begins with `+`: both.
    pub(super) both_days: bool,
}

/// The years from 1970 to 2199.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Years {
    bits: [u64; 4],
}

impl Years {
    pub(super) fn add(&mut self, year: u32) {
        let n = year.saturating_sub(FIRST_YEAR as u32);
        if let Some(word) = self.bits.get_mut(n as usize / 64) {
            *word |= 1 << (n % 64);
        }
    }

    pub(super) fn has(&self, year: i64) -> bool {
        let Ok(n) = usize::try_from(year - FIRST_YEAR) else {
            return false;
        };
        self.bits
            .get(n / 64)
            .is_some_and(|word| word >> (n % 64) & 1 == 1)
    }
}

/// The first value from `from` on whose bit is set.
fn next_bit(bits: u64, from: u32) -> Option<u32> {
    let rest = bits.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

impl Cron {
    /// The first instant after `after` (epoch seconds) that the rule names in `zone`.
    pub(super) fn next_after(&self, after: i64, zone: Tz, dst: DstPolicy) -> Option<DateTime<Utc>> {
        let instant = self.search(after, zone, dst)?;
        DateTime::from_timestamp(instant, 0)
    }

    /// Goes from one matching wall time to the next until one names an instant after `after`.
    ///
    /// Wall times and instants have the same order but where the clock is set back. There, inside
    /// the first pass, the second one is searched as well: its wall times lie behind us.
    fn search(&self, after: i64, zone: Tz, dst: DstPolicy) -> Option<i64> {
        let is_fixed =
            dst == DstPolicy::RunOnce && !self.flags.minute_star && !self.flags.hour_star;
        let now = after.checked_add(zone::offset(zone, after))?;
        let second_pass = match zone::wall(zone, now) {
            Wall::Twice { first, change, .. } if first == after && !is_fixed => {
                self.first_in(change.local_after(), zone, after, change.at)
            }
            _ => None,
        };
        let mut from = now + 1;
        // Each turn passes a matching time or a whole gap or overlap; the rare turn that finds
        // nothing usable is followed by one that does, but for rules that name only such times.
        loop {
            let wall = self.next_wall(from)?;
            match zone::wall(zone, wall) {
                Wall::Once(t) => {
                    return Some(second_pass.map_or(t, |second| t.min(second)));
                }
                Wall::Twice {
                    first,
                    second,
                    change,
                } => {
                    if first > after {
                        return Some(second_pass.map_or(first, |second| first.min(second)));
                    }
                    if !is_fixed && second > after {
                        return Some(second_pass.map_or(second, |other| second.min(other)));
                    }
                    // This pass has been: on to the end of the overlap, or the next time in it.
                    from = if is_fixed {
                        change.local_before()
                    } else {
                        wall + 1
                    };
                }
                Wall::Never(change) => {
                    if is_fixed && change.gap() < 3 * 3600 && change.at > after {
                        return Some(second_pass.map_or(change.at, |second| change.at.min(second)));
                    }
                    from = change.local_after();
                }
            }
        }
    }

    /// The first instant of the second pass after a change back, from its wall time on.
    fn first_in(&self, from: i64, zone: Tz, after: i64, change_at: i64) -> Option<i64> {
        match zone::wall(zone, self.next_wall(from)?) {
            Wall::Twice { second, change, .. } if change.at == change_at && second > after => {
                Some(second)
            }
            _ => None,
        }
    }

    /// The first matching wall time at or after `from`, in seconds of the wall clock since
    /// 1970-01-01 on it.
    fn next_wall(&self, from: i64) -> Option<i64> {
        let from = from.max(0);
        let start_day = from.div_euclid(DAY);
        let start = Date::from_days(start_day);
        if start.year > LAST_YEAR {
            return None;
        }
        if self.matches_day(start)
            && let Some(time) = self.next_time((from - start_day * DAY) as u32)
        {
            return Some(start_day * DAY + i64::from(time));
        }
        let day = self.next_day(start)?;
        Some(day.days() * DAY + i64::from(self.next_time(0)?))
    }

    /// The first matching second of the day at or after `from`.
    fn next_time(&self, from: u32) -> Option<u32> {
        let (h, m, s) = (from / 3600, from / 60 % 60, from % 60);
        let first_second = self.second.trailing_zeros();
        let first_minute = self.minute.trailing_zeros();
        let hours = u64::from(self.hour);
        if hours >> h & 1 == 1 {
            if self.minute >> m & 1 == 1
                && let Some(s) = next_bit(self.second, s)
            {
                return Some(h * 3600 + m * 60 + s);
            }
            if let Some(m) = next_bit(self.minute, m + 1) {
                return Some(h * 3600 + m * 60 + first_second);
            }
        }
        let h = next_bit(hours, h + 1)?;
        Some(h * 3600 + first_minute * 60 + first_second)
    }

    fn matches_day(&self, date: Date) -> bool {
        self.matches_month(date) && self.days_of(date.year, date.month) >> date.day & 1 == 1
    }

    fn matches_month(&self, date: Date) -> bool {
        self.month >> date.month & 1 == 1 && self.years.as_ref().is_none_or(|y| y.has(date.year))
    }

    /// The first matching day after `date`.
    fn next_day(&self, date: Date) -> Option<Date> {
        if self.matches_month(date)
            && let Some(day) =
                next_bit(u64::from(self.days_of(date.year, date.month)), date.day + 1)
        {
            return Some(Date { day, ..date });
        }
        let mut month = date.month + 1;
        for year in date.year..=LAST_YEAR {
            if self.years.as_ref().is_none_or(|y| y.has(year)) {
                while let Some(m) = next_bit(u64::from(self.month), month) {
                    let days = self.days_of(year, m);
                    if days != 0 {
                        return Some(Date {
                            year,
                            month: m,
                            day: days.trailing_zeros(),
                        });
                    }
                    month = m + 1;
                }
            }
            month = 1;
        }
        None
    }

    /// The matching days of a month, as bits.
    fn days_of(&self, year: i64, month: u32) -> u32 {
        let length = days_in_month(year, month);
        let all = u32::MAX >> (31 - length) & !1;
        let first = weekday(
            Date {
                year,
                month,
                day: 1,
            }
            .days(),
        );
        let by_day = self.by_day(length, first) & all;
        let Flags {
            day_star,
            weekday_star,
            both_days,
            ..
        } = self.flags;
        if day_star && weekday_star {
            return all;
        }
        let by_weekday = self.by_weekday(length, first) & all;
        if day_star || weekday_star || both_days {
            by_day & by_weekday
        } else {
            by_day | by_weekday
        }
    }

    /// The days that the day-of-month field names; `first` is the weekday of the first.
    fn by_day(&self, length: u32, first: u32) -> u32 {
        let mut days = self.day;
        each_bit(self.last, |n| {
            if n < length {
                days |= 1 << (length - n);
            }
        });
        each_bit(self.near, |day| {
            if day <= length {
                days |= 1 << nearest_weekday(day, length, first);
            }
        });
        each_bit(self.near_last, |n| {
            if n < length {
                days |= 1 << nearest_weekday(length - n, length, first);
            }
        });
        days
    }

    /// The days that the day-of-week field names.
    fn by_weekday(&self, length: u32, first: u32) -> u32 {
        if self.weekday == 0x7f {
            return u32::MAX;
        }
        let mut days = 0;
        // Bits 0, 7, 14, 21, 28: the same weekday in each week.
        const WEEKS: u32 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;
        each_bit(u32::from(self.weekday), |w| {
            days |= WEEKS << first_on(w, first)
        });
        if self.nth != 0 {
            for w in 0..7 {
                let ks = (self.nth >> (w * 5)) as u32 & 0x1f;
                each_bit(ks, |k| {
                    let day = first_on(w, first) + 7 * k;
                    if day <= length {
                        days |= 1 << day;
                    }
                });
            }
        }
        each_bit(u32::from(self.last_weekday), |w| {
            let day = first_on(w, first);
            days |= 1 << (day + (length - day) / 7 * 7);
        });
        days
    }
}

/// The first day of a month that is the weekday `w`.
fn first_on(w: u32, first: u32) -> u32 {
    1 + (w + 7 - first) % 7
}

/// The weekday (Monday to Friday) nearest to a day, within its month. (Quartz's rule.)
fn nearest_weekday(day: u32, length: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == length => day - 2,
        0 => day + 1,
        _ => day,
    }
}

fn each_bit(mut bits: u32, mut f: impl FnMut(u32)) {
    while bits != 0 {
        f(bits.trailing_zeros());
        bits &= bits - 1;
    }
}
