//! Where and why a spec could not be read.

use std::fmt::{self, Write};
use std::ops::Range;

use super::field::Field;

/// How much of a spec a message shows.
const SHOWN: usize = 72;
/// How much of one item a message shows.
const SHOWN_ITEM: usize = 40;
/// How much of a spec an error keeps: all of every spec that is not refused for its length.
const KEPT: usize = super::parse::LONGEST_SPEC;

/// Where and why a spec could not be read.
///
/// The text has the reason, the field and the column; then the spec; then a mark under the place;
/// and, where a mistake is a known one, a hint:
///
/// ```
/// # use tasklock::Schedule;
/// let error = "0 0 24 * * *".parse::<Schedule>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "hour: end of range (24) above maximum (23): 24  (field 3 of 6, column 5)\n  \
///        0 0 24 * * *\n      \
///            ^^",
/// );
/// assert_eq!(error.field(), Some("hour"));
/// assert_eq!(error.span(), 4..6);
/// ```
///
/// The phrases are those of robfig/cron where it knows the mistake. The text can be logged whatever
/// the spec holds: all but printable ASCII is written as `\u{..}`, and a long spec is cut to the
/// part around the mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct SpecError {
    // Boxed, so that `Result<Schedule, SpecError>` is no larger than a schedule.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: SpecErrorKind,
    field: Option<Field>,
    /// Number of the field from 1, and how many there are.
    place: (usize, usize),
    spec: String,
    span: Range<usize>,
    reason: String,
    hint: Option<String>,
}

/// What kind of mistake a [`SpecError`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpecErrorKind {
    /// Nothing but blanks, or nothing after the time zone.
    Empty,
    /// Over 1 024 bytes.
    TooLong,
    /// Not five, six or seven fields.
    FieldCount,
    /// The time zone of a `CRON_TZ=` or `TZ=` is missing or unknown.
    BadZone,
    /// An `@` word that is not one of those known.
    UnknownDescriptor,
    /// The duration of an `@every` or `@after` cannot be read, or is below 10 ms.
    BadDuration,
    /// The instant of an `@at` cannot be read, or is outside of the years 1900 to 2199.
    BadInstant,
    /// A field of nothing but commas.
    EmptyField,
    /// Neither a number nor a name of that field.
    NotANumber,
    /// A step below zero.
    Negative,
    /// More than one `/` in an item.
    TooManySlashes,
    /// More than one `-` in an item.
    TooManyHyphens,
    /// A value below the field's smallest.
    BelowMinimum,
    /// A value above the field's largest.
    AboveMaximum,
    /// A range whose start is above its end.
    ReversedRange,
    /// A step of zero.
    ZeroStep,
    /// `L`, `W` or `#` where it means nothing.
    NotAllowed,
}

impl SpecError {
    pub(super) fn new(
        kind: SpecErrorKind,
        spec: &str,
        span: Range<usize>,
        reason: String,
        hint: Option<String>,
    ) -> Self {
        let kept = (0..=KEPT.min(spec.len()))
            .rfind(|at| spec.is_char_boundary(*at))
            .unwrap_or_default();
        Self {
            inner: Box::new(Inner {
                kind,
                field: None,
                place: (0, 0),
                spec: spec.get(..kept).unwrap_or_default().to_owned(),
                span,
                reason,
                hint,
            }),
        }
    }

    /// The same error in the `number`th of `count` fields.
    pub(super) fn in_field(mut self, field: Field, number: usize, count: usize) -> Self {
        self.inner.field = Some(field);
        self.inner.place = (number, count);
        self
    }

    /// What kind of mistake it is.
    pub fn kind(&self) -> SpecErrorKind {
        self.inner.kind
    }

    /// The field that holds the mistake: `second`, `minute`, `hour`, `day of month`, `month`,
    /// `day of week` or `year`. Absent when the spec has no fields or a wrong number of them.
    pub fn field(&self) -> Option<&'static str> {
        self.inner.field.map(Field::name)
    }

    /// Why the spec is refused: the phrase and the item, without the place.
    pub fn reason(&self) -> &str {
        &self.inner.reason
    }

    /// The column of the mistake in characters, the first being 1. Blanks before the spec count.
    pub fn column(&self) -> usize {
        let before = self.inner.spec.get(..self.inner.span.start);
        before.map_or(self.inner.span.start, |before| before.chars().count()) + 1
    }

    /// The bytes of the spec that are wrong. Empty where something is missing.
    pub fn span(&self) -> Range<usize> {
        self.inner.span.clone()
    }

    /// What could be meant instead, if the mistake is a known one.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            field,
            place: (number, count),
            spec,
            span,
            reason,
            hint,
            ..
        } = &*self.inner;
        match field {
            Some(field) => write!(
                f,
                "{}: {reason}  (field {number} of {count}, column {})",
                field.name(),
                self.column()
            )?,
            None => write!(f, "{reason}  (column {})", self.column())?,
        }
        let (line, mark) = excerpt(spec, span);
        if !line.trim().is_empty() {
            write!(f, "\n  {line}\n  {mark}")?;
        }
        if let Some(hint) = hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpecError")
            .field("kind", &self.inner.kind)
            .field("reason", &self.inner.reason)
            .field("span", &self.inner.span)
            .field("spec", &shown(&self.inner.spec))
            .finish()
    }
}

impl std::error::Error for SpecError {}

/// An item of a spec as it may be put into a message: printable ASCII, and short.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if shown.len() >= SHOWN_ITEM {
            shown.push_str("...");
            break;
        }
        push_shown(&mut shown, c);
    }
    shown
}

/// Look-alikes, control characters and marks that turn the direction of writing become visible.
fn push_shown(out: &mut String, c: char) {
    match c {
        ' '..='~' => out.push(c),
        '\t' => out.push(' '),
        _ => {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// The part of `spec` around `span` and a line that marks the span.
fn excerpt(spec: &str, span: &Range<usize>) -> (String, String) {
    // In characters as shown: where the span starts and how long it is.
    let mut line = String::new();
    let (mut start, mut end) = (None, 0);
    for (at, c) in spec.char_indices() {
        if at >= span.start && start.is_none() {
            start = Some(line.len());
        }
        push_shown(&mut line, c);
        if at < span.end {
            end = line.len();
        }
    }
    let start = start.unwrap_or(line.len());
    let length = end.saturating_sub(start).max(1);

    let cut_start = if line.len() > SHOWN {
        start.saturating_sub(SHOWN / 3)
    } else {
        0
    };
    let cut_end = line.len().min(cut_start + SHOWN);
    let mut shown = String::new();
    let mut indent = start - cut_start;
    if cut_start > 0 {
        shown.push_str("...");
        indent += 3;
    }
    shown.push_str(line.get(cut_start..cut_end).unwrap_or_default().trim_end());
    if cut_end < line.len() {
        shown.push_str("...");
    }
    let visible = length.min((cut_end - cut_start.max(start)).max(1));
    let mark = format!("{:indent$}{}", "", "^".repeat(visible));
    (shown, mark)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_long_spec_is_cut_to_the_part_around_the_mistake() {
        let spec = "1,".repeat(300) + "99 * * * *";
        let text = spec.parse::<crate::Schedule>().unwrap_err().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() < 110), "{text}");
        let marked = lines[2].find('^').unwrap();
        assert_eq!(lines[1].get(marked..marked + 2), Some("99"), "{text}");
        assert!(lines[0].ends_with("(field 1 of 5, column 601)"), "{text}");
    }

    #[test]
    fn a_mark_of_an_empty_place_is_one_wide() {
        for (spec, mark) in [("5- * * * *", "    ^"), ("TZ=UTC", "        ^")] {
            let text = spec.parse::<crate::Schedule>().unwrap_err().to_string();
            assert_eq!(text.lines().nth(2), Some(mark), "{text}");
        }
    }

    #[test]
    fn what_is_not_printable_ascii_is_shown_by_number() {
        let text = "0 \u{202e}\u{1b}é * * *"
            .parse::<crate::Schedule>()
            .unwrap_err();
        assert_eq!(text.column(), 3);
        assert_eq!(text.span(), 2..8);
        let text = text.to_string();
        assert!(text.contains("\\u{202e}\\u{1b}\\u{e9}"), "{text}");
        assert!(
            text.chars().all(|c| c == '\n' || matches!(c, ' '..='~')),
            "{text}"
        );
    }
}
