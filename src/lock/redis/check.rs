//! Whether a server can serve the lock.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_redis::redis::{self, Cmd, Pipeline};

use crate::error::{Error, ErrorKind, Result};
use crate::lock::redis::connection::{Channel, Replies};
use crate::lock::redis::diagnose::evicts;
use crate::lock::redis::info::Info;
use crate::lock::redis::keys::Keys;
use crate::lock::redis::reply;
use crate::lock::redis::script::{self, ACQUIRE, RELEASE, RENEW};
use crate::lock::{Claim, Completion, FencingToken, Grant, Token};
use crate::task::TaskName;

/// What a server has to be beside reachable.
#[derive(Debug, Clone, Default)]
pub(super) struct Demands {
    /// It must not throw keys away.
    pub(super) no_eviction: bool,
    /// So many replicas have to have a grant before it counts.
    pub(super) replica_acks: Option<ReplicaAcks>,
}

/// How many replicas have to confirm that they have a grant, and in what time.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplicaAcks {
    pub(super) count: usize,
    pub(super) timeout: Duration,
}

impl ReplicaAcks {
    /// The command that waits for the writes of its own connection.
    pub(super) fn wait(self) -> Cmd {
        let millis = self.timeout.as_millis().max(1); // 0 would be forever
        let mut cmd = redis::cmd("WAIT");
        cmd.arg(self.count)
            .arg(u64::try_from(millis).unwrap_or(u64::MAX));
        cmd
    }

    /// Whether the command's answer is enough.
    pub(super) fn are_met_by(self, replicas: i64) -> bool {
        usize::try_from(replicas).is_ok_and(|n| n >= self.count)
    }

    /// The error in place of a grant that too few replicas have.
    pub(super) fn missed(self, address: &impl fmt::Display) -> Error {
        let Self { count, timeout } = self;
        let text = format!(
            "{address}: not replicated: fewer than {count} replicas confirmed the grant within \
             {timeout:?}, so that a failover may forget it; look at the replicas"
        );
        Error::new(ErrorKind::StoreAmbiguous, text)
    }
}

/// Reaches the server, loads the scripts, tries every command that they use, and takes, renews and
/// releases a lock of its own that ends within a second: only that shows that the server accepts
/// writes and that the user has every right.
pub(super) async fn check(
    channel: &Channel,
    keys: &Keys,
    demands: &Demands,
    probe: &Probe,
) -> Result<()> {
    let Probe { claim, grant } = probe;
    let (lock, state) = (keys.lock(claim.task()), keys.state(claim.task()));
    let on_state = |name: &str| redis::cmd(name).arg(&state).clone();
    let steps = [
        ("SCRIPT LOAD", ACQUIRE.load()),
        ("SCRIPT LOAD", RENEW.load()),
        ("SCRIPT LOAD", RELEASE.load()),
        // One by one first: what a script may not do it does not tell by name.
        ("TIME", redis::cmd("TIME")),
        ("MGET", redis::cmd("MGET").arg(&lock).arg(&state).clone()),
        ("SET", on_state("SET").arg("").arg("PX").arg(1000).clone()),
        ("EXPIRE", on_state("EXPIRE").arg(1).clone()),
        ("PEXPIRE", on_state("PEXPIRE").arg(1000).clone()),
        ("PTTL", on_state("PTTL")),
        ("DEL", on_state("DEL")),
        (
            "EVALSHA to acquire",
            ACQUIRE.call(&[&reply::acquire_request(keys, claim)]),
        ),
        (
            "EVALSHA to renew",
            RENEW.call(&[&reply::renew_request(keys, grant)]),
        ),
        (
            "EVALSHA to release",
            RELEASE.call(&[&reply::release_request(keys, grant, Completion::Abandoned)]),
        ),
    ];
    let mut pipeline = Pipeline::with_capacity(steps.len());
    pipeline.ignore_errors();
    let names = steps.map(|(name, command)| {
        pipeline.add_command(command);
        name
    });

    if demands.replica_acks.is_some() {
        // For none, which is answered at once: replicas come and go.
        pipeline.cmd("WAIT").arg(0).arg(1);
    }
    if demands.no_eviction {
        pipeline.cmd("INFO").arg("memory");
    }

    // Getting a connection includes a PING.
    let address = channel.address();
    let Replies { values, resent } = channel
        .send(&pipeline, None)
        .await
        .map_err(|f| f.error(address))?;
    let mut values = values.into_iter();
    let wait = demands.replica_acks.map(|_| "WAIT");
    for (name, value) in names.iter().chain(&wait).zip(values.by_ref()) {
        if let Err(error) = value {
            let error = script::reply_fault(&error, resent).error(address);
            return Err(error.context(format_args!("{name} failed")));
        }
    }
    if !demands.no_eviction {
        return Ok(());
    }
    let info = match values.next() {
        Some(Ok(info)) => redis::from_redis_value::<String>(info).map_err(|e| {
            let text = format!("{address}: INFO gave an answer of unknown shape");
            Error::new(ErrorKind::StoreProtocol, text).with_source(e)
        })?,
        Some(Err(error)) => {
            let error = script::reply_fault(&error, resent).error(address);
            return Err(error.context("INFO failed, which deny_eviction needs"));
        }
        None => String::new(),
    };
    match Info::new(info).evicts() {
        None => Ok(()),
        Some(policy) => {
            let text = format!("{address}: {}", evicts(policy));
            Err(Error::new(ErrorKind::InvalidConfig, text))
        }
    }
}

/// A claim on a task of nobody's, and the grant that it would get.
pub(super) struct Probe {
    claim: Claim,
    grant: Grant,
}

impl Probe {
    pub(super) fn new() -> Result<Self> {
        let random = || u128::from(RandomState::new().hash_one(0_u8));
        let token = Token::from_bits(random() << 64 | random());
        let task: TaskName = format!("tasklock.check.{}", token.as_str()).parse()?;
        let second = Duration::from_secs(1);
        // The server's clock need not agree with ours for this.
        let always = Duration::from_secs(100 * 365 * 86_400);
        let fire_time = DateTime::<Utc>::UNIX_EPOCH + always / 2;
        let mut claim = Claim::new(task, fire_time, token, "check")
            .with_ttl(second)
            .with_early(always)
            .with_late(always);
        claim.keep = second;
        let grant = Grant::new(&claim, FencingToken::new(0), 1, second);
        Ok(Self { claim, grant })
    }

    pub(super) fn task(&self) -> &TaskName {
        self.claim.task()
    }
}
