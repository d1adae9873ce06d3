//! A rule as a spec again, without the text that it came from.
//!
//! Sets of values are written as the shortest usual form: `*`, `*/5`, `5/15`, `1-5`, `1,3`. What the
//! sets do not tell, the flags do: whether a day field that allows every day is a star, and whether
//! minutes and hours start with one.

use std::fmt::{self, Write};

use super::cover::cover;
use super::cron::{Cron, FIRST_NAMED_YEAR, Flags};
use super::field::{Field, WEEKDAYS};
use super::parse::LONGEST_SPEC;

/// The longest `CRON_TZ=` with a zone and a blank, and some more.
const LONGEST_PREFIX: usize = 64;

/// How the values of a field are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `*`
    Star,
    /// `*/n`, which starts at the field's minimum
    StarStep(u32),
    /// `n/step`
    OpenStep { first: u32, step: u32 },
    /// `n-m/step`
    Step { first: u32, last: u32, step: u32 },
    /// `n`, `n-m` and lists of these
    List,
}

/// The shape of sorted `values` of `field`, of which there is at least one.
pub(super) fn shape(field: Field, values: &[u32]) -> Shape {
    let (minimum, maximum) = (field.minimum(), field.maximum());
    let [first, second, .., last] = *values else {
        return Shape::List;
    };
    let step = second - first;
    let is_progression = values.windows(2).all(|pair| match *pair {
        [a, b] => b - a == step,
        _ => true,
    });
    if !is_progression {
        return Shape::List;
    }
    let to_the_end = last + step > maximum;
    match step {
        1 if first == minimum && last == maximum => Shape::Star,
        1 => Shape::List,
        _ if first == minimum && to_the_end => Shape::StarStep(step),
        _ if to_the_end => Shape::OpenStep { first, step },
        _ => Shape::Step { first, last, step },
    }
}

/// Runs of successive numbers as first and last of each.
pub(super) fn runs(values: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &value in values {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => runs.push((value, value)),
        }
    }
    runs
}

/// The bits of a set as numbers, bit 0 being `base`.
pub(super) fn values(bits: u64, base: u32) -> Vec<u32> {
    (0..64)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit| bit + base)
        .collect()
}

impl Cron {
    /// The years as numbers, none meaning all of them.
    pub(super) fn year_values(&self) -> Vec<u32> {
        let words = self.years.iter().flat_map(|years| years.iter());
        let bases = (FIRST_NAMED_YEAR as u32..).step_by(64);
        words
            .zip(bases)
            .flat_map(|(word, base)| values(*word, base))
            .collect()
    }
}

/// How values are listed that have no shape.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// As people do: values and ranges.
    Usual,
    /// In as few items as can be found, for what would be longer than a spec may be.
    Dense,
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = self.written(Style::Usual);
        if usual.len() + LONGEST_PREFIX <= LONGEST_SPEC {
            f.write_str(&usual)
        } else {
            f.write_str(&self.written(Style::Dense))
        }
    }
}

impl Cron {
    fn written(&self, style: Style) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, style);
        text
    }

    fn write(&self, f: &mut impl Write, style: Style) -> fmt::Result {
        let years = self.year_values();
        if self.second != 1 || !years.is_empty() {
            let second = values(self.second, 0);
            let star = second.len() > 1;
            write!(f, "{} ", numbers(Field::Second, &second, star, style))?;
        }
        let star = self.flags.any(Flags::MINUTE_STAR);
        write!(f, "{} ", clock(Field::Minute, self.minute, star, style))?;
        let star = self.flags.any(Flags::HOUR_STAR);
        write!(
            f,
            "{} ",
            clock(Field::Hour, u64::from(self.hour), star, style)
        )?;
        write!(f, "{} ", self.days(style))?;
        let month = values(u64::from(self.month), 0);
        let star = month.len() > 1;
        write!(f, "{} ", numbers(Field::Month, &month, star, style))?;
        write!(f, "{}", self.weekdays(style))?;
        if !years.is_empty() {
            // All years that can be named are not all years: a star would fire before 1970.
            let star = shape(Field::Year, &years) != Shape::Star;
            write!(f, " {}", numbers(Field::Year, &years, star, style))?;
        }
        Ok(())
    }
}

impl Cron {
    fn days(&self, style: Style) -> String {
        if self.flags.any(Flags::DAY_STAR) {
            return "*".into();
        }
        let mut items = Vec::new();
        if self.day != 0 {
            items.push(day_numbers(Field::Day, u64::from(self.day), style));
        }
        for (set, near) in [(self.from_last, ""), (self.near_from_last, "W")] {
            for before in values(u64::from(set), 0) {
                items.push(match before {
                    0 => format!("L{near}"),
                    _ => format!("L-{before}{near}"),
                });
            }
        }
        for day in values(u64::from(self.near), 0) {
            items.push(format!("{day}W"));
        }
        items.join(",")
    }

    fn weekdays(&self, style: Style) -> String {
        let both = match self.flags.any(Flags::BOTH_DAYS) {
            true => "+",
            false => "",
        };
        if self.flags.any(Flags::WEEKDAY_STAR) {
            return format!("{both}*");
        }
        let mut items = Vec::new();
        if self.weekday != 0 {
            items.push(day_numbers(Field::Weekday, u64::from(self.weekday), style));
        }
        for nth in 1..=5 {
            let days = self.nth_weekday >> (7 * (nth - 1)) & 0x7f;
            items.extend(weekday_items(days, style).map(|days| format!("{days}#{nth}")));
        }
        let last = u64::from(self.last_weekday);
        items.extend(weekday_items(last, style).map(|days| format!("{days}#L")));
        format!("{both}{}", items.join(","))
    }
}

/// A field of days. `*/2` is no star there; every day without being a star is a range.
fn day_numbers(field: Field, bits: u64, style: Style) -> String {
    let values = values(bits, 0);
    match shape(field, &values) {
        Shape::Star => list(field, &values, style),
        _ => numbers(field, &values, true, style),
    }
}

/// Days of the week one by one, or as ranges.
fn weekday_items(bits: u64, style: Style) -> impl Iterator<Item = String> {
    let days = values(bits, 0);
    let spans = match style {
        Style::Usual => days.iter().map(|day| (*day, *day)).collect(),
        Style::Dense => runs(&days),
    };
    spans.into_iter().map(|(first, last)| {
        let (start, end) = (value(Field::Weekday, first), value(Field::Weekday, last));
        match first == last {
            true => start,
            false => format!("{start}-{end}"),
        }
    })
}

/// Minutes or hours, which start with a star if `star` and do not otherwise.
fn clock(field: Field, bits: u64, star: bool, style: Style) -> String {
    let all = values(bits, 0);
    let starts = match shape(field, &all) {
        Shape::Star | Shape::StarStep(_) => true,
        _ => !star,
    };
    if starts {
        return numbers(field, &all, star, style);
    }
    // A step that is in the set and the values that are left, such as `*/30,45`. The largest step
    // leaves all but the first value, so there is one.
    let multiples = |step: &u32| (0..=field.maximum()).step_by(*step as usize);
    let step = (2..=field.maximum() + 1)
        .find(|step| multiples(step).all(|value| bits >> value & 1 == 1))
        .unwrap_or(field.maximum() + 1);
    let covered = multiples(&step).fold(0_u64, |set, value| set | 1 << value);
    let rest = values(bits & !covered, 0);
    if rest.is_empty() {
        format!("*/{step}")
    } else {
        format!("*/{step},{}", list(field, &rest, style))
    }
}

/// `values` in the shortest usual form, with a star where it fits if `star`.
fn numbers(field: Field, values: &[u32], star: bool, style: Style) -> String {
    match shape(field, values) {
        Shape::Star if star => "*".into(),
        Shape::StarStep(step) if star => format!("*/{step}"),
        Shape::StarStep(step) => format!("{}/{step}", value(field, field.minimum())),
        Shape::OpenStep { first, step } => format!("{}/{step}", value(field, first)),
        Shape::Step { first, last, step } => {
            format!("{}-{}/{step}", value(field, first), value(field, last))
        }
        Shape::Star | Shape::List => list(field, values, style),
    }
}

fn list(field: Field, values: &[u32], style: Style) -> String {
    if matches!(style, Style::Dense) {
        let items: Vec<String> = cover(values)
            .into_iter()
            .map(|steps| {
                let (first, last) = (value(field, steps.first), value(field, steps.last));
                match (steps.last - steps.first, steps.step) {
                    (0, _) => first,
                    (_, 1) => format!("{first}-{last}"),
                    (_, step) => format!("{first}-{last}/{step}"),
                }
            })
            .collect();
        return items.join(",");
    }
    let mut text = String::new();
    for (first, last) in runs(values) {
        let separator = match last - first {
            0 => None,
            1 => Some(','),
            _ => Some('-'),
        };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&value(field, first));
        if let Some(separator) = separator {
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{}", value(field, last));
        }
    }
    text
}

/// Days of the week have names, because their numbers differ between dialects.
fn value(field: Field, number: u32) -> String {
    match field {
        Field::Weekday => WEEKDAYS.get(number as usize).unwrap_or(&"SUN").to_string(),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Schedule;

    #[test]
    fn a_schedule_is_written_in_its_shortest_usual_form() {
        for (spec, written) in [
            ("0 */10 * * * *", "*/10 * * * *"),
            ("* * * * * *", "* * * * * *"),
            ("0/15 * * * *", "0/15 * * * *"),
            ("0,15,30,45 * * * *", "0/15 * * * *"),
            ("5/15 * * * *", "5/15 * * * *"),
            ("20-40/10 * * * *", "20-40/10 * * * *"),
            ("*/70 * * * *", "*/60 * * * *"),
            ("*/40,3 * * * *", "*/40,3 * * * *"),
            ("0-59 0-23 * * *", "0-59 0-23 * * *"),
            ("? ? ? ? ?", "* * * * *"),
            ("0 0 1-31 * MON", "0 0 1-31 * MON"),
            ("0 0 1,* * 1-5", "0 0 * * MON-FRI"),
            ("0 0 */2 * 0/2", "0 0 */2 * */2"),
            ("0 0 * * 0-6", "0 0 * * SUN-SAT"),
            ("0 0 LW,3W,L,L-2 * *", "0 0 L,L-2,LW,3W * *"),
            ("0 0 * * 5L,MON-TUE#2", "0 0 * * MON#2,TUE#2,FRI#L"),
            ("0 0 13 * +5", "0 0 13 * +FRI"),
            ("0 0 0 1 1 * *", "0 0 1 1 *"),
            ("0 0 0 1 1 * */2", "0 0 0 1 1 * */2"),
            ("0 0 0 1 1 * 1970-2199", "0 0 0 1 1 * 1970-2199"),
            ("0 0 0 1 1 * 1970/1", "0 0 0 1 1 * 1970-2199"),
            ("TZ=UTC @yearly", "0 0 1 1 *"),
            (
                "TZ=Asia/Tokyo @every 5400s",
                "CRON_TZ=Asia/Tokyo @every 1h30m",
            ),
            (
                "@at 2030-01-01T00:00:00.5+08:00",
                "@at 2029-12-31T16:00:00.500Z",
            ),
        ] {
            let schedule: Schedule = spec.parse().unwrap();
            assert_eq!(schedule.to_string(), written, "{spec}");
            assert_eq!(written.parse(), Ok(schedule), "{spec}");
        }
    }

    #[test]
    fn what_is_written_is_never_too_long_to_be_read() {
        let all = |from: u32, to: u32, item: fn(u32) -> String| -> String {
            let items: Vec<String> = (from..=to).map(item).collect();
            items.join(",")
        };
        let days = [
            all(1, 31, |n| format!("{n}W")),
            all(1, 30, |n| format!("L-{n}")),
            all(1, 30, |n| format!("L-{n}W")),
        ]
        .join(",");
        let spec = format!(
            "*/2,7 */2,7 */2 {days} 1,3,5,7,9,11 SUN-SAT#1,SUN-SAT#3,SUN-SAT#5 1970/3,1971/5,1972"
        );
        assert!(spec.len() < 600, "{}", spec.len());
        let schedule: Schedule = spec.parse().unwrap();
        let written = schedule.to_string();
        assert!(written.len() <= 1024, "{} bytes: {written}", written.len());
        assert_eq!(written.parse(), Ok(schedule));
    }
}
