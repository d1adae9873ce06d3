//! Firings whose locks are taken and whose time has not come yet.
//!
//! Those that start together wait at one gate, with everything made ready that could be. When it
//! opens, each starts as a task of its own; what is to be done after the first of them have run
//! waits until the last of them has started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tracing::Instrument;

use crate::event::Decision;
use crate::lock::Completion;
use crate::scheduler::claiming::{self, Firing};
use crate::scheduler::engine::Engine;
use crate::scheduler::firing::{Run, wake_another_thread};

/// If there is still so much left when the wait is over, the clock has been set back: no lead is
/// as long.
const SET_BACK: Duration = Duration::from_secs(2);

/// So few start so soon that nobody has to wait for them.
const FEW: usize = 64;

/// For how long those who have run wait for those who have not started.
const MOMENT: Duration = Duration::from_millis(100);

/// So close to the time, tokio's timer is too coarse.
const COARSE: Duration = Duration::from_millis(3);

/// How often those look at the clock that wait for it to come back.
const LOOK: Duration = Duration::from_secs(1);

/// Where firings wait for their time, by that time.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    // Held to look or to change one.
    closed: Mutex<HashMap<DateTime<Utc>, Arc<Gate>>>,
}

#[derive(Debug, Default)]
struct Gate {
    opened: Notify,
    /// A [`Signal`], once it is open.
    signal: AtomicU8,
    /// How many came to it.
    came: AtomicUsize,
    /// How many of them have not passed.
    left: AtomicUsize,
    /// Those who have passed need not wait for the others any more.
    released: AtomicBool,
    all_passed: Notify,
}

/// A place at a gate, until it is passed.
#[derive(Debug)]
struct Place(Arc<Gate>);

/// Has passed a gate, and may look back at those who have not.
#[derive(Debug)]
pub(super) struct Passed(Arc<Gate>);

/// What those at a gate are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// Their time has come.
    Start = 1,
    /// The scheduler does not wait for it.
    Abort = 2,
    /// It is far away again.
    SetBack = 3,
}

impl Gates {
    /// A place at the gate for `at`, and whether it is a new gate, which somebody has to open.
    fn at(&self, at: DateTime<Utc>) -> (Place, bool) {
        let mut closed = self.closed();
        let is_new = !closed.contains_key(&at);
        let gate = closed.entry(at).or_default().clone();
        gate.came.fetch_add(1, Ordering::AcqRel);
        gate.left.fetch_add(1, Ordering::AcqRel);
        (Place(gate), is_new)
    }

    fn open(&self, at: DateTime<Utc>, signal: Signal) -> Option<Arc<Gate>> {
        let gate = self.closed().remove(&at)?;
        gate.signal.store(signal as u8, Ordering::Release);
        gate.opened.notify_waiters();
        Some(gate)
    }

    fn closed(&self) -> MutexGuard<'_, HashMap<DateTime<Utc>, Arc<Gate>>> {
        // Every change is one insert or one remove.
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn is_crowded(&self) -> bool {
        self.came.load(Ordering::Acquire) > FEW
    }

    /// Lets those who have passed go on once all have, or after a moment.
    ///
    /// Whoever passes last must not do that: what a thread wakes it keeps for itself, and it calls a
    /// task next, which may block it.
    async fn release(&self) {
        for _ in 0..MOMENT.as_millis() {
            if self.left.load(Ordering::Acquire) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.released.store(true, Ordering::Release);
        self.all_passed.notify_waiters();
    }
}

impl Place {
    async fn wait(&self) -> Signal {
        loop {
            // Before the look, so that no opening is missed.
            let opened = self.0.opened.notified();
            match self.0.signal.load(Ordering::Acquire) {
                0 => opened.await,
                1 => return Signal::Start,
                2 => return Signal::Abort,
                _ => return Signal::SetBack,
            }
        }
    }

    fn pass(self) -> Passed {
        Passed(self.0.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.left.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passed {
    /// Waits until the others have passed, if there are many.
    pub(super) async fn others(&self) {
        while self.0.is_crowded() {
            let all_passed = self.0.all_passed.notified();
            if self.0.released.load(Ordering::Acquire) {
                return;
            }
            all_passed.await;
        }
    }
}

/// Starts a run at `at`. Until then it counts as being claimed: a scheduler that goes quiet
/// meanwhile runs it all the same, as the others have been told that it is taken.
pub(super) fn spawn(engine: &Arc<Engine>, mut run: Run, at: DateTime<Utc>) {
    let (place, is_new) = engine.gates.at(at);
    if is_new {
        let engine = engine.clone();
        tokio::spawn(async move {
            let signal = wait(&engine, at).await;
            let gate = engine.gates.open(at, signal);
            wake_another_thread();
            if let Some(gate) = gate.filter(|gate| gate.is_crowded()) {
                gate.release().await;
            }
        });
    }
    let is_claimed = engine.claims.token();
    let corrections = engine.corrections.load(Ordering::Acquire);
    engine.runs.spawn(async move {
        match place.wait().await {
            // Its task was taken out.
            Signal::Start if run.engine.registry.current(&run.entry).is_none() => {
                give_back(&run);
                let firing = Firing::new(run.entry.clone(), run.facts.fire_time);
                claiming::settle(&run.engine, &firing, Decision::Draining, None);
            }
            Signal::Start => {
                run.begin(run.clock().now());
                run.passed = Some(place.pass());
                drop(is_claimed);
                let span = run.span();
                run.run().instrument(span).await;
            }
            Signal::Abort => {
                give_back(&run);
                if run.entry.slot().leave(run.facts.fire_time) {
                    let (entry, fire_time) = (&run.entry, run.facts.fire_time);
                    run.engine
                        .decide(entry, fire_time, Decision::Draining, None);
                }
            }
            Signal::SetBack => {
                give_back(&run);
                claim_anew(run, at, corrections).await;
            }
        }
    });
}

/// Waits until it is `at` once more, with nobody's lock, and claims the firing again.
async fn claim_anew(run: Run, at: DateTime<Utc>, corrections: u64) {
    let (engine, entry, fire_time) = (&run.engine, &run.entry, run.facts.fire_time);
    loop {
        let left = (at - engine.settings.clock.now()).to_std();
        let Some(left) = left.ok().filter(|left| !left.is_zero()) else {
            break;
        };
        tokio::select! {
            biased;
            () = engine.quiet.cancelled() => {
                let firing = Firing::new(entry.clone(), fire_time);
                return claiming::settle(engine, &firing, Decision::Draining, None);
            }
            // The clock may be set again.
            () = tokio::time::sleep(left.min(LOOK)) => {}
        }
        if engine.corrections.load(Ordering::Acquire) != corrections {
            // The timer begins anew, and comes to this fire time again if it comes.
            if entry.slot().leave(fire_time) {
                claiming::next_in_line(engine, entry);
            }
            return;
        }
    }
    let firing = Firing {
        is_rerun: run.is_rerun,
        trigger: run.facts.trigger,
        ..Firing::new(entry.clone(), fire_time)
    };
    claiming::claim_together(engine, vec![firing]);
}

async fn wait(engine: &Engine, at: DateTime<Utc>) -> Signal {
    loop {
        let left = (at - engine.settings.clock.now()).to_std();
        let Some(left) = left.ok().filter(|left| !left.is_zero()) else {
            return Signal::Start;
        };
        if left > SET_BACK {
            return Signal::SetBack;
        }
        tokio::select! {
            biased;
            () = engine.aborting.cancelled() => return Signal::Abort,
            () = sleep(left, engine.settings.clock.is_machine_time()) => {}
        }
    }
}

/// Sleeps for `left`, and is finer than tokio's timer, which wakes up to two milliseconds late, if a
/// thread can sleep in its place.
async fn sleep(left: Duration, by_thread: bool) {
    if !by_thread {
        return tokio::time::sleep(left).await;
    }
    if left > COARSE {
        return tokio::time::sleep(left - COARSE).await;
    }
    tokio::select! {
        biased;
        _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)) => {}
        // The threads may all be taken.
        () = tokio::time::sleep(left) => {}
    }
}

fn give_back(run: &Run) {
    run.engine.renewer.remove(&run.lease);
    claiming::take_back(
        &run.engine,
        run.lease.grant().clone(),
        Completion::Abandoned,
    );
}
