//! The fan-out of events, in which no observer can fail the engine.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::log::LogObserver;
use crate::event::{Event, Observer};

/// Everybody who listens. The log listens first.
#[derive(Clone)]
pub(crate) struct Observers {
    list: Arc<[Arc<dyn Observer>]>,
    has_panicked: Arc<AtomicBool>,
}

impl Observers {
    pub(crate) fn new(instance: Arc<str>, others: Vec<Arc<dyn Observer>>) -> Self {
        let mut list: Vec<Arc<dyn Observer>> = vec![Arc::new(LogObserver::new(instance))];
        list.extend(others);
        Self {
            list: list.into(),
            has_panicked: Arc::default(),
        }
    }

    pub(crate) fn announce(&self, event: &Event) {
        for observer in self.list.iter() {
            let call = catch_unwind(AssertUnwindSafe(|| observer.on_event(event)));
            if call.is_err() && !self.has_panicked.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    target: "tasklock",
                    event = "observer.panicked",
                    "An observer panicked; its other panics are not reported",
                );
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.list.len())
    }
}
