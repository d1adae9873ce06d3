//! Where the server is: a URL, read strictly, and what may be said of it aloud.

mod several;

use std::fmt;

use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates,
};
use url::Url;

use crate::error::{Error, ErrorKind, Result};

const FORMS: &str = "expected redis://[user:password@]host[:port][/database], rediss://… for TLS, \
                     redis+unix:///path[?db=…&user=…&pass=…], \
                     redis+sentinel://[user:password@]host[:port][,host…]/primary[/database], or \
                     redis+cluster://[user:password@]host[:port][,host…]";

/// A server, a database on it and the rights to use them. Prints neither user nor password.
#[derive(Clone)]
pub(super) struct Address {
    /// Of several servers, those of the first.
    info: ConnectionInfo,
    place: Place,
}

/// Where the servers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// There is one.
    Server,
    /// Where the sentinels at these hosts and ports say that the primary of this name is.
    Sentinels(Vec<(String, u16)>, String),
    /// In the cluster that has nodes at these hosts and ports.
    Cluster(Vec<(String, u16)>),
}

impl Address {
    /// Reads a URL. Its errors never repeat a part of it: any part may be a piece of a password
    /// that somebody forgot to encode.
    pub(super) fn parse(url: &str) -> Result<Self> {
        match url.split_once("://") {
            Some(("redis+sentinel", rest)) => several::sentinels("redis", rest),
            Some(("rediss+sentinel", rest)) => several::sentinels("rediss", rest),
            Some(("redis+cluster", rest)) => several::cluster("redis", rest),
            Some(("rediss+cluster", rest)) => several::cluster("rediss", rest),
            _ => Self::parse_one(url),
        }
    }

    fn parse_one(url: &str) -> Result<Self> {
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
        Ok(Self {
            info,
            place: Place::Server,
        })
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
            place: self.place,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The server at another host and port, with the same rights, TLS and database.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let addr = match self.info.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        Self {
            info: self.info.clone().set_addr(addr),
            place: Place::Server,
        }
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }
}

/// `redis at 127.0.0.1:6379/0`, `redis (TLS) at host:6380/2`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let db = self.info.redis_settings().db();
        let tls = if self.is_tls() { " (TLS)" } else { "" };
        match &self.place {
            Place::Server => {}
            Place::Sentinels(hosts, name) => {
                let hosts = Hosts(hosts);
                return write!(
                    f,
                    "redis{tls} primary {name}/{db} of the sentinels at {hosts}"
                );
            }
            Place::Cluster(hosts) => return write!(f, "redis{tls} cluster at {}", Hosts(hosts)),
        }
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

struct Hosts<'a>(&'a [(String, u16)]);

impl fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (host, port)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{}:{port}", Host(host))?;
        }
        Ok(())
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
mod tests;
