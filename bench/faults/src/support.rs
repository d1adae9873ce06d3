//! What the tests of the crate have too.
// Not all of it is used here.
#![allow(dead_code)]

#[path = "../../../tests/it/support/accounts.rs"]
mod accounts;
#[path = "../../../tests/it/support/checker.rs"]
pub mod checker;
#[path = "../../../tests/it/support/data_loss.rs"]
pub mod data_loss;
#[path = "../../../tests/it/support/faults/mod.rs"]
pub mod faults;
#[path = "../../../tests/it/support/history.rs"]
pub mod history;
#[path = "../../../tests/it/support/holds.rs"]
mod holds;
#[path = "../../../tests/it/support/lifetimes.rs"]
mod lifetimes;
#[path = "../../../tests/it/support/losses.rs"]
mod losses;
#[path = "../../../tests/it/support/proxy.rs"]
mod proxy;
#[path = "../../../tests/it/support/redis_sentinel.rs"]
pub mod redis_sentinel;
#[path = "../../../tests/it/support/redis_server.rs"]
pub mod redis_server;
