//! `@every`: an interval on a grid from the Unix epoch.
//!
//! The grid makes all instances name the same fire times, also after a restart. (Temporal's
//! schedules do the same; robfig counts from the start of the process, which no two replicas share.)

use std::fmt;

use chrono::{DateTime, Utc};

const SECOND: u64 = 1_000_000_000;
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1000),
    ("µs", 1000),
    ("μs", 1000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// The shortest interval.
const SHORTEST: u64 = 10_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Every {
    nanos: u64,
}

impl Every {
    /// Reads a duration as Go writes it: `90s`, `1h30m`, `1.5h`, `250ms`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let nanos = duration(text)?;
        if nanos == 0 {
            return Err(format!("interval should be a positive number: {text}"));
        }
        if nanos < SHORTEST {
            return Err(format!("interval below minimum (10ms): {text}"));
        }
        Ok(Self { nanos })
    }

    pub(super) fn next_after(self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let nanos = i128::from(self.nanos);
        let now = i128::from(after.timestamp()) * i128::from(SECOND)
            + i128::from(after.timestamp_subsec_nanos() % 1_000_000_000);
        let next = (now.div_euclid(nanos) + 1) * nanos;
        let second = i64::try_from(next.div_euclid(i128::from(SECOND))).ok()?;
        let rest = u32::try_from(next.rem_euclid(i128::from(SECOND))).ok()?;
        let next = DateTime::from_timestamp(second, rest)?;
        (chrono::Datelike::year(&next) <= super::LAST_YEAR as i32).then_some(next)
    }
}

/// `h`, `m` and `s` as Go prints them; below a second in the largest unit that is whole.
impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.nanos;
        for (unit, size) in [("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        for (unit, size) in [("ms", 1_000_000), ("us", 1000), ("ns", 1)] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

/// Nanoseconds of a duration in Go's notation.
fn duration(text: &str) -> Result<u64, String> {
    let bad = |why: &str| Err(format!("failed to parse duration {text}: {why}"));
    if text.is_empty() {
        return bad("it is missing, as in @every 1h30m");
    }
    if text.starts_with('-') {
        return Err(format!("interval should be a positive number: {text}"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (digits, after) = rest.split_at_checked(number).unwrap_or((rest, ""));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return bad("a number is missing");
        }
        let unit = after.len()
            - after
                .trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.')
                .len();
        let (unit, after) = after.split_at_checked(unit).unwrap_or((after, ""));
        if unit.is_empty() {
            return bad("a unit is missing: h, m, s, ms, us or ns");
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return bad("the units are h, m, s, ms, us and ns");
        };
        let size = u128::from(*size);
        // Digits beyond the nineteenth after the point are below a nanosecond.
        let fraction = fraction.get(..fraction.len().min(19)).unwrap_or_default();
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().unwrap_or(u128::MAX)
        };
        let part: u128 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().unwrap_or(0)
        };
        let scale = 10_u128.pow(fraction.len() as u32);
        let value = whole.checked_mul(size).map(|v| v + part * size / scale);
        match value.and_then(|v| total.checked_add(v)) {
            // Go's durations end at about 292 years, as 63 bits of nanoseconds do.
            Some(sum) if sum <= i64::MAX as u128 => total = sum,
            _ => return bad("it is longer than 292 years"),
        }
        rest = after;
    }
    u64::try_from(total).or_else(|_| bad("it is longer than 292 years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("1s", SECOND),
            ("1h30m", 5400 * SECOND),
            ("1.5h", 5400 * SECOND),
            ("+.5s", SECOND / 2),
            ("1.s", SECOND),
            ("100ms", SECOND / 10),
            ("0.00000000000000000001h1s", SECOND),
            ("10000us", SECOND / 100),
            ("10000µs", SECOND / 100),
            ("2562047h47m16.854775807s", i64::MAX as u64),
        ] {
            assert_eq!(Every::parse(text).map(|e| e.nanos), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_and_so_are_zero_and_below() {
        for text in [
            "", "1", "s", "1x", "1 s", "1h 30m", ".s", "1.2.3s", "1e3s", "９s",
        ] {
            assert!(
                Every::parse(text)
                    .unwrap_err()
                    .starts_with("failed to parse duration"),
                "{text}"
            );
        }
        for text in ["0", "0s", "-5m", "-1", "--1s"] {
            let error = Every::parse(text).unwrap_err();
            assert!(error.contains("should be a positive number"), "{error}");
        }
        assert!(Every::parse("9ms").unwrap_err().contains("below minimum"));
        let ages = format!("{}h", "9".repeat(900));
        for text in ["2562048h", ages.as_str()] {
            assert!(
                Every::parse(text).unwrap_err().contains("292 years"),
                "{text}"
            );
        }
    }

    #[test]
    fn its_text_round_trips() {
        for text in [
            "1s",
            "1h30m",
            "100ms",
            "24h",
            "1m0.5s",
            "10.000001ms",
            "292h",
        ] {
            let every = Every::parse(text).unwrap();
            assert_eq!(
                Every::parse(&every.to_string()),
                Ok(every),
                "{text} → {every}"
            );
        }
    }
}
