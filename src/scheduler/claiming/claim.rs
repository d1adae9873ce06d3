//! What is claimed for a firing, and what can be known of the answer without asking.

use std::time::Duration;

use crate::lock::{Acquired, Claim, LastFired, Token};
use crate::scheduler::claiming::batch::Open;
use crate::scheduler::claiming::line::Firing;
use crate::scheduler::engine::Engine;
use crate::task::{OnStoreDown, Overlap, Recovery};

/// How much the store's clock may differ from ours before a firing in time is refused as too late.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// How late a firing may be claimed that cannot be missed.
const LONGEST_WAIT: Duration = Duration::from_secs(8 * 86_400);

/// How late one may be claimed that a pause has held back.
const LONGEST_PAUSE: Duration = Duration::from_secs(32 * 86_400);

/// What a claim would be answered by what the lock remembers, if that settles it.
pub(super) fn taken(claim: &Claim, last: LastFired) -> Option<Acquired> {
    let fire_time = last.fire_time?;
    let instant = fire_time.timestamp_millis();
    if instant > claim.instant_ms() {
        return Some(Acquired::Superseded { last: fire_time });
    }
    (instant == claim.instant_ms()).then_some(Acquired::AlreadyFired {
        owner: last.owner,
        status: last.status,
        attempt: 1,
        spec: last.spec,
    })
}

pub(super) fn claim(engine: &Engine, firing: &Firing) -> Claim {
    let entry = &firing.entry;
    let token = Token::from_bits(engine.random());
    let late = match firing.is_made_up() {
        true => LONGEST_PAUSE,
        false => entry.longest_patience().min(LONGEST_WAIT),
    } + CLOCK_TOLERANCE;
    let instance = &engine.settings.instance;
    let claim = Claim::new(entry.key.clone(), firing.fire_time, token, instance)
        .with_ttl(entry.policy.lease_ttl)
        .with_late(late)
        .with_max_attempts(entry.policy.recovery.attempts())
        .with_spec(&entry.fingerprint);
    let may_run_twice = entry.policy.recovery != Recovery::Skip
        || entry.policy.on_store_down == OnStoreDown::RunLocally
        || entry.depends_on_runs();
    let claim = match may_run_twice {
        true => claim,
        false => claim.with_at_most_once(),
    };
    let claim = match entry.policy.overlap {
        Overlap::Allow(lanes) => claim.with_lanes(lanes),
        _ => claim,
    };
    let claim = match entry.policy.pause_after {
        Some(failures) => claim.with_pause_after(failures),
        None => claim,
    };
    match entry.schedule.delay() {
        Some(delay) => claim.with_delay(delay),
        None => claim,
    }
}

/// The next of the task's locks to try for a firing that found one held, if it may have another one.
pub(super) fn next_lane(open: &Open) -> Option<u32> {
    match open.firing.entry.policy.overlap {
        Overlap::Allow(lanes) => Some(open.claim.lane() + 1).filter(|lane| *lane < lanes),
        _ => None,
    }
}

/// What is claimed for a run that somebody asked for: the lease, and no instant.
pub(crate) fn off_schedule(engine: &Engine, firing: &Firing, is_if_paused: bool) -> Claim {
    let entry = &firing.entry;
    let token = Token::from_bits(engine.random());
    let instance = &engine.settings.instance;
    let claim = Claim::new(entry.key.clone(), firing.fire_time, token, instance)
        .with_ttl(entry.policy.lease_ttl)
        .with_spec(&entry.fingerprint)
        .with_off_schedule();
    let claim = match entry.policy.overlap {
        Overlap::Allow(lanes) => claim.with_lanes(lanes),
        _ => claim,
    };
    match entry.policy.pause_after.filter(|_| !is_if_paused) {
        Some(failures) => claim.with_pause_after(failures),
        None => claim,
    }
}
