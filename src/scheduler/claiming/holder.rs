//! A firing that finds the task's lock held by somebody else.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::event::Decision;
use crate::lock::{Holder, Lock, RunStatus};
use crate::scheduler::claiming::batch::{Open, claim_after_holder};
use crate::scheduler::claiming::line::{Firing, settle};
use crate::scheduler::engine::Engine;
use crate::scheduler::slot::Hold;

/// Another run of the task goes on, or its owner is dead and its lease has not ended yet. Waits for
/// that lease to end; a newer firing of the task that comes due meanwhile takes this one's place.
pub(super) fn wait(engine: &Arc<Engine>, open: Open, holder: Holder) {
    let Firing { entry, fire_time } = &open.firing;
    let waker = CancellationToken::new();
    let (is_front, displaced) = {
        let mut slot = entry.slot();
        if slot.has_waiting() {
            (true, Some(slot.drop_all_but_newest()))
        } else {
            (slot.hold(*fire_time, Hold::Holder(waker.clone())), None)
        }
    };
    if let Some(older) = displaced {
        // A newer one is here already.
        for fire_time in older {
            engine.decide(entry, fire_time, Decision::Overlap, None);
        }
        return settle(
            engine,
            &open.firing,
            Decision::Overlap,
            holder.owner.map(Into::into),
        );
    }
    if !is_front {
        return;
    }
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move {
        let owner: Option<Arc<str>> = holder.owner.map(Into::into);
        let grace = open.firing.entry.patience();
        // A little later than the lease's end, and not all instances at once.
        let after = Duration::from_millis(10 + (engine.random() % 40) as u64);
        let wait = holder.remaining.map_or(grace, |left| left.min(grace)) + after;
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => {
                return settle(&engine, &open.firing, Decision::Draining, None);
            }
            () = waker.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        if !open
            .firing
            .entry
            .slot()
            .hold(open.firing.fire_time, Hold::Answer)
        {
            return;
        }
        let name = open.firing.entry.name.clone();
        let Ok(last) = engine.lock.last_fired(&[name]).await else {
            return settle(&engine, &open.firing, Decision::StoreDown, owner);
        };
        let status = last.into_iter().next().flatten().map(|last| last.status);
        let is_in_time = !open.firing.is_misfired(engine.settings.clock.now());
        let may_be_free = matches!(status, Some(RunStatus::Running | RunStatus::Abandoned));
        if may_be_free && is_in_time {
            // It still runs and has renewed its lease, or it died: the lock knows.
            claim_after_holder(&engine, open, owner).await;
        } else {
            settle(&engine, &open.firing, Decision::Overlap, owner);
        }
    });
}
