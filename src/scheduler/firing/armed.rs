//! A firing whose lock is taken and whose time has not come yet.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::event::Decision;
use crate::lock::Completion;
use crate::lock::lease::Lease;
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::firing::Run;
use crate::scheduler::timer::Rearm;

/// If there is still so much left when the wait is over, the clock has been set back: no lead is
/// as long.
const SET_BACK: Duration = Duration::from_secs(2);

/// How the wait for the fire time ended.
enum Waited {
    /// It has come.
    Due,
    /// The scheduler does not wait for it.
    Aborted,
    /// It is far away again.
    SetBack,
}

/// Starts the firing's run at `at`. Until then it counts as being claimed: a scheduler that goes
/// quiet meanwhile runs it all the same, as the others have been told that it is taken.
pub(super) fn spawn(engine: &Arc<Engine>, firing: Firing, lease: Lease, at: DateTime<Utc>) {
    let engine = engine.clone();
    let claiming = engine.claims.token();
    let tracker = engine.runs.clone();
    tracker.spawn(async move {
        match wait(&engine, at).await {
            Waited::Due => {
                let run = Run::begin(&engine, &firing, lease);
                drop(claiming);
                let span = run.span();
                run.run().instrument(span).await;
            }
            Waited::Aborted => {
                give_back(&engine, &lease);
                claiming::settle(&engine, &firing, Decision::Draining, None);
            }
            Waited::SetBack => {
                give_back(&engine, &lease);
                if firing.entry.slot().leave(firing.fire_time) {
                    engine.rearm(Rearm {
                        task: firing.entry.key.clone(),
                        fire_time: firing.fire_time,
                        due: firing.fire_time,
                        is_known: true,
                    });
                }
            }
        }
    });
}

async fn wait(engine: &Engine, at: DateTime<Utc>) -> Waited {
    loop {
        let left = at - engine.settings.clock.now();
        let Ok(left) = left.to_std() else {
            return Waited::Due;
        };
        if left.is_zero() {
            return Waited::Due;
        }
        if left > SET_BACK {
            return Waited::SetBack;
        }
        tokio::select! {
            biased;
            () = engine.aborting.cancelled() => return Waited::Aborted,
            () = tokio::time::sleep(left) => {}
        }
    }
}

fn give_back(engine: &Arc<Engine>, lease: &Lease) {
    engine.renewer.remove(lease);
    claiming::take_back(engine, lease.grant().clone(), Completion::Abandoned);
}
