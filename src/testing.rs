//! Helpers for the tests of programs that use this library, and of locks for it.

mod conformance;

pub use conformance::{LockUnderTest, lock_conformance};
