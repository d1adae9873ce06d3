//! One field of a cron spec: items to bits.

use std::ops::Range;

/// A piece of the spec, and where it begins in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// What is wrong with a piece, and where.
pub(super) type Fault = (Range<usize>, String);

impl<'a> Piece<'a> {
    pub(super) fn span(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    pub(super) fn fault<T>(self, reason: impl Into<String>) -> Result<T, Fault> {
        Err((self.span(), reason.into()))
    }

    pub(super) fn split(self, on: char) -> impl Iterator<Item = Piece<'a>> {
        let mut at = self.at;
        self.text.split(on).map(move |text| {
            let piece = Piece { text, at };
            at += text.len() + on.len_utf8();
            piece
        })
    }

    pub(super) fn split_once(self, on: char) -> Option<(Piece<'a>, Piece<'a>)> {
        let (before, after) = self.text.split_once(on)?;
        let at = self.at + before.len() + on.len_utf8();
        Some((
            Piece {
                text: before,
                at: self.at,
            },
            Piece { text: after, at },
        ))
    }

    pub(super) fn cut_prefix(self, prefix: char) -> Option<Piece<'a>> {
        let first = self
            .text
            .chars()
            .next()
            .filter(|c| c.eq_ignore_ascii_case(&prefix))?;
        let text = self.text.get(first.len_utf8()..)?;
        Some(Piece {
            text,
            at: self.at + first.len_utf8(),
        })
    }

    pub(super) fn cut_suffix(self, suffix: char) -> Option<Piece<'a>> {
        let last = self
            .text
            .chars()
            .next_back()
            .filter(|c| c.eq_ignore_ascii_case(&suffix))?;
        let text = self.text.get(..self.text.len() - last.len_utf8())?;
        Some(Piece { text, at: self.at })
    }

    pub(super) fn is_star(self) -> bool {
        matches!(self.text, "*" | "?")
    }
}

/// What values a field takes.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) name: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Where `n/step` ends.
    pub(super) step_max: u32,
    /// Three-letter names of the values from `min` on.
    pub(super) names: &'static [&'static str],
    /// The largest value as the end of a range is also written as the first name (`SAT-SUN`).
    pub(super) wraps: bool,
}

pub(super) const SECOND: Bounds = Bounds {
    name: "second",
    min: 0,
    max: 59,
    step_max: 59,
    names: &[],
    wraps: false,
};
pub(super) const MINUTE: Bounds = Bounds {
    name: "minute",
    ..SECOND
};
pub(super) const HOUR: Bounds = Bounds {
    name: "hour",
    max: 23,
    step_max: 23,
    ..SECOND
};
pub(super) const DAY_OF_MONTH: Bounds = Bounds {
    name: "day of month",
    min: 1,
    max: 31,
    step_max: 31,
    ..SECOND
};
pub(super) const MONTH: Bounds = Bounds {
    name: "month",
    min: 1,
    max: 12,
    step_max: 12,
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
    wraps: false,
};
pub(super) const DAY_OF_WEEK: Bounds = Bounds {
    name: "day of week",
    min: 0,
    max: 7,
    step_max: 6,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    wraps: true,
};
pub(super) const YEAR: Bounds = Bounds {
    name: "year",
    min: 1970,
    max: 2199,
    step_max: 2199,
    ..SECOND
};

/// An item that names values, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) step: u32,
    /// A star with step 1.
    pub(super) is_star: bool,
}

impl Values {
    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (self.start..=self.end).step_by(self.step.max(1) as usize)
    }

    /// The values as bits, less `base`.
    pub(super) fn bits(self, base: u32) -> u64 {
        self.iter()
            .map(|v| 1_u64.checked_shl(v.saturating_sub(base)).unwrap_or(0))
            .fold(0, |a, b| a | b)
    }
}

impl Bounds {
    /// The items of a field. Empty ones are dropped, as robfig does; a field of none is refused.
    pub(super) fn items<'a>(&self, field: Piece<'a>) -> Result<Vec<Piece<'a>>, Fault> {
        let items: Vec<Piece<'a>> = field
            .split(',')
            .filter(|item| !item.text.is_empty())
            .collect();
        if items.is_empty() {
            return field.fault(format!("empty field: {}", field.text));
        }
        Ok(items)
    }

    /// `* ? n n-n`, each with or without `/step`.
    pub(super) fn values(&self, item: Piece<'_>) -> Result<Values, Fault> {
        let mut parts = item.split('/');
        let range = parts.next().unwrap_or(item);
        let step_part = parts.next();
        if parts.next().is_some() {
            return item.fault(format!("too many slashes: {}", item.text));
        }
        let step = match step_part {
            Some(part) => number(part)?,
            None => 1,
        };

        let mut ends = range.split('-');
        let low = ends.next().unwrap_or(range);
        let high = ends.next();
        if ends.next().is_some() {
            return item.fault(format!("too many hyphens: {}", item.text));
        }
        if low.is_star() {
            if high.is_some() {
                return item.fault(format!("a star takes no range: {}", item.text));
            }
            if step == 0 {
                return item.fault(format!(
                    "step of range should be a positive number: {}",
                    item.text
                ));
            }
            let (start, end) = (self.min, self.step_max);
            return Ok(Values {
                start,
                end,
                step,
                is_star: step == 1,
            });
        }
        let start = self.value(low)?;
        let end = match high {
            Some(high) => {
                let end = self.value(high)?;
                let is_name = !high.text.starts_with(|c: char| c.is_ascii_digit());
                if self.wraps && is_name && end == self.min && start != end {
                    self.max
                } else {
                    end
                }
            }
            None if step_part.is_some() => self.step_max.max(start),
            None => start,
        };
        self.check(item, start, end)?;
        if step == 0 {
            return item.fault(format!(
                "step of range should be a positive number: {}",
                item.text
            ));
        }
        Ok(Values {
            start,
            end,
            step,
            is_star: false,
        })
    }

    /// `n` or `n-n`, without a step.
    pub(super) fn plain(&self, item: Piece<'_>) -> Result<Values, Fault> {
        if item.text.contains(['/', '*', '?']) {
            return item.fault(format!(
                "failed to parse int from {}: a number or a range is meant",
                item.text
            ));
        }
        self.values(item)
    }

    fn check(&self, item: Piece<'_>, start: u32, end: u32) -> Result<(), Fault> {
        let (min, max, text) = (self.min, self.max, item.text);
        if start < min {
            return item.fault(format!(
                "beginning of range ({start}) below minimum ({min}): {text}"
            ));
        }
        if end > max {
            return item.fault(format!(
                "end of range ({end}) above maximum ({max}): {text}"
            ));
        }
        if start > end {
            return item.fault(format!(
                "beginning of range ({start}) beyond end of range ({end}): {text}"
            ));
        }
        Ok(())
    }

    /// A number or a name.
    fn value(&self, part: Piece<'_>) -> Result<u32, Fault> {
        let is_it = |name: &&str| part.text.eq_ignore_ascii_case(name);
        match self.names.iter().position(is_it) {
            Some(index) => Ok(self.min + index as u32),
            None => number(part),
        }
    }
}

/// A decimal number without a sign.
pub(super) fn number(part: Piece<'_>) -> Result<u32, Fault> {
    let text = part.text;
    if let Some(rest) = text.strip_prefix('-')
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_digit())
    {
        return part.fault(format!("negative number ({text}) not allowed: {text}"));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return part.fault(format!(
            "failed to parse int from {:?}",
            super::error::quoted(text)
        ));
    }
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => part.fault(format!(
            "failed to parse int from {:?}: too large",
            super::error::quoted(text)
        )),
    }
}
