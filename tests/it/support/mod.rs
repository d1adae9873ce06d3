//! What several test modules need.

mod accounts;
mod bench;
pub mod checker;
mod checker_tests;
mod data_loss;
pub mod faults;
pub mod history;
mod holds;
mod lifetimes;
pub mod lines;
mod losses;
pub mod one_run;
pub mod promtool;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;
pub mod replica;
mod scripted_history;
mod scripted_lock;
mod switched_fleet;
mod unmarked;

pub use bench::{Bench, START, clock_and_lock, instance, pass};
pub use redis_server::RedisServer;
pub use scripted_history::{Away, ScriptedHistory};
pub use scripted_lock::{Fault, ScriptedLock};
pub use switched_fleet::SwitchedFleet;
pub use unmarked::Unmarked;
