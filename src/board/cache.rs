//! The board itself: reads once a second at the most, whoever asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::Mutex;

use crate::board::reading::Reading;
use crate::board::{Entry, Local, Plans, Snapshot, Why};
use crate::control::ControlPlane;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{History, runs_since, why};
use crate::lock::Lock;
#[cfg(feature = "dynamic")]
use crate::store::TaskStore;
use crate::time::Clock;

/// A snapshot is shown to others for so long.
const FRESH: Duration = Duration::from_secs(1);

/// Where a board reads. What is missing is not shown.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) control: Option<ControlPlane>,
    pub(crate) history: Option<Arc<dyn History>>,
    pub(crate) lock: Option<Arc<dyn Lock>>,
    #[cfg(feature = "dynamic")]
    pub(crate) store: Option<TaskStore>,
    /// The instance that shows itself, if it is one.
    pub(crate) local: Option<Arc<dyn Local>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The zone of specs that name none, where no instance says it.
    pub(crate) zone: Tz,
}

/// What people look at. All who ask within a second see one snapshot, which was read once.
pub(crate) struct Board {
    parts: Parts,
    plans: Plans,
    /// Held while it is read, so that others wait for what is read and do not read it themselves.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reading: Reading,
    /// The last one, and when it was read by the monotonic clock.
    last: Option<(Duration, Arc<Snapshot>)>,
}

impl Board {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            plans: Plans::default(),
            state: Mutex::default(),
        }
    }

    /// All of it, no older than a second. A store that does not answer makes it stale, which it says.
    pub(crate) async fn look(&self) -> Arc<Snapshot> {
        let mut state = self.state.lock().await;
        let asked = self.parts.clock.monotonic();
        if let Some((read, snapshot)) = &state.last
            && asked.saturating_sub(*read) < FRESH
        {
            return snapshot.clone();
        }
        let snapshot = Arc::new(state.reading.read(&self.parts, &self.plans).await);
        state.last = Some((self.parts.clock.monotonic(), snapshot.clone()));
        snapshot
    }

    /// The next look reads anew: something was changed from here.
    pub(crate) async fn forget(&self) {
        self.state.lock().await.last = None;
    }

    /// Why a task ran at an instant, or did not: by what the history knows, and by the schedule that it
    /// has on the instances that have it. `None` if that schedule cannot be read here.
    pub(crate) async fn why(&self, entry: &Entry, at: DateTime<Utc>) -> Result<Option<Why>> {
        let Some(history) = &self.parts.history else {
            let text = "the scheduler keeps no history: give it one with SchedulerBuilder::history";
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        };
        let Some(plan) = &entry.plan else {
            return Ok(None);
        };
        // What somebody has put in the place of the schedule counts while it lasts.
        let over = entry.over.as_ref();
        let over = over.filter(|over| over.from <= at && at < over.until);
        let schedule = over.map_or(&plan.schedule, |over| &over.schedule);
        let name = &entry.facts.name;
        let runs = runs_since(&**history, name, at).await?;
        let decisions = history.decisions(name).await?;
        let counters = history.counters(std::slice::from_ref(name)).await?;
        let known_since = counters.into_iter().flatten().next();
        let known_since = known_since.and_then(|counters| counters.known_since);
        let known = (self.now(), known_since);
        let task = (name.clone(), schedule);
        Ok(Some(Why::of(&why(task, at, known, (runs, decisions)))))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}
