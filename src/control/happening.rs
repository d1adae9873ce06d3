//! What happened to the fleet itself, for those who come after.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::control::shelf::{Malformed, ms};
use crate::fleet::EntryId;

/// So many are kept, or a few more.
pub(crate) const HAPPENINGS_KEPT: usize = 2_000;
/// The longest text of one, in bytes.
const LONGEST: usize = 1_024;

/// What happened to the fleet itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// An instance has come.
    Joined,
    /// One went, and said so.
    Left,
    /// One was not heard of any more, and had not said that it goes.
    Lost,
    /// One takes no new firings, as it was asked to.
    Drained,
    /// One takes firings again.
    Undrained,
    /// Tasks are not the same on all instances.
    Drift,
}

/// One thing that happened to the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    /// Its place in the journal; the newest has the largest.
    #[serde(skip)]
    pub(crate) id: EntryId,
    /// When, by the clock of whoever wrote it.
    #[serde(with = "ms")]
    pub(crate) at: DateTime<Utc>,
    pub(crate) what: What,
    /// The instance it is about; `None` of what is about several.
    #[serde(default)]
    pub(crate) instance: Option<String>,
    /// Who wrote it.
    pub(crate) by: String,
    /// More of it, in words: a version, tasks.
    #[serde(default)]
    pub(crate) detail: Option<String>,
}

impl What {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            What::Joined => "joined",
            What::Left => "left",
            What::Lost => "lost",
            What::Drained => "drained",
            What::Undrained => "undrained",
            What::Drift => "drift",
        }
    }
}

impl Happening {
    /// What `by` has seen, or done, at `at`.
    pub(crate) fn new(what: What, by: &str, at: DateTime<Utc>) -> Self {
        Self {
            id: EntryId::default(),
            at,
            what,
            instance: Some(by.to_owned()),
            by: by.to_owned(),
            detail: None,
        }
    }

    /// The same about another instance, or about several.
    pub(crate) fn about(mut self, instance: Option<&str>) -> Self {
        self.instance = instance.map(str::to_owned);
        self
    }

    /// The same in more words, of which there is room for some.
    pub(crate) fn saying(mut self, detail: &str) -> Self {
        self.detail = Some(crate::text::contained_line(detail, LONGEST));
        self
    }

    /// Itself, if what others wrote may be shown.
    pub(super) fn sound(self) -> Result<Self, Malformed> {
        let is_line = |text: &String| text.len() <= 4_096 && !text.chars().any(char::is_control);
        let texts = self.instance.iter().chain(&self.detail);
        let are_lines = texts.chain([&self.by]).all(is_line);
        match are_lines {
            true => Ok(self),
            false => Err(Malformed("it has texts that cannot be shown".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_shown_if_it_is_lines() {
        let read = |text: &str| {
            let read: Happening = serde_json::from_str(text).map_err(|_| ())?;
            read.sound().map_err(drop)
        };
        let lost = read(r#"{"at":1000,"what":"lost","instance":"api-3","by":"api-1","more":1}"#);
        let lost = lost.unwrap();
        assert_eq!(
            (lost.what, lost.instance.as_deref()),
            (What::Lost, Some("api-3"))
        );
        for bad in [
            r#"{"at":1000,"what":"lost","by":"a\u001b"}"#,
            r#"{"at":1000,"what":"gone","by":"a"}"#,
            r#"{"what":"lost","by":"a"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let said = Happening::new(What::Drift, "a", lost.at).saying(&"x\n".repeat(5_000));
        assert!(said.sound().is_ok());
    }
}
