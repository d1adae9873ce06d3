//! What went wrong with the server, and what follows from it: one table.

mod own;

use std::error::Error as StdError;
use std::fmt;

use deadpool_redis::PoolError;
use deadpool_redis::redis::{ErrorKind as RedisErrorKind, RedisError};

use crate::error::{Error, ErrorKind};

pub(super) use own::{
    cannot_be_used, connecting_took_too_long, is_a_replica, moves, no_cluster, no_owner,
    no_sentinel, unknown_primary, was_replaced,
};

/// When an error came up: that decides whether the request may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before anything was sent.
    Connect,
    /// The request was on its way.
    Request,
}

/// What becomes of the connection that the error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// It serves on.
    Keep,
    /// It may be half dead: the second time in a row it is dropped.
    Suspect,
    /// It is dropped, and the pool emptied: its other connections lead to the same server.
    Drop,
}

/// One thing that went wrong. Can be told to several waiting calls, unlike an [`Error`].
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) remedy: Remedy,
    /// What it means and what to do.
    text: &'static str,
    /// What the server or the network said.
    detail: String,
    source: Option<RedisError>,
}

impl Fault {
    /// The same fault of a request that was sent twice, the first time in vain: it may have been
    /// executed then, even if the second answer says that it was not now.
    pub(super) fn after_a_lost_request(mut self) -> Self {
        if matches!(
            self.kind,
            ErrorKind::StoreUnavailable | ErrorKind::StoreRefused
        ) {
            self.kind = ErrorKind::StoreAmbiguous;
            self.text = "the connection broke during the request, which may have been executed, \
                         and another could not serve it";
        }
        self
    }

    /// Whether the server did not know the script, and thus did nothing.
    pub(super) fn is_unknown_script(&self) -> bool {
        let code = self.source.as_ref().and_then(RedisError::code);
        code == Some("NOSCRIPT")
    }

    /// Whether nobody is at the server's address.
    pub(super) fn is_refusal(&self) -> bool {
        let source = self.source.as_ref();
        source.is_some_and(RedisError::is_connection_refusal)
    }

    /// Whether a node of a cluster said that nobody serves the slot, as far as it knows.
    pub(super) fn is_cluster_down(&self) -> bool {
        let code = self.source.as_ref().and_then(RedisError::code);
        code == Some("CLUSTERDOWN")
    }

    /// The same fault, with the node of a cluster that it is of.
    pub(super) fn of_node(mut self, host: &str, port: u16) -> Self {
        let comma = if self.detail.is_empty() { "" } else { ": " };
        self.detail = format!("node {host}:{port}{comma}{}", self.detail);
        self
    }

    /// Where a node of a cluster says that somebody else can serve.
    pub(super) fn redirect(&self) -> Option<Redirect> {
        let error = self.source.as_ref()?;
        let (at, _slot) = error.redirect_node()?;
        let (host, port) = at.rsplit_once(':')?;
        Some(Redirect {
            at: (host.to_owned(), port.parse().ok()?),
            is_asking: error.code() == Some("ASK"),
        })
    }

    /// The fault as an error of the server at `address`.
    pub(super) fn error(&self, address: &impl fmt::Display) -> Error {
        let Self { text, detail, .. } = self;
        let message = if detail.is_empty() {
            format!("{address}: {text}")
        } else {
            format!("{address}: {text} ({detail})")
        };
        let error = Error::new(self.kind, message);
        match &self.source {
            Some(source) => error.with_source(source.clone()),
            None => error,
        }
    }
}

/// Another node of a cluster that a request is sent on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) at: (String, u16),
    /// For this request only: the slot is on its way there.
    pub(super) is_asking: bool,
}

impl Redirect {
    /// Of a node at `host`: one without a host means its own.
    pub(super) fn from(mut self, host: &str) -> Self {
        if self.at.0.is_empty() {
            host.clone_into(&mut self.at.0);
        }
        self
    }
}

/// A word of the server, the kind of error it means, and what to do.
struct Rule {
    /// The error's code.
    code: &'static str,
    /// How its text goes where a code does not come through: wrapped by a script (servers up to
    /// 6.2 write `ERR Error running script … -READONLY …`) or by `SELECT` at connecting.
    phrase: &'static str,
    kind: ErrorKind,
    remedy: Remedy,
    text: &'static str,
}

const fn rule(
    code: &'static str,
    phrase: &'static str,
    kind: ErrorKind,
    remedy: Remedy,
    text: &'static str,
) -> Rule {
    Rule {
        code,
        phrase,
        kind,
        remedy,
        text,
    }
}

#[rustfmt::skip]
const RULES: &[Rule] = {
    use ErrorKind::{
        InvalidConfig, StoreDenied as Denied, StoreProtocol as Protocol, StoreRefused as Refused,
        StoreUnavailable as Unavailable,
    };
    use Remedy::{Drop, Keep};
    &[
        rule("READONLY", "-READONLY", Refused, Drop,
            "the server is a read-only replica: point the address at the primary"),
        rule("NOREPLICAS", "-NOREPLICAS", Refused, Keep,
            "the server has fewer replicas than min-replicas-to-write"),
        rule("MISCONF", "-MISCONF", Refused, Keep,
            "the server cannot write its data to disk and stopped accepting writes"),
        rule("OOM", "OOM command not allowed", Refused, Keep,
            "the server's memory is full: raise maxmemory"),
        rule("NOSCRIPT", "NOSCRIPT", Unavailable, Keep,
            "the server forgot the lock's scripts and forgot them again when they were reloaded"),
        rule("LOADING", "is loading the dataset", Unavailable, Keep,
            "the server is starting and loads its data"),
        rule("BUSY", "is busy running a script", Unavailable, Keep,
            "the server is busy with another client's script"),
        rule("MASTERDOWN", "Link with MASTER is down", Unavailable, Drop,
            "the server is a replica that lost its primary"),
        rule("CLUSTERDOWN", "-CLUSTERDOWN", Unavailable, Keep, "the cluster is down"),
        rule("TRYAGAIN", "-TRYAGAIN", Unavailable, Keep, "the cluster moves this slot"),
        rule("", "max number of clients", Unavailable, Drop,
            "the server has too many clients: raise maxclients"),
        rule("NOAUTH", "Authentication required", Denied, Drop,
            "the server wants a password: put it into the address, redis://user:password@host"),
        rule("WRONGPASS", "invalid username-password", Denied, Drop,
            "wrong user or password"),
        rule("DENIED", "protected mode", Denied, Drop,
            "the server is in protected mode and lets in clients of its own host only: give it a \
             password"),
        rule("NOPERM", "no permissions", Denied, Keep,
            "the user lacks a right: it needs PING, SCRIPT LOAD, EVALSHA, TIME, MGET, SET, DEL, \
             EXPIRE, PEXPIRE and PTTL on the keys <prefix>task:lock:* and {<prefix>task:lock:*"),
        rule("", "The user executing the script can't", Denied, Keep,
            "the user lacks a right: it needs PING, SCRIPT LOAD, EVALSHA, TIME, MGET, SET, DEL, \
             EXPIRE, PEXPIRE and PTTL on the keys <prefix>task:lock:* and {<prefix>task:lock:*"),
        rule("", "cluster support disabled", InvalidConfig, Keep,
            "the server is no node of a Redis Cluster: write the address as redis://host:port"),
        rule("", "DB index is out of range", InvalidConfig, Drop,
            "the server has no database of that number"),
        rule("", "refused to switch database", InvalidConfig, Drop,
            "the server refused to select the database"),
        rule("MOVED", "-MOVED", Protocol, Keep,
            "the server is a node of a Redis Cluster: write the address as redis+cluster://host:port"),
        rule("ASK", "-ASK", Protocol, Keep,
            "the server is a node of a Redis Cluster: write the address as redis+cluster://host:port"),
        rule("CROSSSLOT", "-CROSSSLOT", Protocol, Keep,
            "the server is a node of a Redis Cluster: write the address as redis+cluster://host:port"),
    ]
};

/// What an error of a connection means.
pub(super) fn classify(error: &RedisError, phase: Phase) -> Fault {
    let fault = |kind, remedy, text, detail: String| Fault {
        kind,
        remedy,
        text,
        detail,
        source: Some(error.clone()),
    };
    if error.kind() == RedisErrorKind::AuthenticationFailed {
        let text = "wrong user or password";
        return fault(ErrorKind::StoreDenied, Remedy::Drop, text, String::new());
    }
    if let Some(rule) = rule_for(error) {
        return fault(rule.kind, rule.remedy, rule.text, error.to_string());
    }
    if let Some(tls) = tls_cause(error) {
        let text = "no TLS connection: give ca_certificate for a private CA, and check that the \
                    certificate names this host and that the port speaks TLS";
        return fault(
            ErrorKind::InvalidConfig,
            Remedy::Drop,
            text,
            tls.to_string(),
        );
    }
    if error.kind() == RedisErrorKind::Io {
        let detail = if error.is_timeout() {
            String::new()
        } else {
            error.to_string()
        };
        let (kind, remedy, text) = match (phase, error.is_timeout()) {
            (Phase::Connect, true) => (
                ErrorKind::StoreUnavailable,
                Remedy::Drop,
                "no connection in time",
            ),
            (Phase::Connect, false) => (ErrorKind::StoreUnavailable, Remedy::Drop, "no connection"),
            (Phase::Request, true) => (
                ErrorKind::StoreAmbiguous,
                Remedy::Suspect,
                "no answer in time: the request may have been executed",
            ),
            (Phase::Request, false) => (
                ErrorKind::StoreAmbiguous,
                Remedy::Drop,
                "the connection broke: the request may have been executed",
            ),
        };
        return fault(kind, remedy, text, detail);
    }
    if phase == Phase::Connect && error.kind() == RedisErrorKind::InvalidClientConfig {
        // The address was read before: it is its host that has no address.
        let text = "no connection";
        let kind = ErrorKind::StoreUnavailable;
        return fault(kind, Remedy::Drop, text, error.to_string());
    }
    // What is left says that we and the server do not speak the same language.
    let remedy = if error.is_unrecoverable_error() {
        Remedy::Drop
    } else {
        Remedy::Keep
    };
    let text = "an answer that the lock's protocol does not know";
    fault(ErrorKind::StoreProtocol, remedy, text, error.to_string())
}

/// What an error of the pool means: no connection could be had.
pub(super) fn classify_pool(error: &PoolError) -> Fault {
    if let PoolError::Backend(error) = error {
        return classify(error, Phase::Connect);
    }
    Fault {
        kind: ErrorKind::StoreUnavailable,
        remedy: Remedy::Drop,
        text: "no connection in time",
        detail: error.to_string(),
        source: None,
    }
}

fn rule_for(error: &RedisError) -> Option<&'static Rule> {
    let code = error.code().unwrap_or_default();
    if let Some(rule) = RULES.iter().find(|r| !r.code.is_empty() && r.code == code) {
        return Some(rule);
    }
    // Texts count only where the code says nothing, so that no other error that happens to quote
    // one of them is mistaken for it.
    if code != "ERR" {
        return None;
    }
    let text = error.to_string();
    RULES.iter().find(|r| text.contains(r.phrase))
}

/// The TLS error behind `error`, if there is one.
fn tls_cause(error: &RedisError) -> Option<&rustls::Error> {
    type Shared = std::sync::Arc<dyn StdError + Send + Sync>;
    let source = error.source()?;
    let io: &std::io::Error = match source.downcast_ref::<Shared>() {
        Some(shared) => shared.downcast_ref()?,
        None => source.downcast_ref()?,
    };
    io.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests;
