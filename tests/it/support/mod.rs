//! What several test modules need.

mod bench;
mod proxy;
mod redis_server;
pub mod replica;
mod scripted_lock;
mod unmarked;

pub use bench::{Bench, START, pass};
pub use proxy::Proxy;
pub use redis_server::{RedisOptions, RedisServer};
pub use scripted_lock::{Fault, ScriptedLock};
pub use unmarked::Unmarked;
