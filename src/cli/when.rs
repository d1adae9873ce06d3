//! Times and lengths of time, as people write and read them.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// `0s`, `67s`, `28m`, `1h28m`, `22h`, `2d16h`, `40d`: the two largest units that matter.
pub(crate) fn length(time: Duration) -> String {
    let s = time.as_secs();
    let two = |a: u64, unit: &str, b: u64, next: &str| match b {
        b if a < 10 && b > 0 => format!("{a}{unit}{b}{next}"),
        _ => format!("{a}{unit}"),
    };
    match s {
        0..120 => format!("{s}s"),
        120..3_600 => format!("{}m", s / 60),
        3_600..172_800 => two(s / 3_600, "h", s % 3_600 / 60, "m"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// `12ms`, `1.9s`, `4m12s`: how long something took.
pub(crate) fn took(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        s @ 60..3_600 => format!("{}m{}s", s / 60, s % 60),
        _ => length(time),
    }
}

/// `22h ago`.
pub(crate) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} ago", length((now - at).to_std().unwrap_or_default()))
}

/// `in 4m`, or `4m ago`.
pub(crate) fn from_now(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (at - now).to_std() {
        Ok(left) => format!("in {}", length(left)),
        Err(_) => ago(at, now),
    }
}

/// `2026-11-21T14:00:00Z`, with parts of a second only if there are any.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The same in whole seconds.
pub(crate) fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `Mon 2026-11-23 08:00:00 CET`.
pub(crate) fn by_clock(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    local.format("%a %Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Reads `90s`, `30m`, `1h30m`, `2d`, `1w`.
pub(crate) fn read_length(text: &str) -> Result<Duration, String> {
    let refuse = || {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is no length of time: write it as 90s, 30m, 1h30m, 2d or 1w")
    };
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(refuse)?;
        let (number, after) = rest.split_at(digits);
        let mut unit = after.chars();
        let seconds = match unit.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return Err(refuse()),
        };
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let part = number.checked_mul(seconds);
        let sum = part.and_then(|part| total.checked_add(part));
        // No more than a clock can say.
        total = sum.filter(|s| *s <= 3_000_000_000).ok_or_else(refuse)?;
        rest = unit.as_str();
    }
    match total {
        0 => Err(refuse()),
        s => Ok(Duration::from_secs(s)),
    }
}

/// An instant as it was typed: whole, or a time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(DateTime<Utc>),
    OfDay(NaiveTime),
}

/// Reads `2030-01-31T09:00:00Z`, `14:00` or `14:00:30`.
pub(crate) fn read_moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment::At(at.to_utc()));
    }
    let forms = ["%H:%M:%S", "%H:%M"];
    let mut read = forms
        .iter()
        .filter_map(|form| NaiveTime::parse_from_str(text, form).ok());
    read.next().map(Moment::OfDay).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is no time: write it as 2030-01-31T09:00:00Z or 14:00")
    })
}

impl Moment {
    /// The instant itself, or the last such time of the day that has been, by the clock of `zone`.
    pub(crate) fn last(self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Moment::At(at) => Some(at),
            Moment::OfDay(time) => near(time, now, zone, [1, 0, -1, -2]).find(|at| *at <= now),
        }
    }

    /// The instant itself, or the next such time of the day to come, by the clock of `zone`.
    pub(crate) fn next(self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Moment::At(at) => Some(at),
            Moment::OfDay(time) => near(time, now, zone, [-1, 0, 1, 2]).find(|at| *at > now),
        }
    }
}

/// A time of the day on the days so far from today.
fn near(
    time: NaiveTime,
    now: DateTime<Utc>,
    zone: Tz,
    days: [i64; 4],
) -> impl Iterator<Item = DateTime<Utc>> {
    let today = now.with_timezone(&zone).date_naive();
    days.into_iter().filter_map(move |day| {
        let date = today.checked_add_signed(TimeDelta::days(day))?;
        let local = zone.from_local_datetime(&date.and_time(time)).earliest()?;
        Some(local.to_utc())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn lengths_are_written_short_and_read_back() {
        for (seconds, text) in [
            (0, "0s"),
            (67, "67s"),
            (119, "119s"),
            (1_680, "28m"),
            (5_280, "1h28m"),
            (7_200, "2h"),
            (79_200, "22h"),
            (230_400, "2d16h"),
            (40 * 86_400, "40d"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), text);
            if seconds > 0 {
                assert_eq!(
                    read_length(text),
                    Ok(Duration::from_secs(seconds)),
                    "{text}"
                );
            }
        }
        assert_eq!(took(0.0124), "12ms");
        assert_eq!(took(1.94), "1.9s");
        assert_eq!(took(252.0), "4m12s");
        assert_eq!(took(f64::NAN), "0ms");
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "0s",
            "10",
            "s",
            "-1h",
            "1h-",
            "1y",
            "99999999999999999999s",
            "9999999999w",
        ] {
            assert!(read_length(text).is_err(), "{text}");
        }
        assert!(read_length(&"1".repeat(1 << 20)).unwrap_err().len() < 200);
    }

    #[test]
    fn a_time_of_the_day_is_the_last_or_the_next_one_by_a_clock() {
        let now = at("2026-11-21T10:30:00Z");
        let two = read_moment("14:00").unwrap();
        assert_eq!(two.last(now, Tz::UTC), Some(at("2026-11-20T14:00:00Z")));
        assert_eq!(two.next(now, Tz::UTC), Some(at("2026-11-21T14:00:00Z")));
        let berlin = Tz::Europe__Berlin;
        let eleven = read_moment("11:00:30").unwrap();
        assert_eq!(eleven.last(now, berlin), Some(at("2026-11-21T10:00:30Z")));
        let whole = read_moment("2030-01-31T09:00:00+01:00").unwrap();
        assert_eq!(whole.next(now, berlin), Some(at("2030-01-31T08:00:00Z")));
        for text in ["", "25:00", "tomorrow", "14", "14:00Z"] {
            assert!(read_moment(text).is_err(), "{text}");
        }
    }
}
