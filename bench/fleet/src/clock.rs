//! The machine's wall clock, which all processes of a measurement share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// How long until an instant; zero once it has passed.
pub fn until(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us - now_us()).unwrap_or(0))
}
