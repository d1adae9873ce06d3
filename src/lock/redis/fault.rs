//! What went wrong with the server, and what follows from it: one table.

use std::error::Error as StdError;
use std::fmt;

use deadpool_redis::PoolError;
use deadpool_redis::redis::{ErrorKind as RedisErrorKind, RedisError};

use crate::error::{Error, ErrorKind};

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
        rule("", "DB index is out of range", InvalidConfig, Drop,
            "the server has no database of that number"),
        rule("", "refused to switch database", InvalidConfig, Drop,
            "the server refused to select the database"),
        rule("MOVED", "-MOVED", Protocol, Keep,
            "the server is a node of a Redis Cluster, which this lock cannot use: give it a single \
             server or a primary with replicas"),
        rule("ASK", "-ASK", Protocol, Keep,
            "the server is a node of a Redis Cluster, which this lock cannot use: give it a single \
             server or a primary with replicas"),
        rule("CROSSSLOT", "-CROSSSLOT", Protocol, Keep,
            "the server is a node of a Redis Cluster, which this lock cannot use: give it a single \
             server or a primary with replicas"),
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

/// Waiting for another call's attempt to connect took too long.
pub(super) fn connecting_took_too_long() -> Fault {
    Fault {
        kind: ErrorKind::StoreUnavailable,
        remedy: Remedy::Drop,
        text: "no connection in time",
        detail: String::new(),
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
mod tests {
    use std::io;

    use deadpool_redis::redis::{ServerErrorKind, make_extension_error};
    use deadpool_redis::{PoolError, TimeoutType};

    use super::*;
    use crate::error::ErrorKind::{
        InvalidConfig, StoreAmbiguous as Ambiguous, StoreDenied as Denied,
        StoreProtocol as Protocol, StoreRefused as Refused, StoreUnavailable as Unavailable,
    };
    use Remedy::{Drop, Keep, Suspect};

    /// An error as the server writes it, read as the client reads it.
    fn said(text: &str) -> RedisError {
        use deadpool_redis::redis::{Value, parse_redis_value};
        match parse_redis_value(format!("-{text}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        for (text, kind, remedy) in [
            (
                "READONLY You can't write against a read only replica. script: abc, on @user_script:33.",
                Refused,
                Drop,
            ),
            (
                "ERR Error running script (call to f_abc): @user_script:33: @user_script: 33: -READONLY You can't write against a read only replica.",
                Refused,
                Drop,
            ),
            (
                "NOREPLICAS Not enough good replicas to write. script: abc",
                Refused,
                Keep,
            ),
            (
                "ERR Error running script (call to f_abc): @user_script:33: -NOREPLICAS Not enough good replicas to write.",
                Refused,
                Keep,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
                Refused,
                Keep,
            ),
            (
                "ERR Error running script (call to f_abc): @user_script:33: -MISCONF Errors writing to the AOF file",
                Refused,
                Keep,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Refused,
                Keep,
            ),
            (
                "ERR Error running script (call to f_abc): @user_script:33: -OOM command not allowed when used memory > 'maxmemory'.",
                Refused,
                Keep,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Unavailable,
                Keep,
            ),
            (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Unavailable,
                Keep,
            ),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Unavailable,
                Drop,
            ),
            ("CLUSTERDOWN The cluster is down", Unavailable, Keep),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Unavailable,
                Keep,
            ),
            (
                "NOSCRIPT No matching script. Please use EVAL.",
                Unavailable,
                Keep,
            ),
            ("ERR max number of clients reached", Unavailable, Drop),
            ("NOAUTH Authentication required.", Denied, Drop),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Denied,
                Drop,
            ),
            (
                "DENIED Redis is running in protected mode because protected mode is enabled",
                Denied,
                Drop,
            ),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command",
                Denied,
                Keep,
            ),
            (
                "NOPERM this user has no permissions to access one of the keys used as arguments",
                Denied,
                Keep,
            ),
            (
                "ERR The user executing the script can't run this command or subcommand script: abc",
                Denied,
                Keep,
            ),
            (
                "ERR Error running script (call to f_abc): @user_script:33: The user executing the script can't run this command or subcommand",
                Denied,
                Keep,
            ),
            ("MOVED 11871 10.0.0.1:6379", Protocol, Keep),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Protocol,
                Keep,
            ),
            ("ERR unknown command 'EVALSHA'", Protocol, Keep),
            (
                "ERR Error running script (call to f_abc): @user_script:33: user_script:33: attempt to index a nil value",
                Protocol,
                Keep,
            ),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                Protocol,
                Keep,
            ),
            ("WHATEVER -READONLY is only quoted here", Protocol, Keep),
        ] {
            let fault = classify(&said(text), Phase::Request);
            assert_eq!((fault.kind, fault.remedy), (kind, remedy), "{text}");
        }
    }

    #[test]
    fn what_the_network_does_depends_on_whether_the_request_was_sent() {
        for (error, at_connect, at_request) in [
            (
                io::ErrorKind::TimedOut,
                (Unavailable, Drop),
                (Ambiguous, Suspect),
            ),
            (
                io::ErrorKind::BrokenPipe,
                (Unavailable, Drop),
                (Ambiguous, Drop),
            ),
            (
                io::ErrorKind::ConnectionReset,
                (Unavailable, Drop),
                (Ambiguous, Drop),
            ),
            (
                io::ErrorKind::UnexpectedEof,
                (Unavailable, Drop),
                (Ambiguous, Drop),
            ),
            (
                io::ErrorKind::ConnectionRefused,
                (Unavailable, Drop),
                (Ambiguous, Drop),
            ),
            (
                io::ErrorKind::HostUnreachable,
                (Unavailable, Drop),
                (Ambiguous, Drop),
            ),
        ] {
            let redis = RedisError::from(io::Error::from(error));
            for (phase, expected) in [(Phase::Connect, at_connect), (Phase::Request, at_request)] {
                let fault = classify(&redis, phase);
                assert_eq!((fault.kind, fault.remedy), expected, "{error:?} {phase:?}");
            }
        }
    }

    #[test]
    fn what_goes_wrong_while_connecting_is_told_apart() {
        let select = |detail: &str| {
            let kind = RedisErrorKind::Server(ServerErrorKind::ResponseError);
            let text = "Redis server refused to switch database";
            RedisError::from((kind, text, detail.to_owned()))
        };
        let tls = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer),
        );
        for (error, kind) in [
            (select("DB index is out of range"), InvalidConfig),
            (select("something new"), InvalidConfig),
            (select("Authentication required."), Denied),
            (
                select("this user has no permissions to run the 'select' command"),
                Denied,
            ),
            (
                select("Redis is loading the dataset in memory"),
                Unavailable,
            ),
            (
                RedisError::from((
                    RedisErrorKind::AuthenticationFailed,
                    "Password authentication failed",
                )),
                Denied,
            ),
            (RedisError::from(tls), InvalidConfig),
            (
                RedisError::from((RedisErrorKind::Parse, "not a redis")),
                Protocol,
            ),
            (make_extension_error("STRANGE".to_owned(), None), Protocol),
        ] {
            let fault = classify_pool(&PoolError::Backend(error.clone()));
            assert_eq!(fault.kind, kind, "{error}");
        }
        for error in [
            PoolError::Timeout(TimeoutType::Wait),
            PoolError::Timeout(TimeoutType::Create),
            PoolError::Closed,
        ] {
            assert_eq!(classify_pool(&error).kind, Unavailable, "{error}");
        }
    }

    #[test]
    fn a_refusal_of_a_request_sent_twice_says_nothing_about_the_first() {
        for (text, kind) in [
            ("LOADING Redis is loading the dataset in memory", Ambiguous),
            (
                "READONLY You can't write against a read only replica.",
                Ambiguous,
            ),
            (
                "NOPERM this user has no permissions to run the 'set' command",
                Denied,
            ),
        ] {
            let fault = classify(&said(text), Phase::Request).after_a_lost_request();
            assert_eq!(fault.kind, kind, "{text}");
        }
    }

    #[test]
    fn the_error_says_where_what_and_why() {
        let fault = classify(&said("OOM command not allowed"), Phase::Request);
        let error = fault.error(&"redis at h:1/0");
        assert_eq!(
            error.to_string(),
            "redis at h:1/0: the server's memory is full: raise maxmemory (\"OOM\": command not \
             allowed)"
        );
        assert!(error.source().is_some());
    }
}
