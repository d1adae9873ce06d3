//! Firings that are claimed together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::defence::{self, Defence};
use crate::error::{Error, ErrorKind};
use crate::event::{Decision, Event};
use crate::lock::lease::Lease;
use crate::lock::{Acquired, Claim, Completion, FencingToken, Grant, Lock, Token};
use crate::scheduler::SchedulerState;
use crate::scheduler::claiming::claim::{claim, next_lane, taken};
use crate::scheduler::claiming::give_back::{FIRST_RETRY, LAST_RETRY, take_back};
use crate::scheduler::claiming::line::{Firing, announce_failure, run_locally, settle};
use crate::scheduler::claiming::request::{AT_ONCE, Request, UNDER_WAY};
use crate::scheduler::claiming::{after, holder, startup};
use crate::scheduler::engine::Engine;
use crate::scheduler::firing;
use crate::scheduler::registry::Entry;
use crate::scheduler::slot::Hold;
use crate::task::{OnStoreDown, TaskName};

/// Firings of different tasks that came due together, and are claimed together until each is
/// settled.
pub(super) struct Batch<'a> {
    engine: &'a Arc<Engine>,
    open: Vec<Open>,
}

/// One firing that is not settled yet.
pub(super) struct Open {
    pub(super) firing: Firing,
    pub(super) claim: Claim,
    /// When to ask (again); monotonic.
    ask_at: Duration,
    retry_after: Duration,
    /// A request was sent whose outcome is unknown.
    pub(super) is_ambiguous: bool,
    /// Another instance goes first: what it has taken is read before anything is claimed.
    looks_first: bool,
}

/// Claims of `due`, so many at a time. Each is sent when it is taken, unless it is the only one.
fn requests(engine: &Arc<Engine>, due: Vec<Open>) -> impl Iterator<Item = Request> {
    let is_only_one = due.len() <= AT_ONCE;
    let mut due = due.into_iter().peekable();
    std::iter::from_fn(move || {
        due.peek()?;
        let asked = due.by_ref().take(AT_ONCE).collect();
        Some(match is_only_one {
            true => Request::new(engine, asked),
            false => Request::send(engine, asked),
        })
    })
}

impl<'a> Batch<'a> {
    pub(super) fn new(engine: &'a Arc<Engine>, firings: Vec<Firing>) -> Self {
        let clock = &engine.settings.clock;
        let (now, wall) = (clock.monotonic(), clock.now());
        let turns = engine.peers.at(now);
        let open = firings.into_iter().map(|firing| {
            let looks_first = firing.is_for_others(&turns);
            let left = firing.starts_at.and_then(|at| (at - wall).to_std().ok());
            // Half of the lead is as long as its claim should take.
            let look_at = now + left.filter(|_| looks_first).unwrap_or_default() / 2;
            Open {
                claim: claim(engine, &firing),
                firing,
                ask_at: look_at,
                retry_after: FIRST_RETRY,
                is_ambiguous: false,
                looks_first,
            }
        });
        Self {
            engine,
            open: open.collect(),
        }
    }

    pub(super) async fn settle(mut self) {
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

    /// Claims what is to be claimed now, in as few requests as may be. Returns when.
    async fn ask_those_due(&mut self) -> Duration {
        let clock = &self.engine.settings.clock;
        let sent_at = clock.monotonic();
        let (due, later): (Vec<Open>, Vec<Open>) =
            self.open.drain(..).partition(|open| open.ask_at <= sent_at);
        self.open = later;
        let due = self.with_places(due);
        let due = self.look_first(due, sent_at).await;
        let count = due.len();
        let mut has_answered = false;
        let mut requests = requests(self.engine, due);
        let mut under_way: VecDeque<Request> = requests.by_ref().take(UNDER_WAY).collect();
        while let Some(request) = under_way.pop_front() {
            let (answers, sent_at) = request.answered().await;
            under_way.extend(requests.next());
            for (open, answer) in answers {
                has_answered |= answer.is_ok();
                if let Some(open) = self.take_answer(open, answer, sent_at) {
                    self.open.push(open);
                }
            }
        }
        firing::wake_another_thread();
        if has_answered {
            let took = clock.monotonic().saturating_sub(sent_at);
            self.engine.lead.note(count, took);
        }
        sent_at
    }

    /// Reads what has become of those of `due` at which others go first. Returns what is to be claimed.
    async fn look_first(&mut self, due: Vec<Open>, sent_at: Duration) -> Vec<Open> {
        let (looking, mut to_claim): (Vec<Open>, Vec<Open>) =
            due.into_iter().partition(|open| open.looks_first);
        if looking.is_empty() {
            return to_claim;
        }
        let keys = looking.iter().map(|open| open.firing.entry.key.clone());
        let keys: Vec<TaskName> = keys.collect();
        // Who cannot look can claim.
        let found = self.engine.lock.last_fired(&keys).await.unwrap_or_default();
        let found = found.into_iter().chain(std::iter::repeat(None));
        for (open, last) in looking.into_iter().zip(found) {
            let open = Open {
                looks_first: false,
                ..open
            };
            match last.and_then(|last| taken(&open.claim, last)) {
                Some(answer) => {
                    let open = self.take_answer(open, Ok(answer), sent_at);
                    self.open.extend(open);
                }
                None => to_claim.push(open),
            }
        }
        to_claim
    }

    /// Those of `due` that have a place among the runs. One that gave its place back, while it waited
    /// for the store, may have to wait for another.
    fn with_places(&mut self, due: Vec<Open>) -> Vec<Open> {
        let mut ready = Vec::with_capacity(due.len());
        for mut open in due {
            if self.engine.limits.reserve(&mut open.firing) {
                ready.push(open);
                continue;
            }
            let (hold, too_late) = match self.engine.health.store_down_since() {
                Some(_) => (Hold::Store, Decision::StoreDown),
                None => (Hold::Answer, Decision::Limited),
            };
            let wait = open.retry_after;
            self.open.extend(self.ask_again(open, wait, hold, too_late));
        }
        ready
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
        if let Some(look) = after::look(&firing.entry, &answer) {
            after::leave(engine, &firing, look);
            return None;
        }
        let now = engine.settings.clock.now();
        if let Some(wait) = firing.too_soon(&answer, now) {
            return self.ask_again(open, wait, Hold::Answer, Decision::Misfired);
        }
        if let Some(claim) = startup::another(&open, &answer, now, || engine.random()) {
            return self.claim_anew(open, claim);
        }
        match answer {
            Ok(Acquired::Granted(grant)) => return self.take_grant(open, grant, sent_at),
            Ok(Acquired::AlreadyFired {
                owner,
                status,
                attempt,
                spec,
            }) => {
                let met_at = engine.settings.clock.monotonic();
                engine.peers.meet(&owner, met_at);
                note_spec(engine, &firing.entry, &spec, Some(&owner));
                if holder::watch(engine, open, &owner, (status, attempt)).is_some() {
                    let owner = Some(owner.into());
                    settle(engine, &firing, Decision::FiredElsewhere, owner);
                }
            }
            Ok(Acquired::Superseded { .. } | Acquired::Burned) => {
                settle(engine, &firing, Decision::FiredElsewhere, None);
            }
            Ok(Acquired::TooLate { .. }) => settle(engine, &firing, Decision::Misfired, None),
            Ok(Acquired::TooEarly { wait }) => {
                return self.ask_again(open, wait, Hold::StoreClock, Decision::Misfired);
            }
            Ok(Acquired::Held(found)) => match next_lane(&open) {
                Some(lane) => {
                    let claim = open.claim.clone().with_lane(lane);
                    return self.ask_again(
                        Open { claim, ..open },
                        Duration::ZERO,
                        Hold::Answer,
                        Decision::Misfired,
                    );
                }
                None => holder::wait(engine, open, found),
            },
            Ok(Acquired::FinishEarlier { fire_time }) => {
                holder::finish_earlier(engine, &firing, fire_time);
            }
            Ok(Acquired::Paused { .. }) => settle(engine, &firing, Decision::Paused, None),
            Ok(Acquired::InDoubt) => open.give_up(engine, Decision::StoreDown),
            Ok(Acquired::Delayed { .. }) => settle(engine, &firing, Decision::Overlap, None),
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
                if !defence::holds(Defence::SameToken) {
                    open.claim.token = Token::from_bits(engine.random());
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
        let firing = &open.firing;
        if let Some(before) = grant.before()
            && before.fire_time >= firing.entry.registered
        {
            note_spec(engine, &firing.entry, &before.spec, None);
        }
        let counts = defence::holds(Defence::CountFromRequest);
        let from = if counts {
            sent_at
        } else {
            engine.settings.clock.monotonic()
        };
        let lease = Lease::new(grant, from);
        let current = engine.registry.current(&firing.entry);
        if current.as_ref().is_some_and(|entry| entry.lacks_kind) {
            take_back(engine, lease.grant().clone(), Completion::Abandoned);
            settle(engine, firing, Decision::Limited, None);
            return None;
        }
        if current.is_none()
            || engine.aborting.is_cancelled()
            || engine.state() == SchedulerState::Stopped
        {
            // The answer outlasted the stop. Before that, a firing granted is run, and drained:
            // the others have been told that it is taken, and would not ask for it again.
            take_back(engine, lease.grant().clone(), Completion::Abandoned);
            settle(engine, firing, Decision::Draining, None);
            return None;
        }
        if lease.loss(engine.settings.clock.monotonic()).is_some() {
            // The answer came when the lease was as good as over. The same claim gets it anew once it
            // is: another one would find the instant taken, by this one.
            let open = Open {
                is_ambiguous: true,
                ..open
            };
            return self.ask_again(open, FIRST_RETRY, Hold::Store, Decision::StoreDown);
        }
        firing::start(engine, firing, lease);
        None
    }

    /// Keeps a firing for another claim in place of one that was refused: with pauses, as it may
    /// be for another run to end.
    fn claim_anew(&self, open: Open, claim: Claim) -> Option<Open> {
        let wait = open.retry_after;
        let open = Open {
            claim,
            is_ambiguous: false,
            retry_after: (wait * 2).min(LAST_RETRY),
            ..open
        };
        self.ask_again(open, wait, Hold::Answer, Decision::Misfired)
    }

    /// Keeps a firing for another claim after `wait`, unless that is too late for it.
    fn ask_again(
        &self,
        mut open: Open,
        wait: Duration,
        hold: Hold,
        too_late: Decision,
    ) -> Option<Open> {
        let clock = &self.engine.settings.clock;
        let is_too_late = match hold {
            Hold::Store => open.firing.has_asked_enough(self.engine),
            _ => open.firing.is_misfired(clock.now()),
        };
        if is_too_late {
            open.give_up(self.engine, too_late);
            return None;
        }
        if self.engine.registry.current(&open.firing.entry).is_none() {
            open.give_up(self.engine, Decision::Draining);
            return None;
        }
        if matches!(hold, Hold::Store) {
            // Others may run while it waits.
            open.firing.permit = None;
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
    /// Gives a claim back that may have been granted.
    pub(super) fn take_back(&self, engine: &Arc<Engine>) {
        if self.is_ambiguous {
            let unknown = Grant::new(&self.claim, FencingToken::new(0), 1, Duration::ZERO);
            take_back(engine, unknown, Completion::Abandoned);
        }
    }

    pub(super) fn give_up(self, engine: &Arc<Engine>, decision: Decision) {
        self.take_back(engine);
        let then = self.firing.entry.policy.on_store_down;
        if decision == Decision::StoreDown && then == OnStoreDown::RunLocally {
            return run_locally(engine, self.firing);
        }
        if decision == Decision::StoreDown {
            announce_failure(engine, &self.firing.entry, self.firing.fire_time);
        }
        settle(engine, &self.firing, decision, None);
    }
}

/// Another instance has the task registered, under whatever spec: notices one that is not ours.
fn note_spec(engine: &Engine, entry: &Entry, spec: &str, owner: Option<&str>) {
    if spec.is_empty() || *spec == *entry.fingerprint {
        return;
    }
    let is_new = entry.slot().other_spec.replace(spec.to_owned()).as_deref() != Some(spec);
    engine.announce(&Event::SpecDiffers {
        task: entry.name.clone(),
        spec: entry.spec.clone(),
        owner: owner.map(Into::into),
        is_new,
    });
}

/// The second and last claim of a firing that found the lock held.
pub(super) async fn claim_after_holder(engine: &Arc<Engine>, open: Open, owner: Option<Arc<str>>) {
    let sent_at = engine.settings.clock.monotonic();
    let answer = engine.lock.acquire(&open.claim).await;
    if let Ok(Acquired::Held(_)) = answer {
        return settle(engine, &open.firing, Decision::Overlap, owner);
    }
    go_on(engine, open, answer, sent_at).await;
}

/// Brings a firing to its end whose claim was answered.
pub(super) async fn go_on(
    engine: &Arc<Engine>,
    open: Open,
    answer: Result<Acquired, Error>,
    sent_at: Duration,
) {
    let mut batch = Batch {
        engine,
        open: Vec::new(),
    };
    if let Some(open) = batch.take_answer(open, answer, sent_at) {
        batch.open.push(open);
        batch.settle().await;
    }
}
