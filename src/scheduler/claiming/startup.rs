//! `@startup`: due on every instance, one after the other.
//!
//! Its fire time is the instance's start. What is claimed is another instant: the lock takes each
//! instant once and none before the last, and two instances may start in the same millisecond, or
//! by clocks that differ.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::error::Error;
use crate::lock::{Acquired, Claim, Token};
use crate::scheduler::claiming::batch::Open;

/// The claim to make in place of one that the lock has refused; `None` if it was not, or if the
/// firing is of another kind of task.
pub(super) fn another(
    open: &Open,
    answer: &Result<Acquired, Error>,
    now: DateTime<Utc>,
    random: impl FnOnce() -> u128,
) -> Option<Claim> {
    if !open.firing.entry.schedule.is_startup() {
        return None;
    }
    let claimed = open.claim.fire_time();
    let moment = TimeDelta::milliseconds(1);
    let instant = match answer {
        Ok(Acquired::Superseded { last }) => now.max(*last + moment),
        Ok(Acquired::AlreadyFired { .. } | Acquired::Burned) => now.max(claimed + moment),
        // Somebody else's run goes on: this one waits its turn.
        Ok(Acquired::Held(_)) => claimed,
        Ok(Acquired::TooLate { .. }) => now.max(claimed),
        // Our clock is ahead of the store's.
        Ok(Acquired::TooEarly { wait }) => claimed - TimeDelta::from_std(*wait).ok()?,
        _ => return None,
    };
    Some(Claim {
        fire_time: instant.trunc_subsecs(3),
        token: Token::from_bits(random()),
        ..open.claim.clone()
    })
}
