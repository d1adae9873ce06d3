//! Who asks for something, and why.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The longest name of somebody who asks, in characters.
const LONGEST_ACTOR: usize = 128;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;
/// The longest id of a request, in characters.
const LONGEST_REQUEST: usize = 64;

/// Who asks for something, and why: goes with every act into the audit trail.
///
/// ```
/// # use tasklock::By;
/// let by = By::new("ana", "bank holiday")?;
/// assert_eq!(by.to_string(), "ana: bank holiday");
/// assert!(By::new("ana", " ").is_err());
/// # Ok::<(), tasklock::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct By {
    actor: Arc<str>,
    reason: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Raw {
    actor: String,
    reason: String,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    address: Option<IpAddr>,
}

impl By {
    /// `actor` in 1 to 128 characters, `reason` in 1 to 500; of both one line that says something.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for one that is empty or too long, or has characters that change
    /// how others are shown: control characters, marks of direction, ends of lines.
    pub fn new(actor: impl AsRef<str>, reason: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            actor: line("who asks", actor.as_ref(), LONGEST_ACTOR)?,
            reason: line("the reason", reason.as_ref(), LONGEST_REASON)?,
            request_id: None,
            address: None,
        })
    }

    /// The same by a request to the page or its API, which comes from `address` where that is known.
    #[cfg(feature = "admin")]
    pub(crate) fn by_request(mut self, id: &str, address: Option<IpAddr>) -> Result<Self> {
        self.request_id = Some(line("the request's id", id, LONGEST_REQUEST)?);
        self.address = address;
        Ok(self)
    }

    /// Who.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The id of the request to the page or its API that asked for it, if it was one: that of its
    /// answer's `x-request-id` and of the log.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Where that request came from, if the server tells.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl TryFrom<Raw> for By {
    type Error = Error;

    fn try_from(raw: Raw) -> Result<Self> {
        let id = raw.request_id.as_deref();
        let id = id.map(|id| line("the request's id", id, LONGEST_REQUEST));
        Ok(Self {
            request_id: id.transpose()?,
            address: raw.address,
            ..Self::new(raw.actor, raw.reason)?
        })
    }
}

/// `ana: bank holiday`.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.actor, self.reason)
    }
}

/// One line of text that somebody typed, without the blanks around it.
pub(super) fn line(what: &str, text: &str, longest: usize) -> Result<Arc<str>> {
    let refuse = |why: String| Err(Error::new(ErrorKind::InvalidConfig, why));
    let text = text.trim();
    if text.is_empty() {
        return refuse(format!(
            "{what} is missing: write it in 1 to {longest} characters"
        ));
    }
    // A megabyte is not counted to its end.
    if text.chars().take(longest + 1).count() > longest {
        return refuse(format!("{what} is longer than {longest} characters"));
    }
    if let Some(c) = text.chars().find(|c| is_harmful(*c)) {
        return refuse(format!(
            "{what} has {c:?}, which changes how other text is shown"
        ));
    }
    Ok(text.into())
}

/// Whether a character moves, hides or reorders what is around it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_how_other_text_is_shown_is_refused() {
        for text in [
            "",
            "  ",
            "a\nb",
            "a\u{1b}[31mb",
            "a\u{202e}b",
            "a\u{200b}b",
            "\0",
        ] {
            assert!(By::new("ana", text).is_err(), "{text:?}");
            assert!(By::new(text, "why").is_err(), "{text:?}");
        }
        let long = "x".repeat(1 << 20);
        let error = By::new("ana", &long).unwrap_err().to_string();
        assert_eq!(error, "the reason is longer than 500 characters");
        assert!(By::new("Zoë <z@example>", "Feiertag — läuft “morgen” wieder").is_ok());
    }

    #[test]
    fn a_stored_one_is_checked_like_a_new_one() {
        let by: By = serde_json::from_str(r#"{"actor":"a","reason":"b","more":1}"#).unwrap();
        assert_eq!(by, By::new("a", "b").unwrap());
        for more in [
            r#""actor":"a\u0007","reason":"b""#,
            r#""actor":"a","reason":"b","request_id":"x\u001b""#,
            r#""actor":"a","reason":"b","address":"<script>""#,
        ] {
            assert!(serde_json::from_str::<By>(&format!("{{{more}}}")).is_err());
        }
    }
}
