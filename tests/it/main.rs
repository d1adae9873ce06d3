//! What the library does as a whole, on real servers and files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod lock_conformance;
mod redis_lock;
mod support;
