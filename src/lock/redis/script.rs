//! Scripts that the server runs, and batches of calls of them.

use std::fmt;
use std::sync::LazyLock;

use deadpool_redis::redis::{self, Cmd, Pipeline, RedisError, Value};

use crate::defence::{self, Defence};
use crate::error::{Error, ErrorKind};
use crate::lock::redis::check::ReplicaAcks;
use crate::lock::redis::connection::{Channel, Replies};
use crate::lock::redis::fault::{self, Fault, Phase};

pub(super) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    let text = include_str!("acquire.lua");
    let text = without(
        Defence::Marker,
        text,
        "local v = ",
        "redis.call('DEL', sk) local v = ",
    );
    let fence = "math.max((tonumber(f) or 0) + 1, us)";
    let text = without(
        Defence::FenceFromClock,
        text,
        fence,
        "(tonumber(f) or 0) + 1",
    );
    Script::new("acquire", text)
});
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    let text = include_str!("renew.lua");
    let text = without(
        Defence::RunningOnly,
        text,
        "lt == tok and st == 'R'",
        "lt == tok",
    );
    Script::new("renew", text)
});
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    let text = include_str!("release.lua");
    let owner = "  if v[1] == tok then\n";
    let text = without(Defence::OwnerCheck, text, owner, "  if v[1] then\n");
    Script::new("release", text)
});

/// A script in which a defence, if it does not hold, is replaced.
fn without(defence: Defence, text: &'static str, part: &str, instead: &str) -> &'static str {
    match defence::holds(defence) {
        true => text,
        false => text.replacen(part, instead, 1).leak(),
    }
}

pub(super) static RESUME: LazyLock<Script> =
    LazyLock::new(|| Script::new("resume", include_str!("resume.lua")));

pub(super) static UNLOCK: LazyLock<Script> =
    LazyLock::new(|| Script::new("unlock", include_str!("unlock.lua")));

pub(super) static LEASES: LazyLock<Script> =
    LazyLock::new(|| Script::new("leases", include_str!("leases.lua")));

/// No script: reads the states as they are. Sent where and as scripts are.
pub(super) static READ: LazyLock<Script> = LazyLock::new(|| Script::new("read", ""));

/// One of the lock's scripts.
pub(crate) struct Script {
    name: &'static str,
    text: &'static str,
    sha: String,
}

/// What a script is told of one task, or of one thing that a fleet shares.
pub(super) struct Request {
    /// Of one slot; a task's are those of its lock and its state.
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<String>,
}

impl Request {
    /// The key that decides the slot.
    pub(super) fn first_key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }
}

/// What a script answered about one task.
#[derive(Debug)]
pub(super) struct Answer {
    /// The server's clock, epoch microseconds.
    pub(super) now_us: i64,
    /// Whether as many replicas have it as was asked for.
    pub(super) is_replicated: bool,
    pub(super) entry: Vec<Value>,
}

/// One call of a script: what it is told of its tasks.
pub(super) type Call<'a> = Vec<&'a Request>;

/// The reply to one call.
pub(super) type Reply = Result<Said, Fault>;

/// What a server said to one call.
pub(super) struct Said {
    pub(super) value: Value,
    is_replicated: bool,
}

/// How calls are sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    /// Wait for so many replicas behind the calls.
    pub(super) acks: Option<ReplicaAcks>,
    /// The node serves the slot only for those who ask.
    pub(super) is_asking: bool,
    /// Not any more once the store has changed more often than this.
    pub(super) expected: Option<u64>,
}

impl Script {
    /// The server does nothing else while it runs a script: a call that claims so many tasks takes it
    /// about one and a half milliseconds.
    pub(super) const TASKS_PER_CALL: usize = 64;

    pub(crate) fn new(name: &'static str, text: &'static str) -> Self {
        let sha = redis::Script::new(text).get_hash().to_owned();
        Self { name, text, sha }
    }

    /// What it is called when it is spoken of.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The command that teaches the server the script.
    pub(super) fn load(&self) -> Cmd {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(self.text);
        cmd
    }

    pub(super) fn call(&self, requests: &[&Request]) -> Cmd {
        if self.text.is_empty() {
            let mut cmd = redis::cmd("MGET");
            for request in requests {
                cmd.arg(request.keys.last());
            }
            return cmd;
        }
        let mut cmd = redis::cmd("EVALSHA");
        let keys: usize = requests.iter().map(|request| request.keys.len()).sum();
        cmd.arg(&self.sha).arg(keys);
        for request in requests {
            cmd.arg(&request.keys);
        }
        for request in requests {
            cmd.arg(&request.args);
        }
        cmd
    }

    /// Makes all calls in one round trip; one reply for each, in their order.
    pub(super) async fn run(
        &self,
        channel: &Channel,
        calls: &[&Call<'_>],
        manner: Manner,
    ) -> Vec<Reply> {
        // A server serves nobody on a connection that waits for replicas: the next would wait
        // there, with its time running.
        let _turn = match manner.acks {
            Some(_) => Some(channel.turn().await),
            None => None,
        };
        let mut replies = self.send(channel, calls, Load::No, manner).await;
        // A server that restarted or failed over has forgotten the scripts. The calls that it did
        // not know were not executed, and are sent again as they were.
        let (again, places): (Vec<&Call<'_>>, Vec<&mut Reply>) = calls
            .iter()
            .zip(&mut replies)
            .filter(|(_, reply)| reply.as_ref().is_err_and(Fault::is_unknown_script))
            .unzip();
        if !again.is_empty() {
            let second = self.send(channel, &again, Load::First, manner).await;
            for (place, reply) in places.into_iter().zip(second) {
                *place = reply;
            }
        }
        replies
    }

    /// Sends the calls in one pipeline; one reply for each.
    async fn send(
        &self,
        channel: &Channel,
        calls: &[&Call<'_>],
        load: Load,
        manner: Manner,
    ) -> Vec<Reply> {
        let mut pipeline = Pipeline::with_capacity(calls.len() + 2);
        pipeline.ignore_errors();
        if load == Load::First {
            pipeline.add_command(self.load());
        }
        for call in calls {
            if manner.is_asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(self.call(call));
        }
        if let Some(acks) = manner.acks {
            // On the same connection as the writes, and sent again with them: it waits for what
            // this connection has written.
            pipeline.add_command(acks.wait());
        }
        let all = |fault: Fault| calls.iter().map(|_| Err(fault.clone())).collect();
        let Replies { values, resent } = match channel.send(&pipeline, manner.expected).await {
            Ok(replies) => replies,
            Err(fault) => return all(fault),
        };
        let mut values = values.into_iter();
        if load == Load::First
            && let Some(Err(error)) = values.next()
        {
            // Why it could not be taught says more than that it does not know.
            return all(reply_fault(&error, resent));
        }
        // Only the last of the answers for each call is to the call.
        let each = if manner.is_asking { 2 } else { 1 };
        let said = values.by_ref().take(calls.len() * each);
        let said: Vec<_> = said.skip(each - 1).step_by(each).collect();
        let is_replicated = match (manner.acks, values.next()) {
            (None, _) => true,
            (Some(acks), Some(Ok(Value::Int(n)))) => acks.are_met_by(n),
            (Some(_), Some(Err(error))) => return all(reply_fault(&error, resent)),
            (Some(_), _) => false,
        };
        let say = |value| Said {
            value,
            is_replicated,
        };
        said.into_iter()
            .map(|value| value.map(say).map_err(|e| reply_fault(&e, resent)))
            .collect()
    }

    /// Turns the reply to one call into the answers to its requests, in their order.
    pub(super) fn spread(
        &self,
        address: &impl fmt::Display,
        call: &Call<'_>,
        reply: Reply,
    ) -> Vec<Result<Answer, Error>> {
        let read = |said: Said| Some((entries(said.value)?, said.is_replicated));
        match reply.map(read) {
            Ok(Some(((now_us, entries), is_replicated))) if entries.len() == call.len() => {
                let answer = |entry| Answer {
                    now_us,
                    is_replicated,
                    entry,
                };
                entries.into_iter().map(answer).map(Ok).collect()
            }
            Ok(_) => call.iter().map(|r| Err(self.misunderstood(r))).collect(),
            Err(fault) => call.iter().map(|_| Err(fault.error(address))).collect(),
        }
    }

    /// An answer of another shape than the script gives.
    pub(super) fn misunderstood(&self, request: &Request) -> Error {
        let Self { name, sha, .. } = self;
        let key = request.first_key();
        Error::new(
            ErrorKind::StoreProtocol,
            format!(
                "script {name} ({sha}) gave an answer of unknown shape for {key}: is another \
                 program between this one and redis?"
            ),
        )
    }
}

/// Whether the server is taught the script before the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    No,
    First,
}

/// What an error in the place of one reply means, of a pipeline that may have been sent twice.
pub(super) fn reply_fault(error: &RedisError, resent: bool) -> Fault {
    let fault = fault::classify(error, Phase::Request);
    if resent {
        fault.after_a_lost_request()
    } else {
        fault
    }
}

/// The server's clock, and what the script says of each task.
fn entries(reply: Value) -> Option<(i64, Vec<Vec<Value>>)> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let [Value::Int(now_us), Value::Array(entries)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let entry = |value| match value {
        Value::Array(entry) => Some(entry),
        _ => None,
    };
    Some((
        now_us,
        entries.into_iter().map(entry).collect::<Option<_>>()?,
    ))
}
