//! How much later than its fire time a firing starts, when its policy says so; and the hash that it
//! rests on. Pure.

use std::ops::Deref;
use std::time::Duration;

use crate::schedule::Schedule;

/// The part of `max` that is `name`'s: the same wherever and whenever it is asked, in whole
/// milliseconds.
pub(crate) fn part(name: &str, max: Duration) -> Duration {
    share(max, hash(name))
}

/// A text in 16 hexadecimal digits. It is its own bytes: each task has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The same for all who fire a task at the same times.
    pub(crate) fn of_schedule(schedule: &Schedule) -> Self {
        Self::of(&format!("{schedule} {:?}", schedule.dst()))
    }

    /// The same for all who do so in as many parts.
    pub(crate) fn of_parts(schedule: &Schedule, count: u32) -> Self {
        Self::of(&format!("{schedule} {:?} in {count} parts", schedule.dst()))
    }

    fn of(text: &str) -> Self {
        let mut rest = hash(text);
        let mut digits = [b'0'; 16];
        for digit in digits.iter_mut().rev() {
            let value = (rest & 0xf) as u8;
            *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
            rest >>= 4;
        }
        Self(digits)
    }
}

impl Deref for Fingerprint {
    type Target = str;

    fn deref(&self) -> &str {
        // They are digits and letters, so this never is the default.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// FNV-1a, and the finalizer of SplitMix64 to spread texts that differ in their last letter only. It
/// must not change from one version to the next, so it is not the standard library's.
pub(crate) fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}

/// The finalizer of SplitMix64.
pub(crate) fn mix(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// When this instance claims each of the `count` parts of a task, after the first: in an order of its
/// own, so that the parts are shared among instances, and all within half a second.
pub(crate) fn turns(instance: &str, task: &str, count: u32) -> Vec<Duration> {
    let step = Duration::from_millis(500) / count.max(50);
    let mut order: Vec<(u64, u32)> = (0..count)
        .map(|index| (hash(&format!("{instance}|{task}|{index}")), index))
        .collect();
    order.sort_unstable();
    let mut turns = vec![Duration::ZERO; count as usize];
    for (rank, (_, index)) in (0..).zip(order) {
        if let Some(turn) = turns.get_mut(index as usize) {
            *turn = step * rank;
        }
    }
    turns
}

/// A part of `max`, drawn with `random` bits.
pub(crate) fn draw(max: Duration, random: u128) -> Duration {
    share(max, random as u64)
}

/// `max` times the fraction that `bits` are of all 64-bit numbers.
fn share(max: Duration, bits: u64) -> Duration {
    let ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    let part = (u128::from(ms) * u128::from(bits)) >> 64;
    Duration::from_millis(part as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_part_for_ever() {
        let minute = Duration::from_secs(60);
        let parts: Vec<u128> = ["cleanup", "stats", "report.daily", ""]
            .iter()
            .map(|name| part(name, minute).as_millis())
            .collect();
        assert_eq!(parts, [51028, 14792, 57178, 57460]);
        assert_eq!(part("cleanup", Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_fingerprint_is_the_hash_in_hexadecimal() {
        for text in ["", "cleanup", "0 0 0 * * * RunOnce"] {
            let fingerprint = Fingerprint::of(text);
            assert_eq!(&*fingerprint, format!("{:016x}", hash(text)));
        }
    }

    #[test]
    fn similar_names_are_spread_over_the_whole() {
        let mut tenths = [0; 10];
        for n in 0..1000 {
            let part = part(&format!("task-{n}"), Duration::from_secs(10));
            tenths[usize::try_from(part.as_secs()).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|n| (60..140).contains(n)), "{tenths:?}");
    }

    #[test]
    fn each_instance_has_an_order_of_its_own() {
        let ms = |instance: &str| -> Vec<u128> {
            let turns = turns(instance, "t", 8);
            turns.iter().map(Duration::as_millis).collect()
        };
        let (a, b) = (ms("a"), ms("b"));
        assert_ne!(a, b);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(a, ms("a"));
        let last = turns("a", "t", 1024).into_iter().max();
        assert!(last < Some(Duration::from_millis(500)), "{last:?}");
    }

    #[test]
    fn a_draw_stays_below_the_maximum() {
        let max = Duration::from_millis(100);
        assert_eq!(draw(max, 0), Duration::ZERO);
        assert_eq!(draw(max, u128::MAX), Duration::from_millis(99));
        assert_eq!(draw(Duration::ZERO, u128::MAX), Duration::ZERO);
    }
}
