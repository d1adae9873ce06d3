//! Users of this host, by their names: what `/etc/passwd` says.

use std::path::PathBuf;

const USERS: &str = "/etc/passwd";

/// A user whom commands may run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) id: u32,
    pub(super) group: u32,
    pub(super) home: PathBuf,
}

impl User {
    /// The user of that name, or number.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(USERS).map_err(|e| format!("{USERS}: {e}"))?;
        find(&text, name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            format!("{shown:?} is no user of this host: there is none of that name in {USERS}")
        })
    }
}

fn find(text: &str, name: &str) -> Option<User> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (found, _password) = (fields.next()?, fields.next()?);
        let (id, group) = (fields.next()?, fields.next()?);
        let (_comment, home) = (fields.next()?, fields.next()?);
        let is_it = found == name || id == name;
        Some(User {
            name: found.to_owned(),
            id: id.parse().ok()?,
            group: group.parse().ok()?,
            home: home.into(),
        })
        .filter(|_| is_it && !found.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nana:x:1000:100:Ana,,:/home/ana:/bin/sh\n";
        let ana = find(text, "ana").unwrap();
        assert_eq!((ana.id, ana.group), (1000, 100));
        assert_eq!(ana.home, PathBuf::from("/home/ana"));
        assert_eq!(find(text, "1000"), Some(ana));
        assert_eq!(find(text, "an"), None);
        assert_eq!(find(text, ""), None);
    }
}
