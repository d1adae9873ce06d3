//! An observer that remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::{Decision, Event, Observer, Outcome, RunFacts};

/// Remembers all events, and lets a test wait for one. Clones share what they remember.
#[derive(Debug, Clone, Default)]
pub struct RecordingObserver {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    // Held to push, or for one look.
    events: Mutex<Vec<Event>>,
    changed: Notify,
}

impl RecordingObserver {
    /// One that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything seen so far, in its order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Waits until `look`, called on all events seen so far, finds what it looks for.
    ///
    /// # Panics
    ///
    /// After `patience`, by tokio's time, with the last events.
    #[allow(clippy::panic)] // it is how a test fails
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&[Event]) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                // Before the look, so that an event between look and wait is not missed.
                let changed = self.inner.changed.notified();
                if let Some(found) = look(&self.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(patience, found).await {
            Ok(found) => found,
            Err(_) => {
                let events = self.events();
                let last = events
                    .get(events.len().saturating_sub(20)..)
                    .unwrap_or_default();
                panic!("not seen within {patience:?}; the last events: {last:#?}");
            }
        }
    }

    /// The decisions on a task's firings, in their order; each as often as it counts.
    pub fn decisions(&self, task: &str) -> Vec<Decision> {
        let events = self.lock();
        let of_task = events.iter().filter_map(|event| match event {
            Event::FiringDecided {
                task: t,
                decision,
                count,
                ..
            } if t == task => Some(std::iter::repeat_n(
                *decision,
                usize::try_from(*count).unwrap_or(usize::MAX),
            )),
            _ => None,
        });
        of_task.flatten().collect()
    }

    /// The runs of a task that started, in their order.
    pub fn starts(&self, task: &str) -> Vec<RunFacts> {
        let events = self.lock();
        let of_task = events.iter().filter_map(|event| match event {
            Event::RunStarted { run } if run.task == task => Some(run.clone()),
            _ => None,
        });
        of_task.collect()
    }

    /// The outcomes of a task's runs, in their order.
    pub fn outcomes(&self, task: &str) -> Vec<Outcome> {
        let events = self.lock();
        let of_task = events.iter().filter_map(|event| match event {
            Event::RunFinished { run, outcome, .. } if run.task == task => Some(*outcome),
            _ => None,
        });
        of_task.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.inner
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for RecordingObserver {
    fn on_event(&self, event: &Event) {
        self.lock().push(event.clone());
        self.inner.changed.notify_waiters();
    }
}
