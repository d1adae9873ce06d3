//! Leases that nobody uses any more.

use std::sync::Arc;
use std::time::Duration;

use crate::lock::{Completion, Grant, Released};
use crate::scheduler::engine::Engine;

/// Waits between requests that got no answer: doubling from the first to the last.
pub(super) const FIRST_RETRY: Duration = Duration::from_millis(50);
pub(super) const LAST_RETRY: Duration = Duration::from_millis(500);

/// Gives a lease back, and goes on trying in the background while the store does not answer: until
/// the lease has surely ended by itself.
pub(crate) fn take_back(engine: &Arc<Engine>, grant: Grant, completion: Completion) {
    let engine = engine.clone();
    let tracker = engine.clean_ups.clone();
    tracker.spawn(async move { give_back(&engine, &grant, completion).await });
}

/// Gives a lease back, and says what the lock answered; `None` if it never did.
async fn give_back(
    engine: &Arc<Engine>,
    grant: &Grant,
    completion: Completion,
) -> Option<Released> {
    let clock = &engine.settings.clock;
    let until = clock.monotonic() + grant.ttl() * 2;
    let mut pause = FIRST_RETRY;
    loop {
        match engine.release(grant, completion).await {
            Ok(answer) => return Some(answer),
            Err(error) if !error.is_transient() || clock.monotonic() >= until => return None,
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_RETRY);
    }
}
