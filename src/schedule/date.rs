//! The civil calendar in integers: what the search for a day needs, and nothing else.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A day of the civil calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: u32,
    /// 1 to 31.
    pub(super) day: u32,
}

impl Date {
    /// The day that many days after 1970-01-01. (Howard Hinnant, "chrono-Compatible Low-Level Date
    /// Algorithms", `civil_from_days`.)
    pub(super) fn from_days(days: i64) -> Self {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
        let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month,
            day,
        }
    }

    /// Days since 1970-01-01 (`days_from_civil` of the same source).
    pub(super) fn days(self) -> i64 {
        let y = self.year - i64::from(self.month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = i64::from((self.month + 9) % 12);
        let doy = (153 * mp + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }
}

/// The day of the week of a day that many days after 1970-01-01; 0 is Sunday.
pub(super) fn weekday(days: i64) -> u32 {
    (days + 4).rem_euclid(7) as u32
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn it_agrees_with_chrono_on_every_day_of_three_centuries() {
        let mut day = NaiveDate::from_ymd_opt(1969, 12, 25).unwrap();
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        while day.year() < 2201 {
            let days = (day - epoch).num_days();
            let ours = Date::from_days(days);
            assert_eq!(
                (ours.year, ours.month, ours.day),
                (i64::from(day.year()), day.month(), day.day())
            );
            assert_eq!(ours.days(), days);
            assert_eq!(weekday(days), day.weekday().num_days_from_sunday());
            day = day.succ_opt().unwrap();
        }
        assert_eq!((days_in_month(2100, 2), days_in_month(2000, 2)), (28, 29));
    }
}
