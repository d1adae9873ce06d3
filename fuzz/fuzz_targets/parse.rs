//! Any bytes: read or refused without a panic, and what is read survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tasklock::chrono::{DateTime, Utc};
use tasklock::chrono_tz::Tz;
use tasklock::{DstPolicy, Schedule, SpecError};

fuzz_target!(|data: &[u8]| check(&String::from_utf8_lossy(data)));

fn check(spec: &str) {
    let now = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    match spec.parse::<Schedule>() {
        Ok(schedule) => is_sound(&schedule, now),
        Err(error) => is_placed(&error, spec),
    }
    tasklock_fuzz::is_quick(spec, Tz::UTC, DstPolicy::RunOnce, now);
}

fn is_sound(schedule: &Schedule, now: DateTime<Utc>) {
    let written = schedule.to_string();
    match written.parse::<Schedule>() {
        Ok(again) => assert_eq!(&again, schedule, "{written}"),
        Err(error) => panic!("{written}: {error}"),
    }
    assert!(!schedule.explain().is_empty(), "{written}");
    for after in [DateTime::<Utc>::MIN_UTC, now, DateTime::<Utc>::MAX_UTC] {
        let next = schedule.next_after(after);
        assert!(next.is_none_or(|next| next > after), "{written}: {next:?}");
        for lint in schedule.lint(after) {
            assert!(!lint.to_string().is_empty());
        }
    }
}

/// An error names a place in the spec, and can be logged whatever the spec holds.
fn is_placed(error: &SpecError, spec: &str) {
    assert!(spec.get(error.span()).is_some(), "{:?}", error.span());
    assert!(error.column() >= 1);
    let text = error.to_string();
    let is_plain = |b: u8| b == b'\n' || b == b' ' || b.is_ascii_graphic();
    assert!(text.bytes().all(is_plain), "{text:?}");
    assert!(!error.reason().is_empty() && !format!("{error:?}").is_empty());
}
