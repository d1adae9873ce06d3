//! What a lock does, as one pure function: (stored records, request, now) → (new records, reply).
//!
//! [`MemoryLock`](crate::MemoryLock) and [`FileLock`](crate::FileLock) run it, and random
//! sequences of requests compare it with the Lua scripts of `RedisLock` on a real server, so that
//! all locks keep one protocol. The rules, and why each is there, are in `docs/lock-protocol.md`.

mod off_schedule;
mod unlock;

use std::time::Duration;

use chrono::DateTime;

use crate::lock::state::State;
use crate::lock::stored::millis;
pub(crate) use crate::lock::stored::{Record, Stored};
use crate::lock::{
    Acquired, Before, Claim, Completion, FencingToken, Grant, Holder, Released, Renewed, RunStatus,
};
pub(crate) use unlock::unlock;

/// Handles a claim. `now_us` is the store's clock in epoch microseconds.
pub(crate) fn acquire(stored: Stored, claim: &Claim, now_us: i64) -> (Stored, Acquired) {
    stored.on_lane(claim.lane, |stored| acquire_on_lane(stored, claim, now_us))
}

fn acquire_on_lane(stored: Stored, claim: &Claim, now_us: i64) -> (Stored, Acquired) {
    let now_ms = now_us / 1000;
    let mut new = stored.at(now_ms);
    let mut state = new.parsed_state();
    let inst = claim.instant_ms();
    let last = state.as_ref().map_or(0, State::last);
    let mut taking_over = false;
    if claim.is_off_schedule {
        return off_schedule::acquire(new, state, claim, now_us);
    }

    if let Some(s) = state
        .as_ref()
        .filter(|s| s.token == claim.token.as_str() && s.inst == inst)
    {
        // A repeat of a claim that had been granted: its first answer was lost.
        let granted = |remaining| {
            let fence = FencingToken::new(s.fence);
            let grant = Grant::new(claim, fence, s.attempt, remaining);
            Acquired::Granted(grant.with_before(before(s)))
        };
        if new.is_locked_by(&s.token) {
            let remaining = new.remaining(state.as_ref(), now_ms).unwrap_or(claim.ttl);
            return (new, granted(remaining));
        }
        if s.status == RunStatus::Running && new.lock.is_none() {
            // Nobody acquired since, or the state would not hold our token: the fence is newest.
            let answer = granted(claim.ttl);
            new.set_lock(claim.token.as_str(), claim.ttl, now_ms);
            return (new, answer);
        }
        return (new, Acquired::Burned);
    }
    if let Some(s) = &mut state
        && claim.lanes() > 1
        && inst < last
        && s.token != claim.token.as_str()
        && new.is_locked_by(claim.token.as_str())
    {
        // The same, and another lane was granted since: the lane is still ours. Our token is not known
        // any more; both that follow are new, so that the other may be repeated too.
        let before = before(s);
        s.fence = (s.fence + 2).max(now_us.unsigned_abs());
        let fence = FencingToken::new(s.fence - 1);
        new.set_state(s, claim.keep, now_ms);
        let remaining = new.remaining(state.as_ref(), now_ms).unwrap_or(claim.ttl);
        let grant = Grant::new(claim, fence, 1, remaining);
        return (new, Acquired::Granted(grant.with_before(before)));
    }
    if let Some(s) = &state {
        if inst < last && claim.delay.is_none() {
            let last = DateTime::from_timestamp_millis(last).unwrap_or_default();
            new.remaining(state.as_ref(), now_ms);
            return (new, Acquired::Superseded { last });
        }
        if inst == last {
            taking_over = new.lock.is_none() && may_rerun(s, claim);
            if !taking_over {
                let answer = Acquired::AlreadyFired {
                    owner: s.owner.clone(),
                    status: s.status,
                    attempt: s.attempt,
                    spec: s.spec.clone(),
                };
                new.remaining(state.as_ref(), now_ms);
                return (new, answer);
            }
        }
    }
    if new.lock.is_some() {
        let remaining = new.remaining(state.as_ref(), now_ms);
        // The state may be of an earlier run, and the lock taken by a client that keeps no state.
        let owner = state
            .filter(|s| new.is_locked_by(&s.token))
            .map(|s| s.owner);
        return (new, Acquired::Held(Holder { owner, remaining }));
    }
    if let Some(s) = &state
        && !taking_over
        && may_rerun(s, claim)
        && now_ms - last <= millis(claim.late)
    {
        // The earlier instant died unfinished; instants are finished in order.
        let fire_time = DateTime::from_timestamp_millis(last).unwrap_or_default();
        return (new, Acquired::FinishEarlier { fire_time });
    }
    if let Some(delay) = claim.delay
        && let Some(s) = &mut state
        && !taking_over
    {
        let has_died = s.status == RunStatus::Running;
        if has_died || s.ended > now_ms {
            // Nobody knows when a run ended whose owner died; and an end that is to come was
            // written before the clock went back.
            if has_died {
                s.status = RunStatus::Cancelled;
            }
            s.ended = now_ms;
            new.set_state(s, claim.keep, now_ms);
        }
        let due = s.ended.saturating_add(millis(delay));
        if s.ended > 0 && (inst < due || now_ms < due) {
            let fire_time = DateTime::from_timestamp_millis(due).unwrap_or_default();
            let wait = Duration::from_millis((due - now_ms).max(0).unsigned_abs());
            return (new, Acquired::Delayed { fire_time, wait });
        }
        if inst < last {
            let last = DateTime::from_timestamp_millis(last).unwrap_or_default();
            return (new, Acquired::Superseded { last });
        }
    }
    if let (Some(most), Some(s)) = (claim.pause_after, &state)
        && s.fails >= most
        && !taking_over
    {
        return (new, Acquired::Paused { failures: s.fails });
    }
    if inst - now_ms > millis(claim.early) {
        let wait = Duration::from_millis((inst - now_ms).unsigned_abs());
        return (new, Acquired::TooEarly { wait });
    }
    if now_ms - inst > millis(claim.late) {
        let lateness = Duration::from_millis((now_ms - inst).unsigned_abs());
        return (new, Acquired::TooLate { lateness });
    }

    let fence = state
        .as_ref()
        .map_or(0, |s| s.fence + 1)
        .max(now_us.unsigned_abs());
    let attempt = 1 + if taking_over {
        state.as_ref().map_or(0, |s| s.attempt)
    } else {
        0
    };
    let before = state.as_ref().and_then(before);
    let prev = match &state {
        None => 0,
        Some(s) if taking_over || s.status == RunStatus::Abandoned => s.prev,
        Some(s) => s.inst,
    };
    let state = State {
        prev,
        inst,
        fence,
        status: RunStatus::Running,
        attempt,
        ttl_ms: millis(claim.ttl).unsigned_abs(),
        ended: state.as_ref().map_or(0, |s| s.ended),
        fails: state.as_ref().map_or(0, |s| s.fails),
        spec: claim.spec.to_string(),
        token: claim.token.as_str().to_owned(),
        owner: claim.owner.to_string(),
    };
    new.set_lock(claim.token.as_str(), claim.ttl, now_ms);
    new.set_state(&state, claim.keep, now_ms);
    let grant = Grant::new(claim, FencingToken::new(fence), attempt, claim.ttl).with_before(before);
    (new, Acquired::Granted(grant))
}

/// What the world outside may know of the last grant.
fn before(last: &State) -> Option<Before> {
    Some(Before {
        fire_time: DateTime::from_timestamp_millis(last.inst).filter(|_| last.inst > 0)?,
        spec: last.spec.clone(),
    })
}

/// Whether the run of the last instant died in a way that lets this claim run it again.
fn may_rerun(last: &State, claim: &Claim) -> bool {
    matches!(last.status, RunStatus::Running | RunStatus::Cancelled)
        && last.attempt < claim.max_attempts
}

/// Handles a renewal.
pub(crate) fn renew(stored: Stored, grant: &Grant, now_us: i64) -> (Stored, Renewed) {
    stored.on_lane(grant.lane, |stored| renew_on_lane(stored, grant, now_us))
}

fn renew_on_lane(stored: Stored, grant: &Grant, now_us: i64) -> (Stored, Renewed) {
    let now_ms = now_us / 1000;
    let mut new = stored.at(now_ms);
    let token = grant.token.as_str();
    let state = new.parsed_state();
    if grant.is_off_schedule {
        return off_schedule::renew(new, state, grant, now_ms);
    }
    // A state that says anything but "running" is what stops a delayed renewal from bringing a
    // released lock back to life.
    let ours = match (&new.state, &state) {
        (None, _) => true,
        (Some(_), Some(s)) => s.token == token && s.status == RunStatus::Running,
        (Some(_), None) => false,
    };
    // Of several lanes a free one can be taken back, whoever was granted another one since: no more go
    // on than there are lanes.
    let other = state.as_ref().filter(|s| s.token != token);
    let lane_is_ours = grant.lanes > 1 && other.is_some();
    let answer = if new.is_locked_by(token) {
        Renewed::Extended
    } else if new.lock.is_none() && (ours || lane_is_ours) {
        Renewed::Reasserted
    } else {
        return (
            new,
            Renewed::Lost {
                owner: other.map(|s| s.owner.clone()),
            },
        );
    };
    new.set_lock(token, grant.ttl, now_ms);
    if new.state.is_none() {
        let restored = state_of(grant, RunStatus::Running, 0);
        new.set_state(&restored, grant.keep, now_ms);
    } else if answer == Renewed::Reasserted
        && let Some(older) = other.filter(|s| s.last() < grant.instant_ms())
    {
        // It was brought back by a run of an earlier instant: ours is taken too.
        let newer = State {
            prev: older.last(),
            fence: older.fence.max(grant.fencing_token.get()),
            fails: older.fails,
            ..state_of(grant, RunStatus::Running, older.ended)
        };
        new.set_state(&newer, grant.keep, now_ms);
    }
    (new, answer)
}

/// The state that `grant` left, for a store that lost its data: brings marker and fence back.
fn state_of(grant: &Grant, status: RunStatus, ended: i64) -> State {
    State {
        prev: 0,
        inst: grant.instant_ms(),
        fence: grant.fencing_token.get(),
        status,
        attempt: grant.attempt,
        ttl_ms: millis(grant.ttl).unsigned_abs(),
        ended,
        fails: 0,
        spec: grant.spec.to_string(),
        token: grant.token.as_str().to_owned(),
        owner: grant.owner.to_string(),
    }
}

/// Handles a release.
pub(crate) fn release(
    stored: Stored,
    grant: &Grant,
    completion: Completion,
    now_us: i64,
) -> (Stored, Released) {
    stored.on_lane(grant.lane, |stored| {
        release_on_lane(stored, grant, completion, now_us)
    })
}

fn release_on_lane(
    stored: Stored,
    grant: &Grant,
    completion: Completion,
    now_us: i64,
) -> (Stored, Released) {
    let now_ms = now_us / 1000;
    let mut new = stored.at(now_ms);
    let token = grant.token.as_str();
    let state = new.parsed_state();
    if grant.is_off_schedule {
        return off_schedule::release(new, state, token);
    }
    let answer = if new.is_locked_by(token) {
        new.lock = None;
        Released::Freed
    } else if state.as_ref().is_some_and(|s| s.token == token)
        || (new.lock.is_none() && new.state.is_none())
    {
        Released::WasGone
    } else {
        Released::NotOwner {
            owner: state.as_ref().map(|s| s.owner.clone()),
        }
    };
    // One that never started leaves the end of the run before it.
    let has_run = completion != Completion::Abandoned;
    if let Some(mut s) = state.filter(|s| s.token == token && s.status == RunStatus::Running) {
        s.status = completion.into();
        if has_run {
            s.ended = now_ms;
        }
        s.fails = failures(s.fails, completion);
        new.set_state(&s, grant.keep, now_ms);
    } else if new.state.is_none() {
        // Nobody was granted the task since the store lost its data: the instant stays taken.
        let ended = if has_run { now_ms } else { 0 };
        let mut lost = state_of(grant, completion.into(), ended);
        lost.fails = failures(0, completion);
        new.set_state(&lost, grant.keep, now_ms);
    }
    (new, answer)
}

/// Failures in a row after one more run. One that was cancelled or never started says nothing.
fn failures(so_far: u32, completion: Completion) -> u32 {
    match completion {
        Completion::Succeeded => 0,
        Completion::Failed | Completion::TimedOut => so_far.saturating_add(1),
        Completion::Cancelled | Completion::Abandoned => so_far,
    }
}

/// Forgets the failures of a task's runs.
pub(crate) fn resume(stored: Stored, now_us: i64) -> (Stored, ()) {
    let mut new = stored.at(now_us / 1000);
    if let Some(mut state) = new.parsed_state() {
        state.fails = 0;
        if let Some(record) = &mut new.state {
            record.text = state.to_string();
        }
    }
    (new, ())
}
