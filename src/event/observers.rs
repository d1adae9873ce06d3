//! The fan-out of events, in which no observer can fail the engine.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::event::log::LogObserver;
use crate::event::{Event, Observer};

/// Everybody who listens. The log listens first.
#[derive(Clone)]
pub(crate) struct Observers {
    list: Arc<[Arc<dyn Observer>]>,
    /// Who came when the scheduler had been built.
    late: Arc<OnceLock<Arc<dyn Observer>>>,
    has_panicked: Arc<AtomicBool>,
}

impl Observers {
    pub(crate) fn new(instance: Arc<str>, others: Vec<Arc<dyn Observer>>) -> Self {
        let mut list: Vec<Arc<dyn Observer>> = vec![Arc::new(LogObserver::new(instance))];
        list.extend(others);
        Self {
            list: list.into(),
            late: Arc::default(),
            has_panicked: Arc::default(),
        }
    }

    /// One more, once.
    #[cfg(feature = "cli")]
    pub(crate) fn also(&self, observer: Arc<dyn Observer>) {
        let _ = self.late.set(observer);
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Observer>> {
        self.list.iter().chain(self.late.get())
    }

    pub(crate) fn announce(&self, event: &Event) {
        for (number, observer) in self.all().enumerate() {
            if !tell(&**observer, event) {
                self.note_panic(number);
            }
        }
    }

    #[cold]
    fn note_panic(&self, panicked: usize) {
        if !self.has_panicked.swap(true, Ordering::Relaxed) {
            tracing::error!(
                target: "tasklock",
                event = "observer.panicked",
                "An observer panicked; its other panics are not reported",
            );
        }
        let others = self.all().enumerate();
        for (_, other) in others.filter(|(number, _)| *number != panicked) {
            // One that panics at this too is not told of again.
            tell(&**other, &Event::ObserverPanicked);
        }
    }
}

/// Whether an observer has taken note of an event without a panic.
fn tell(observer: &dyn Observer, event: &Event) -> bool {
    catch_unwind(AssertUnwindSafe(|| observer.on_event(event))).is_ok()
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.list.len())
    }
}
