//! What a spec means: against tables, worked dates, and a slow oracle written another way.

mod clock_changes;
mod mistakes;
mod oracle;
mod robfig;

use proptest::prelude::*;
use tasklock::chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc,
};
use tasklock::chrono_tz::Tz;
use tasklock::{DstPolicy, Schedule, SpecErrorKind, chrono_tz};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The next `n` fire times as wall times of the schedule's zone.
fn next(spec: &str, after: &str, n: usize) -> Vec<String> {
    let schedule: Schedule = spec.parse().unwrap_or_else(|e| panic!("{spec}: {e}"));
    let zone = schedule.timezone();
    let times = schedule.upcoming(at(after)).take(n);
    times
        .map(|t| {
            t.with_timezone(&zone)
                .format("%Y-%m-%d %H:%M:%S")
                .to_string()
        })
        .collect()
}

fn robfig(spec: &str, after: &str, n: usize) -> Vec<String> {
    let schedule: Schedule = spec.parse().unwrap();
    let zone = schedule.timezone();
    let schedule = schedule.with_dst(DstPolicy::Robfig);
    let times = schedule.upcoming(at(after)).take(n);
    times
        .map(|t| {
            t.with_timezone(&zone)
                .format("%Y-%m-%d %H:%M:%S %z")
                .to_string()
        })
        .collect()
}

#[test]
fn specs_of_five_six_and_seven_fields_and_macros_name_their_times() {
    let from = "2026-11-21T10:00:00Z"; // a Saturday
    for (spec, first) in [
        ("*/15 * * * *", "2026-11-21 10:15:00"),
        ("5 4 * * *", "2026-11-22 04:05:00"),
        ("30 5 4 * * *", "2026-11-22 04:05:30"),
        ("0 0 0 1 1 * 2030", "2030-01-01 00:00:00"),
        ("0 0 9 * * MON-FRI", "2026-11-23 09:00:00"),
        ("0 0 9 * * mon-5", "2026-11-23 09:00:00"),
        ("0 0 9 * * 0", "2026-11-22 09:00:00"),
        ("0 0 9 * * 7", "2026-11-22 09:00:00"),
        ("0 0 9 * * SAT-SUN", "2026-11-22 09:00:00"),
        ("0 0 9 * 1-dec/3 ?", "2027-01-01 09:00:00"),
        ("0 0 0 L * *", "2026-11-30 00:00:00"),
        ("0 0 0 L-2 * *", "2026-11-28 00:00:00"),
        ("0 0 0 LW * *", "2026-11-30 00:00:00"),
        ("0 0 0 LW 1 *", "2027-01-29 00:00:00"),
        ("0 0 0 15W 8 *", "2027-08-16 00:00:00"),
        ("0 0 0 1W 5 *", "2027-05-03 00:00:00"),
        ("0 0 0 * * 5#3", "2026-12-18 00:00:00"),
        ("0 0 0 * * FRI#L", "2026-11-27 00:00:00"),
        ("0 0 0 * * 5L", "2026-11-27 00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@Annually", "2027-01-01 00:00:00"),
        ("@MONTHLY", "2026-12-01 00:00:00"),
        ("@weekly", "2026-11-22 00:00:00"),
        ("@daily", "2026-11-22 00:00:00"),
        ("@midnight", "2026-11-22 00:00:00"),
        ("@hourly", "2026-11-21 11:00:00"),
        ("@every 1h30m", "2026-11-21 10:30:00"),
        ("@at 2026-12-24T18:00:00+01:00", "2026-12-24 17:00:00"),
        ("TZ=Asia/Tokyo @midnight", "2026-11-22 00:00:00"),
        ("CRON_TZ=UTC  5 * * * *", "2026-11-21 10:05:00"),
        ("\t5  *\t* * * ", "2026-11-21 10:05:00"),
        ("1,,2 * * * *", "2026-11-21 10:01:00"),
        (",5 * * * *", "2026-11-21 10:05:00"),
        ("08 * * * *", "2026-11-21 10:08:00"),
        ("*/70 * * * *", "2026-11-21 11:00:00"),
        ("? ? ? ? ? ?", "2026-11-21 10:00:01"),
    ] {
        assert_eq!(next(spec, from, 1), [first], "{spec}");
    }
}

#[test]
fn the_day_fields_are_both_meant_if_one_is_a_star_and_either_otherwise() {
    let days = |spec: &str| -> Vec<u32> {
        let schedule: Schedule = spec.parse().unwrap();
        let november = schedule
            .upcoming(at("2026-10-31T23:59:59Z"))
            .take_while(|t| t.month() == 11);
        november.map(|t| t.day()).collect()
    };
    // November 2026 begins on a Sunday.
    assert_eq!(days("0 0 0 1,15 * SUN"), [1, 8, 15, 22, 29]);
    assert_eq!(days("0 0 0 1,15 * *"), [1, 15]);
    assert_eq!(days("0 0 0 * * MON"), [2, 9, 16, 23, 30]);
    assert_eq!(days("0 0 0 */1 * MON"), [2, 9, 16, 23, 30]);
    assert_eq!(days("0 0 0 1,* * MON"), [2, 9, 16, 23, 30]);
    assert_eq!(days("0 0 0 ?/1 * MON"), [2, 9, 16, 23, 30]);
    assert_eq!(days("0 0 0 */10 * SUN"), [1, 8, 11, 15, 21, 22, 29]);
    assert_eq!(days("0 0 0 1-31 * MON").len(), 30);
    assert_eq!(days("0 0 0 1-7 * +MON"), [2]);
    assert_eq!(days("0 0 0 13 * +FRI"), [13]);
    assert_eq!(days("0 0 0 L * FRI#1"), [6, 30]);
    assert_eq!(
        days("0 0 0 * * MON/2"),
        [2, 4, 6, 9, 11, 13, 16, 18, 20, 23, 25, 27, 30]
    );
}

#[test]
fn what_never_comes_is_none_and_2100_is_no_leap_year() {
    for spec in [
        "0 0 0 31 2 *",
        "0 0 0 1 1 * 1999",
        "0 0 0 30 2 * 2000-2199",
        "0 0 0 31 4,6 *",
    ] {
        let schedule: Schedule = spec.parse().unwrap();
        assert_eq!(
            schedule.next_after(at("2026-01-01T00:00:00Z")),
            None,
            "{spec}"
        );
    }
    assert_eq!(
        next("0 0 0 29 2 *", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29 00:00:00"]
    );
    let last: Schedule = "0 0 0 1 1 *".parse().unwrap();
    assert_eq!(last.next_after(at("2199-06-01T00:00:00Z")), None);
    assert_eq!(last.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert!(last.next_after(DateTime::<Utc>::MIN_UTC).is_some());
}

#[test]
fn a_schedule_without_a_year_is_small() {
    assert!(
        size_of::<Schedule>() <= 128,
        "{} bytes",
        size_of::<Schedule>()
    );
}

#[test]
fn never_is_said_of_dates_that_never_come_and_not_of_those_that_are_past() {
    for spec in [
        "0 0 31 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 0 29 2 * 2100",
        "* * 1W 2 +SAT,SUN",
    ] {
        let schedule: Schedule = spec.parse().unwrap();
        assert!(schedule.never_fires(), "{spec}");
        assert_eq!(
            schedule.prev_before(DateTime::<Utc>::MAX_UTC),
            None,
            "{spec}"
        );
    }
    for spec in [
        "0 0 29 2 *",
        "0 0 0 1 1 * 1970",
        "@at 1999-01-01T00:00:00Z",
        "@every 1h",
    ] {
        let schedule: Schedule = spec.parse().unwrap();
        assert!(!schedule.never_fires(), "{spec}");
    }
}

#[test]
fn a_delay_counts_from_the_end_of_the_last_run_which_the_asker_names() {
    let schedule: Schedule = "@After 1h30m".parse().unwrap();
    assert_eq!(schedule.delay(), Some(std::time::Duration::from_secs(5400)));
    let end = at("2026-11-21T10:00:00.25Z");
    let due = at("2026-11-21T11:30:00.25Z");
    assert_eq!(schedule.next_after(end), Some(due));
    assert_eq!(schedule.prev_before(due), None);
    assert!(!schedule.never_fires() && !schedule.is_startup());
    assert_eq!(schedule.explain(), "1h30m after the end of the last run");
    assert_eq!(schedule.to_string(), "@after 1h30m");
    assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
    let long: Schedule = "@after 2562047h".parse().unwrap();
    assert_eq!(long.next_after(end), None, "beyond the year 2199");
}

#[test]
fn a_start_has_no_time_and_is_not_never() {
    let schedule: Schedule = "TZ=Asia/Tokyo @STARTUP".parse().unwrap();
    assert!(schedule.is_startup() && !schedule.never_fires());
    assert_eq!(schedule.next_after(at("2026-11-21T10:00:00Z")), None);
    assert_eq!(schedule.prev_before(at("2026-11-21T10:00:00Z")), None);
    assert_eq!(schedule.delay(), None);
    assert_eq!(schedule.explain(), "at each start of an instance");
    assert_eq!(schedule.to_string(), "CRON_TZ=Asia/Tokyo @startup");
    assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
    assert!(schedule.lint(at("2026-11-21T10:00:00Z")).is_empty());
}

#[test]
fn what_never_fires_or_fires_no_more_is_said_before() {
    let lint = |spec: &str| -> Vec<String> {
        let schedule: Schedule = spec.parse().unwrap();
        let lints = schedule.lint(at("2026-11-21T10:00:00Z"));
        lints
            .iter()
            .map(|l| format!("{}: {l}", l.as_str()))
            .collect()
    };
    assert_eq!(
        lint("0 0 31 2 *"),
        ["never_fires: never fires: there is no such date"]
    );
    assert_eq!(
        lint("0 0 12 1 1 * 2020"),
        ["past: fires no more: the last time was 2020-01-01T12:00:00Z"]
    );
    assert_eq!(
        lint("@at 2026-11-21T10:00:00Z"),
        ["past: fires no more: the last time was 2026-11-21T10:00:00Z"]
    );
    assert!(lint("@at 2026-11-21T10:00:01Z").is_empty());
}

#[test]
fn an_instant_comes_once() {
    let instant = at("2030-01-31T01:00:00.25Z");
    let schedule: Schedule = "@At 2030-01-31T09:00:00.25+08:00".parse().unwrap();
    assert_eq!(
        schedule.next_after(instant - TimeDelta::nanoseconds(1)),
        Some(instant)
    );
    assert_eq!(schedule.next_after(instant), None);
    assert_eq!(
        schedule.prev_before(instant + TimeDelta::nanoseconds(1)),
        Some(instant)
    );
    assert_eq!(schedule.prev_before(instant), None);
    for spec in [
        "@at",
        "@at 2030-01-31",
        "@at 2030-01-31T09:00:00",
        "@at 1899-12-31T00:00:00Z",
        "@at 2200-01-01T00:00:00Z",
        "@at 2016-12-31T23:59:60Z",
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec);
        assert_eq!(error.kind(), SpecErrorKind::BadInstant, "{error}");
    }
}
