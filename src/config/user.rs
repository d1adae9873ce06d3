//! Users and groups of this host, by their names: what `/etc/passwd` and `/etc/group` say.

use std::path::PathBuf;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A user whom commands may run as, in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) id: u32,
    pub(super) group: u32,
    pub(super) home: PathBuf,
}

impl User {
    /// The user of that name, or number, in his own group.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let users = read(USERS)?;
        find(&users, name).ok_or_else(|| {
            let shown = shown(name);
            format!("{shown:?} is no user of this host: there is none of that name in {USERS}")
        })
    }

    /// The same, or in the group of the name or number `group`. Refused is a user who is in other groups too,
    /// unless it is said which one is meant: a command has one.
    ///
    /// # Errors
    ///
    /// The key that is wrong, and why.
    pub(super) fn named(name: &str, group: Option<&str>) -> Result<Self, (&'static str, String)> {
        let user = Self::find(name).map_err(|text| ("user", text))?;
        let Some(group) = group else {
            let others = user.others().map_err(|text| ("user", text))?;
            if others.is_empty() {
                return Ok(user);
            }
            let text = format!(
                "{} is in the groups {} too, and a command runs in one group only: say in which, as group = \"…\"",
                shown(&user.name),
                others.join(", ")
            );
            return Err(("user", text));
        };
        let groups = read(GROUPS).map_err(|text| ("group", text))?;
        match group_of(&groups, group) {
            Some(group) => Ok(Self { group, ..user }),
            None => {
                let shown = shown(group);
                let text = format!(
                    "{shown:?} is no group of this host: there is none of that name in {GROUPS}"
                );
                Err(("group", text))
            }
        }
    }

    /// The names of the groups that he is in beside his own.
    pub(super) fn others(&self) -> Result<Vec<String>, String> {
        let groups = read(GROUPS)?;
        let others = others(&groups, self).into_iter();
        Ok(others.map(str::to_owned).collect())
    }
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
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

/// A line of groups: name, number, members.
fn fields(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name, id.parse().ok()?, fields.next().unwrap_or_default()))
}

fn group_of(text: &str, group: &str) -> Option<u32> {
    let is_it = |(name, id, _): &(&str, u32, &str)| *name == group || id.to_string() == group;
    let found = text.lines().filter_map(fields).find(is_it);
    found.map(|(_, id, _)| id)
}

fn others<'a>(text: &'a str, user: &User) -> Vec<&'a str> {
    let is_in = |(_, id, members): &(&str, u32, &str)| {
        *id != user.group && members.split(',').any(|member| member == user.name)
    };
    let groups = text.lines().filter_map(fields).filter(is_in);
    groups.map(|(name, _, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbroken\nana:x:1000:100:Ana,,:/home/ana:/bin/sh\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let ana = find(PASSWD, "ana").unwrap();
        assert_eq!((ana.id, ana.group), (1000, 100));
        assert_eq!(ana.home, PathBuf::from("/home/ana"));
        assert_eq!(find(PASSWD, "1000"), Some(ana));
        assert_eq!(find(PASSWD, "an"), None);
        assert_eq!(find(PASSWD, ""), None);
    }

    #[test]
    fn groups_are_found_and_those_of_a_user_beside_his_own() {
        let groups = "root:x:0:\nbroken\nusers:x:100:ana\nadm:x:4:syslog,ana\ndocker:x:999:ana\n\
                      other:x:7:anab,ban\n";
        let ana = find(PASSWD, "ana").unwrap();
        assert_eq!(others(groups, &ana), ["adm", "docker"]);
        assert_eq!(group_of(groups, "docker"), Some(999));
        assert_eq!(group_of(groups, "4"), Some(4));
        assert_eq!(group_of(groups, "nobody"), None);
    }
}
