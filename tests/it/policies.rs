//! What policies do.

mod conflicts;
mod failures;
mod misfire;
mod overlap;
mod recovery;
mod retry;
mod scope;

use std::time::Duration;

use tasklock::Policy;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn policy() -> Policy {
    Policy::default()
}
