//! Who may see the page.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::file;

/// The page and its HTTP API, and who may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Who may come.
    pub(crate) visitors: Visitors,
    /// Whether they may change anything.
    pub(crate) actions: bool,
    /// The name of the service.
    pub(crate) title: Option<String>,
}

/// Who may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitors {
    /// Whoever is on this host.
    Localhost,
    /// Whom a proxy names in a header.
    Header {
        /// The header.
        name: String,
        /// Where the proxy is.
        proxies: Vec<IpAddr>,
    },
    /// Whoever has the token that is in this file.
    Token(PathBuf),
}

impl Page {
    /// What the file says of it, or what is wrong with that.
    pub(super) fn of(
        page: &file::Page,
        in_directory: impl Fn(&PathBuf) -> PathBuf,
    ) -> Result<Self, String> {
        let file::Page {
            localhost,
            user_header,
            proxies,
            token_file,
            actions,
            title,
        } = page;
        let visitors = match (localhost, user_header, token_file) {
            (Some(true), None, None) => Visitors::Localhost,
            (None, Some(name), None) => Visitors::Header {
                name: name.clone(),
                proxies: addresses(proxies)?,
            },
            (None, None, Some(path)) => Visitors::Token(in_directory(path)),
            _ => {
                let text = "who may see it? Write one of localhost = true, token_file, or user_header \
                            with proxies";
                return Err(text.to_owned());
            }
        };
        if !proxies.is_empty() && user_header.is_none() {
            return Err("proxies mean nothing without user_header".to_owned());
        }
        Ok(Self {
            visitors,
            actions: *actions,
            title: title.clone(),
        })
    }
}

fn addresses(proxies: &[String]) -> Result<Vec<IpAddr>, String> {
    if proxies.is_empty() {
        return Err(
            "user_header is believed from nowhere: list its proxies, as [\"10.0.0.5\"]".to_owned(),
        );
    }
    let address = |text: &String| {
        let refused = || format!("{text:?} is no address of a proxy, such as 10.0.0.5");
        text.parse().map_err(|_| refused())
    };
    proxies.iter().map(address).collect()
}
