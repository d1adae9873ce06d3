//! From due to granted: each firing is brought to its one decision with the lock.
//!
//! ```text
//! due ── admit ──> claim ──┬─ granted ───────────────> started (firing.rs)
//!            │             ├─ fired before, superseded > fired_elsewhere
//!            │             ├─ held ── wait for the end of that lease, look again ──> overlap
//!            │             │             └── its owner died: claim once more
//!            │             ├─ too early ── wait, claim again with the same token
//!            │             ├─ too late ──────────────> misfired
//!            │             └─ no answer ── claim again with the same token ──> store_down
//!            ├─ behind another firing of the task: waits its turn
//!            └─ draining, misfired, overlap
//! ```
//! A claim is never dropped half way: whoever gives one up that may have been executed takes it
//! back, so that nobody is locked out by a grant that nobody knows of.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::event::Decision;
use crate::lock::lease::Lease;
use crate::lock::{
    Acquired, Claim, Completion, FencingToken, Grant, Holder, Lock, Released, RunStatus, Token,
};
use crate::scheduler::SchedulerState;
use crate::scheduler::admit::{self, Admission, Facts};
use crate::scheduler::engine::Engine;
use crate::scheduler::firing;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::{Hold, Slot};

/// How much the store's clock may differ from ours before a firing in time is refused as too late.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Waits between claims that got no answer: doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_millis(500);

/// One occurrence of a task.
#[derive(Debug, Clone)]
pub(crate) struct Firing {
    pub(crate) entry: Arc<Entry>,
    pub(crate) fire_time: DateTime<Utc>,
}

impl Firing {
    pub(crate) fn new(entry: Arc<Entry>, fire_time: DateTime<Utc>) -> Self {
        Self { entry, fire_time }
    }

    fn is_misfired(&self, now: DateTime<Utc>) -> bool {
        admit::lateness(self.fire_time, now) > self.entry.policy.misfire_threshold
    }
}

/// Settles firings that have come due, those that need the lock in one request. Never waits.
pub(crate) fn dispatch(engine: &Arc<Engine>, firings: Vec<Firing>) {
    let mut to_claim = Vec::with_capacity(firings.len());
    for firing in firings {
        if let Some(displaced) = firing.entry.slot().displace_held() {
            engine.decide(&firing.entry, displaced, Decision::Overlap, None);
        }
        if admit_firing(engine, &firing) {
            to_claim.push(firing);
        }
    }
    if !to_claim.is_empty() {
        claim_together(engine, to_claim);
    }
}

/// Says whether the lock is to be asked for a firing now; otherwise it has been decided, or waits.
fn admit_firing(engine: &Engine, firing: &Firing) -> bool {
    let Firing { entry, fire_time } = firing;
    let mut decided = Vec::new();
    let may_claim = {
        let mut slot = entry.slot();
        match admit::admit(facts(engine, entry, &slot, *fire_time)) {
            Admission::Decide(decision) => {
                decided.push((*fire_time, decision));
                false
            }
            Admission::Claim if slot.try_front(*fire_time) => true,
            Admission::Claim | Admission::Wait => {
                decided = slot.wait(*fire_time);
                false
            }
        }
    };
    for (fire_time, decision) in decided {
        let holder = (decision == Decision::Overlap).then(|| engine.settings.instance.clone());
        engine.decide(entry, fire_time, decision, holder);
    }
    may_claim
}

fn facts(engine: &Engine, entry: &Entry, slot: &Slot, fire_time: DateTime<Utc>) -> Facts {
    Facts {
        fire_time,
        now: engine.settings.clock.now(),
        misfire_threshold: entry.policy.misfire_threshold,
        is_draining: engine.quiet.is_cancelled(),
        running_since: slot.running.as_ref().map(|r| r.facts.started),
    }
}

/// The firings of `entry` that wait get their turn: what was before them is settled.
pub(crate) fn next_in_line(engine: &Arc<Engine>, entry: &Arc<Entry>) {
    loop {
        let (fire_time, admission) = {
            let mut slot = entry.slot();
            let Some(fire_time) = slot.first_waiting() else {
                return;
            };
            let admission = admit::admit(facts(engine, entry, &slot, fire_time));
            match admission {
                Admission::Wait => return,
                Admission::Claim => slot.promote_waiting(),
                Admission::Decide(_) => slot.drop_waiting(),
            }
            (fire_time, admission)
        };
        if let Admission::Decide(decision) = admission {
            engine.decide(entry, fire_time, decision, None);
            continue;
        }
        return claim_together(engine, vec![Firing::new(entry.clone(), fire_time)]);
    }
}

fn claim_together(engine: &Arc<Engine>, firings: Vec<Firing>) {
    let engine = engine.clone();
    let tracker = engine.claims.clone();
    tracker.spawn(async move { Batch::new(&engine, firings).settle().await });
}

/// Ends the front of a task's slot with `decision`, and lets the next one in.
fn settle(engine: &Arc<Engine>, firing: &Firing, decision: Decision, holder: Option<Arc<str>>) {
    // Whoever took the front away has announced its decision.
    if firing.entry.slot().leave(firing.fire_time) {
        engine.decide(&firing.entry, firing.fire_time, decision, holder);
        next_in_line(engine, &firing.entry);
    }
}

/// Firings of different tasks that came due together, and are claimed together until each is
/// settled.
struct Batch<'a> {
    engine: &'a Arc<Engine>,
    open: Vec<Open>,
}

/// One firing that is not settled yet.
struct Open {
    firing: Firing,
    claim: Claim,
    /// When to ask (again); monotonic.
    ask_at: Duration,
    retry_after: Duration,
    /// A request was sent whose outcome is unknown.
    is_ambiguous: bool,
}

impl<'a> Batch<'a> {
    fn new(engine: &'a Arc<Engine>, firings: Vec<Firing>) -> Self {
        let now = engine.settings.clock.monotonic();
        let open = firings.into_iter().map(|firing| Open {
            claim: claim(engine, &firing),
            firing,
            ask_at: now,
            retry_after: FIRST_RETRY,
            is_ambiguous: false,
        });
        Self {
            engine,
            open: open.collect(),
        }
    }

    async fn settle(mut self) {
        loop {
            let asked_at = self.ask_those_due().await;
            let Some(next) = self.open.iter().map(|o| o.ask_at).min() else {
                return;
            };
            let wait = next.saturating_sub(asked_at.max(self.engine.settings.clock.monotonic()));
            tokio::select! {
                biased;
                () = self.engine.quiet.cancelled() => return self.give_up_all(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Claims, in one request, what is to be claimed now. Returns when.
    async fn ask_those_due(&mut self) -> Duration {
        let clock = &self.engine.settings.clock;
        let sent_at = clock.monotonic();
        let (due, later): (Vec<Open>, Vec<Open>) =
            self.open.drain(..).partition(|open| open.ask_at <= sent_at);
        self.open = later;
        let claims: Vec<Claim> = due.iter().map(|open| open.claim.clone()).collect();
        if claims.is_empty() {
            return sent_at;
        }
        let answers = self.engine.lock.acquire_all(&claims).await;
        for (open, answer) in due.into_iter().zip(answers) {
            if let Some(open) = self.take_answer(open, answer, sent_at) {
                self.open.push(open);
            }
        }
        sent_at
    }

    /// Settles a firing by the lock's answer, or returns it to be claimed again.
    fn take_answer(
        &self,
        open: Open,
        answer: Result<Acquired, Error>,
        sent_at: Duration,
    ) -> Option<Open> {
        let engine = self.engine;
        let firing = open.firing.clone();
        match answer {
            Ok(Acquired::Granted(grant)) => return self.take_grant(open, grant, sent_at),
            Ok(Acquired::AlreadyFired { owner, .. }) => {
                settle(
                    engine,
                    &firing,
                    Decision::FiredElsewhere,
                    Some(owner.into()),
                );
            }
            Ok(Acquired::Superseded { .. } | Acquired::Burned) => {
                settle(engine, &firing, Decision::FiredElsewhere, None);
            }
            Ok(Acquired::TooLate { .. }) => settle(engine, &firing, Decision::Misfired, None),
            Ok(Acquired::TooEarly { wait }) => {
                return self.ask_again(open, wait, Hold::StoreClock, Decision::Misfired);
            }
            Ok(Acquired::Held(holder)) => wait_for_holder(engine, open, holder),
            Ok(Acquired::FinishEarlier { .. } | Acquired::Delayed { .. }) => {
                settle(engine, &firing, Decision::Overlap, None);
            }
            Err(error) => {
                let is_ambiguous =
                    open.is_ambiguous || !matches!(error.kind(), ErrorKind::StoreDenied);
                let mut open = Open {
                    is_ambiguous,
                    ..open
                };
                if !error.is_transient() {
                    open.give_up(engine, Decision::StoreDown);
                    return None;
                }
                let wait = open.retry_after;
                open.retry_after = (wait * 2).min(LAST_RETRY);
                return self.ask_again(open, wait, Hold::Store, Decision::StoreDown);
            }
        }
        None
    }

    fn take_grant(&self, open: Open, grant: Grant, sent_at: Duration) -> Option<Open> {
        let engine = self.engine;
        let Open { firing, claim, .. } = &open;
        let lease = Lease::new(grant, sent_at);
        if engine.aborting.is_cancelled() || engine.state() == SchedulerState::Stopped {
            // The answer outlasted the stop. Before that, a firing granted is run, and drained:
            // the others have been told that it is taken, and would not ask for it again.
            take_back(engine, lease.grant().clone(), Completion::Abandoned);
            settle(engine, firing, Decision::Draining, None);
            return None;
        }
        if lease.loss(engine.settings.clock.monotonic()).is_some() {
            // The answer came when the lease was as good as over.
            take_back(engine, lease.grant().clone(), Completion::Abandoned);
            let claim = Claim {
                token: Token::from_bits(engine.random()),
                ..claim.clone()
            };
            let open = Open {
                claim,
                is_ambiguous: false,
                ..open
            };
            return self.ask_again(open, FIRST_RETRY, Hold::Store, Decision::StoreDown);
        }
        firing::start(engine, firing, lease);
        None
    }

    /// Keeps a firing for another claim after `wait`, unless that is too late for it.
    fn ask_again(
        &self,
        open: Open,
        wait: Duration,
        hold: Hold,
        too_late: Decision,
    ) -> Option<Open> {
        let clock = &self.engine.settings.clock;
        if open.firing.is_misfired(clock.now()) {
            open.give_up(self.engine, too_late);
            return None;
        }
        if !open.firing.entry.slot().hold(open.firing.fire_time, hold) {
            return None;
        }
        Some(Open {
            ask_at: clock.monotonic() + wait,
            ..open
        })
    }

    fn give_up_all(&mut self) {
        for open in self.open.drain(..) {
            open.give_up(self.engine, Decision::Draining);
        }
    }
}

impl Open {
    fn give_up(self, engine: &Arc<Engine>, decision: Decision) {
        if self.is_ambiguous {
            let unknown = Grant::new(&self.claim, FencingToken::new(0), 1, Duration::ZERO);
            take_back(engine, unknown, Completion::Abandoned);
        }
        settle(engine, &self.firing, decision, None);
    }
}

fn claim(engine: &Engine, firing: &Firing) -> Claim {
    let policy = &firing.entry.policy;
    let token = Token::from_bits(engine.random());
    Claim::new(
        firing.entry.name.clone(),
        firing.fire_time,
        token,
        &engine.settings.instance,
    )
    .with_ttl(policy.lease_ttl)
    .with_late(policy.misfire_threshold + CLOCK_TOLERANCE)
}

/// Another run of the task goes on, or its owner is dead and its lease has not ended yet. Waits for
/// that lease to end; a newer firing of the task that comes due meanwhile takes this one's place.
fn wait_for_holder(engine: &Arc<Engine>, open: Open, holder: Holder) {
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
        let grace = open.firing.entry.policy.misfire_threshold;
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

/// The second and last claim of a firing that found the lock held.
async fn claim_after_holder(engine: &Arc<Engine>, open: Open, owner: Option<Arc<str>>) {
    let sent_at = engine.settings.clock.monotonic();
    let answer = engine.lock.acquire(&open.claim).await;
    if let Ok(Acquired::Held(_)) = answer {
        return settle(engine, &open.firing, Decision::Overlap, owner);
    }
    let mut batch = Batch {
        engine,
        open: Vec::new(),
    };
    if let Some(open) = batch.take_answer(open, answer, sent_at) {
        batch.open.push(open);
        batch.settle().await;
    }
}

/// Gives a lease back, and goes on trying in the background while the store does not answer: until
/// the lease has surely ended by itself.
pub(crate) fn take_back(engine: &Arc<Engine>, grant: Grant, completion: Completion) {
    let engine = engine.clone();
    let tracker = engine.clean_ups.clone();
    tracker.spawn(async move { give_back(&engine, &grant, completion).await });
}

/// Gives a lease back, and says what the lock answered; `None` if it never did.
pub(crate) async fn give_back(
    engine: &Arc<Engine>,
    grant: &Grant,
    completion: Completion,
) -> Option<Released> {
    let clock = &engine.settings.clock;
    let until = clock.monotonic() + grant.ttl() * 2;
    let mut pause = FIRST_RETRY;
    loop {
        match engine.lock.release(grant, completion).await {
            Ok(answer) => return Some(answer),
            Err(error) if !error.is_transient() || clock.monotonic() >= until => return None,
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_RETRY);
    }
}
