//! Every error that is known, and what it is taken for.

use std::io;

use deadpool_redis::redis::{ServerErrorKind, make_extension_error};
use deadpool_redis::{PoolError, TimeoutType};

use super::*;
use crate::error::ErrorKind::{
    InvalidConfig, StoreAmbiguous as Ambiguous, StoreDenied as Denied, StoreProtocol as Protocol,
    StoreRefused as Refused, StoreUnavailable as Unavailable,
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
