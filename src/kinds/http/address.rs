//! Addresses, and which of them are allowed.

use std::fmt;

use url::{Position, Url};

use crate::error::{Error, ErrorKind, Result};

/// The address of a request, or the beginning of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Url);

impl Address {
    /// What a task says.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(200).collect();
        let url = Url::parse(text).map_err(|e| format!("{shown:?} is no address: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("{shown:?} is no address of http or https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "the address has a user or a password: give them as a header, and not in the store"
                    .to_owned(),
            );
        }
        Ok(Self(url))
    }

    /// What code allows.
    pub(super) fn prefix(text: &str) -> Result<Self> {
        let refuse = |text: String| Error::new(ErrorKind::InvalidConfig, text);
        let address = Self::read(text).map_err(refuse)?;
        if address.0.query().is_some() || address.0.fragment().is_some() {
            return Err(refuse(format!(
                "{address} has a query or a fragment: allow a path"
            )));
        }
        Ok(address)
    }

    /// An address without its query and its fragment.
    #[cfg(all(feature = "standalone", unix))]
    pub(super) fn path_of(text: &str) -> Result<Self> {
        let mut address =
            Self::read(text).map_err(|text| Error::new(ErrorKind::InvalidConfig, text))?;
        address.0.set_query(None);
        address.0.set_fragment(None);
        Ok(address)
    }

    /// What a redirect means here.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        let shown: String = location.chars().take(200).collect();
        let url = self.0.join(location);
        url.map(Self)
            .map_err(|e| format!("{self} redirects to {shown:?}, which is no address: {e}"))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether both are of one server.
    pub(super) fn is_of_server(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// Whether it is that address, or below it.
    pub(super) fn is_below(&self, allowed: &Self) -> bool {
        let Some(rest) = self.0.path().strip_prefix(allowed.0.path()) else {
            return false;
        };
        // What a server makes of an encoded slash or dot is its own business.
        let path = self.0.path().to_ascii_lowercase();
        let is_plain = !["%2f", "%5c", "%2e"].iter().any(|code| path.contains(code));
        let is_whole = rest.is_empty() || rest.starts_with('/') || allowed.0.path().ends_with('/');
        is_plain && is_whole && self.is_of_server(allowed)
    }
}

/// Without the query, in which there may be what is not for everybody.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0[..Position::AfterPath];
        let shown: String = text.chars().take(200).collect();
        f.write_str(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_an_address_is_allowed_and_nothing_else() {
        let allowed = Address::prefix("https://example.com/tasks").unwrap();
        let all = Address::prefix("http://10.0.0.7:8080").unwrap();
        for (url, is_allowed) in [
            ("https://example.com/tasks", true),
            ("https://EXAMPLE.com:443/tasks/7?x=1#y", true),
            ("https://example.com/tasks?x", true),
            ("https://example.com/tasks7", false),
            ("https://example.com/", false),
            ("https://example.com/tasks/../admin", false),
            ("https://example.com/tasks/%2e%2e/admin", false),
            ("https://example.com/tasks/..%2fadmin", false),
            ("https://example.com/tasks/..\\admin", false),
            ("http://example.com/tasks", false),
            ("https://example.com:444/tasks", false),
            ("https://example.com.evil.org/tasks", false),
            ("https://evil.org/https://example.com/tasks", false),
            ("http://10.0.0.7:8080/any/thing", true),
            ("http://10.0.0.7/any/thing", false),
        ] {
            let address = Address::read(url).unwrap();
            let found = address.is_below(&allowed) || address.is_below(&all);
            assert_eq!(found, is_allowed, "{url}");
        }
    }

    #[cfg(all(feature = "standalone", unix))]
    #[test]
    fn the_path_of_an_address_allows_it_whatever_its_query_and_no_other() {
        let allowed = Address::path_of("https://example.com/tasks/7?key=x#y").unwrap();
        for (url, is_allowed) in [
            ("https://example.com/tasks/7?key=x", true),
            ("https://example.com/tasks/7/more?z", true),
            ("https://example.com/tasks/8", false),
            ("https://example.com/", false),
            ("https://other.example.com/tasks/7", false),
        ] {
            let address = Address::read(url).unwrap();
            assert_eq!(address.is_below(&allowed), is_allowed, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("x{}", "y".repeat(1_000_000));
        for url in [
            "",
            "/tasks",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://me:secret@example.com/",
            "http://",
            &long,
        ] {
            let error = Address::read(url).unwrap_err();
            assert!(error.len() < 400 && !error.contains("secret"), "{error}");
        }
        assert!(Address::prefix("https://example.com/?x").is_err());
    }
}
