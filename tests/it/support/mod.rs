//! What several test modules need.

mod bench;
pub mod lines;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;
pub mod replica;
mod scripted_lock;
mod unmarked;

pub use bench::{Bench, START, pass};
pub use redis_server::RedisServer;
pub use scripted_lock::{Fault, ScriptedLock};
pub use unmarked::Unmarked;
