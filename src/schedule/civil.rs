//! Calendar arithmetic on plain integers: the proleptic Gregorian calendar, days counted from
//! 1970-01-01, wall-clock times counted in seconds from 1970-01-01T00:00:00 of that clock.
//!
//! Chrono can do all of this; a search that looks at thousands of months in a few dozen
//! microseconds cannot afford its checks.

pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// The day number of a date. `month` is 1 to 12, `day` 1 to 31.
pub(super) fn day_number(year: i64, month: u32, day: u32) -> i64 {
    // Years are counted from March, so that the leap day is the last day of a year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day number: year, month 1 to 12, day 1 to 31.
pub(super) fn date(day_number: i64) -> (i64, u32, u32) {
    let shifted = day_number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = (month_from_march + 2) as u32 % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// How many days a month has.
pub(super) fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day of the week of a day number, Sunday being 0.
pub(super) fn weekday(day_number: i64) -> u32 {
    // 1970-01-01 was a Thursday.
    (day_number + 4).rem_euclid(7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn the_calendar_is_the_one_of_chrono_from_1800_to_2400() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut day = NaiveDate::from_ymd_opt(1800, 1, 1).unwrap();
        while day.year() < 2400 {
            let number = day.signed_duration_since(epoch).num_days();
            let year = i64::from(day.year());
            assert_eq!(day_number(year, day.month(), day.day()), number);
            assert_eq!(date(number), (year, day.month(), day.day()));
            assert_eq!(weekday(number), day.weekday().num_days_from_sunday());
            assert!(day.day() <= month_length(year, day.month()));
            day = day.succ_opt().unwrap();
            if day.day() == 1 {
                let (year, month, last) = date(number);
                assert_eq!(month_length(year, month), last);
            }
        }
    }
}
