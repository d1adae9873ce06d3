//! What both targets check: that no spec is slow.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tasklock::chrono::{DateTime, Utc};
use tasklock::chrono_tz::Tz;
use tasklock::{DstPolicy, Schedule};

/// What no spec may take for a parse and one search, where `TASKLOCK_FUZZ_TIME` gives no other
/// number of milliseconds. The counters of the fuzzer and a busy machine are in it.
const LIMIT_MS: u64 = 1;

/// None for builds that are slower still: sanitizers, coverage, a debugger.
static LIMIT: LazyLock<Option<Duration>> = LazyLock::new(|| {
    let wanted = std::env::var("TASKLOCK_FUZZ_TIME").unwrap_or_default();
    let limit = Duration::from_millis(wanted.parse().unwrap_or(LIMIT_MS));
    (wanted != "off").then_some(limit)
});

/// Panics if a parse and one search take too long in each of three tries; one or two of them may
/// have lost the processor.
pub fn is_quick(spec: &str, zone: Tz, dst: DstPolicy, after: DateTime<Utc>) {
    let Some(limit) = *LIMIT else { return };
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let next = Schedule::parse_in(spec, zone).map(|s| s.with_dst(dst).next_after(after));
        best = best.min(begun.elapsed());
        drop(next);
        if best <= limit {
            return;
        }
    }
    panic!("{best:?} for {spec:?} in {zone} with {dst:?} after {after}");
}
