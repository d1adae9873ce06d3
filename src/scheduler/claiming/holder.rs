//! A firing that finds another run of its task under way.
//!
//! By its policy it gives up when that run is really one, or waits for its end, or watches whether its
//! instance lives to see it. A newer firing of the task that comes due meanwhile takes its place.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::event::Decision;
use crate::lock::{Acquired, Holder, LastFired, Lock, RunStatus};
use crate::scheduler::claiming::batch::{Open, claim_after_holder, go_on};
use crate::scheduler::claiming::give_back::{FIRST_RETRY, LAST_RETRY};
use crate::scheduler::claiming::line::{Firing, claim_together, settle};
use crate::scheduler::engine::Engine;
use crate::scheduler::slot::Hold;
use crate::task::{Misfire, Overlap, Recovery};

/// How often a firing that waits for a run elsewhere asks whether it has ended.
const POLL: Duration = Duration::from_millis(500);
/// The first wait of a firing that watches a run elsewhere; each one after it is twice as long, up to
/// half of the lease.
const FIRST_WATCH: Duration = Duration::from_secs(1);

/// The lock is held: another run of the task goes on, or its owner is dead and its lease has not ended
/// yet.
pub(super) fn wait(engine: &Arc<Engine>, mut open: Open, holder: Holder) {
    open.firing.note_other_run(engine.settings.clock.now());
    let policy = &open.firing.entry.policy;
    let owner: Option<Arc<str>> = holder.owner.map(Into::into);
    if matches!(policy.misfire, Misfire::RunAll(_)) {
        open.firing.permit = None;
        spawn(engine, open, owner, None, Decision::Overlap);
    } else if let Some((open, waker)) = hold(engine, open, &owner, Decision::Overlap) {
        let overlap = open.firing.entry.policy.overlap;
        if matches!(overlap, Overlap::Allow(_)) {
            // As many go on as may.
            settle(engine, &open.firing, Decision::Overlap, owner);
        } else if overlap == Overlap::Skip {
            give_way(engine, open, waker, owner, holder.remaining);
        } else {
            spawn(engine, open, owner, Some(waker), Decision::Overlap);
        }
    }
}

/// Somebody else runs this very firing. If it is to be run again should that instance die, it is
/// watched; returned if there is nothing to watch for.
pub(super) fn watch(
    engine: &Arc<Engine>,
    mut open: Open,
    owner: &str,
    (status, attempt): (RunStatus, u32),
) -> Option<Open> {
    let is_rerun = open.firing.is_rerun || !open.firing.entry.reruns();
    if is_rerun || !may_be_granted(&open, status, attempt) {
        return Some(open);
    }
    open.firing.is_unfinished = true;
    let owner: Option<Arc<str>> = Some(owner.into());
    let decision = Decision::FiredElsewhere;
    if let Some((open, waker)) = hold(engine, open, &owner, decision) {
        spawn(engine, open, owner, Some(waker), decision);
    }
    None
}

/// Whether a firing that was taken before may be granted again: should its instance be dead, if it
/// still counts as running; otherwise when its lock is free.
fn may_be_granted(open: &Open, status: RunStatus, attempt: u32) -> bool {
    matches!(status, RunStatus::Running | RunStatus::Cancelled)
        && attempt < open.claim.max_attempts()
}

/// Makes a firing one that a newer one may take the place of; if there is a newer one, it ends here.
fn hold(
    engine: &Arc<Engine>,
    mut open: Open,
    owner: &Option<Arc<str>>,
    decision: Decision,
) -> Option<(Open, CancellationToken)> {
    // Others may run while it waits.
    open.firing.permit = None;
    let entry = &open.firing.entry;
    let waker = CancellationToken::new();
    let older = {
        let mut slot = entry.slot();
        if slot.has_waiting() {
            Some(slot.drop_all_but_newest())
        } else if slot.hold(open.firing.fire_time, Hold::Holder(waker.clone(), decision)) {
            None
        } else {
            return None;
        }
    };
    let Some(older) = older else {
        return Some((open, waker));
    };
    for fire_time in older {
        engine.decide(entry, fire_time, Decision::Overlap, None);
    }
    open.take_back(engine);
    settle(engine, &open.firing, decision, owner.clone());
    None
}

/// Asks the lock again and again until it has something else to say than that the other run goes on.
fn spawn(
    engine: &Arc<Engine>,
    open: Open,
    owner: Option<Arc<str>>,
    waker: Option<CancellationToken>,
    decision: Decision,
) {
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move { ask_until_over(&engine, open, owner, waker, decision).await });
}

async fn ask_until_over(
    engine: &Arc<Engine>,
    open: Open,
    owner: Option<Arc<str>>,
    mut waker: Option<CancellationToken>,
    decision: Decision,
) {
    let is_watching = decision == Decision::FiredElsewhere;
    let longest = open.firing.entry.policy.lease_ttl / 2;
    let mut pause = if is_watching { FIRST_WATCH } else { POLL };
    let mut open = open;
    // What it ends with if that takes too long.
    let mut too_late = decision;
    loop {
        let displaced = async {
            match &waker {
                Some(waker) => waker.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => {
                let decision = if is_watching { decision } else { Decision::Draining };
                open.take_back(engine);
                return settle(engine, &open.firing, decision, owner);
            }
            () = displaced => return open.take_back(engine),
            () = tokio::time::sleep(pause) => {}
        }
        if is_watching {
            pause = (pause * 2).min(longest);
        }
        let fire_time = open.firing.fire_time;
        if !open.firing.entry.slot().hold(fire_time, Hold::Answer) {
            return;
        }
        if engine.registry.current(&open.firing.entry).is_none() {
            return open.give_up(engine, Decision::Draining);
        }
        let is_too_late = match too_late {
            Decision::StoreDown => open.firing.has_asked_enough(engine),
            _ => open.firing.is_misfired(engine.settings.clock.now()),
        };
        if is_too_late {
            if too_late == decision {
                open.take_back(engine);
                return settle(engine, &open.firing, decision, owner);
            }
            return open.give_up(engine, too_late);
        }
        if !engine.limits.reserve(&mut open.firing) {
            if !is_watching {
                too_late = Decision::Limited;
            }
            match rehold(engine, open, &owner, waker, decision) {
                Some(again) => (open, waker) = again,
                None => return,
            }
            continue;
        }
        let sent_at = engine.settings.clock.monotonic();
        let answer = engine.lock.acquire(&open.claim).await;
        let goes_on = match &answer {
            Ok(Acquired::Held(_)) => true,
            Ok(Acquired::AlreadyFired {
                status, attempt, ..
            }) => is_watching && may_be_granted(&open, *status, *attempt),
            Err(error) => error.is_transient(),
            _ => false,
        };
        if !goes_on {
            return go_on(engine, open, answer, sent_at).await;
        }
        open.is_ambiguous |= answer.is_err();
        match &answer {
            Err(_) if !is_watching => too_late = Decision::StoreDown,
            Ok(Acquired::Held(_)) => {
                open.firing.note_other_run(engine.settings.clock.now());
                too_late = decision;
            }
            _ => too_late = decision,
        }
        match rehold(engine, open, &owner, waker, decision) {
            Some(again) => (open, waker) = again,
            None => return,
        }
    }
}

/// Holds a firing again that could be displaced before; others stay as they are.
fn rehold(
    engine: &Arc<Engine>,
    mut open: Open,
    owner: &Option<Arc<str>>,
    waker: Option<CancellationToken>,
    decision: Decision,
) -> Option<(Open, Option<CancellationToken>)> {
    if waker.is_some() {
        return hold(engine, open, owner, decision).map(|(open, waker)| (open, Some(waker)));
    }
    open.firing.permit = None;
    Some((open, None))
}

/// Reads how the last run of a firing's task has come along, again and again while the store is
/// down. `None` if the firing has ended over it.
async fn read(engine: &Arc<Engine>, open: Open) -> Option<(Open, Option<LastFired>)> {
    let Firing {
        entry, fire_time, ..
    } = &open.firing;
    let mut pause = FIRST_RETRY;
    loop {
        let is_held = entry.slot().hold(*fire_time, Hold::Answer);
        if !is_held {
            open.take_back(engine);
            return None;
        }
        let answer = engine
            .lock
            .last_fired(std::slice::from_ref(&entry.key))
            .await;
        match answer {
            Ok(last) => return Some((open, last.into_iter().next().flatten())),
            Err(error) => {
                if open.firing.has_asked_enough(engine) || !error.is_transient() {
                    open.give_up(engine, Decision::StoreDown);
                    return None;
                }
            }
        }
        entry.slot().hold(*fire_time, Hold::Store);
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => {
                open.give_up(engine, Decision::Draining);
                return None;
            }
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_RETRY);
    }
}

/// Waits for the end of the other run's lease. If its owner is dead, this firing runs; otherwise it
/// overlaps.
fn give_way(
    engine: &Arc<Engine>,
    mut open: Open,
    waker: CancellationToken,
    owner: Option<Arc<str>>,
    remaining: Option<Duration>,
) {
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move {
        let entry = open.firing.entry.clone();
        let grace = match entry.reruns() {
            // A run that died is to be run again, though this one be too late by then.
            true => entry.longest_patience(),
            false => entry.patience(),
        };
        // A little later than the lease's end, and not all instances at once.
        let after = Duration::from_millis(10 + (engine.random() % 40) as u64);
        let wait = remaining.map_or(grace, |left| left.min(grace)) + after;
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => {
                return settle(&engine, &open.firing, Decision::Draining, None);
            }
            () = waker.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let fire_time = open.firing.fire_time;
        if !open.firing.entry.slot().hold(fire_time, Hold::Answer) {
            return;
        }
        let Some((read, last)) = read(&engine, open).await else {
            return;
        };
        open = read;
        let status = last.as_ref().map(|last| last.status);
        let is_in_time = !open.firing.is_misfired(engine.settings.clock.now());
        let may_be_free = match status {
            Some(RunStatus::Running | RunStatus::Abandoned) => true,
            // It was cancelled, and is to be run again before this one.
            Some(RunStatus::Cancelled) => open.firing.entry.policy.recovery != Recovery::Skip,
            _ => false,
        };
        let earlier = last.and_then(|last| last.fire_time);
        if let Some(earlier) = earlier.filter(|t| entry.reruns() && *t < fire_time)
            && may_be_free
            && !is_in_time
        {
            return finish_earlier(&engine, &open.firing, earlier);
        }
        while !engine.limits.reserve(&mut open.firing) {
            if open.firing.is_misfired(engine.settings.clock.now()) {
                return settle(&engine, &open.firing, Decision::Limited, owner);
            }
            tokio::select! {
                biased;
                () = engine.quiet.cancelled() => {
                    return settle(&engine, &open.firing, Decision::Draining, None);
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
        if may_be_free && is_in_time {
            // It still runs and has renewed its lease, or it died: the lock knows.
            claim_after_holder(&engine, open, owner).await;
        } else {
            settle(&engine, &open.firing, Decision::Overlap, owner);
        }
    });
}

/// An earlier firing died unfinished and is to be run again first; this one waits behind it.
pub(super) fn finish_earlier(engine: &Arc<Engine>, firing: &Firing, earlier: DateTime<Utc>) {
    let front = firing.as_waiting();
    if firing.entry.slot().step_back(front, earlier) {
        let rerun = Firing {
            is_rerun: true,
            permit: firing.permit.clone(),
            ..Firing::unfinished(firing.entry.clone(), earlier)
        };
        claim_together(engine, vec![rerun]);
    }
}
