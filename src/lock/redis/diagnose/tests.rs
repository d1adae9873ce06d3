//! What is made of what servers say.

use super::*;
use crate::lock::redis::check::{Demands, ReplicaAcks};

fn info(text: &str) -> Option<Info> {
    Some(Info::new(text.replace(' ', "\r\n")))
}

/// A server of which nothing bad can be said.
fn good() -> Facts {
    Facts {
        server: info("redis_version:7.0.15 run_id:abc"),
        memory: info("maxmemory:0 maxmemory_policy:noeviction"),
        persistence: info("aof_enabled:1"),
        replication: info("role:master connected_slaves:0"),
        save: Some(String::new()),
        min_replicas: Some(0),
        clock: None,
    }
}

fn judged(facts: &Facts, demands: &Demands) -> Vec<(Severity, String, String)> {
    let mut diagnosis = Diagnosis::new("here");
    facts.judge(demands, &mut diagnosis);
    let findings = diagnosis.findings().iter();
    let bad = findings.filter(|f| f.severity != Severity::Ok);
    bad.map(|f| (f.severity, f.subject.clone(), f.text.clone()))
        .collect()
}

#[track_caller]
fn finds(facts: Facts, severity: Severity, subject: &str, part: &str) {
    let found = judged(&facts, &Demands::default());
    let [(s, sub, text)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((*s, sub.as_str()), (severity, subject));
    assert!(text.contains(part), "{text}");
}

#[test]
fn of_a_good_server_nothing_bad_is_said() {
    assert_eq!(judged(&good(), &Demands::default()), []);
    for version in [
        "redis_version:6.2.0",
        "redis_version:7.2.4 valkey_version:8.0.1",
    ] {
        let server = info(version);
        assert_eq!(judged(&Facts { server, ..good() }, &Demands::default()), []);
    }
}

#[test]
fn each_flaw_is_found() {
    use Severity::{Error, Warning};
    for version in [
        "redis_version:6.0.16",
        "redis_version:5.0",
        "redis_version:x",
    ] {
        let server = info(version);
        finds(Facts { server, ..good() }, Error, "version", "6.2");
    }
    let replication = info("role:slave connected_slaves:0");
    finds(
        Facts {
            replication,
            ..good()
        },
        Error,
        "role",
        "primary",
    );
    let memory = info("maxmemory:9 maxmemory_policy:allkeys-lru");
    finds(
        Facts { memory, ..good() },
        Warning,
        "eviction",
        "allkeys-lru",
    );
    let persistence = info("aof_enabled:0");
    finds(
        Facts {
            persistence,
            ..good()
        },
        Warning,
        "persistence",
        "appendonly",
    );
    let replication = info("role:master connected_slaves:2");
    finds(
        Facts {
            replication,
            ..good()
        },
        Warning,
        "replicas",
        "2 connected",
    );
    let server = None;
    finds(Facts { server, ..good() }, Warning, "info", "+info");
    let sent = DateTime::UNIX_EPOCH;
    let store = sent - chrono::TimeDelta::seconds(2);
    let clock = Some(ClockOffset::new(store, sent, Duration::ZERO));
    finds(Facts { clock, ..good() }, Warning, "clock", "-2.000 s");
}

#[test]
fn what_is_taken_care_of_is_no_flaw() {
    let snapshots = Facts {
        persistence: info("aof_enabled:0"),
        save: Some("3600 1".to_owned()),
        ..good()
    };
    assert_eq!(judged(&snapshots, &Demands::default()), []);
    let unknown = Facts {
        save: None,
        ..snapshots
    };
    assert_eq!(judged(&unknown, &Demands::default()), []);
    let replicated = || Facts {
        replication: info("role:master connected_slaves:2"),
        ..good()
    };
    let insists = Facts {
        min_replicas: Some(1),
        ..replicated()
    };
    assert_eq!(judged(&insists, &Demands::default()), []);
    let acks = Demands {
        replica_acks: Some(ReplicaAcks {
            count: 1,
            timeout: Duration::from_millis(50),
        }),
        ..Demands::default()
    };
    assert_eq!(judged(&replicated(), &acks), []);
}

#[test]
fn eviction_that_was_denied_is_an_error() {
    let facts = Facts {
        memory: info("maxmemory:9 maxmemory_policy:volatile-ttl"),
        ..good()
    };
    let demands = Demands {
        no_eviction: true,
        ..Demands::default()
    };
    let found = judged(&facts, &demands);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Severity::Error);
}
