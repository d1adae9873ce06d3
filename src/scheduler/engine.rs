//! What the parts of a running scheduler share.

#[cfg(feature = "dynamic")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Decision, Event};
use crate::lock::lease::Renewer;
use crate::lock::{Completion, Diagnosis, Grant, LastFired, Lock, Released, Severity};
use crate::random::random_bits;
use crate::scheduler::SchedulerState;
use crate::scheduler::alarm;
use crate::scheduler::builder::Settings;
use crate::scheduler::counting;
use crate::scheduler::crowd;
use crate::scheduler::driven::Nudges;
use crate::scheduler::firing::Gates;
use crate::scheduler::health::Health;
use crate::scheduler::lead::Lead;
use crate::scheduler::limits::Limits;
use crate::scheduler::peers::Peers;
use crate::scheduler::registry::{Entry, Registry};
use crate::scheduler::releases::Releases;
use crate::scheduler::shutdown::Stopping;
use crate::scheduler::steering::{self, Steering};
#[cfg(feature = "dynamic")]
use crate::scheduler::stored::{self, Stored};
use crate::scheduler::timer::{self, Rearm, Timer};
use crate::scheduler::watched_lock::WatchedLock;
#[cfg(feature = "dynamic")]
use crate::store::TaskStore;
use crate::task::CancelReason;

/// Of so many tasks the lock is asked at once when a scheduler starts, so that each answer comes well
/// within the time that a request to it may take.
const TASKS_PER_QUESTION: usize = 8_192;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) lock: Arc<WatchedLock>,
    pub(crate) renewer: Arc<Renewer>,
    releases: Arc<Releases>,
    pub(crate) health: Arc<Health>,
    state: AtomicU8,
    seed: u128,
    drawn: AtomicU64,
    /// Wakes the timer: a task was registered, or one has a new fire time.
    pub(crate) changed: Arc<Notify>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) lead: Lead,
    pub(crate) peers: Peers,
    pub(crate) gates: Gates,
    pub(crate) steering: Steering,
    /// How often the timer has computed all fire times anew, from a clock that was set back far.
    pub(crate) corrections: AtomicU64,
    // Held to push or to take.
    rearms: Mutex<Vec<Rearm>>,
    pub(crate) nudges: Nudges,
    #[cfg(feature = "dynamic")]
    pub(crate) stored: Stored,
    /// Tasks of the store are left to others.
    #[cfg(feature = "dynamic")]
    pub(crate) leaves_stored: AtomicBool,
    /// Cancelled when no new firings are taken.
    pub(crate) quiet: CancellationToken,
    /// Cancelled when runs are to end.
    pub(crate) aborting: CancellationToken,
    /// Claims on their way.
    pub(crate) claims: TaskTracker,
    /// Runs, up to the release of their lock.
    pub(crate) runs: TaskTracker,
    /// Releases that the store has not confirmed, and claims to take back.
    pub(crate) clean_ups: TaskTracker,
    // Set once, by whoever stops first; held to look.
    pub(crate) stopping: Mutex<Option<Stopping>>,
}

const STATES: [SchedulerState; 5] = [
    SchedulerState::Idle,
    SchedulerState::Starting,
    SchedulerState::Running,
    SchedulerState::Draining,
    SchedulerState::Stopped,
];

impl Engine {
    pub(crate) fn new(settings: Settings, random: u128) -> Arc<Self> {
        let health = Arc::new(Health::default());
        let lock = Arc::new(WatchedLock {
            lock: settings.lock.clone(),
            clock: settings.clock.clone(),
            observers: settings.observers.clone(),
            health: health.clone(),
        });
        let changed = Arc::new(Notify::new());
        let (most, groups) = (settings.max_concurrent, settings.groups.clone());
        let renewer = Renewer::new(lock.clone(), settings.clock.clone(), random);
        let lead = Lead::new(settings.lead);
        let peers = Peers::new(&settings.instance);
        let steering = Steering::new(settings.fleet.clone());
        #[cfg(feature = "dynamic")]
        let stored = {
            let fleet = settings.fleet.clone();
            let (clock, zone) = (settings.clock.clone(), settings.timezone);
            Stored::new(fleet.map(|fleet| TaskStore::of(fleet, clock, zone)))
        };
        Arc::new(Self {
            settings,
            registry: Registry::default(),
            lock,
            renewer: Arc::new(renewer),
            releases: Arc::default(),
            health,
            state: AtomicU8::new(0),
            seed: random,
            drawn: AtomicU64::new(0),
            lead,
            peers,
            gates: Gates::default(),
            steering,
            corrections: AtomicU64::new(0),
            limits: Limits::new(most, groups, changed.clone()),
            changed,
            rearms: Mutex::default(),
            nudges: Nudges::default(),
            #[cfg(feature = "dynamic")]
            stored,
            #[cfg(feature = "dynamic")]
            leaves_stored: AtomicBool::new(false),
            quiet: CancellationToken::new(),
            aborting: CancellationToken::new(),
            claims: TaskTracker::new(),
            runs: TaskTracker::new(),
            clean_ups: TaskTracker::new(),
            stopping: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> SchedulerState {
        let code = usize::from(self.state.load(Ordering::Acquire));
        STATES.get(code).copied().unwrap_or(SchedulerState::Stopped)
    }

    /// Goes from one of the states `from` to `to`; otherwise says in which state it is.
    pub(crate) fn change_state(
        &self,
        from: &[SchedulerState],
        to: SchedulerState,
    ) -> Result<(), SchedulerState> {
        let code = |s: SchedulerState| STATES.iter().position(|x| *x == s).unwrap_or(4) as u8;
        for from in from {
            let change = self.state.compare_exchange(
                code(*from),
                code(to),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if change.is_ok() {
                return Ok(());
            }
        }
        Err(self.state())
    }

    /// 128 random bits for a token or an id.
    pub(crate) fn random(&self) -> u128 {
        random_bits().unwrap_or_else(|_| {
            // The source worked when the scheduler was built, and does not fail later on any
            // system we know. If it did: a number nobody else draws is all that is needed.
            let drawn = u128::from(self.drawn.fetch_add(1, Ordering::Relaxed));
            self.seed ^ (drawn << 64 | drawn)
        })
    }

    pub(crate) fn announce(&self, event: &Event) {
        self.settings.observers.announce(event);
    }

    pub(crate) fn decide(
        &self,
        entry: &Entry,
        fire_time: DateTime<Utc>,
        decision: Decision,
        holder: Option<Arc<str>>,
    ) {
        let task = entry.name.clone();
        let holder = match decision {
            Decision::Paused => holder.or_else(|| self.steering.who_holds_back(&task, fire_time)),
            _ => holder,
        };
        self.announce(&Event::FiringDecided {
            task,
            fire_time,
            decision,
            count: 1,
            holder,
        });
    }

    /// Gives a lease back.
    pub(crate) async fn release(&self, grant: &Grant, completion: Completion) -> Result<Released> {
        self.releases.release(&self.lock, grant, completion).await
    }

    /// Gives a task another fire time.
    pub(crate) fn rearm(&self, rearm: Rearm) {
        self.rearms().push(rearm);
        self.changed.notify_one();
    }

    pub(crate) fn take_rearms(&self) -> Vec<Rearm> {
        std::mem::take(&mut *self.rearms())
    }

    fn rearms(&self) -> MutexGuard<'_, Vec<Rearm>> {
        self.rearms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn start(this: &Arc<Self>) -> Result<()> {
        let begun = this.change_state(&[SchedulerState::Idle], SchedulerState::Starting);
        if let Err(state) = begun {
            let text = format!("the scheduler is {state}: it can be started once");
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        let undo = BackToIdle(this);
        this.wait_for_lock().await?;
        this.diagnose().await;
        #[cfg(feature = "dynamic")]
        let follows_stored = !this.leaves_stored.load(Ordering::Acquire);
        #[cfg(feature = "dynamic")]
        if follows_stored {
            stored::load(this).await;
        }
        let known = this.last_fired().await?;
        steering::read_rules(this).await;
        let alarm = alarm::set_up(&this.settings).await?;
        let timer = Timer::new(this.clone(), known, alarm.slack());
        std::mem::forget(undo);

        if this
            .change_state(&[SchedulerState::Starting], SchedulerState::Running)
            .is_err()
        {
            let text = "the scheduler was stopped while it started";
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        this.steering.started(this.settings.clock.now());
        this.announce(&Event::SchedulerStarted {
            instance: this.settings.instance.clone(),
            tasks: this.registry.len(),
            lock: this.settings.lock.describe(),
        });
        if let Some(collision) = crowd::fullest(&this.registry.all()) {
            this.announce(&collision);
        }
        this.keep_leases();
        #[cfg(feature = "dynamic")]
        if follows_stored {
            tokio::spawn(stored::run(this.clone()));
        }
        tokio::spawn(timer::run(timer, alarm));
        steering::run(this);
        counting::begin(this);
        Ok(())
    }

    /// Makes ready for runs that are asked for in this process, and fires nothing: it is no instance of
    /// the fleet. The lock is not asked if it is not needed.
    #[cfg(feature = "cli")]
    pub(crate) async fn open(this: &Arc<Self>, lock_is_needed: bool) -> Result<()> {
        let begun = this.change_state(&[SchedulerState::Idle], SchedulerState::Starting);
        if let Err(state) = begun {
            let text = format!("the scheduler is {state}: it runs its tasks itself");
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        let undo = BackToIdle(this);
        if lock_is_needed {
            this.lock.check().await?;
        }
        #[cfg(feature = "dynamic")]
        stored::load(this).await;
        steering::read_rules(this).await;
        std::mem::forget(undo);
        let _ = this.change_state(&[SchedulerState::Starting], SchedulerState::Running);
        this.keep_leases();
        if let Some(writer) = this.settings.history.clone() {
            tokio::spawn(writer.run(this.settings.lock.clone()));
        }
        Ok(())
    }

    /// Renews the leases of runs and gives them back, until the last run has ended: it outlives the drain.
    fn keep_leases(&self) {
        let renewer = self.renewer.clone();
        let (releases, lock) = (self.releases.clone(), self.lock.clone());
        let (runs, clean_ups) = (self.runs.clone(), self.clean_ups.clone());
        let quiet = self.quiet.clone();
        tokio::spawn(async move {
            let ended = CancellationToken::new();
            let all_ended = async {
                quiet.cancelled().await;
                runs.wait().await;
                clean_ups.wait().await;
            };
            tokio::select! {
                () = async { tokio::join!(renewer.run(ended), releases.run(&lock)); } => {}
                () = all_ended => {}
            }
        });
    }

    /// Asks the lock until it can serve, for as long as the settings allow.
    async fn wait_for_lock(&self) -> Result<()> {
        let clock = &self.settings.clock;
        let begun = clock.monotonic();
        loop {
            let Err(error) = self.lock.check().await else {
                if let Some(down_for) = self.health.store_answered(clock.monotonic()) {
                    self.announce(&Event::StoreUp { down_for });
                }
                return Ok(());
            };
            let waited = clock.monotonic().saturating_sub(begun);
            if !error.is_transient() || waited >= self.settings.wait_for_lock {
                let patience = if waited.is_zero() || self.settings.wait_for_lock.is_zero() {
                    String::new()
                } else {
                    format!(" within {:?}", self.settings.wait_for_lock)
                };
                let text = format!("the scheduler cannot start: its lock cannot serve{patience}");
                return Err(Error::new(error.kind(), format!("{text}: {error}")).with_source(error));
            }
            if self.health.store_failed(clock.now(), clock.monotonic()) {
                let error = Arc::new(error);
                let operation = crate::event::LockOperation::Acquire;
                self.announce(&Event::StoreDown { operation, error });
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Tells what is wrong with the lock's store. That nothing can be told stops nothing.
    async fn diagnose(&self) {
        let diagnosis = self.lock.diagnose().await.unwrap_or_else(|error| {
            let mut unknown = Diagnosis::new(self.settings.lock.describe());
            let text = format!("could not be made: {error}");
            unknown.add(Severity::Warning, "diagnosis", text);
            unknown
        });
        self.announce(&Event::StoreDiagnosed {
            diagnosis: Arc::new(diagnosis),
        });
    }

    /// What the lock knows of the tasks registered so far, in their order.
    async fn last_fired(&self) -> Result<Vec<(Arc<Entry>, Option<LastFired>)>> {
        let entries = self.registry.all();
        let mut known = Vec::with_capacity(entries.len());
        for some in entries.chunks(TASKS_PER_QUESTION) {
            let names: Vec<_> = some.iter().map(|entry| entry.key.clone()).collect();
            let asked = known.len() + names.len();
            known.extend(self.lock.last_fired(&names).await.map_err(|e| {
                e.context("the scheduler cannot start: the last firings cannot be read")
            })?);
            // A lock that leaves out an answer is not to shift those of the next question.
            known.resize_with(asked, || None);
        }
        Ok(entries.into_iter().zip(known).collect())
    }

    /// The scheduler was dropped: nobody waits for an orderly end.
    pub(crate) fn abandon(&self) {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if stopping.is_some() {
            return;
        }
        drop(stopping);
        self.quiet.cancel();
        if let Some(history) = &self.settings.history {
            history.stop();
        }
        let mut cancelled = 0;
        for entry in self.registry.all_at_work() {
            let waiting = {
                let mut slot = entry.slot();
                for running in &slot.running {
                    running.control.cancel(CancelReason::Shutdown);
                    cancelled += 1;
                }
                slot.clear_waiting()
            };
            for fire_time in waiting {
                self.decide(&entry, fire_time, Decision::Draining, None);
            }
        }
        for firing in self.limits.take_all() {
            if firing.entry.slot().leave(firing.fire_time) {
                self.decide(&firing.entry, firing.fire_time, Decision::Draining, None);
            }
        }
        self.steering.abandon();
        self.aborting.cancel();
        self.claims.close();
        self.runs.close();
        self.clean_ups.close();
        let early = [SchedulerState::Idle, SchedulerState::Starting];
        if self
            .change_state(&[SchedulerState::Running], SchedulerState::Stopped)
            .is_ok()
        {
            let (finished, abandoned, took) = (0, 0, Duration::ZERO);
            self.announce(&Event::SchedulerStopped {
                finished,
                cancelled,
                abandoned,
                took,
            });
        } else {
            let _ = self.change_state(&early, SchedulerState::Stopped);
        }
    }
}

/// Lets the scheduler be started again after a start that failed or was dropped.
struct BackToIdle<'a>(&'a Engine);

impl Drop for BackToIdle<'_> {
    fn drop(&mut self) {
        let _ = self
            .0
            .change_state(&[SchedulerState::Starting], SchedulerState::Idle);
    }
}
