//! Addresses of several servers, as `host[:port],host[:port]`.

use url::Url;

use crate::error::Result;
use crate::lock::redis::address::{Address, FORMS, Place, invalid};

/// Reads what follows `redis+sentinel://`.
pub(super) fn sentinels(scheme: &str, rest: &str) -> Result<Address> {
    let (servers, path, tail) = split(rest);
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    let (address, hosts) = servers_at(scheme, servers, &format!("{database}{tail}"), 26379)?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || !name.chars().all(is_good) {
        return Err(invalid(format!(
            "has no name of a primary, of A-Z a-z 0-9 . _ -, after the sentinels: {FORMS}; a / in \
             a password has to be written %2F"
        )));
    }
    let place = Place::Sentinels(hosts, name.to_owned());
    Ok(Address { place, ..address })
}

/// Reads what follows `redis+cluster://`.
pub(super) fn cluster(scheme: &str, rest: &str) -> Result<Address> {
    let (servers, path, tail) = split(rest);
    let (address, hosts) = servers_at(scheme, servers, &format!("{path}{tail}"), 6379)?;
    if address.info.redis_settings().db() != 0 {
        return Err(invalid(
            "has a database number, and a cluster has database 0 only",
        ));
    }
    let place = Place::Cluster(hosts);
    Ok(Address { place, ..address })
}

/// Servers with their user and password, path, and what means nothing.
fn split(rest: &str) -> (&str, &str, &str) {
    let (rest, tail) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
    (servers, path, tail)
}

/// The first server, and the hosts and ports of all.
fn servers_at(
    scheme: &str,
    servers: &str,
    database: &str,
    default_port: u16,
) -> Result<(Address, Vec<(String, u16)>)> {
    // A password may hold an @, as in other addresses.
    let (user, hosts) = match servers.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), servers),
    };
    let mut first = None;
    let mut found = Vec::new();
    for host in hosts.split(',') {
        if host.is_empty() || host.starts_with(':') {
            return Err(invalid(format!("has no host: {FORMS}")));
        }
        // Each by itself is an address of one server, and read as strictly.
        let url = format!("{scheme}://{user}{host}/{database}");
        let address = Address::parse_one(&url)?;
        let port = Url::parse(&url).ok().and_then(|url| url.port());
        let port = port.unwrap_or(default_port);
        let name = match host.rsplit_once(':') {
            Some((name, _)) if !host.ends_with(']') => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        first.get_or_insert_with(|| address.at(name, port));
        found.push((name.to_owned(), port));
    }
    let first = first.ok_or_else(|| invalid(format!("has no host: {FORMS}")))?;
    Ok((first, found))
}
