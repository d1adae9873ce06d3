//! What measurements of schedulers need, whatever the scheduler: a store, processes, their starts.

pub mod account;
pub mod child;
pub mod clock;
pub mod lateness;
pub mod redis_server;
pub mod rounds;
pub mod starts;
pub mod usage;
