//! The names of the keys of a task.

use crate::error::{Error, ErrorKind, Result};
use crate::task::TaskName;

/// Where tasks keep their keys: `<prefix>task:lock:<name>` and its companion.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Result<Self> {
        if prefix.contains(['{', '}']) && !has_tag(&prefix) {
            // Such braces would put the two keys of a task into different slots.
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the prefix of a RedisLock has braces that hold nothing: write {tag} or none",
            ));
        }
        Ok(Self { prefix })
    }

    /// The lock: a plain string key that ends by itself. Its name is a contract with other clients
    /// that take it with `SET … NX EX`.
    pub(super) fn lock(&self, task: &TaskName) -> String {
        format!("{}task:lock:{task}", self.prefix)
    }

    /// The lock of a lane, in the same slot as the state.
    pub(super) fn lane(&self, task: &TaskName, lane: u32) -> String {
        let lock = self.lock(task);
        match lane {
            0 => lock,
            _ if has_tag(&self.prefix) => format!("{lock}:lane:{lane}"),
            _ => format!("{{{lock}}}:lane:{lane}"),
        }
    }

    /// The state, in the same slot of a Redis Cluster as the lock, since one script touches both.
    pub(super) fn state(&self, task: &TaskName) -> String {
        let lock = self.lock(task);
        if has_tag(&self.prefix) {
            format!("{lock}:state")
        } else {
            format!("{{{lock}}}:state")
        }
    }
}

/// What a fleet shares beside its locks.
impl Keys {
    /// A shelf's records, and the order in which they were written: of one slot.
    pub(super) fn shelf(&self, name: &str) -> [String; 2] {
        let records = format!("{}task:fleet:{name}", self.prefix);
        let order = match has_tag(&self.prefix) {
            true => format!("{records}:order"),
            false => format!("{{{records}}}:order"),
        };
        [records, order]
    }

    /// A journal: a stream.
    pub(super) fn journal(&self, name: &str) -> String {
        format!("{}task:journal:{name}", self.prefix)
    }

    /// The name that all keys of a history begin with: of one slot.
    pub(super) fn history(&self) -> String {
        match has_tag(&self.prefix) {
            true => format!("{}task:history", self.prefix),
            false => format!("{{{}task:history}}", self.prefix),
        }
    }

    /// The channel on which it is told that something was written.
    pub(super) fn changes(&self) -> String {
        format!("{}task:fleet:changes", self.prefix)
    }
}

/// The part of a key that decides its slot in a Redis Cluster.
pub(super) fn hashed(key: &str) -> &str {
    tag(key).unwrap_or(key)
}

/// Whether the part of a key between its first `{` and the next `}` is not empty: only that part
/// is hashed then.
fn has_tag(key: &str) -> bool {
    tag(key).is_some()
}

fn tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_in_the_slot_of_the_lock() {
        for (prefix, lock, state) in [
            ("", "task:lock:a.b", "{task:lock:a.b}:state"),
            ("app:", "app:task:lock:a.b", "{app:task:lock:a.b}:state"),
            ("{app}:", "{app}:task:lock:a.b", "{app}:task:lock:a.b:state"),
        ] {
            let keys = Keys::new(prefix.to_owned()).unwrap();
            let task = "a.b".parse().unwrap();
            assert_eq!(keys.lock(&task), lock);
            assert_eq!(keys.state(&task), state);
        }
    }

    #[test]
    fn braces_that_are_no_tag_are_refused() {
        for prefix in ["{", "}", "a}b", "x{}y"] {
            let error = Keys::new(prefix.to_owned()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{prefix}");
        }
    }
}
