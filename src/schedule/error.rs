//! Where and why a spec could not be read.

use std::fmt;
use std::ops::Range;

/// Where and why a spec could not be read.
///
/// ```text
/// hour: end of range (24) above maximum (23): 24  (field 3 of 6, column 5)
///   0 0 24 * * *
///       ^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    // Boxed: errors are rare, and a `Result` of a schedule should not grow for them.
    inner: Box<Inner>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    spec: String,
    span: Range<usize>,
    reason: String,
    field: Option<Field>,
    hint: Option<String>,
}

/// Which field of a spec: its name, its number from 1, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: usize,
    pub(super) of: usize,
}

impl SpecError {
    pub(super) fn new(spec: &str, span: Range<usize>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let (spec, field, hint) = (spec.to_owned(), None, None);
        Self {
            inner: Box::new(Inner {
                spec,
                span,
                reason,
                field,
                hint,
            }),
        }
    }

    pub(super) fn in_field(mut self, field: Field) -> Self {
        self.inner.field = Some(field);
        self
    }

    pub(super) fn hint(mut self, hint: Option<String>) -> Self {
        self.inner.hint = hint;
        self
    }

    /// The name of the field: `second`, `minute`, `hour`, `day of month`, `month`, `day of week`,
    /// `year`; `None` if the spec as a whole is wrong.
    pub fn field(&self) -> Option<&'static str> {
        self.inner.field.map(|field| field.name)
    }

    /// Where the faulty text begins, in characters, from 1.
    pub fn column(&self) -> usize {
        let before = self
            .inner
            .spec
            .get(..self.inner.span.start)
            .unwrap_or_default();
        before.chars().count() + 1
    }

    /// Where the faulty text is, in bytes of the spec.
    pub fn span(&self) -> Range<usize> {
        self.inner.span.clone()
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.inner.reason
    }
}

/// How much of a long spec is shown on either side of the fault, in characters.
const SHOWN: usize = 40;

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            spec,
            span,
            reason,
            field,
            hint,
        } = &*self.inner;
        let column = self.column();
        match field {
            Some(Field { name, number, of }) => {
                write!(
                    f,
                    "{name}: {reason}  (field {number} of {of}, column {column})"
                )?;
            }
            None => write!(f, "{reason}  (column {column})")?,
        }
        if spec.trim().is_empty() {
            return Ok(());
        }
        let width = spec
            .get(span.clone())
            .unwrap_or_default()
            .chars()
            .count()
            .clamp(1, SHOWN);
        let skipped = column.saturating_sub(1 + SHOWN);
        let mut shown: String = spec
            .chars()
            .skip(skipped)
            .take(2 * SHOWN)
            .map(harmless)
            .collect();
        if spec.chars().count() > skipped + 2 * SHOWN {
            shown.push('…');
        }
        let lead = if skipped > 0 { "…" } else { "" };
        let indent = column - 1 - skipped + lead.chars().count();
        write!(
            f,
            "\n  {lead}{shown}\n  {:indent$}{}",
            "",
            "^".repeat(width)
        )?;
        if let Some(hint) = hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecError {}

/// A stranger's character as it may be shown: in one column, and without power over the terminal.
fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A stranger's text as it may stand in a sentence: harmless, and cut.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(harmless).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
