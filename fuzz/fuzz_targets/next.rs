//! A spec, a zone, an instant and a policy: answers are in order and agree in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tasklock::chrono::{DateTime, Utc};
use tasklock::chrono_tz::{TZ_VARIANTS, Tz};
use tasklock::{DstPolicy, Schedule};

const FIRST: i64 = -2_524_521_600; // 1890-01-01T00:00:00Z
const LAST: i64 = 7_573_737_600; // 2210-01-01T00:00:00Z

fuzz_target!(|data: &[u8]| {
    if let Some((spec, zone, dst, after)) = question(data) {
        check(&spec, zone, dst, after);
    }
});

/// Two bytes for the zone, one for the policy and for half a second, eight for the instant; the rest
/// is the spec. Numbers are little-endian.
fn question(data: &[u8]) -> Option<(String, Tz, DstPolicy, DateTime<Utc>)> {
    let (zone, data) = data.split_first_chunk::<2>()?;
    let (&[flags], data) = data.split_first_chunk::<1>()?;
    let (second, spec) = data.split_first_chunk::<8>()?;
    let zone = usize::from(u16::from_le_bytes(*zone)) % TZ_VARIANTS.len();
    let second = FIRST
        + i64::from_le_bytes(*second)
            .wrapping_sub(FIRST)
            .rem_euclid(LAST - FIRST);
    let nanos = u32::from(flags & 2 != 0) * 500_000_000;
    let dst = match flags & 1 {
        0 => DstPolicy::RunOnce,
        _ => DstPolicy::Robfig,
    };
    let spec = String::from_utf8_lossy(spec).into_owned();
    let after = DateTime::from_timestamp(second, nanos)?;
    Some((spec, *TZ_VARIANTS.get(zone)?, dst, after))
}

fn check(spec: &str, zone: Tz, dst: DstPolicy, after: DateTime<Utc>) {
    tasklock_fuzz::is_quick(spec, zone, dst, after);
    let Ok(schedule) = Schedule::parse_in(spec, zone) else {
        return;
    };
    let schedule = schedule.with_dst(dst);
    for lint in schedule.lint(after) {
        assert!(!lint.to_string().is_empty(), "{schedule:?}");
    }
    let mut last = after;
    for _ in 0..5 {
        let Some(next) = schedule.next_after(last) else {
            let end = schedule.prev_before(DateTime::<Utc>::MAX_UTC);
            assert!(end.is_none_or(|end| end <= last), "{end:?} after {last}");
            break;
        };
        assert!(next > last, "{schedule:?}: {next} after {last}");
        if let Some(prev) = schedule.prev_before(next) {
            assert!(prev < next, "{schedule:?}: {prev} before {next}");
            assert!(
                prev <= last,
                "{schedule:?}: {prev} between {last} and {next}"
            );
            assert_eq!(
                schedule.next_after(prev),
                Some(next),
                "{schedule:?}: {prev}"
            );
        }
        last = next;
    }
}
