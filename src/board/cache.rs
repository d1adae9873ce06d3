//! The board itself: reads once a second at the most, whoever asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::Mutex;

use crate::board::reading::Reading;
use crate::board::{Local, Plans, Snapshot};
use crate::control::ControlPlane;
use crate::history::History;
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
