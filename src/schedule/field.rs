//! The fields of a spec, and the items that all of them share: `*`, `n`, `n-m`, and a step.
//!
//! The rules and their phrases are those of robfig/cron v3 (`getRange` in its `parser.go`), where
//! not said otherwise.

use super::error::{SpecErrorKind as Kind, shown};

/// One of the seven fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
    Year,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A mistake and the part of the spec that it is about.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) kind: Kind,
    pub(super) at: &'a str,
    pub(super) reason: String,
}

impl<'a> Fault<'a> {
    pub(super) fn new(kind: Kind, at: &'a str, reason: impl Into<String>) -> Self {
        Self {
            kind,
            at,
            reason: reason.into(),
        }
    }
}

/// An item: the values `first`, `first + step`, … up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) step: u32,
    /// Whether it is `*` or `?` with step 1.
    pub(super) star: bool,
}

impl Item {
    /// The values as bits. None of them may be above 63.
    pub(super) fn bits(self) -> u64 {
        if self.step == 1 {
            return u64::MAX >> (63 - self.last) & u64::MAX << self.first;
        }
        self.values().fold(0, |bits, value| bits | 1 << value)
    }

    pub(super) fn values(self) -> impl Iterator<Item = u32> {
        (self.first..=self.last).step_by(self.step as usize)
    }
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day of month",
            Self::Month => "month",
            Self::Weekday => "day of week",
            Self::Year => "year",
        }
    }

    pub(super) fn minimum(self) -> u32 {
        match self {
            Self::Day | Self::Month => 1,
            Self::Year => 1970,
            _ => 0,
        }
    }

    /// The last value of a `*`, and where `n/step` ends.
    pub(super) fn maximum(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::Day => 31,
            Self::Month => 12,
            Self::Weekday => 6,
            Self::Year => 2199,
        }
    }

    /// The largest number that may be written: a week has a second Sunday, 7.
    fn largest(self) -> u32 {
        match self {
            Self::Weekday => 7,
            _ => self.maximum(),
        }
    }

    /// Reads `( "*" | "?" | n | n "-" m ) [ "/" step ]`.
    pub(super) fn item(self, item: &str) -> Result<Item, Fault<'_>> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((_, rest)) if rest.contains('/') => {
                let reason = format!("too many slashes: {}", shown(item));
                return Err(Fault::new(Kind::TooManySlashes, item, reason));
            }
            Some((range, step)) => (range, Some(step)),
        };
        let step_size = match step {
            None => 1,
            Some(step) => parse_step(step)?,
        };
        if step_size == 0 {
            let reason = format!("step of range should be a positive number: {}", shown(item));
            return Err(Fault::new(Kind::ZeroStep, item, reason));
        }
        if matches!(range, "*" | "?") {
            return Ok(Item {
                first: self.minimum(),
                last: self.maximum(),
                step: step_size,
                star: step_size == 1,
            });
        }
        let (first, last) = self.range(range, item, step.is_some())?;
        Ok(Item {
            first,
            last,
            step: step_size,
            star: false,
        })
    }

    /// Reads `n` or `n-m`. A single `n` ends at the field's maximum if it is `open`, that is, if a
    /// step follows.
    pub(super) fn range<'a>(
        self,
        range: &'a str,
        item: &'a str,
        open: bool,
    ) -> Result<(u32, u32), Fault<'a>> {
        if let Some((star @ ("*" | "?"), _)) = range.split_once('-') {
            let reason = format!("a star takes no range: {}", shown(item));
            return Err(Fault::new(Kind::NotANumber, star, reason));
        }
        let (first, last) = match range.split_once('-') {
            None => {
                let first = self.value(range)?;
                let last = if open {
                    first.max(self.maximum())
                } else {
                    first
                };
                (first, last)
            }
            Some((first, last)) => {
                if let Some((middle, _)) = last.split_once('-') {
                    let at = if middle.is_empty() { middle } else { item };
                    let reason = format!("too many hyphens: {}", shown(item));
                    return Err(Fault::new(Kind::TooManyHyphens, at, reason));
                }
                let start = self.value(first)?;
                let end = self.value(last)?;
                // Sunday ends a week as well as it starts one, so that SAT-SUN is a weekend. But
                // SUN-SUN is one day.
                let is_name = !last.starts_with(|c: char| c.is_ascii_digit());
                let sunday = self == Self::Weekday && is_name && end == 0 && start > 0;
                (start, if sunday { 7 } else { end })
            }
        };
        let (kind, reason) = if first < self.minimum() {
            let minimum = self.minimum();
            (
                Kind::BelowMinimum,
                format!("beginning of range ({first}) below minimum ({minimum})"),
            )
        } else if last > self.largest() {
            let maximum = self.largest();
            (
                Kind::AboveMaximum,
                format!("end of range ({last}) above maximum ({maximum})"),
            )
        } else if first > last {
            (
                Kind::ReversedRange,
                format!("beginning of range ({first}) beyond end of range ({last})"),
            )
        } else {
            return Ok((first, last));
        };
        Err(Fault::new(kind, item, format!("{reason}: {}", shown(item))))
    }

    /// Reads a number or a name of this field.
    fn value(self, text: &str) -> Result<u32, Fault<'_>> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return parse_number(text);
        }
        let names: &[&str] = match self {
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
            _ => &[],
        };
        match names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
        {
            Some(index) => Ok(index as u32 + self.minimum()),
            None => Err(not_a_number(text)),
        }
    }
}

/// Reads a number of digits only: no sign, which robfig lets pass before it.
pub(super) fn parse_number(text: &str) -> Result<u32, Fault<'_>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_number(text));
    }
    match text.parse() {
        Ok(number) => Ok(number),
        Err(error) => {
            let reason = format!("failed to parse int from {}: {error}", shown(text));
            Err(Fault::new(Kind::NotANumber, text, reason))
        }
    }
}

fn parse_step(text: &str) -> Result<u32, Fault<'_>> {
    match text.strip_prefix('-').map(str::parse::<u32>) {
        Some(Ok(number)) => {
            let reason = format!("negative number (-{number}) not allowed: {}", shown(text));
            Err(Fault::new(Kind::Negative, text, reason))
        }
        _ => parse_number(text),
    }
}

fn not_a_number(text: &str) -> Fault<'_> {
    let reason = match text {
        "" => "failed to parse int from nothing: a number is missing".to_owned(),
        _ => format!("failed to parse int from {}", shown(text)),
    };
    Fault::new(Kind::NotANumber, text, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(field: Field, item: &str) -> Vec<u32> {
        field.item(item).unwrap().values().collect()
    }

    #[test]
    fn steps_start_at_the_value_and_end_at_the_range_or_the_field() {
        for (field, item, expected) in [
            (Field::Minute, "5/20", vec![5, 25, 45]),
            (Field::Minute, "20-35/15", vec![20, 35]),
            (Field::Minute, "3-59/60", vec![3]),
            (Field::Minute, "*/25", vec![0, 25, 50]),
            (Field::Minute, "?/20", vec![0, 20, 40]),
            (Field::Minute, "*/70", vec![0]),
            (Field::Minute, "08", vec![8]),
            (Field::Day, "*/10", vec![1, 11, 21, 31]),
            (Field::Month, "1-dec/3", vec![1, 4, 7, 10]),
            (Field::Weekday, "1/2", vec![1, 3, 5]),
            (Field::Weekday, "mon-5", vec![1, 2, 3, 4, 5]),
            (Field::Weekday, "5-7", vec![5, 6, 7]),
            (Field::Weekday, "SAT-SUN", vec![6, 7]),
            (Field::Weekday, "SUN-TUE", vec![0, 1, 2]),
            (Field::Weekday, "SUN-SUN", vec![0]),
            (Field::Weekday, "7/2", vec![7]),
            (Field::Year, "2190/4", vec![2190, 2194, 2198]),
        ] {
            assert_eq!(values(field, item), expected, "{item}");
            if field != Field::Year {
                let bits = expected.iter().fold(0_u64, |bits, value| bits | 1 << value);
                assert_eq!(field.item(item).unwrap().bits(), bits, "{item}");
            }
        }
    }

    #[test]
    fn only_a_step_of_one_keeps_a_star_a_star() {
        for (item, star) in [
            ("*", true),
            ("?", true),
            ("*/1", true),
            ("*/2", false),
            ("1-31", false),
        ] {
            assert_eq!(Field::Day.item(item).unwrap().star, star, "{item}");
        }
    }

    #[test]
    fn a_mistake_is_named_after_its_kind() {
        for (field, item, kind) in [
            (Field::Minute, "", Kind::NotANumber),
            (Field::Minute, "-5", Kind::NotANumber),
            (Field::Minute, "+5", Kind::NotANumber),
            (Field::Minute, "*-5", Kind::NotANumber),
            (Field::Minute, "5-*", Kind::NotANumber),
            (Field::Minute, "JAN", Kind::NotANumber),
            (Field::Minute, "*/MON", Kind::NotANumber),
            (Field::Minute, "4294967296", Kind::NotANumber),
            (Field::Minute, "\u{661}", Kind::NotANumber),
            (Field::Minute, "*/-1", Kind::Negative),
            (Field::Minute, "1/2/3", Kind::TooManySlashes),
            (Field::Minute, "1--3", Kind::TooManyHyphens),
            (Field::Minute, "60", Kind::AboveMaximum),
            (Field::Day, "0", Kind::BelowMinimum),
            (Field::Minute, "5-4", Kind::ReversedRange),
            (Field::Weekday, "7-2", Kind::ReversedRange),
            (Field::Weekday, "SUN-8", Kind::AboveMaximum),
            (Field::Minute, "*/0", Kind::ZeroStep),
            (Field::Weekday, "SUNDAY", Kind::NotANumber),
        ] {
            assert_eq!(field.item(item).unwrap_err().kind, kind, "{item}");
        }
    }
}
