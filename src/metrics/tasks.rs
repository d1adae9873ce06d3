//! The numbers of all tasks, up to a limit; beyond it they are folded into one.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tracing::warn;

use crate::history::TaskCounters;
use crate::metrics::Histograms;
use crate::metrics::fleet::Fleet;
use crate::metrics::numbers::{Bounds, Info, Numbers};
use crate::task::{Overlap, TaskName};
use crate::time::Clock;

/// What tasks beyond the limit are called, and a task of this very name.
pub(super) const OTHER: &str = "_other";

/// How many tasks have series of their own, unless it is said otherwise: their text takes a scraper a
/// second or two.
const MOST: usize = 5_000;

/// For so long values stay that can fall, though the history is not read any more.
const FRESH: Duration = Duration::from_secs(60);

/// One after the other: held to count an event, or to read a metric.
#[derive(Debug)]
pub(super) struct Series(Mutex<Numbers>);

pub(super) struct Tasks {
    most: AtomicUsize,
    // Held to look or to set.
    bounds: Mutex<Bounds>,
    // Held to look one task up, to add one, or to read a metric of all.
    own: RwLock<HashMap<TaskName, Series>>,
    /// There from the first task on that is folded.
    other: OnceLock<Series>,
    has_warned: AtomicBool,
    has_buckets: AtomicBool,
    clock: Arc<dyn Clock>,
    pub(super) fleet: Fleet,
}

impl Series {
    fn within(bounds: &Bounds) -> Self {
        Self(Mutex::new(Numbers::with(bounds)))
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        // Nothing that can panic happens while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    pub(super) fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            most: AtomicUsize::new(MOST),
            bounds: Mutex::default(),
            own: RwLock::default(),
            other: OnceLock::new(),
            has_warned: AtomicBool::new(false),
            has_buckets: AtomicBool::new(true),
            clock,
            fleet: Fleet::default(),
        }
    }

    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    pub(super) fn say(&self, histograms: Histograms) {
        let has_buckets = histograms == Histograms::Classic;
        self.has_buckets.store(has_buckets, Ordering::Relaxed);
    }

    /// Whether histograms are told with their buckets.
    pub(super) fn has_buckets(&self) -> bool {
        self.has_buckets.load(Ordering::Relaxed)
    }

    /// Sets the bounds of the series that are made from now on.
    pub(super) fn bound(&self, change: impl FnOnce(Bounds) -> Bounds) {
        let mut bounds = self.bounds();
        *bounds = change(bounds.clone());
    }

    fn bounds(&self) -> MutexGuard<'_, Bounds> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the series that are made now: none if nobody is told.
    fn bounds_kept(&self) -> Bounds {
        match self.has_buckets() {
            true => self.bounds().clone(),
            false => Bounds::none(),
        }
    }

    /// Whether it has series of its own.
    pub(super) fn register(
        &self,
        task: &TaskName,
        spec: &Arc<str>,
        timezone: Tz,
        overlap: Overlap,
        next_fire: Option<DateTime<Utc>>,
    ) -> bool {
        let info = Info {
            spec: spec.clone(),
            timezone,
            overlap,
        };
        self.change(task, |numbers, is_own| {
            if is_own {
                numbers.set_next_fire(next_fire);
                numbers.info = Some(info);
            }
            is_own
        })
    }

    pub(super) fn set_next_fire(&self, task: &TaskName, at: Option<DateTime<Utc>>) {
        // It makes none: the task may have been taken out meanwhile.
        if let Some(series) = self.own().get(task) {
            series.numbers().set_next_fire(at);
        }
    }

    /// Forgets a task that is gone. What was folded stays.
    pub(super) fn unregister(&self, task: &TaskName) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.remove(task);
        if own.capacity() > 4 * own.len().max(64) {
            own.shrink_to_fit();
        }
    }

    /// What a history counts. Of those that are folded nothing is: it does not add up.
    pub(super) fn share(&self, counted: &TaskCounters) {
        let now = self.clock.monotonic();
        if let Some(series) = self.own().get(&counted.task) {
            series.numbers().share(counted, now);
        }
    }

    /// What was seen of the fleet.
    pub(super) fn see(&self, instances: usize, drifting: &[TaskName]) {
        self.fleet.see(self.clock.monotonic(), instances, drifting);
    }

    /// Whether something that was read then is so old that it may not be true any more.
    pub(super) fn is_stale(&self, read_at: Duration) -> bool {
        self.clock.monotonic().saturating_sub(read_at) > FRESH
    }

    pub(super) fn count(&self, task: &TaskName, count: impl FnOnce(&mut Numbers)) {
        self.change(task, |numbers, _| count(numbers));
    }

    /// Changes the numbers of a task; those of all that are folded if it has none of its own. They are
    /// made at its registration, or at its first event if that was quicker.
    fn change<T>(&self, task: &TaskName, change: impl FnOnce(&mut Numbers, bool) -> T) -> T {
        let own = self.own();
        if let Some(series) = own.get(task) {
            return change(&mut series.numbers(), true);
        }
        let most = self.most.load(Ordering::Relaxed);
        let has_room = own.len() < most && *task != OTHER;
        drop(own);
        if has_room {
            let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
            // Others may have come in between.
            if own.len() < most || own.contains_key(task) {
                let series = own
                    .entry(task.clone())
                    .or_insert_with(|| Series::within(&self.bounds_kept()));
                return change(&mut series.numbers(), true);
            }
        }
        if *task != OTHER {
            self.warn(task, most);
        }
        let other = self
            .other
            .get_or_init(|| Series::within(&self.bounds_kept()));
        change(&mut other.numbers(), false)
    }

    fn warn(&self, task: &TaskName, limit: usize) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            warn!(target: "tasklock", event = "metrics.limit", task = %task, limit,
                "Task metrics are folded into _other: raise Metrics::with_task_limit to have them apart");
        }
    }

    /// Shows the numbers of each task, and of those that are folded.
    pub(super) fn read(&self, mut read: impl FnMut(&str, &Numbers)) {
        for (task, series) in self.own().iter() {
            read(task.as_str(), &series.numbers());
        }
        if let Some(other) = self.other.get() {
            read(OTHER, &other.numbers());
        }
    }

    fn own(&self) -> RwLockReadGuard<'_, HashMap<TaskName, Series>> {
        self.own.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("most", &self.most)
            .field("own", &self.own().len())
            .finish_non_exhaustive()
    }
}
