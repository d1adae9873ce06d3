//! What tells claims apart, and grants.

use std::fmt;
use std::sync::Arc;

/// A number that grows with every grant of a task's lock.
///
/// It is the store's clock in microseconds, or one more than the last one if that is larger, so
/// that it goes on growing even if the store loses its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// The token of that number, for implementations of [`Lock`](crate::Lock).
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number; below 2⁵³ until the year 2255.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Identifies one claim of one instance on one firing: 128 random bits, in hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Arc<str>);

impl Token {
    /// A token of 128 bits, which must come from a good source of randomness.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// The 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
