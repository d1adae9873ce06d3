//! Scripts that the server runs, and batches of calls of them.

use std::sync::LazyLock;

use deadpool_redis::redis::{self, Cmd, Pipeline, RedisError, Value};

use crate::defence::{self, Defence};
use crate::error::{Error, ErrorKind};
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

/// One of the lock's scripts.
pub(super) struct Script {
    name: &'static str,
    text: &'static str,
    sha: String,
}

/// What a script is told of one task.
pub(super) struct Request {
    pub(super) lock_key: String,
    pub(super) state_key: String,
    pub(super) args: Vec<String>,
}

/// What a script answered about one task.
#[derive(Debug)]
pub(super) struct Answer {
    /// The server's clock, epoch microseconds.
    pub(super) now_us: i64,
    pub(super) entry: Vec<Value>,
}

impl Script {
    /// The server does nothing else while it runs a script: a call of so many tasks takes it about
    /// a millisecond.
    const TASKS_PER_CALL: usize = 128;

    fn new(name: &'static str, text: &'static str) -> Self {
        let sha = redis::Script::new(text).get_hash().to_owned();
        Self { name, text, sha }
    }

    /// The command that teaches the server the script.
    pub(super) fn load(&self) -> Cmd {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(self.text);
        cmd
    }

    pub(super) fn call(&self, requests: &[Request]) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.sha).arg(requests.len() * 2);
        for request in requests {
            cmd.arg(&request.lock_key).arg(&request.state_key);
        }
        for request in requests {
            cmd.arg(&request.args);
        }
        cmd
    }

    /// Runs the script for all `requests` in one round trip; one answer for each, in their order.
    pub(super) async fn run(
        &self,
        channel: &Channel,
        requests: &[Request],
    ) -> Vec<Result<Answer, Error>> {
        let calls: Vec<&[Request]> = requests.chunks(Self::TASKS_PER_CALL).collect();
        let mut replies = self.send(channel, &calls, Load::No).await;
        // A server that restarted or failed over has forgotten the scripts. The calls that it did
        // not know were not executed, and are sent again as they were.
        let (again, places): (Vec<&[Request]>, Vec<&mut Reply>) = calls
            .iter()
            .zip(&mut replies)
            .filter(|(_, reply)| reply.as_ref().is_err_and(Fault::is_unknown_script))
            .unzip();
        if !again.is_empty() {
            let second = self.send(channel, &again, Load::First).await;
            for (place, reply) in places.into_iter().zip(second) {
                *place = reply;
            }
        }
        let mut answers = Vec::with_capacity(requests.len());
        for (call, reply) in calls.into_iter().zip(replies) {
            self.spread(channel, call, reply, &mut answers);
        }
        answers
    }

    /// Sends the calls in one pipeline; one reply for each.
    async fn send(&self, channel: &Channel, calls: &[&[Request]], load: Load) -> Vec<Reply> {
        let mut pipeline = Pipeline::with_capacity(calls.len() + 1);
        pipeline.ignore_errors();
        if load == Load::First {
            pipeline.add_command(self.load());
        }
        for call in calls {
            pipeline.add_command(self.call(call));
        }
        let all = |fault: Fault| calls.iter().map(|_| Err(fault.clone())).collect();
        let Replies { values, resent } = match channel.send(&pipeline).await {
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
        values
            .map(|value| value.map_err(|e| reply_fault(&e, resent)))
            .collect()
    }

    /// Turns the reply to one call into the answers to its requests.
    fn spread(
        &self,
        channel: &Channel,
        call: &[Request],
        reply: Reply,
        answers: &mut Vec<Result<Answer, Error>>,
    ) {
        match reply.map(entries) {
            Ok(Some((now_us, entries))) if entries.len() == call.len() => {
                let answer = |entry| Ok(Answer { now_us, entry });
                answers.extend(entries.into_iter().map(answer));
            }
            Ok(_) => answers.extend(call.iter().map(|request| Err(self.misunderstood(request)))),
            Err(fault) => answers.extend(call.iter().map(|_| Err(fault.error(channel.address())))),
        }
    }

    /// An answer of another shape than the script gives.
    pub(super) fn misunderstood(&self, request: &Request) -> Error {
        let Self { name, sha, .. } = self;
        let key = &request.lock_key;
        Error::new(
            ErrorKind::StoreProtocol,
            format!(
                "script {name} ({sha}) gave an answer of unknown shape for {key}: is another \
                 program between this one and redis?"
            ),
        )
    }
}

/// The reply to one call.
type Reply = Result<Value, Fault>;

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
