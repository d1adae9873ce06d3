//! What all routes share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admin::builder::EnvColor;
use crate::board::Board;
use crate::scheduler::SchedulerHandle;

/// So many streams go on at once.
const STREAMS: usize = 100;
/// So many schedules are explained in a second.
const PREVIEWS: u32 = 20;
/// A task is asked to run no more often than this.
const BETWEEN_RUNS: Duration = Duration::from_secs(1);
/// Of so many tasks it is known when they were asked to run.
const MOST_ASKED: usize = 10_000;

/// What the builder was told.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) title: String,
    pub(super) environment: Option<(String, EnvColor)>,
    pub(super) trace_url: Option<String>,
    pub(super) base_path: Option<String>,
    pub(super) actions: bool,
    pub(super) trusted_origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            title: "tasklock".to_owned(),
            environment: None,
            trace_url: None,
            base_path: None,
            actions: false,
            trusted_origins: Vec::new(),
        }
    }
}

/// What all routes share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AdminState(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) handle: SchedulerHandle,
    pub(super) board: Board,
    pub(super) settings: Settings,
    /// Cancelled when the scheduler stops: streams end then.
    pub(super) stopping: CancellationToken,
    pub(super) streams: Arc<Semaphore>,
    // Held for a look and a change.
    asked: Mutex<HashMap<String, Duration>>,
    previews: Mutex<(Duration, u32)>,
}

impl std::ops::Deref for AdminState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl AdminState {
    pub(super) fn new(handle: SchedulerHandle, settings: Settings) -> Self {
        Self(Arc::new(Shared {
            board: handle.board(),
            stopping: handle.engine().quiet.clone(),
            settings,
            streams: Arc::new(Semaphore::new(STREAMS)),
            asked: Mutex::default(),
            previews: Mutex::default(),
            handle,
        }))
    }
}

impl Shared {
    fn monotonic(&self) -> Duration {
        self.board.parts().clock.monotonic()
    }

    /// Whether a task may be asked to run now: not twice within a second.
    pub(super) fn may_ask(&self, task: &str) -> bool {
        let now = self.monotonic();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MOST_ASKED {
            asked.retain(|_, at| now.saturating_sub(*at) < BETWEEN_RUNS);
        }
        let last = asked.get(task);
        if last.is_some_and(|at| now.saturating_sub(*at) < BETWEEN_RUNS) {
            return false;
        }
        asked.insert(task.to_owned(), now);
        true
    }

    /// Whether one more schedule may be explained in this second.
    pub(super) fn may_preview(&self) -> bool {
        let now = self.monotonic();
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(previews.0) >= Duration::from_secs(1) {
            *previews = (now, 0);
        }
        previews.1 += 1;
        previews.1 <= PREVIEWS
    }
}
