//! What a server says of itself: the sections of `INFO`.

/// The text of one or more sections.
#[derive(Debug, Clone, Default)]
pub(super) struct Info(String);

impl Info {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// The policy by which the server throws keys away when its memory is full, if it does; from
    /// the section `memory`.
    pub(super) fn evicts(&self) -> Option<&str> {
        let policy = self.get("maxmemory_policy")?;
        let has_limit = self.get("maxmemory").is_some_and(|limit| limit != "0");
        (has_limit && policy != "noeviction").then_some(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_throws_keys_away_is_recognised() {
        for (limit, policy, expected) in [
            ("0", "allkeys-lru", None),
            ("1000", "noeviction", None),
            ("1000", "allkeys-lru", Some("allkeys-lru")),
            ("1000", "volatile-ttl", Some("volatile-ttl")),
        ] {
            let info = Info::new(format!(
                "# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_human:0B\r\n\
                 maxmemory_policy:{policy}\r\n"
            ));
            assert_eq!(info.evicts(), expected, "{info:?}");
            assert_eq!(info.number("used_memory"), Some(1));
        }
        assert_eq!(Info::default().evicts(), None);
    }
}
