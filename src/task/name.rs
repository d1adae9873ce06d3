//! Names of tasks.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// A task's name: 1 to 128 characters of `A-Z a-z 0-9 _ . : -`.
///
/// Names become parts of Redis keys, file names, metric labels and links, so that no braces,
/// blanks or slashes are let in. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName(Arc<str>);

impl TaskName {
    /// The longest name, in characters (which are bytes here).
    pub const MAX_LEN: usize = 128;

    /// The name under which a part of the task is locked. No task can have it for its own name.
    pub(crate) fn part(&self, index: u32) -> Self {
        Self(format!("{}~{index}", self.0).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why: String| {
            Err(Error::new(
                ErrorKind::InvalidName,
                format!("task name {} {why}", Shown(text)),
            ))
        };
        if text.is_empty() {
            return refuse("is empty: give it 1 to 128 characters of A-Z a-z 0-9 _ . : -".into());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        if let Some((at, c)) = text.chars().enumerate().find(|(_, c)| !allowed(*c)) {
            return refuse(format!(
                "has {c:?} at character {}: only A-Z a-z 0-9 _ . : - are allowed",
                at + 1
            ));
        }
        if text.len() > Self::MAX_LEN {
            return refuse(format!(
                "has {} characters: at most 128 are allowed",
                text.len()
            ));
        }
        Ok(Self(text.into()))
    }
}

/// A stranger's text in a message: quoted, escaped and cut.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut: String = self.0.chars().take(40).collect();
        let more = if cut.len() < self.0.len() { "…" } else { "" };
        write!(f, "{cut:?}{more}")
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for TaskName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TaskName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for TaskName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for TaskName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_both_lengths_are_accepted() {
        for name in ["a", "A-z_0.9:x", "..", &"x".repeat(128)] {
            assert_eq!(name.parse::<TaskName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn other_characters_are_refused_with_their_place() {
        for (name, part) in [
            ("", "is empty"),
            ("a b", "' ' at character 2"),
            ("a/b", "'/' at character 2"),
            ("ä", "'ä' at character 1"),
            ("x{tag}", "'{' at character 2"),
            ("a\u{202e}b", "'\\u{202e}' at character 2"),
            ("a\nb", "'\\n' at character 2"),
        ] {
            let error = name.parse::<TaskName>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName);
            assert!(error.to_string().contains(part), "{name:?}: {error}");
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn a_long_name_is_refused_without_being_repeated_whole() {
        let error = "x"
            .repeat(1_000_000)
            .parse::<TaskName>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1000000 characters") && error.len() < 200,
            "{error}"
        );
    }
}
