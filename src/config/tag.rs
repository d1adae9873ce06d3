//! Tags of tasks, kept for as long as the program runs: there are few of them, and they come again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The longest tag, in bytes.
const LONGEST: usize = 64;
/// More than a file reads of itself again and again.
const MOST: usize = 10_000;

// Held for a look or an insert.
static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// A tag, if the text is one.
pub(super) fn of(text: &str) -> Result<&'static str, String> {
    let is_fit = |c: char| !c.is_control() && !c.is_whitespace() && c != ',';
    if text.is_empty() || text.len() > LONGEST || !text.chars().all(is_fit) {
        return Err(format!(
            "one of them is no word of 1 to {LONGEST} bytes without blanks and commas"
        ));
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tag) = known.get(text) {
        return Ok(tag);
    }
    if known.len() >= MOST {
        return Err(format!("there are more than {MOST} different ones"));
    }
    let tag: &'static str = Box::leak(text.to_owned().into_boxed_str());
    known.insert(tag);
    Ok(tag)
}
