//! A fleet of processes on one Redis, and a nemesis that breaks things: used by a test, and by
//! `bench/faults`, which does it for longer.

// A short test uses less of it than long runs do.
#![allow(dead_code, unused_imports)]

mod body;
mod fleet;
mod nemesis;
mod plan;
mod random;
mod recorded;
mod replica;
mod run;
mod schemes;

pub use fleet::Fleet;
pub use plan::{FaultKind, Plan, Scheme};
pub use random::Random;
pub use replica::be_replica_if_told;
pub use run::{Outcome, Show, judge, run};
