//! Durations as Go writes them, in nanoseconds: `1h30m`, `1.5h`, `500ms`.

use std::fmt;
use std::time::Duration;

use super::error::{SpecErrorKind as Kind, shown};
use super::field::Fault;

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The shortest duration. Below it schedules would be finer than any timer.
const SHORTEST: u64 = 10 * MILLISECOND;
/// Go's longest duration, about 292 years.
const LONGEST: u64 = i64::MAX as u64;

/// A duration of 10 ms to 292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GoDuration(u64);

impl GoDuration {
    pub(super) fn parse(text: &str) -> Result<Self, Fault<'_>> {
        let fault = |reason: String| Fault::new(Kind::BadDuration, text, reason);
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanoseconds = match go_duration(digits) {
            Ok(nanoseconds) => nanoseconds,
            Err(why) => {
                let reason = format!("failed to parse duration {}: {why}", shown(text));
                return Err(fault(reason));
            }
        };
        if negative || nanoseconds == 0 {
            let reason = format!("duration should be a positive number: {}", shown(text));
            return Err(fault(reason));
        }
        if nanoseconds < SHORTEST {
            let reason = format!("duration below minimum (10ms): {}", shown(text));
            return Err(fault(reason));
        }
        Ok(Self(nanoseconds))
    }

    pub(super) fn nanoseconds(self) -> u64 {
        self.0
    }

    pub(super) fn to_std(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

/// Go's `time.ParseDuration` without a sign: numbers with units, each with a fraction if one likes.
fn go_duration(text: &str) -> Result<u64, &'static str> {
    const TOO_LONG: &str = "longer than 292 years";
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err("none is given");
    }
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err("a number is missing");
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "ns" => NANOSECOND,
            // The micro sign and the Greek letter.
            "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "" => return Err("a unit is missing: h, m, s, ms, us or ns"),
            _ => return Err("no such unit: h, m, s, ms, us or ns"),
        };
        let whole = match whole {
            "" => 0,
            _ => whole.parse::<u64>().map_err(|_| TOO_LONG)?,
        };
        let part = whole
            .checked_mul(unit)
            .and_then(|part| part.checked_add(fraction_of(fraction, unit)))
            .ok_or(TOO_LONG)?;
        total = total.checked_add(part).ok_or(TOO_LONG)?;
        rest = after;
    }
    if total > LONGEST {
        return Err(TOO_LONG);
    }
    Ok(total)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Nanoseconds of the decimal fraction `digits` of `unit`, rounded down.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_u128, 1_u128);
    // An hour has 13 digits of nanoseconds; what follows the 18th digit cannot matter.
    for digit in digits.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    (value * u128::from(unit) / scale) as u64
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, name) in [
            (HOUR, "h"),
            (MINUTE, "m"),
            (SECOND, "s"),
            (MILLISECOND, "ms"),
            (MICROSECOND, "us"),
            (NANOSECOND, "ns"),
        ] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        GoDuration::parse(text).ok().map(|d| d.0)
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanoseconds) in [
            ("1h", 3_600 * SECOND),
            ("1h30m", 5_400 * SECOND),
            ("1.5h", 5_400 * SECOND),
            (".5s", 500 * MILLISECOND),
            ("5.s", 5 * SECOND),
            ("+5m", 300 * SECOND),
            ("10ms", 10 * MILLISECOND),
            ("10000us", 10 * MILLISECOND),
            ("10000\u{b5}s", 10 * MILLISECOND),
            ("10000\u{3bc}s", 10 * MILLISECOND),
            ("10000001ns", 10_000_001),
            ("15m50ns", 900 * SECOND + 50),
            ("1s1h", 3_601 * SECOND),
            ("2562047h47m16.854775807s", LONGEST),
        ] {
            assert_eq!(read(text), Some(nanoseconds), "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "-5m",
            "-0",
            "1",
            "h",
            "1x",
            "1 h",
            "1h ",
            ".h",
            "1..5h",
            "9.999999ms",
            "2562047h47m16.854775808s",
            "99999999999999999999s",
            "1e3s",
            "++1s",
            "\u{661}s",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
