//! The instance's part in its fleet: it says that it is there, follows what people want, and takes
//! commands. Without a fleet's store there is nothing of it.
//!
//! ```text
//! store ── rules ────────> what applies: asked at each firing, without waiting
//!       ── commands ─────> taken by compare-and-set, acted on, answered
//!       ── instances ────> who came, who went, what differs
//!       <─ our record ──── every 5 s, and when something changed
//! ```
//! One loop reads all of it: when the store says that something changed, and every second. A store
//! that is away leaves what was known last.

mod acting;
mod catch_up;
mod chronicle;
mod following;
mod manual;
mod outage;
mod record;
mod roster;
mod taking;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::{Instance, Overridden, Rules};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RunFacts;
use crate::fleet::FleetStore;
use crate::scheduler::registry::Entry;
use crate::task::{RunControl, RunId, TaskName};

pub(crate) use following::{read_rules, run};
#[cfg(feature = "cli")]
pub(crate) use manual::run_here;
use outage::Outage;
#[cfg(feature = "dynamic")]
pub(crate) use outage::Reading;
#[cfg(any(feature = "admin", feature = "cli"))]
pub(crate) use record::own as own_record;

/// How long the store may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the engine knows of its fleet.
#[derive(Debug)]
pub(crate) struct Steering {
    pub(crate) store: Option<Arc<dyn FleetStore>>,
    /// When the scheduler was started.
    started: OnceLock<DateTime<Utc>>,
    // Held to look or to put a new one in.
    rules: RwLock<Arc<Rules>>,
    /// Whether there are any, so that firings need not look.
    has_rules: AtomicBool,
    is_drained: AtomicBool,
    /// Records that could not be read.
    malformed: AtomicU64,
    outage: Outage,
    // Held to look or to put a new list in.
    others: Mutex<Vec<Arc<Instance>>>,
    // Held for an insert, a remove or a look.
    live: Mutex<HashMap<RunId, Live>>,
    // Held to add or to take.
    replans: Mutex<HashSet<TaskName>>,
    /// Our record is to be written soon.
    news: Notify,
    /// The scheduler has stopped: our record goes.
    ended: CancellationToken,
    loops: TaskTracker,
}

/// A run that goes on here.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) facts: RunFacts,
    pub(crate) control: RunControl,
}

impl Steering {
    pub(crate) fn new(store: Option<Arc<dyn FleetStore>>) -> Self {
        Self {
            store,
            started: OnceLock::new(),
            rules: RwLock::default(),
            has_rules: AtomicBool::new(false),
            is_drained: AtomicBool::new(false),
            malformed: AtomicU64::new(0),
            outage: Outage::default(),
            others: Mutex::default(),
            live: Mutex::default(),
            replans: Mutex::default(),
            news: Notify::new(),
            ended: CancellationToken::new(),
            loops: TaskTracker::new(),
        }
    }

    /// When the scheduler was started: `now` if this is the first to ask.
    pub(crate) fn started(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        *self.started.get_or_init(|| now)
    }

    /// Whether this instance is to take no new firings until it is asked to.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_drained.load(Ordering::Acquire)
    }

    /// Whether somebody has paused a task, or skips this fire time of it.
    pub(crate) fn holds_back(&self, task: &TaskName, fire_time: DateTime<Utc>) -> bool {
        self.has_rules.load(Ordering::Acquire) && self.rules().holds_back(task.as_str(), fire_time)
    }

    /// Who that is, and until when.
    pub(crate) fn who_holds_back(
        &self,
        task: &TaskName,
        fire_time: DateTime<Utc>,
    ) -> Option<Arc<str>> {
        let rules = self.rules();
        if let Some(pause) = rules.pause_of(task.as_str(), fire_time) {
            let until = pause
                .until
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Some(format!("{} until {until}", pause.by.actor()).into());
        }
        let skip = rules.skip_of(task.as_str())?;
        let is_skipped = skip.fire_times.contains(&fire_time);
        is_skipped.then(|| format!("{}, who skips it", skip.by.actor()).into())
    }

    /// The schedule that somebody gave a task in place of its code's.
    pub(crate) fn overridden(&self, entry: &Entry) -> Option<Overridden> {
        if !self.has_rules.load(Ordering::Acquire) || entry.depends_on_runs() || entry.is_driven {
            return None;
        }
        let rules = self.rules();
        let other = rules.overridden(entry.name.as_str())?;
        Some(other.clone().with_dst(entry.schedule.dst()))
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.read();
        rules.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// The other instances, as they were seen last.
    pub(crate) fn others(&self) -> Vec<Arc<Instance>> {
        let others = self.others.lock();
        others.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A run begins here.
    pub(crate) fn note_start(&self, facts: &RunFacts, control: &RunControl) {
        if self.store.is_some() {
            let (facts, control) = (facts.clone(), control.clone());
            self.live().insert(facts.run_id, Live { facts, control });
        }
    }

    /// A run has ended here.
    pub(crate) fn note_end(&self, run_id: RunId) {
        if self.store.is_some() {
            self.live().remove(&run_id);
        }
    }

    /// Tasks whose fire times are others than they were.
    pub(crate) fn take_replans(&self) -> HashSet<TaskName> {
        let mut replans = self.replans.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *replans)
    }

    /// Has our record written soon.
    pub(crate) fn tell(&self) {
        self.news.notify_one();
    }

    /// Takes our record away, as the scheduler has stopped; does not wait for a store that is away.
    pub(crate) async fn end(&self) {
        self.ended.cancel();
        self.loops.close();
        let _ = tokio::time::timeout(PATIENCE * 2, self.loops.wait()).await;
    }

    /// The same without waiting.
    pub(crate) fn abandon(&self) {
        self.ended.cancel();
        self.loops.close();
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Live>> {
        // One insert or remove at a time.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows other rules. Returns whether it is drained now, if that has changed.
    fn follow(&self, new: Rules, instance: &str) -> Option<bool> {
        let old = self.rules();
        let changed = |task: &&TaskName| {
            let of = |rules: &Rules| rules.overridden(task.as_str()).cloned();
            of(&old) != of(&new)
        };
        let tasks = old.overridden_tasks().chain(new.overridden_tasks());
        let tasks: Vec<TaskName> = tasks
            .map(|(task, _)| task)
            .filter(changed)
            .cloned()
            .collect();
        let is_drained = new.drain_of(instance).is_some();
        self.has_rules.store(!new.is_empty(), Ordering::Release);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        let mut replans = self.replans.lock().unwrap_or_else(PoisonError::into_inner);
        replans.extend(tasks);
        let was = self.is_drained.swap(is_drained, Ordering::AcqRel);
        (was != is_drained).then_some(is_drained)
    }
}

/// Waits for a store, though not for ever.
async fn limited<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| {
            let text = format!("the fleet's store did not answer within {PATIENCE:?}");
            Err(Error::new(ErrorKind::StoreAmbiguous, text))
        })
}
