//! A cron rule as text that means the same.

use std::fmt::{self, Write};

use super::cron::{Cron, Years};
use super::{FIRST_YEAR, LAST_YEAR};

/// Six fields, or seven with a year.
pub(super) fn cron(cron: &Cron, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut list = List {
        out: f,
        is_empty: true,
    };
    list.values(|n| cron.second >> n & 1 == 1, 0, 59, Style::StarIfFull)?;
    list.next_field()?;
    list.values(
        |n| cron.minute >> n & 1 == 1,
        0,
        59,
        Style::star(cron.flags.minute_star),
    )?;
    list.next_field()?;
    list.values(
        |n| cron.hour >> n & 1 == 1,
        0,
        23,
        Style::star(cron.flags.hour_star),
    )?;
    list.next_field()?;
    if cron.flags.day_star {
        list.item(format_args!("*"))?;
    } else {
        list.values(|n| cron.day >> n & 1 == 1, 1, 31, Style::NoStar)?;
    }
    for n in (0..31).filter(|n| cron.last >> n & 1 == 1) {
        list.item(format_args!("L{}", Before(n)))?;
    }
    for n in (0..31).filter(|n| cron.near_last >> n & 1 == 1) {
        list.item(format_args!("L{}W", Before(n)))?;
    }
    for n in (1..32).filter(|n| cron.near >> n & 1 == 1) {
        list.item(format_args!("{n}W"))?;
    }
    list.next_field()?;
    list.values(|n| cron.month >> n & 1 == 1, 1, 12, Style::StarIfFull)?;
    list.next_field()?;
    if cron.flags.both_days {
        list.out.write_char('+')?;
    }
    if cron.flags.weekday_star {
        list.item(format_args!("*"))?;
    } else {
        list.values(|n| cron.weekday >> n & 1 == 1, 0, 6, Style::NoStar)?;
    }
    for n in 0..7 {
        for k in (1..6).filter(|k| cron.nth >> (n * 5 + k - 1) & 1 == 1) {
            list.item(format_args!("{n}#{k}"))?;
        }
    }
    for n in (0..7).filter(|n| cron.last_weekday >> n & 1 == 1) {
        list.item(format_args!("{n}L"))?;
    }
    if let Some(years) = &cron.years {
        list.next_field()?;
        let has = |n: u32| Years::has(years, i64::from(n));
        list.values(has, FIRST_YEAR as u32, LAST_YEAR as u32, Style::NoStar)?;
    }
    Ok(())
}

/// `-n`, or nothing for none.
struct Before(u32);

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            Ok(())
        } else {
            write!(f, "-{}", self.0)
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// The text must begin with a star, which it did when it was read.
    StarFirst,
    /// It must not: a star would mean something else.
    NoStar,
    /// It may.
    StarIfFull,
}

impl Style {
    fn star(is_first: bool) -> Self {
        if is_first {
            Style::StarFirst
        } else {
            Style::NoStar
        }
    }
}

/// The items of a field, with their commas.
struct List<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    is_empty: bool,
}

impl List<'_, '_> {
    fn item(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.write_char(',')?;
        }
        self.out.write_fmt(text)
    }

    fn next_field(&mut self) -> fmt::Result {
        self.is_empty = true;
        self.out.write_char(' ')
    }

    /// Values as a star, as one stepped range, or as runs.
    fn values(
        &mut self,
        has: impl Fn(u32) -> bool,
        min: u32,
        max: u32,
        style: Style,
    ) -> fmt::Result {
        let mut values: Vec<u32> = (min..=max).filter(|n| has(*n)).collect();
        let is_full = values.len() as u32 == max - min + 1;
        if is_full && style != Style::NoStar {
            return self.item(format_args!("*"));
        }
        if style == Style::StarFirst {
            // It began with a star and a step, so some step's multiples are all there.
            let all = |step: &u32| (min..=max).step_by(*step as usize).all(&has);
            let step = (2..=max).find(all).unwrap_or(max + 1);
            self.item(format_args!("*/{step}"))?;
            values.retain(|n| !(n - min).is_multiple_of(step));
        }
        match values.as_slice() {
            [] => Ok(()),
            [one] => self.item(format_args!("{one}")),
            [a, b] => {
                self.item(format_args!("{a}"))?;
                self.item(format_args!("{b}"))
            }
            [first, second, .., last] => {
                let step = second - first;
                let is_even = values
                    .windows(2)
                    .all(|w| matches!(w, [a, b] if b - a == step));
                match (is_even, step) {
                    (true, 1) => self.item(format_args!("{first}-{last}")),
                    (true, _) => self.item(format_args!("{first}-{last}/{step}")),
                    (false, _) => self.runs(&values),
                }
            }
        }
    }

    fn runs(&mut self, values: &[u32]) -> fmt::Result {
        for run in values.chunk_by(|a, b| a + 1 == *b) {
            match run {
                [first, _, .., last] => self.item(format_args!("{first}-{last}"))?,
                _ => {
                    for n in run {
                        self.item(format_args!("{n}"))?;
                    }
                }
            }
        }
        Ok(())
    }
}
