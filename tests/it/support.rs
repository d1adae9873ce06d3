//! Servers and faults for the tests.

pub mod proxy;
pub mod redis_server;
