//! The one loop that follows the store of tasks.
//!
//! It reads what has changed whenever the store says that something may have, and now and then by
//! itself. The whole is read at the start, after a fault, and every few minutes: a store that was
//! emptied and filled again may have come back to the version that we know.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, StoreOperation};
use crate::fleet::Version;
use crate::scheduler::engine::Engine;
use crate::store::{SHELF, TaskStore};

/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the start of a scheduler waits for the tasks.
const PATIENCE_AT_START: Duration = Duration::from_secs(5);
/// The least time between two readings: others write other things, which wake us too.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is read though nobody said that anything has changed.
const REREAD: Duration = Duration::from_secs(10);
/// How often all of it is.
const REREAD_WHOLE: Duration = Duration::from_secs(600);
/// Pauses after a reading that failed, doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Reads the tasks before the scheduler fires. If they cannot be read, they come later.
pub(crate) async fn load(engine: &Arc<Engine>) {
    let Some(store) = &engine.stored.store else {
        return;
    };
    if let Err(error) = read(engine, store, true, PATIENCE_AT_START).await {
        let error = Arc::new(error);
        engine.announce(&Event::TaskStoreDown { error });
        engine.stored.note_down(engine.settings.clock.monotonic());
    }
}

/// Runs until the scheduler goes quiet.
pub(crate) async fn run(engine: Arc<Engine>) {
    let Some(store) = engine.stored.store.clone() else {
        return;
    };
    let quiet = engine.quiet.clone();
    tokio::select! {
        biased;
        () = quiet.cancelled() => {}
        () = follow(&engine, &store) => {}
    }
}

async fn follow(engine: &Arc<Engine>, store: &TaskStore) {
    let clock = engine.settings.clock.clone();
    let mut seen = 0;
    let mut retry = FIRST_RETRY;
    let mut is_whole = engine.stored.is_down();
    let mut read_whole = clock.monotonic();
    let mut is_nudged = false;
    loop {
        tokio::select! {
            now = store.fleet().changed(seen) => seen = now,
            () = engine.stored.nudged.notified() => is_nudged = true,
            () = tokio::time::sleep(if engine.stored.is_down() { retry } else { REREAD }) => {}
        }
        is_whole |= clock.monotonic().saturating_sub(read_whole) >= REREAD_WHOLE;
        let pause = match read(engine, store, is_whole, PATIENCE).await {
            Ok(()) => {
                if std::mem::take(&mut is_nudged) {
                    engine.stored.definitions().look_again(engine);
                }
                if let Some(down_for) = engine.stored.note_up(clock.monotonic()) {
                    engine.announce(&Event::TaskStoreUp { down_for });
                }
                if is_whole {
                    read_whole = clock.monotonic();
                }
                (is_whole, retry) = (false, FIRST_RETRY);
                PAUSE
            }
            Err(error) => {
                is_whole = true;
                if engine.stored.note_down(clock.monotonic()) {
                    let error = Arc::new(error);
                    engine.announce(&Event::TaskStoreDown { error });
                }
                retry = (retry * 2).min(LAST_RETRY);
                retry
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Reads what has changed, or all, and goes by it.
async fn read(
    engine: &Arc<Engine>,
    store: &TaskStore,
    is_whole: bool,
    patience: Duration,
) -> Result<()> {
    let since = match is_whole {
        true => Version::default(),
        false => engine.stored.definitions().version,
    };
    let listing = tokio::time::timeout(patience, store.fleet().list(SHELF, since)).await;
    let listing = listing.unwrap_or_else(|e| {
        let text = format!("the stored tasks were not read within {patience:?}");
        Err(Error::new(ErrorKind::StoreUnavailable, text).with_source(e))
    });
    let listing = listing.inspect_err(|_| {
        engine.announce(&Event::StoreFailed {
            operation: StoreOperation::Tasks,
        });
    })?;
    let mut definitions = engine.stored.definitions();
    definitions.take(engine, store, &listing);
    Ok(())
}

impl super::Stored {
    fn definitions(&self) -> std::sync::MutexGuard<'_, super::Definitions> {
        // What is left half done by a panic is done by the next whole reading.
        self.definitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_down(&self) -> bool {
        self.definitions().down_since.is_some()
    }

    /// Notes that the store could not be read. Whether that is new.
    fn note_down(&self, now: Duration) -> bool {
        let mut definitions = self.definitions();
        let is_new = definitions.down_since.is_none();
        definitions.down_since.get_or_insert(now);
        is_new
    }

    /// Notes that it could. For how long it could not before.
    fn note_up(&self, now: Duration) -> Option<Duration> {
        let since = self.definitions().down_since.take()?;
        Some(now.saturating_sub(since))
    }
}
