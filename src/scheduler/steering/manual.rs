//! Runs that somebody asked for: the same lock, the same path as scheduled ones, and no instant.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

use crate::control::{Ask, By, Command, IfPaused, IfRunning, Refusal};
use crate::error::ErrorKind;
use crate::event::RunRequest;
use crate::lock::lease::Lease;
use crate::lock::{Acquired, Completion, FencingToken, Grant, Lock};
use crate::scheduler::claiming::{self, Firing, Manual, off_schedule, take_back};
use crate::scheduler::engine::Engine;
use crate::scheduler::firing;
use crate::scheduler::registry::Entry;
use crate::scheduler::steering::acting::{Done, No, no_such_task};
use crate::scheduler::steering::taking::{entries_of, takes_firings};
use crate::task::{Overlap, RunId, Scope};

/// How long a lock's store that does not answer is asked.
const ASK_FOR: Duration = Duration::from_secs(10);
/// The same for a place among the runs of this instance.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(5);
/// How long a run waits for the end of another.
const QUEUE_FOR: Duration = Duration::from_secs(600);
/// Between two looks at either.
const LOOK: Duration = Duration::from_millis(250);

/// A wish that can be tried.
#[derive(Debug)]
struct Order {
    entries: Vec<Arc<Entry>>,
    runs: Vec<RunId>,
    fire_time: DateTime<Utc>,
    request: Arc<RunRequest>,
    if_paused: IfPaused,
}

/// One that was accepted, and waits for another run to end.
#[derive(Debug)]
pub(super) struct Queued(Order);

/// Granted, all of it, and not yet begun.
type Granted = Vec<(Firing, Lease)>;

/// Starts a run, or says why not, or that it is still to be tried.
pub(super) async fn run_now(
    engine: &Arc<Engine>,
    command: &Command,
) -> (Result<Done, No>, Option<Queued>) {
    let Ask::Run {
        task, if_running, ..
    } = &command.ask
    else {
        return (Ok(Done::default()), None);
    };
    let runs = command.taken.as_ref().map(|taken| taken.runs.clone());
    let runs = runs.unwrap_or_default();
    let (by, id) = (command.by.clone(), command.id.as_str().into());
    let Some(order) = Order::of(engine, &command.ask, (by, id), runs.clone()) else {
        return (Err(no_such_task(task)), None);
    };
    match order.attempt(engine).await {
        Ok(()) => (
            Ok(Done {
                runs,
                ..Done::default()
            }),
            None,
        ),
        Err((Refusal::AlreadyRunning, _)) if *if_running == IfRunning::Queue => {
            let done = Done {
                runs,
                is_queued: true,
                ..Done::default()
            };
            (Ok(done), Some(Queued(order)))
        }
        Err(no) => (Err(no), None),
    }
}

impl Queued {
    /// Tries again until it can start, or that takes too long, or the scheduler stops: says why not then.
    pub(super) async fn run(self, engine: &Arc<Engine>) -> Result<(), String> {
        let begun = engine.settings.clock.monotonic();
        let name = self.0.entries.first().map(|entry| entry.name.clone());
        let why = loop {
            tokio::select! {
                biased;
                () = engine.quiet.cancelled() => break draining().1,
                () = tokio::time::sleep(LOOK) => {}
            }
            let why = match self.0.attempt(engine).await {
                Ok(()) => return Ok(()),
                Err((Refusal::AlreadyRunning | Refusal::Limited | Refusal::StoreDown, why)) => why,
                Err((_, why)) => break why,
            };
            if engine.settings.clock.monotonic().saturating_sub(begun) > QUEUE_FOR {
                break format!("{why}, for {} s", QUEUE_FOR.as_secs());
            }
        };
        tracing::warn!(
            target: "tasklock",
            event = "command.given_up",
            task = name.as_ref().map(tracing::field::display),
            command = %self.0.request.command,
            why,
            "A run that was asked for did not get its turn"
        );
        Err(why)
    }
}

/// Starts a run in this process, as somebody wants it who is here: under its lock, or without. Waits for
/// another run to end, if that is wanted.
#[cfg(feature = "cli")]
pub(crate) async fn run_here(
    engine: &Arc<Engine>,
    ask: &Ask,
    by: By,
    is_locked: bool,
) -> Result<Vec<RunId>, No> {
    let Ask::Run {
        task, if_running, ..
    } = ask
    else {
        return Ok(Vec::new());
    };
    let now = engine.settings.clock.now();
    let parts = entries_of(engine, task);
    let ids = parts.iter().map(|_| RunId::new(now, engine.random()));
    let runs: Vec<RunId> = ids.collect();
    let command = RunId::new(now, engine.random()).to_string();
    let order = Order::of(engine, ask, (by, command.into()), runs.clone());
    let order = order.ok_or_else(|| no_such_task(task))?;
    if !is_locked {
        order.start_unlocked(engine)?;
        return Ok(runs);
    }
    match order.attempt(engine).await {
        Err((Refusal::AlreadyRunning, _)) if *if_running == IfRunning::Queue => {
            let turn = Queued(order).run(engine).await;
            turn.map_err(|why| (Refusal::AlreadyRunning, why))?;
        }
        done => done?,
    }
    Ok(runs)
}

impl Order {
    /// What is asked, for these runs; `None` if the task cannot be run here.
    fn of(
        engine: &Engine,
        ask: &Ask,
        (by, command): (By, Arc<str>),
        runs: Vec<RunId>,
    ) -> Option<Self> {
        let Ask::Run {
            task,
            fire_time,
            params,
            if_paused,
            again,
            traceparent,
            ..
        } = ask
        else {
            return None;
        };
        let entries = entries_of(engine, task);
        if entries.is_empty() || runs.len() != entries.len() {
            return None;
        }
        let now = engine.settings.clock.now();
        Some(Self {
            entries,
            runs,
            fire_time: fire_time.unwrap_or(now).trunc_subsecs(3),
            request: Arc::new(
                RunRequest::new(by, params.clone(), command)
                    .repeating(*again)
                    .asked_in(traceparent.clone()),
            ),
            if_paused: *if_paused,
        })
    }

    /// Starts without a lock, whoever else has it.
    #[cfg(feature = "cli")]
    fn start_unlocked(&self, engine: &Arc<Engine>) -> Result<(), No> {
        for entry in &self.entries {
            self.check(engine, entry)?;
        }
        for firing in self.firings() {
            firing::start_unlocked(engine, &firing);
        }
        firing::wake_another_thread();
        Ok(())
    }

    fn firings(&self) -> impl Iterator<Item = Firing> {
        self.entries.iter().zip(&self.runs).map(|(entry, run_id)| {
            let manual = Manual {
                run_id: *run_id,
                request: self.request.clone(),
            };
            Firing::manual(entry.clone(), self.fire_time, manual)
        })
    }

    /// Takes all locks that it needs and starts, or takes none.
    async fn attempt(&self, engine: &Arc<Engine>) -> Result<(), No> {
        let mut granted: Granted = Vec::with_capacity(self.entries.len());
        for firing in self.firings() {
            match self.claim(engine, firing).await {
                Ok(one) => granted.push(one),
                Err(no) => {
                    give_back(engine, granted);
                    return Err(no);
                }
            }
        }
        if !takes_firings(engine) {
            give_back(engine, granted);
            return Err(draining());
        }
        for (firing, lease) in granted {
            firing::start(engine, &firing, lease);
        }
        firing::wake_another_thread();
        Ok(())
    }

    async fn claim(&self, engine: &Arc<Engine>, mut firing: Firing) -> Result<(Firing, Lease), No> {
        let entry = firing.entry.clone();
        self.check(engine, &entry)?;
        let clock = engine.settings.clock.clone();
        let begun = clock.monotonic();
        let waited = || clock.monotonic().saturating_sub(begun);
        while !engine.limits.reserve(&mut firing) {
            if waited() > WAIT_FOR_PLACE {
                let text = format!(
                    "as many runs go on here as may, and task {} waits",
                    entry.name
                );
                return Err((Refusal::Limited, text));
            }
            tokio::time::sleep(LOOK).await;
        }
        if entry.policy.scope == Scope::EveryInstance {
            if !entry.slot().running.is_empty() {
                return Err(running(&entry, Some(&engine.settings.instance)));
            }
            let lease = firing::unlocked(engine, &entry, firing.fire_time);
            return Ok((firing, lease));
        }
        let mut claim = off_schedule(engine, &firing, self.if_paused == IfPaused::Run);
        let mut is_ambiguous = false;
        let mut pause = LOOK / 5;
        loop {
            let sent_at = clock.monotonic();
            let error = match engine.lock.acquire(&claim).await {
                Ok(Acquired::Granted(grant)) => {
                    let lease = Lease::new(grant, sent_at);
                    if lease.loss(clock.monotonic()).is_none() {
                        return Ok((firing, lease));
                    }
                    // The answer came when it was as good as over: the same claim gets it anew.
                    is_ambiguous = true;
                    None
                }
                Ok(Acquired::Held(holder)) => {
                    let next = claim.lane() + 1;
                    let lanes = match entry.policy.overlap {
                        Overlap::Allow(lanes) => lanes,
                        _ => 1,
                    };
                    if next >= lanes {
                        return Err(running(&entry, holder.owner.as_deref()));
                    }
                    claim = claim.with_lane(next);
                    continue;
                }
                Ok(Acquired::Paused { failures }) => {
                    let text = format!(
                        "task {} is paused: {failures} runs in a row failed",
                        entry.name
                    );
                    return Err((Refusal::Paused, text));
                }
                Ok(_) => {
                    let text = format!(
                        "the lock does not know runs beside the schedule of task {}",
                        entry.name
                    );
                    return Err((Refusal::NotPossible, text));
                }
                Err(error) => {
                    is_ambiguous |= error.kind() != ErrorKind::StoreDenied;
                    Some(error)
                }
            };
            let is_final = error.as_ref().is_some_and(|error| !error.is_transient());
            if is_final || waited() > ASK_FOR {
                if is_ambiguous {
                    let unknown = Grant::new(&claim, FencingToken::new(0), 1, Duration::ZERO);
                    take_back(engine, unknown, Completion::Abandoned);
                }
                let why = error.map(|error| format!(": {error}")).unwrap_or_default();
                let text = format!("the lock of task {} could not be taken{why}", entry.name);
                return Err((Refusal::StoreDown, text));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK * 2);
        }
    }

    fn check(&self, engine: &Engine, entry: &Entry) -> Result<(), No> {
        if !takes_firings(engine) {
            return Err(draining());
        }
        let rules = engine.steering.rules();
        let now = engine.settings.clock.now();
        match rules.pause_of(entry.name.as_str(), now) {
            Some(pause) if self.if_paused == IfPaused::Refuse => {
                let text = format!("task {} is paused by {}", entry.name, pause.by);
                Err((Refusal::Paused, text))
            }
            _ => Ok(()),
        }
    }
}

fn running(entry: &Entry, owner: Option<&str>) -> No {
    let on = owner
        .map(|owner| format!(" on {owner}"))
        .unwrap_or_default();
    let text = format!("a run of task {} goes on{on}", entry.name);
    (Refusal::AlreadyRunning, text)
}

fn draining() -> No {
    (
        Refusal::Draining,
        "this instance takes no firings".to_owned(),
    )
}

fn give_back(engine: &Arc<Engine>, granted: Granted) {
    for (_, lease) in granted {
        if !lease.is_unlocked() {
            claiming::take_back(engine, lease.grant().clone(), Completion::Abandoned);
        }
    }
}
