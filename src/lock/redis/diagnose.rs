//! What is wrong with a server: its own words, judged.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_redis::redis::{self, Pipeline, RedisResult, Value};

use crate::error::{ErrorKind, Result};
use crate::lock::redis::check;
use crate::lock::redis::connection::Channel;
use crate::lock::redis::info::Info;
use crate::lock::redis::keys::Keys;
use crate::lock::{ClockOffset, Diagnosis, Severity};
use crate::time::Clock;

/// Clocks that are further apart than this are worth a word.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(500);

/// What a server told of itself; `None` for what the user may not ask.
#[derive(Debug, Default)]
struct Facts {
    server: Option<Info>,
    memory: Option<Info>,
    persistence: Option<Info>,
    replication: Option<Info>,
    /// `CONFIG GET save`: when snapshots are made, empty for never.
    save: Option<String>,
    /// `CONFIG GET min-replicas-to-write`.
    min_replicas: Option<u64>,
    clock: Option<ClockOffset>,
}

/// Asks the server about itself, tries all that the lock will do, and judges.
pub(super) async fn diagnose(
    channel: &Channel,
    keys: &Keys,
    demands: &check::Demands,
    probe: &check::Probe,
    clock: &dyn Clock,
    diagnosis: &mut Diagnosis,
) -> Result<()> {
    let mut pipeline = Pipeline::new();
    pipeline.ignore_errors();
    for section in ["server", "memory", "persistence", "replication"] {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline.cmd("CONFIG").arg("GET").arg("save");
    pipeline
        .cmd("CONFIG")
        .arg("GET")
        .arg("min-replicas-to-write");
    let address = channel.address();
    let replies = channel.send(&pipeline, None).await;
    let mut replies = match replies {
        Ok(replies) => replies.values.into_iter(),
        Err(fault) if matches!(fault.kind, ErrorKind::StoreRefused | ErrorKind::StoreDenied) => {
            let subject = match fault.kind {
                ErrorKind::StoreDenied => "rights",
                _ => "role",
            };
            diagnosis.add(Severity::Error, subject, fault.error(address).to_string());
            return Ok(());
        }
        Err(fault) => return Err(fault.error(address)),
    };
    let mut info = || text(replies.next()).map(Info::new);
    let mut facts = Facts {
        server: info(),
        memory: info(),
        persistence: info(),
        replication: info(),
        ..Facts::default()
    };
    facts.save = setting(replies.next());
    facts.min_replicas = setting(replies.next()).and_then(|n| n.parse().ok());

    // Alone, so that little but the way there and back is in the measurement.
    let mut pipeline = Pipeline::new();
    pipeline.ignore_errors().cmd("TIME");
    let (sent, began) = (clock.now(), clock.monotonic());
    let replies = channel.send(&pipeline, None).await;
    let took = clock.monotonic().saturating_sub(began);
    let reply = replies
        .map_err(|f| f.error(address))?
        .values
        .into_iter()
        .next();
    facts.clock = time(reply).map(|store| ClockOffset::new(store, sent, took));

    facts.judge(demands, diagnosis);
    let demands = check::Demands {
        // A policy that is known has been judged.
        no_eviction: demands.no_eviction && facts.memory.is_none(),
        ..demands.clone()
    };
    match check::check(channel, keys, &demands, probe).await {
        Ok(()) => diagnosis.add(Severity::Ok, "rights", "all that the lock does is allowed"),
        Err(error) if error.kind() == ErrorKind::StoreUnavailable => return Err(error),
        Err(error) if error.kind() == ErrorKind::StoreAmbiguous => return Err(error),
        Err(error) => diagnosis.add(Severity::Error, "rights", error.to_string()),
    }
    Ok(())
}

fn text(reply: Option<RedisResult<Value>>) -> Option<String> {
    redis::from_redis_value(reply?.ok()?).ok()
}

/// The value in the answer to `CONFIG GET` of one setting.
fn setting(reply: Option<RedisResult<Value>>) -> Option<String> {
    let pair: Vec<String> = redis::from_redis_value(reply?.ok()?).ok()?;
    pair.into_iter().nth(1)
}

fn time(reply: Option<RedisResult<Value>>) -> Option<DateTime<Utc>> {
    let (s, us): (i64, u32) = redis::from_redis_value(reply?.ok()?).ok()?;
    DateTime::from_timestamp(s, us.checked_mul(1000)?)
}

impl Facts {
    fn judge(&self, demands: &check::Demands, diagnosis: &mut Diagnosis) {
        if self.server.is_none() || self.memory.is_none() || self.replication.is_none() {
            diagnosis.add(
                Severity::Warning,
                "info",
                "the user may not ask INFO, so that version, role, eviction and persistence are \
                 unknown and a failover is noticed late: give it +info",
            );
        }
        if let Some(info) = &self.server {
            version(info, diagnosis);
        }
        if let Some(info) = &self.replication {
            self.role(info, demands, diagnosis);
        }
        if let Some(info) = &self.memory {
            eviction(info, demands, diagnosis);
        }
        if let Some(info) = &self.persistence {
            self.persistence(info, diagnosis);
        }
        if let Some(offset) = self.clock {
            clock(offset, diagnosis);
        }
    }

    fn role(&self, info: &Info, demands: &check::Demands, diagnosis: &mut Diagnosis) {
        if info.get("role") != Some("master") {
            let text = "the server is a replica: point the address at the primary";
            return diagnosis.add(Severity::Error, "role", text);
        }
        diagnosis.add(Severity::Ok, "role", "primary");
        let replicas = info.number("connected_slaves").unwrap_or(0);
        // The field is there whenever the server insists on replicas.
        let insists = info.get("min_slaves_good_slaves").is_some()
            || self.min_replicas.is_some_and(|n| n > 0)
            || demands.replica_acks.is_some();
        if replicas > 0 && !insists {
            diagnosis.add(
                Severity::Warning,
                "replicas",
                format!(
                    "{replicas} connected, and none has to have a write before it counts: a failover \
                     may forget the last grants; set min-replicas-to-write or replica_acks"
                ),
            );
        } else {
            diagnosis.add(Severity::Ok, "replicas", format!("{replicas} connected"));
        }
    }

    fn persistence(&self, info: &Info, diagnosis: &mut Diagnosis) {
        let mut add = |severity, text: &str| diagnosis.add(severity, "persistence", text);
        if info.get("aof_enabled") == Some("1") {
            return add(Severity::Ok, "append-only file");
        }
        match self.save.as_deref() {
            Some("") => add(
                Severity::Warning,
                "neither append-only file nor snapshots: a restart forgets which instants were \
                 taken; set appendonly yes",
            ),
            Some(_) => add(
                Severity::Ok,
                "snapshots: a crash forgets what was taken since the last",
            ),
            None => add(
                Severity::Ok,
                "no append-only file; whether snapshots are made cannot be asked",
            ),
        }
    }
}

fn version(info: &Info, diagnosis: &mut Diagnosis) {
    let Some(version) = info.get("redis_version") else {
        return;
    };
    let name = match info.get("valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if number >= (6, 2) {
        diagnosis.add(Severity::Ok, "version", name);
    } else {
        let text = format!("{name} is older than 6.2, the first that the lock was made for");
        diagnosis.add(Severity::Error, "version", text);
    }
}

fn eviction(info: &Info, demands: &check::Demands, diagnosis: &mut Diagnosis) {
    let Some(policy) = info.evicts() else {
        let text = match info.get("maxmemory_policy") {
            Some("noeviction") | None => "none".to_owned(),
            Some(policy) => format!("none: maxmemory-policy is {policy}, without a maxmemory"),
        };
        return diagnosis.add(Severity::Ok, "eviction", text);
    };
    let severity = if demands.no_eviction {
        Severity::Error
    } else {
        Severity::Warning
    };
    diagnosis.add(severity, "eviction", evicts(policy).to_string());
}

/// What to say to whoever runs a server that throws keys away.
pub(super) fn evicts(policy: &str) -> impl fmt::Display {
    format!(
        "this redis evicts keys when its memory is full ({policy}), locks and the record of fired \
         instants included: set maxmemory-policy to noeviction"
    )
}

fn clock(offset: ClockOffset, diagnosis: &mut Diagnosis) {
    let seconds = offset.seconds();
    if offset.at_least() > CLOCK_TOLERANCE {
        let text = format!(
            "the server's clock is {seconds:+.3} s from this machine's: let both follow one source \
             of time"
        );
        diagnosis.add(Severity::Warning, "clock", text);
    } else {
        let text = format!("{seconds:+.3} s from this machine's");
        diagnosis.add(Severity::Ok, "clock", text);
    }
}

#[cfg(test)]
mod tests;
