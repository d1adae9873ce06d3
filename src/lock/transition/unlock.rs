//! A lock that a person takes from its owner.

use crate::lock::stored::Stored;
use crate::lock::transition::off_schedule::keep;
use crate::lock::{FencingToken, RunStatus, Unlocked};

/// Ends the lease of the run that was granted with this fencing token, if it still has it.
pub(crate) fn unlock(stored: Stored, fence: FencingToken, now_us: i64) -> (Stored, Unlocked) {
    let mut new = stored.at(now_us / 1000);
    let Some(mut state) = new.parsed_state().filter(|s| new.is_locked_by(&s.token)) else {
        let answer = match new.lock {
            Some(_) => Unlocked::Other { current: None },
            None => Unlocked::NotLocked,
        };
        return (new, answer);
    };
    if state.fence != fence.get() || state.status != RunStatus::Running {
        let current = Some(FencingToken::new(state.fence));
        return (new, Unlocked::Other { current });
    }
    new.lock = None;
    // Anything but "running" keeps its renewals from bringing the lock back.
    state.status = RunStatus::Cancelled;
    state.ended = now_us / 1000;
    keep(&mut new, &state);
    (new, Unlocked::Freed)
}
