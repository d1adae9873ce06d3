//! A rule as a spec again, without the text that it came from.
//!
//! Sets of values are written as the shortest usual form: `*`, `*/5`, `5/15`, `1-5`, `1,3`. What the
//! sets do not tell, the flags do: whether a day field that allows every day is a star, and whether
//! minutes and hours start with one.

use std::fmt::{self, Write};

use super::cron::{Cron, FIRST_NAMED_YEAR, Flags};
use super::field::{Field, WEEKDAYS};

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

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let years = self.year_values();
        if self.second != 1 || !years.is_empty() {
            let second = values(self.second, 0);
            let star = second.len() > 1;
            write!(f, "{} ", numbers(Field::Second, &second, star))?;
        }
        let star = self.flags.any(Flags::MINUTE_STAR);
        write!(f, "{} ", clock(Field::Minute, self.minute, star))?;
        let star = self.flags.any(Flags::HOUR_STAR);
        write!(f, "{} ", clock(Field::Hour, u64::from(self.hour), star))?;
        write!(f, "{} ", self.days())?;
        let month = values(u64::from(self.month), 0);
        let star = month.len() > 1;
        write!(f, "{} ", numbers(Field::Month, &month, star))?;
        write!(f, "{}", self.weekdays())?;
        if !years.is_empty() {
            write!(f, " {}", numbers(Field::Year, &years, true))?;
        }
        Ok(())
    }
}

impl Cron {
    fn days(&self) -> String {
        if self.flags.any(Flags::DAY_STAR) {
            return "*".into();
        }
        let mut items = Vec::new();
        if self.day != 0 {
            items.push(day_numbers(Field::Day, u64::from(self.day)));
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

    fn weekdays(&self) -> String {
        let both = match self.flags.any(Flags::BOTH_DAYS) {
            true => "+",
            false => "",
        };
        if self.flags.any(Flags::WEEKDAY_STAR) {
            return format!("{both}*");
        }
        let mut items = Vec::new();
        if self.weekday != 0 {
            items.push(day_numbers(Field::Weekday, u64::from(self.weekday)));
        }
        for nth in 1..=5 {
            let days = self.nth_weekday >> (7 * (nth - 1)) & 0x7f;
            for day in values(days, 0) {
                items.push(format!("{}#{nth}", value(Field::Weekday, day)));
            }
        }
        for day in values(u64::from(self.last_weekday), 0) {
            items.push(format!("{}#L", value(Field::Weekday, day)));
        }
        format!("{both}{}", items.join(","))
    }
}

/// A field of days. `*/2` is no star there; every day without being a star is a range.
fn day_numbers(field: Field, bits: u64) -> String {
    let values = values(bits, 0);
    match shape(field, &values) {
        Shape::Star => list(field, &values),
        _ => numbers(field, &values, true),
    }
}

/// Minutes or hours, which start with a star if `star` and do not otherwise.
fn clock(field: Field, bits: u64, star: bool) -> String {
    let all = values(bits, 0);
    let starts = match shape(field, &all) {
        Shape::Star | Shape::StarStep(_) => true,
        _ => !star,
    };
    if starts {
        return numbers(field, &all, star);
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
        format!("*/{step},{}", list(field, &rest))
    }
}

/// `values` in the shortest usual form, with a star where it fits if `star`.
fn numbers(field: Field, values: &[u32], star: bool) -> String {
    match shape(field, values) {
        Shape::Star if star => "*".into(),
        Shape::StarStep(step) if star => format!("*/{step}"),
        Shape::StarStep(step) => format!("{}/{step}", value(field, field.minimum())),
        Shape::OpenStep { first, step } => format!("{}/{step}", value(field, first)),
        Shape::Step { first, last, step } => {
            format!("{}-{}/{step}", value(field, first), value(field, last))
        }
        Shape::Star | Shape::List => list(field, values),
    }
}

fn list(field: Field, values: &[u32]) -> String {
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
}
