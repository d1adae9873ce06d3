//! Where the server is: a URL, read strictly, and what may be said of it aloud.

use std::fmt;

use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates,
};
use url::Url;

use crate::error::{Error, ErrorKind, Result};

const FORMS: &str = "expected redis://[user:password@]host[:port][/database], rediss://… for TLS, \
                     or redis+unix:///path[?db=…&user=…&pass=…]";

/// A server, a database on it and the rights to use them. Prints neither user nor password.
#[derive(Clone)]
pub(super) struct Address {
    info: ConnectionInfo,
}

impl Address {
    /// Reads a URL. Its errors never repeat a part of it: any part may be a piece of a password
    /// that somebody forgot to encode.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|e| {
            invalid(format!(
                "is not a URL ({e}): {FORMS}; characters such as : / # ? @ in a password have to \
                 be percent-encoded"
            ))
            .with_source(e)
        })?;
        match url.scheme() {
            "redis" | "rediss" => refuse_bad_parts(&url)?,
            "unix" | "redis+unix" => refuse_bad_socket(&url)?,
            _ => return Err(invalid(format!("has an unknown scheme: {FORMS}"))),
        }
        let info = url.into_connection_info().map_err(|e| {
            // Its texts are fixed once the parts above are known to be good.
            invalid(format!("cannot be used ({e}): {FORMS}")).with_source(e)
        })?;
        Ok(Self { info })
    }

    /// Trusts the certificate authorities in `pem` in place of the public ones.
    pub(super) fn trusting(self, pem: Vec<u8>) -> Result<Self> {
        const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
        if !self.is_tls() {
            return Err(invalid(
                "does not use TLS, and a CA certificate was given: use rediss://",
            ));
        }
        if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the CA certificate holds no certificate in PEM form",
            ));
        }
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        };
        let client = Client::build_with_tls(self.info, certificates).map_err(|e| {
            let text = format!("the CA certificate cannot be used: {e}");
            Error::new(ErrorKind::InvalidConfig, text).with_source(e)
        })?;
        Ok(Self {
            info: client.get_connection_info().clone(),
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }
}

/// `redis at 127.0.0.1:6379/0`, `redis (TLS) at host:6380/2`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let db = self.info.redis_settings().db();
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                write!(f, "redis at {}:{port}/{db}", Host(host))
            }
            ConnectionAddr::TcpTls { host, port, .. } => {
                write!(f, "redis (TLS) at {}:{port}/{db}", Host(host))
            }
            other => write!(f, "redis at {other} database {db}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host as URLs write it: IPv6 in brackets.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

fn refuse_bad_parts(url: &Url) -> Result<()> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(format!("has no host: {FORMS}")));
    }
    let database = url.path().trim_start_matches('/');
    refuse_bad_database(database, "path")?;
    if url.fragment().is_some() {
        return Err(invalid(
            "has a # part, which means nothing here (certificates are always verified: give \
             ca_certificate for a private CA); a # in a password has to be written %23",
        ));
    }
    if url.query().is_some() {
        return Err(invalid(
            "has a ? part, which means nothing here; a ? in a password has to be written %3F",
        ));
    }
    Ok(())
}

fn refuse_bad_socket(url: &Url) -> Result<()> {
    if url.path().len() < 2 {
        return Err(invalid(format!("has no socket path: {FORMS}")));
    }
    for (key, value) in url.query_pairs() {
        match &*key {
            "db" => refuse_bad_database(&value, "parameter `db`")?,
            "user" | "pass" => {}
            _ => {
                return Err(invalid(
                    "has a parameter other than `db`, `user` and `pass`",
                ));
            }
        }
    }
    Ok(())
}

fn refuse_bad_database(text: &str, place: &str) -> Result<()> {
    let good = text.is_empty() || (text.bytes().all(|b| b.is_ascii_digit()) && text.len() < 10);
    if good {
        return Ok(());
    }
    Err(invalid(format!(
        "has a {place} that is not a database number such as /2; a / in a password has to be \
         written %2F"
    )))
}

fn invalid(what: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("the Redis address {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_never_who() {
        for (url, text) in [
            ("redis://127.0.0.1:6379", "redis at 127.0.0.1:6379/0"),
            ("redis://localhost", "redis at localhost:6379/0"),
            ("redis://u:secret@h:6380/2", "redis at h:6380/2"),
            ("redis://:s%2Fcret@h", "redis at h:6379/0"),
            ("redis://[::1]:7000/1", "redis at [::1]:7000/1"),
            (
                "rediss://u:secret@example.org:6380/2",
                "redis (TLS) at example.org:6380/2",
            ),
            (
                "redis+unix:///run/redis.sock?db=3&user=u&pass=secret",
                "redis at /run/redis.sock database 3",
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(format!("{address:?}"), text);
        }
    }

    #[test]
    fn user_password_and_database_are_read() {
        let address = Address::parse("redis://us%40er:s%2Fcret@h/7").unwrap();
        let settings = address.info().redis_settings();
        assert_eq!(settings.username(), Some("us@er"));
        assert_eq!(settings.password(), Some("s/cret"));
        assert_eq!(settings.db(), 7);
    }

    #[test]
    fn bad_addresses_are_refused_with_the_place_and_without_the_secret() {
        for (url, part) in [
            ("", "is not a URL"),
            ("hunter2", "is not a URL"),
            ("localhost:6379", "unknown scheme"),
            ("http://user:hunter2@h", "unknown scheme"),
            ("redis-sentinel://user:hunter2@h", "unknown scheme"),
            ("redis:///2", "no host"),
            ("redis://:hunter2@", "not a URL"),
            ("redis://h:99999", "invalid port number"),
            ("redis://:pa/hunter2@h", "percent-encoded"),
            ("redis://h/hunter2", "not a database number"),
            ("redis://h/-1", "not a database number"),
            ("redis://h/1/2", "not a database number"),
            ("redis://u:1/2@h", "not a database number"),
            ("redis://u:1#hunter2@h", "has a # part"),
            ("redis://u:1?hunter2@h", "has a ? part"),
            ("rediss://h/#insecure", "certificates are always verified"),
            ("redis://0.0.0.0", "wildcard"),
            ("redis+unix://", "no socket path"),
            ("redis+unix:///s?db=x", "not a database number"),
            ("redis+unix:///s?hunter2=x", "has a parameter other"),
            ("redis://%ff:%ffhunter2@h", "not valid UTF-8"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
            let text = error.to_string();
            assert!(text.contains(part), "{url}: {text}");
            assert!(!format!("{error:?}{text}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_ca_certificate_needs_tls_and_has_to_be_one() {
        for (url, pem, part) in [
            (
                "redis://h",
                "-----BEGIN CERTIFICATE-----",
                "does not use TLS",
            ),
            ("rediss://h", "nonsense", "no certificate in PEM form"),
            (
                "rediss://h",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
        ] {
            let address = Address::parse(url).unwrap();
            let error = address.trusting(pem.as_bytes().to_vec()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
