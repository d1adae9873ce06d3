//! What goes into the scripts' calls and what comes back, read strictly: `None` for an answer that
//! the protocol does not know.

use std::time::Duration;

use chrono::DateTime;
use deadpool_redis::redis::Value;

use crate::lock::redis::keys::Keys;
use crate::lock::redis::script::Request;
use crate::lock::{
    Acquired, Before, Claim, Completion, FencingToken, Grant, Holder, Released, Renewed, RunStatus,
    Unlocked,
};
use crate::task::TaskName;

/// Numbers that scripts calculate with stay below this: Lua's are exact up to 2⁵³.
const MAX_MS: u128 = 1 << 52;
/// The longest lease, about 30 years.
const MAX_TTL_S: u64 = 1_000_000_000;

pub(super) fn acquire_request(keys: &Keys, claim: &Claim) -> Request {
    let args = vec![
        claim.token.as_str().to_owned(),
        claim.instant_ms().to_string(),
        seconds(claim.ttl),
        millis(claim.early),
        millis(claim.late),
        millis(claim.keep),
        claim.max_attempts.to_string(),
        claim.owner.to_string(),
        claim.delay.map_or_else(|| "-1".to_owned(), millis),
        claim.pause_after.unwrap_or_default().to_string(),
        claim.spec().to_owned(),
        flag(claim.lanes() > 1),
        flag(claim.is_off_schedule()),
    ];
    request(keys, claim.task(), claim.lane, args)
}

pub(super) fn renew_request(keys: &Keys, grant: &Grant) -> Request {
    let mut args = grant_args(grant);
    args.push(flag(grant.lanes > 1));
    args.push(flag(grant.is_off_schedule));
    request(keys, grant.task(), grant.lane, args)
}

fn flag(is_set: bool) -> String {
    u8::from(is_set).to_string()
}

pub(super) fn release_request(keys: &Keys, grant: &Grant, completion: Completion) -> Request {
    let mut args = grant_args(grant);
    args.push(RunStatus::from(completion).letter().to_string());
    args.push(flag(grant.is_off_schedule));
    request(keys, grant.task(), grant.lane, args)
}

pub(super) fn resume_request(keys: &Keys, task: &TaskName) -> Request {
    request(keys, task, 0, Vec::new())
}

pub(super) fn unlock_request(keys: &Keys, task: &TaskName, fence: FencingToken) -> Request {
    request(keys, task, 0, vec![fence.to_string()])
}

pub(super) fn read_request(keys: &Keys, task: &TaskName) -> Request {
    request(keys, task, 0, Vec::new())
}

fn grant_args(grant: &Grant) -> Vec<String> {
    vec![
        grant.token.as_str().to_owned(),
        grant.instant_ms().to_string(),
        seconds(grant.ttl),
        grant.fencing_token().to_string(),
        millis(grant.keep),
        grant.attempt().to_string(),
        grant.owner().to_owned(),
        grant.spec().to_owned(),
    ]
}

fn request(keys: &Keys, task: &TaskName, lane: u32, args: Vec<String>) -> Request {
    Request {
        keys: vec![keys.lane(task, lane), keys.state(task)],
        args,
    }
}

fn seconds(d: Duration) -> String {
    d.as_secs().clamp(1, MAX_TTL_S).to_string()
}

fn millis(d: Duration) -> String {
    d.as_millis().min(MAX_MS).to_string()
}

pub(super) fn acquired(claim: &Claim, entry: &[Value]) -> Option<Acquired> {
    let [code, n1, n2, attempt, status, owner, spec, instant] = entry else {
        return None;
    };
    let (n1, n2) = (int(n1)?, int(n2)?);
    Some(match int(code)? {
        0 | 1 => {
            let fence = FencingToken::new(u64::try_from(n1).ok()?);
            let attempt = u32::try_from(int(attempt)?).ok()?;
            // A lock that never ends by itself, because somebody made it so: the lease is ours for
            // as long as we asked.
            let remaining = lasting(n2)?.unwrap_or(claim.ttl);
            let before = match int(instant)? {
                0 => None,
                ms => Some(Before {
                    fire_time: DateTime::from_timestamp_millis(ms)?,
                    spec: text(spec)?,
                }),
            };
            let grant = Grant::new(claim, fence, attempt, remaining);
            Acquired::Granted(grant.with_before(before))
        }
        2 => Acquired::AlreadyFired {
            owner: text(owner)?,
            status: RunStatus::from_letter(&text(status)?)?,
            attempt: u32::try_from(int(attempt)?).ok()?,
            spec: text(spec)?,
        },
        3 => Acquired::Superseded {
            last: DateTime::from_timestamp_millis(n1)?,
        },
        4 => {
            let is_known = !text(status)?.is_empty();
            let owner = text(owner)?;
            Acquired::Held(Holder {
                owner: is_known.then_some(owner),
                remaining: lasting(n2)?,
            })
        }
        5 => Acquired::TooEarly {
            wait: Duration::from_millis(u64::try_from(n1).ok()?),
        },
        6 => Acquired::Burned,
        7 => Acquired::TooLate {
            lateness: Duration::from_millis(u64::try_from(n1).ok()?),
        },
        8 => Acquired::FinishEarlier {
            fire_time: DateTime::from_timestamp_millis(n1)?,
        },
        9 => Acquired::Delayed {
            fire_time: DateTime::from_timestamp_millis(n1)?,
            wait: Duration::from_millis(u64::try_from(n2).ok()?),
        },
        10 => Acquired::Paused {
            failures: u32::try_from(n1).ok()?,
        },
        _ => return None,
    })
}

pub(super) fn renewed(entry: &[Value]) -> Option<Renewed> {
    let [code, known, owner] = entry else {
        return None;
    };
    let owner = known_owner(known, owner)?;
    Some(match int(code)? {
        0 => Renewed::Extended,
        1 => Renewed::Reasserted,
        2 => Renewed::Lost { owner },
        _ => return None,
    })
}

pub(super) fn released(entry: &[Value]) -> Option<Released> {
    let [code, known, owner] = entry else {
        return None;
    };
    let owner = known_owner(known, owner)?;
    Some(match int(code)? {
        0 => Released::Freed,
        1 => Released::WasGone,
        2 => Released::NotOwner { owner },
        _ => return None,
    })
}

pub(super) fn unlocked(entry: &[Value]) -> Option<Unlocked> {
    let [code, fence] = entry else {
        return None;
    };
    Some(match (int(code)?, int(fence)?) {
        (0, _) => Unlocked::Freed,
        (1, _) => Unlocked::NotLocked,
        (2, 0) => Unlocked::Other { current: None },
        (2, fence) => Unlocked::Other {
            current: Some(FencingToken::new(u64::try_from(fence).ok()?)),
        },
        _ => return None,
    })
}

pub(super) fn lease(entry: &[Value]) -> Option<Option<Duration>> {
    let [ms] = entry else {
        return None;
    };
    let ms = u64::try_from(int(ms)?).ok();
    Some(ms.map(Duration::from_millis))
}

fn known_owner(known: &Value, owner: &Value) -> Option<Option<String>> {
    let owner = text(owner)?;
    match int(known)? {
        0 => Some(None),
        1 => Some(Some(owner)),
        _ => None,
    }
}

/// What `PTTL` says: -1 for a key that never ends by itself. A key that is absent (-2) would not
/// have been asked about.
fn lasting(ms: i64) -> Option<Option<Duration>> {
    match ms {
        -1 => Some(None),
        _ => Some(Some(Duration::from_millis(u64::try_from(ms).ok()?))),
    }
}

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(*n),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        // An owner's label may have been written by anybody.
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Token;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry(code: i64, n1: i64, n2: i64, attempt: i64, status: &str, owner: &str) -> Vec<Value> {
        let numbers = [code, n1, n2, attempt].map(Value::Int);
        let mut entry = numbers.to_vec();
        entry.extend([bulk(status), bulk(owner), bulk(""), Value::Int(0)]);
        entry
    }

    fn claim() -> Claim {
        let task = "a".parse().unwrap();
        let fire_time = DateTime::from_timestamp_millis(1_000).unwrap();
        Claim::new(task, fire_time, Token::from_bits(1), "me")
    }

    #[test]
    fn answers_of_the_script_are_read() {
        let claim = claim();
        let held = |owner: Option<&str>, ms: Option<u64>| {
            Acquired::Held(Holder {
                owner: owner.map(str::to_owned),
                remaining: ms.map(Duration::from_millis),
            })
        };
        let grant = |ms| {
            let fence = FencingToken::new(7);
            Acquired::Granted(Grant::new(&claim, fence, 2, Duration::from_millis(ms)))
        };
        for (entry, expected) in [
            (entry(0, 7, 30_000, 2, "R", "me"), grant(30_000)),
            (entry(1, 7, 12, 2, "R", "me"), grant(12)),
            (entry(1, 7, -1, 2, "R", "me"), grant(30_000)),
            (entry(4, 0, 5, 1, "R", "b"), held(Some("b"), Some(5))),
            (entry(4, 0, 5, 1, "R", ""), held(Some(""), Some(5))),
            (entry(4, 0, -1, 0, "", ""), held(None, None)),
            (entry(6, 0, 0, 0, "S", "me"), Acquired::Burned),
        ] {
            assert_eq!(acquired(&claim, &entry), Some(expected), "{entry:?}");
        }
    }

    #[test]
    fn answers_of_another_shape_are_refused() {
        let claim = claim();
        for bad in [
            vec![],
            vec![Value::Int(0)],
            entry(0, 7, 1, 1, "R", "me")[..5].to_vec(),
            vec![Value::Nil; 8],
            entry(11, 0, 0, 0, "", ""),
            entry(9, 7, -1, 0, "", ""),
            entry(-1, 0, 0, 0, "", ""),
            entry(0, -7, 1, 1, "R", "me"),
            entry(0, 7, -2, 1, "R", "me"),
            entry(0, 7, 1, -1, "R", "me"),
            entry(2, 0, 0, 0, "X", "me"),
            entry(2, 0, 0, 0, "", "me"),
            entry(3, i64::MAX, 0, 0, "S", "me"),
            entry(5, -1, 0, 0, "", ""),
        ] {
            assert_eq!(acquired(&claim, &bad), None, "{bad:?}");
        }
        for bad in [
            vec![],
            vec![Value::Int(3), Value::Int(0), bulk("")],
            vec![Value::Int(0), Value::Int(2), bulk("")],
            vec![Value::Int(0), Value::Int(0), Value::Nil],
        ] {
            assert_eq!(renewed(&bad), None, "{bad:?}");
            assert_eq!(released(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn no_number_is_too_large_for_the_scripts() {
        let mut claim = claim().with_ttl(Duration::MAX - Duration::from_secs(1));
        claim.late = Duration::MAX;
        claim.keep = Duration::MAX;
        let keys = Keys::new(String::new()).unwrap();
        let args = acquire_request(&keys, &claim).args;
        assert_eq!(args[2], "1000000000");
        assert_eq!(args[4..6], ["4503599627370496", "4503599627370496"]);
    }
}
