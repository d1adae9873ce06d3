//! Runs beside the schedule: the lease is taken, the record of instants stays.
//!
//! The state goes on telling of the last scheduled run; only its fencing token grows, so that a run
//! that somebody asked for has one of its own, larger than all before it and smaller than all after.

use crate::lock::state::State;
use crate::lock::stored::{Stored, millis};
use crate::lock::{Acquired, Claim, FencingToken, Grant, Holder, Released, Renewed, RunStatus};

pub(super) fn acquire(
    mut new: Stored,
    state: Option<State>,
    claim: &Claim,
    now_us: i64,
) -> (Stored, Acquired) {
    let now_ms = now_us / 1000;
    let is_repeat = new.is_locked_by(claim.token.as_str());
    if new.lock.is_some() && !is_repeat {
        let remaining = new.remaining(state.as_ref(), now_ms);
        let owner = state
            .filter(|s| new.is_locked_by(&s.token))
            .map(|s| s.owner);
        return (new, Acquired::Held(Holder { owner, remaining }));
    }
    if let (Some(most), Some(s)) = (claim.pause_after, &state)
        && s.fails >= most
        && !is_repeat
    {
        return (new, Acquired::Paused { failures: s.fails });
    }
    let fence = state.as_ref().map_or(0, |s| s.fence + 1);
    let fence = fence.max(now_us.unsigned_abs());
    let before = state.as_ref().and_then(super::before);
    let remaining = match is_repeat {
        true => new.remaining(state.as_ref(), now_ms).unwrap_or(claim.ttl),
        false => {
            new.set_lock(claim.token.as_str(), claim.ttl, now_ms);
            claim.ttl
        }
    };
    let grant = Grant::new(claim, FencingToken::new(fence), 1, remaining).with_before(before);
    match state {
        None => new.set_state(&unmarked(&grant), claim.keep, now_ms),
        Some(mut s) => {
            if s.status == RunStatus::Running && claim.lanes() == 1 && !is_repeat {
                // Its lease is over, and so it is: it must not get it back from under this run.
                s.status = RunStatus::Cancelled;
                s.ended = now_ms;
            }
            s.fence = fence + 1;
            keep(&mut new, &s);
        }
    }
    (new, Acquired::Granted(grant))
}

pub(super) fn renew(
    mut new: Stored,
    state: Option<State>,
    grant: &Grant,
    now_ms: i64,
) -> (Stored, Renewed) {
    let token = grant.token.as_str();
    let answer = if new.is_locked_by(token) {
        Renewed::Extended
    } else if new.lock.is_none() && new.state.is_none() {
        Renewed::Reasserted
    } else {
        let owner = state.filter(|s| s.token != token).map(|s| s.owner);
        return (new, Renewed::Lost { owner });
    };
    new.set_lock(token, grant.ttl, now_ms);
    if new.state.is_none() {
        new.set_state(&unmarked(grant), grant.keep, now_ms);
    }
    (new, answer)
}

pub(super) fn release(mut new: Stored, state: Option<State>, token: &str) -> (Stored, Released) {
    if new.is_locked_by(token) {
        new.lock = None;
        return (new, Released::Freed);
    }
    if new.lock.is_none() {
        return (new, Released::WasGone);
    }
    let owner = state
        .filter(|s| new.is_locked_by(&s.token))
        .map(|s| s.owner);
    (new, Released::NotOwner { owner })
}

/// A state that knows of no instant, only of the fencing token, and of nothing to be made up for.
fn unmarked(grant: &Grant) -> State {
    State {
        prev: 0,
        inst: 0,
        fence: grant.fencing_token.get() + 1,
        status: RunStatus::Succeeded,
        attempt: 0,
        ttl_ms: millis(grant.ttl).unsigned_abs(),
        ended: 0,
        fails: 0,
        spec: grant.spec.to_string(),
        token: grant.token.as_str().to_owned(),
        owner: grant.owner.to_string(),
    }
}

/// Writes the state, for as long as it was to be kept.
pub(super) fn keep(new: &mut Stored, state: &State) {
    if let Some(record) = &mut new.state {
        record.text = state.to_string();
    }
}
