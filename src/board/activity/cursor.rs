//! How far what happened was told.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::fleet::EntryId;
use crate::task::RunId;

/// What is left of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Left {
    /// All of it.
    #[default]
    All,
    /// What is before this run.
    BeforeRun(RunId),
    /// What is before this entry.
    BeforeEntry(EntryId),
    /// What was due before this instant, or then and is this far behind.
    BeforeFire(DateTime<Utc>, usize),
    /// Nothing.
    Nothing,
}

/// How far each source was told: the text of one goes into addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(super) runs: Left,
    pub(super) actions: Left,
    pub(super) cluster: Left,
    pub(super) skips: Left,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Left::All => Ok(()),
            Left::BeforeRun(id) => id.fmt(f),
            Left::BeforeEntry(id) => id.fmt(f),
            Left::BeforeFire(at, behind) => write!(f, "{}.{behind}", at.timestamp_micros()),
            Left::Nothing => f.write_str("end"),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [self.runs, self.actions, self.cluster, self.skips];
        write!(f, "{a}~{b}~{c}~{d}")
    }
}

/// One that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let parts: Vec<&str> = text.splitn(5, '~').collect();
        let [runs, actions, cluster, skips] = parts.as_slice() else {
            return Err(NoCursor);
        };
        let run = |text: &str| text.parse().ok().map(Left::BeforeRun);
        let entry = |text: &str| text.parse().ok().map(Left::BeforeEntry);
        let fire = |text: &str| {
            let (at, behind) = text.split_once('.')?;
            let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
            Some(Left::BeforeFire(at, behind.parse().ok()?))
        };
        Ok(Self {
            runs: left(runs, run)?,
            actions: left(actions, entry)?,
            cluster: left(cluster, entry)?,
            skips: left(skips, fire)?,
        })
    }
}

fn left(text: &str, read: impl Fn(&str) -> Option<Left>) -> Result<Left, NoCursor> {
    match text {
        "" => Ok(Left::All),
        "end" => Ok(Left::Nothing),
        text => read(text).ok_or(NoCursor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let at: DateTime<Utc> = "2026-11-21T10:00:00.000123Z".parse().unwrap();
        let cursor = Cursor {
            runs: Left::BeforeRun(RunId::new(at, 7)),
            actions: Left::BeforeEntry(EntryId::new(1_000, 2)),
            cluster: Left::Nothing,
            skips: Left::BeforeFire(at, 3),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(Cursor::default().to_string().parse(), Ok(Cursor::default()));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let long = "~".repeat(1 << 20);
        for text in [
            "",
            "~",
            "~~~~",
            "x~~~",
            "~~~1",
            "~~~1.-1",
            "end~end~end~\u{1b}",
            &long,
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{:.20}", text);
        }
    }
}
