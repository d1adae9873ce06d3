//! What a spec means: against tables, worked dates, and a slow oracle written another way.

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
fn a_daily_task_runs_once_on_the_day_of_the_gap_and_once_on_the_day_of_the_overlap() {
    let spec = "CRON_TZ=America/New_York 0 30 2 * * *";
    assert_eq!(
        next(spec, "2027-03-13T12:00:00Z", 3),
        [
            "2027-03-14 03:00:00",
            "2027-03-15 02:30:00",
            "2027-03-16 02:30:00"
        ]
    );
    let spec = "CRON_TZ=America/New_York 0 30 1 * * *";
    assert_eq!(
        next(spec, "2027-11-06T12:00:00Z", 3),
        [
            "2027-11-07 01:30:00",
            "2027-11-08 01:30:00",
            "2027-11-09 01:30:00"
        ]
    );
    let first: Schedule = spec.parse().unwrap();
    assert_eq!(
        first.next_after(at("2027-11-06T12:00:00Z")),
        Some(at("2027-11-07T05:30:00Z"))
    );
}

#[test]
fn several_times_in_one_gap_collapse_into_one_run() {
    let spec = "CRON_TZ=Europe/Berlin 0 0,15,30,45 2,3 * * *";
    assert_eq!(
        next(spec, "2027-03-28T00:00:00Z", 3),
        [
            "2027-03-28 03:00:00",
            "2027-03-28 03:15:00",
            "2027-03-28 03:30:00"
        ]
    );
}

#[test]
fn an_interval_goes_on_through_gap_and_overlap() {
    let spec = "CRON_TZ=America/New_York 0 */30 * * * *";
    assert_eq!(
        next(spec, "2027-03-14T06:30:00Z", 2),
        ["2027-03-14 03:00:00", "2027-03-14 03:30:00"]
    );
    let times = next(spec, "2027-11-07T04:59:00Z", 5);
    let shown: Vec<&str> = times.iter().map(|t| &t[11..16]).collect();
    assert_eq!(shown, ["01:00", "01:30", "01:00", "01:30", "02:00"]);
}

#[test]
fn robfigs_policy_skips_the_gap_and_repeats_the_overlap() {
    assert_eq!(
        robfig(
            "CRON_TZ=America/New_York 0 30 2 * * *",
            "2027-03-13T12:00:00Z",
            1
        ),
        ["2027-03-15 02:30:00 -0400"]
    );
    assert_eq!(
        robfig(
            "CRON_TZ=America/New_York 0 30 1 * * *",
            "2027-11-06T12:00:00Z",
            3
        ),
        [
            "2027-11-07 01:30:00 -0400",
            "2027-11-07 01:30:00 -0500",
            "2027-11-08 01:30:00 -0500"
        ]
    );
}

#[test]
fn the_last_time_of_all_comes_twice_too_when_the_clock_goes_back() {
    // Nothing is left of the wall clock after the first pass, but the second.
    let twice = ["2024-10-27 02:30:00 +0200", "2024-10-27 02:30:00 +0100"];
    assert_eq!(
        robfig(
            "TZ=Europe/Paris 0 30 2 27 10 * 2024",
            "2024-01-01T00:00:00Z",
            3
        ),
        twice
    );
    assert_eq!(
        next(
            "TZ=Europe/Paris 0 */30 2 27 10 * 2024",
            "2024-10-27T00:15:00Z",
            5
        ),
        [
            "2024-10-27 02:30:00",
            "2024-10-27 02:00:00",
            "2024-10-27 02:30:00"
        ]
    );
    // A fixed task runs once, and it was before.
    let once: Schedule = "TZ=Europe/Paris 0 30 2 27 10 * 2024".parse().unwrap();
    assert_eq!(once.next_after(at("2024-10-27T00:30:00Z")), None);
    // Looking back from the second pass, before the first time of all.
    let back = once.prev_before(at("2024-10-27T01:10:00Z"));
    assert_eq!(back, Some(at("2024-10-27T00:30:00Z")));
    let last: Schedule = "TZ=Europe/Paris 0 2 27 10 +SUN".parse().unwrap();
    let last = last.with_dst(DstPolicy::Robfig);
    let end = last.prev_before(DateTime::<Utc>::MAX_UTC).unwrap();
    assert_eq!(last.next_after(end - TimeDelta::seconds(1)), Some(end));
    assert_eq!(last.next_after(end - TimeDelta::hours(1)), Some(end));
}

#[test]
fn looking_back_finds_a_run_after_a_gap_however_far_back_it_is() {
    // The clock of Auckland skips 02:00 on the last Sunday of September.
    let schedule: Schedule = "TZ=Pacific/Auckland 0 2 * * SUN#L".parse().unwrap();
    let after_gap = at("2018-09-29T14:00:00Z");
    for hours in 1..28 * 24 {
        let from = after_gap + TimeDelta::hours(hours);
        assert_eq!(schedule.prev_before(from), Some(after_gap), "{from}");
    }
}

#[test]
fn gaps_of_three_hours_and_more_are_not_made_up() {
    // Apia left out 2011-12-30.
    let spec = "CRON_TZ=Pacific/Apia 0 0 12 * * *";
    assert_eq!(
        next(spec, "2011-12-29T10:00:00Z", 2),
        ["2011-12-29 12:00:00", "2011-12-31 12:00:00"]
    );
}

#[test]
fn daylight_saving_goes_on_in_the_years_beyond_the_tables() {
    for year in [2099, 2100, 2101, 2150, 2196, 2199] {
        let summer: Schedule = format!("CRON_TZ=America/New_York 0 0 12 1 7 * {year}")
            .parse()
            .unwrap();
        let first = summer.next_after(at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(first.to_rfc3339(), format!("{year}-07-01T16:00:00+00:00"));
    }
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
fn an_error_names_field_and_column_and_points_at_the_place() {
    let error = "0 0 24 * * *".parse::<Schedule>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "hour: end of range (24) above maximum (23): 24  (field 3 of 6, column 5)\n  \
         0 0 24 * * *\n      ^^"
    );
    assert_eq!(
        (error.field(), error.column(), error.span()),
        (Some("hour"), 5, 4..6)
    );
}

#[test]
fn each_mistake_has_its_phrase() {
    for (spec, phrase, column) in [
        ("", "empty spec string", 1),
        ("   ", "empty spec string", 1),
        ("* * * *", "expected 5 to 7 fields, found 4", 1),
        ("* * * * * * * *", "expected 5 to 7 fields, found 8", 15),
        ("x * * * *", "failed to parse int from", 1),
        ("1-x * * * *", "failed to parse int from", 3),
        ("*/-1 * * * *", "negative number", 3),
        ("1/2/3 * * * *", "too many slashes", 1),
        ("1-2-3 * * * *", "too many hyphens", 1),
        ("* * 0 * *", "below minimum", 5),
        ("60 * * * *", "above maximum", 1),
        ("5-4 * * * *", "beyond end of range", 1),
        ("*/0 * * * *", "should be a positive number", 1),
        ("@nope", "unrecognized descriptor", 1),
        ("@after", "failed to parse duration", 7),
        ("@after 9ms", "below minimum", 8),
        ("@after -1m", "should be a positive number", 8),
        ("@startup 5m", "unrecognized descriptor", 1),
        ("@every x", "failed to parse duration", 8),
        ("@every 0s", "should be a positive number", 8),
        ("@at tomorrow", "failed to parse time", 5),
        ("TZ=Nowhere/Land * * * * *", "provided bad location", 4),
        ("TZ= * * * * *", "provided bad location", 4),
        ("TZ=UTC", "empty spec string", 7),
        (", * * * *", "empty field", 1),
        ("*-5 * * * *", "a star takes no range", 1),
        ("+5 * * * *", "failed to parse int from", 1),
        ("* * 32W * *", "not one of 1 to 31", 5),
        ("* * L-31 * *", "above maximum", 5),
        ("* * * * 1#6", "not one of 1 to 5", 9),
        ("* * * * * * 1969", "below minimum", 13),
        ("* * * * * * 2200", "above maximum", 13),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec);
        assert!(error.reason().contains(phrase), "{spec:?}: {error}");
        assert_eq!(error.column(), column, "{spec:?}: {error}");
    }
}

#[test]
fn hints_help_those_who_come_from_elsewhere() {
    for (spec, hint) in [
        ("TZ=Europe/Berlinn * * * * *", "did you mean Europe/Berlin?"),
        ("H * * * *", "hashed values"),
        ("0~30 * * * *", "random values"),
        ("0 10 * * MON-FRI 2027", "a year is the seventh"),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec).to_string();
        assert!(error.contains("hint: ") && error.contains(hint), "{error}");
    }
}

#[test]
fn hostile_specs_are_refused_in_few_harmless_words() {
    for spec in [
        "\u{1b}[31m * * * *".to_owned(),
        "\u{202e}1 * * * *".to_owned(),
        "1\0 * * * *".to_owned(),
        "a".repeat(1024),
        ",".repeat(2_000_000),
        "9".repeat(1000) + " * * * *",
        "@every ".to_owned() + &"9999999h".repeat(100),
        "TZ=".to_owned() + &"x/".repeat(400) + " * * * * *",
        "*/1,".repeat(250) + " ! * * *",
    ] {
        let error = spec.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.len() < 600, "{error}");
        let is_harmless =
            |c: char| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(error.chars().all(is_harmless), "{error:?}");
    }
}

#[test]
fn a_schedule_without_a_year_is_small() {
    assert!(
        size_of::<Schedule>() <= 128,
        "{} bytes",
        size_of::<Schedule>()
    );
}

// ---- the oracle: reads fields by its own simple means, and tries every second

/// A field as a set of values, for the plain part of the grammar.
fn values(field: &str, min: u32, max: u32) -> Vec<u32> {
    let mut set = Vec::new();
    for item in field.split(',') {
        let (range, step) = item
            .split_once('/')
            .map_or((item, 1), |(r, s)| (r, s.parse().unwrap()));
        let (low, high) = match range.split_once('-') {
            Some((l, h)) => (l.parse().unwrap(), h.parse().unwrap()),
            None if range == "*" => (min, max),
            None if item.contains('/') => (range.parse().unwrap(), max),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        set.extend((low..=high).step_by(step));
    }
    set
}

/// A plain spec, read.
struct Plain {
    fields: Vec<Vec<u32>>,
    is_star: bool,
}

impl Plain {
    fn new(spec: &str) -> Self {
        let text: Vec<&str> = spec.split(' ').collect();
        let bounds = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let read = |(text, (min, max)): (&&str, (u32, u32))| values(text, min, max);
        let fields = text.iter().zip(bounds).map(read).collect();
        Self {
            fields,
            is_star: text[3] == "*" || text[5] == "*",
        }
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let has = |i: usize, v: u32| self.fields[i].contains(&v);
        if !(has(0, wall.second()) && has(1, wall.minute()) && has(2, wall.hour())) {
            return false;
        }
        let by_day = has(3, wall.day());
        let by_weekday = has(5, wall.weekday().num_days_from_sunday());
        let is_day = if self.is_star {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        is_day && has(4, wall.month())
    }
}

fn matches(spec: &str, wall: NaiveDateTime) -> bool {
    Plain::new(spec).matches(wall)
}

/// All fire times in a span, by trying each second of it: as instants for what exists, and as wall
/// times for what a gap swallowed.
fn oracle(
    spec: &str,
    zone: Tz,
    dst: DstPolicy,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let fields: Vec<&str> = spec.split(' ').collect();
    let is_fixed =
        dst == DstPolicy::RunOnce && !fields[1].starts_with('*') && !fields[2].starts_with('*');
    let plain = Plain::new(spec);
    let mut found = Vec::new();
    let mut t = from + TimeDelta::seconds(1);
    let mut last_wall = from.with_timezone(&zone).naive_local();
    while t <= to {
        let wall = t.with_timezone(&zone).naive_local();
        let before = last_wall;
        last_wall = wall;
        let is_second_pass = match zone.from_local_datetime(&wall) {
            LocalResult::Ambiguous(first, _) => first.with_timezone(&Utc) != t,
            _ => false,
        };
        let skipped = (wall - before).num_seconds() - 1;
        let mut is_due = plain.matches(wall) && !(is_fixed && is_second_pass);
        if is_fixed && skipped > 0 && skipped < 3 * 3600 {
            is_due |= (1..=skipped).any(|s| plain.matches(before + TimeDelta::seconds(s)));
        }
        if is_due {
            found.push(t);
        }
        t += TimeDelta::seconds(1);
    }
    found
}

#[test]
fn it_agrees_with_the_oracle_around_changes_of_all_kinds() {
    let spans = [
        ("America/New_York", "2027-03-14T04:00:00Z"),
        ("America/New_York", "2027-11-07T03:00:00Z"),
        ("Europe/Berlin", "2027-03-27T23:00:00Z"),
        ("Europe/Berlin", "2027-10-30T23:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T00:00:00Z"),
        ("America/Sao_Paulo", "2018-02-17T23:00:00Z"),
        ("Australia/Lord_Howe", "2027-04-03T13:00:00Z"),
        ("Australia/Lord_Howe", "2027-10-02T13:00:00Z"),
        ("Pacific/Chatham", "2027-04-03T12:00:00Z"),
        ("Pacific/Chatham", "2027-09-25T12:00:00Z"),
        ("Antarctica/Troll", "2027-03-27T23:00:00Z"),
        ("Antarctica/Troll", "2027-10-30T23:00:00Z"),
        ("Antarctica/Casey", "2018-03-10T14:00:00Z"),
        ("Pacific/Apia", "2011-12-30T07:00:00Z"),
        ("Africa/Cairo", "2027-04-29T20:00:00Z"),
        ("America/Santiago", "2027-09-05T02:00:00Z"),
        ("America/Santiago", "2027-04-04T00:00:00Z"),
        ("Asia/Shanghai", "2027-01-01T00:00:00Z"),
        ("UTC", "2028-02-28T21:00:00Z"),
    ];
    let specs = [
        "0 30 2 * * *",
        "0 0 0 * * *",
        "30 15 1,2,3 * * *",
        "0 */20 * * * *",
        "0 0 * * * *",
        "15,45 59 * * * *",
        "0 0-59/10 1-3 * * *",
        "0 0 3 1-15 * 0",
        "0 5 0,1,2,3,23 * * 0,6",
    ];
    for (zone, from) in spans {
        let zone: Tz = zone.parse().unwrap();
        let from = at(from);
        let to = from + TimeDelta::hours(5);
        for spec in specs {
            for dst in [DstPolicy::RunOnce, DstPolicy::Robfig] {
                let schedule = Schedule::parse_in(spec, zone).unwrap().with_dst(dst);
                let ours: Vec<_> = schedule.upcoming(from).take_while(|t| *t <= to).collect();
                let expected = oracle(spec, zone, dst, from, to);
                assert_eq!(ours, expected, "{spec} in {zone}, {dst:?}, from {from}");
                // From any moment between, the answer is the same.
                for minute in (0..300).step_by(7) {
                    let after = from + TimeDelta::minutes(minute) + TimeDelta::milliseconds(500);
                    let next = expected.iter().find(|t| **t > after).copied();
                    let found = schedule.next_after(after).filter(|t| *t <= to);
                    assert_eq!(found, next, "{spec} in {zone}, {dst:?}, after {after}");
                }
            }
        }
    }
}

/// Plain specs, as text.
fn plain_spec() -> impl Strategy<Value = String> {
    let field = |min: u32, max: u32| {
        let item = (min..=max, min..=max, 1..=max, 0..6_u8).prop_map(move |(a, b, step, kind)| {
            let (low, high) = (a.min(b), a.max(b));
            match kind {
                0 => "*".to_owned(),
                1 => format!("*/{step}"),
                2 => format!("{low}-{high}"),
                3 => format!("{low}-{high}/{step}"),
                _ => a.to_string(),
            }
        });
        prop::collection::vec(item, 1..4).prop_map(|items| items.join(","))
    };
    (
        field(0, 59),
        field(0, 59),
        field(0, 23),
        field(1, 31),
        field(1, 12),
        field(0, 6),
    )
        .prop_map(|(s, m, h, d, mo, w)| format!("{s} {m} {h} {d} {mo} {w}"))
}

/// Specs with what plain ones have not, and texts that nearly are specs.
fn odd_spec() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "*",
        "?",
        "L",
        "L-3",
        "LW",
        "L-2W",
        "15W",
        "1",
        "5#2",
        "FRI#L",
        "2L",
        "+MON",
        "1-5",
        "*/7",
        "30-10",
        "0",
        "JAN",
        "2030",
        "7/2",
        "x",
        ",",
        "1,,2",
        "-",
        "/",
        "99999999999",
        "é",
    ]);
    prop::collection::vec(word, 4..9).prop_map(|words| words.join(" "))
}

fn zone() -> impl Strategy<Value = Tz> {
    prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fire_times_grow_and_each_one_matches_or_ends_a_gap(
        spec in plain_spec(), zone in zone(), second in 0_i64..7_258_118_400, robfig: bool,
    ) {
        let dst = if robfig { DstPolicy::Robfig } else { DstPolicy::RunOnce };
        let schedule = Schedule::parse_in(&spec, zone).unwrap().with_dst(dst);
        let after = DateTime::from_timestamp(second, 0).unwrap();
        let mut last = after;
        for t in schedule.upcoming(after).take(20) {
            prop_assert!(t > last);
            last = t;
            if t.year() >= 2100 {
                continue; // chrono-tz does not know the wall time there
            }
            let wall = t.with_timezone(&zone).naive_local();
            let before = (t - TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
            let ends_a_gap = !robfig && (wall - before).num_seconds() > 1;
            prop_assert!(matches_stars(&spec, wall) || ends_a_gap, "{} is {}", t, wall);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in "\\PC{0,60}", odd in odd_spec()) {
        for spec in [text, odd] {
            if let Ok(schedule) = spec.parse::<Schedule>() {
                let _ = schedule.next_after(at("2026-11-21T10:00:00Z"));
            }
        }
    }

    #[test]
    fn the_text_of_a_schedule_means_the_same(plain in plain_spec(), odd in odd_spec(), zone in zone()) {
        for spec in [plain, odd] {
            let Ok(schedule) = Schedule::parse_in(&spec, zone) else { continue };
            let text = schedule.to_string();
            let again: Schedule = text.parse().unwrap_or_else(|e| panic!("{spec} → {text}: {e}"));
            prop_assert_eq!(&again, &schedule, "{} → {}", spec, text);
            prop_assert_eq!(again.to_string(), text);
        }
    }
}

/// As `matches`, for fields in which a star may stand in a list.
fn matches_stars(spec: &str, wall: NaiveDateTime) -> bool {
    let fields: Vec<&str> = spec.split(' ').collect();
    let is_star = |f: &str| f.split(',').any(|item| item == "*" || item == "*/1");
    let star = |i: usize| if is_star(fields[i]) { "*" } else { fields[i] };
    let spec = [fields[0], fields[1], fields[2], star(3), fields[4], star(5)].join(" ");
    matches(&spec, wall)
}

#[test]
fn the_oracle_knows_a_match_from_none() {
    let wall = |h, m| {
        NaiveDate::from_ymd_opt(2026, 11, 21)
            .unwrap()
            .and_hms_opt(h, m, 0)
            .unwrap()
    };
    assert!(matches("0 30 9 * * 6", wall(9, 30)));
    assert!(!matches("0 30 9 * * 5", wall(9, 30)));
    assert!(matches("0 */10 9-11 1 * 6", wall(10, 40)));
    assert!(!matches("0 */10 9-11 1 * 6", wall(10, 41)));
}

// ---- looking back, and what bounds the work

/// Spans around changes of the clock, as zone and instant before the change.
const CHANGES: [(&str, &str); 14] = [
    ("America/New_York", "2027-03-14T00:00:00Z"),
    ("America/New_York", "2027-11-07T00:00:00Z"),
    ("Europe/Berlin", "2027-03-27T20:00:00Z"),
    ("Europe/Berlin", "2027-10-30T20:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T20:00:00Z"),
    ("America/Sao_Paulo", "2018-02-17T20:00:00Z"),
    ("Australia/Lord_Howe", "2027-04-03T10:00:00Z"),
    ("Pacific/Chatham", "2027-09-25T08:00:00Z"),
    ("Antarctica/Troll", "2027-03-27T20:00:00Z"),
    ("Antarctica/Troll", "2027-10-30T20:00:00Z"),
    ("Antarctica/Casey", "2018-03-10T12:00:00Z"),
    ("Pacific/Apia", "2011-12-29T20:00:00Z"),
    ("Africa/Cairo", "2027-04-29T18:00:00Z"),
    ("America/Santiago", "2027-04-03T22:00:00Z"),
];

#[test]
fn looking_back_finds_what_looking_forward_found_around_changes_of_all_kinds() {
    for (zone, from) in CHANGES {
        let from = at(from);
        let to = from + TimeDelta::hours(60);
        for spec in [
            "0 30 2 * * *",
            "0 0 0 * * *",
            "0 */20 * * * *",
            "0 0,30 1-3 * * *",
            "*/30 59 1,2,23 * * *",
            "0 15 1 L * FRI#L",
        ] {
            for dst in [DstPolicy::RunOnce, DstPolicy::Robfig] {
                let schedule = Schedule::parse_in(spec, zone.parse().unwrap())
                    .unwrap()
                    .with_dst(dst);
                let forward: Vec<_> = schedule.upcoming(from).take_while(|t| *t <= to).collect();
                let step = |t: &DateTime<Utc>| schedule.prev_before(*t);
                let mut back: Vec<_> =
                    std::iter::successors(step(&(to + TimeDelta::milliseconds(1))), step)
                        .take_while(|t| *t > from)
                        .collect();
                back.reverse();
                assert_eq!(back, forward, "{spec} in {zone}, {dst:?}");
            }
        }
    }
}

#[test]
fn long_zone_jumps_and_half_hours_have_their_worked_dates() {
    for (spec, after, wanted) in [
        // Midnight is skipped: São Paulo, Cairo, Santiago.
        (
            "CRON_TZ=America/Sao_Paulo 0 0 * * *",
            "2018-11-03T12:00:00Z",
            ["2018-11-04 01:00:00", "2018-11-05 00:00:00"],
        ),
        (
            "CRON_TZ=Africa/Cairo 30 0 * * *",
            "2027-04-29T12:00:00Z",
            ["2027-04-30 01:00:00", "2027-05-01 00:30:00"],
        ),
        (
            "CRON_TZ=America/Santiago 15 0 * * *",
            "2027-09-04T12:00:00Z",
            ["2027-09-05 01:00:00", "2027-09-06 00:15:00"],
        ),
        // Half an hour: Lord Howe. 45 minutes past: Chatham. Two hours: Troll.
        (
            "CRON_TZ=Australia/Lord_Howe 15 2 * * *",
            "2027-10-02T12:00:00Z",
            ["2027-10-03 02:30:00", "2027-10-04 02:15:00"],
        ),
        (
            "CRON_TZ=Pacific/Chatham 0 3 * * *",
            "2027-09-25T12:00:00Z",
            ["2027-09-26 03:45:00", "2027-09-27 03:00:00"],
        ),
        (
            "CRON_TZ=Antarctica/Troll 30 1 * * *",
            "2027-03-27T12:00:00Z",
            ["2027-03-28 03:00:00", "2027-03-29 01:30:00"],
        ),
        // Three hours: Casey put its clock from 04:00 back to 01:00 on 11 March 2018.
        (
            "CRON_TZ=Antarctica/Casey 30 2 * * *",
            "2018-03-10T12:00:00Z",
            ["2018-03-11 02:30:00", "2018-03-12 02:30:00"],
        ),
        // The day before the change does not match, the gap is on the day that does.
        (
            "CRON_TZ=America/New_York 30 2 14 3 *",
            "2027-03-01T00:00:00Z",
            ["2027-03-14 03:00:00", "2028-03-14 02:30:00"],
        ),
    ] {
        assert_eq!(next(spec, after, 2), wanted, "{spec}");
    }
}

#[test]
fn robfigs_policy_leaves_out_the_day_of_any_gap() {
    for (spec, after, wanted) in [
        (
            "CRON_TZ=America/Sao_Paulo 0 0 * * *",
            "2018-11-03T12:00:00Z",
            "2018-11-05 00:00:00 -0200",
        ),
        (
            "CRON_TZ=Australia/Lord_Howe 15 2 * * *",
            "2027-10-02T12:00:00Z",
            "2027-10-04 02:15:00 +1100",
        ),
        (
            "CRON_TZ=Pacific/Chatham 0 3 * * *",
            "2027-09-25T13:00:00Z",
            "2027-09-27 03:00:00 +1345",
        ),
        (
            "CRON_TZ=Antarctica/Troll 30 1 * * *",
            "2027-03-27T12:00:00Z",
            "2027-03-29 01:30:00 +0200",
        ),
        (
            "CRON_TZ=Pacific/Apia 0 12 * * *",
            "2011-12-29T23:00:00Z",
            "2011-12-31 12:00:00 +1400",
        ),
    ] {
        assert_eq!(robfig(spec, after, 1), [wanted], "{spec}");
    }
}

#[test]
fn what_is_always_in_the_gap_runs_at_its_end_or_never() {
    // The second Sunday in March, when New York skips 02:30.
    let schedule: Schedule = "CRON_TZ=America/New_York 30 2 8-14 3 +SUN".parse().unwrap();
    let after = at("2026-01-01T00:00:00Z");
    assert_eq!(schedule.next_after(after), Some(at("2026-03-08T07:00:00Z")));
    assert_eq!(schedule.with_dst(DstPolicy::Robfig).next_after(after), None);
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
fn what_changes_of_the_clock_do_within_a_year_is_said_before() {
    let lints = |spec: &str, dst| -> Vec<String> {
        let schedule = spec.parse::<Schedule>().unwrap().with_dst(dst);
        let lints = schedule.lint(at("2026-11-21T10:00:00Z"));
        lints
            .iter()
            .map(|l| format!("{}: {l}", l.as_str()))
            .collect()
    };
    let none: [&str; 0] = [];
    let (run_once, robfig) = (DstPolicy::RunOnce, DstPolicy::Robfig);
    let berlin = |fields: &str| format!("TZ=Europe/Berlin {fields}");
    // In the gap of 28 March 2027 and, by run-once, on the first pass only of 31 October.
    let moved = "dst_gap: no 02:30 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead";
    let skipped = "dst_gap: no 02:30 on 2027-03-28 in Europe/Berlin: does not fire";
    let twice = "dst_overlap: 02:30 comes twice on 2027-10-31 in Europe/Berlin: fires both times";
    assert_eq!(lints(&berlin("30 2 * * *"), run_once), [moved]);
    assert_eq!(lints(&berlin("30 2 * * *"), robfig), [skipped, twice]);
    assert_eq!(
        lints(&berlin("15 30 2 * * SUN"), run_once),
        ["dst_gap: no 02:30:15 on 2027-03-28 in Europe/Berlin: fires at 03:00 instead"]
    );
    // An interval that is not for all hours has no run that hour, or two passes.
    assert_eq!(
        lints(&berlin("*/30 2 * * *"), run_once),
        [
            "dst_gap: no 02:00 on 2027-03-28 in Europe/Berlin: does not fire",
            "dst_overlap: 02:00 comes twice on 2027-10-31 in Europe/Berlin: fires both times",
        ]
    );
    // Other days, other hours, all hours, no clock: nothing to say.
    for spec in [
        "30 2 * * MON-SAT",
        "30 4 * * *",
        "*/5 * * * *",
        "@hourly",
        "@every 1h",
        "@after 1h",
    ] {
        for dst in [run_once, robfig] {
            assert_eq!(lints(&berlin(spec), dst), none, "{spec}");
        }
    }
    for zone in ["UTC", "Asia/Shanghai", "Etc/GMT+5"] {
        assert_eq!(
            lints(&format!("TZ={zone} 30 2 * * *"), robfig),
            none,
            "{zone}"
        );
    }
    // South of the equator the gap comes after the overlap.
    assert_eq!(
        lints("TZ=Australia/Lord_Howe 45 1 * * *", robfig),
        ["dst_overlap: 01:45 comes twice on 2027-04-04 in Australia/Lord_Howe: fires both times"]
    );
    assert_eq!(
        lints("TZ=Australia/Lord_Howe 15 2 * * *", run_once),
        ["dst_gap: no 02:15 on 2027-10-03 in Australia/Lord_Howe: fires at 02:30 instead"]
    );
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

#[test]
fn specs_that_robfig_reads_are_read_alike() {
    // Pairs that have to mean the same.
    for (spec, plain) in [
        ("0/15 * * * *", "0,15,30,45 * * * *"),
        ("5/15 * * * *", "5,20,35,50 * * * *"),
        ("20-35/15 1 * * *", "20,35 1 * * *"),
        (
            "15/35 20-35/15 1/2 */2 * *",
            "15,50 20,35 1,3,5,7,9,11,13,15,17,19,21,23 */2 * *",
        ),
        ("30 08 ? Jul Sun", "30 8 * 7 0"),
        ("0 */70 1 * * *", "0 */60 1 * * *"),
        ("3-59/60 1 * * *", "3 1 * * *"),
        ("1,,2 1 * * *", "1,2 1 * * *"),
        (",5 1 * * *", "5 1 * * *"),
        ("5, 1 * * *", "5 1 * * *"),
        ("0 0 * * mon-5", "0 0 * * 1-5"),
        ("0 0 1 1-dec/3 *", "0 0 1 1,4,7,10 *"),
        ("\t0   0\t1  *\n* ", "0 0 1 * *"),
        ("CRON_TZ=UTC  5 * * * *", "5 * * * *"),
        ("TZ=Asia/Tokyo @midnight", "CRON_TZ=Asia/Tokyo 0 0 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("0 0 * * SUN-SUN", "0 0 * * SUN"),
        ("0 0 * * 0-SUN", "0 0 * * SUN"),
    ] {
        let read = |spec: &str| spec.parse::<Schedule>().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read(spec), read(plain), "{spec}");
    }
}

#[test]
fn what_robfig_refuses_or_misreads_is_read_or_refused() {
    for spec in [
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * SAT-SUN",
        "0 0 0 1 1 * 2030",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * FRI#2",
        "0 0 13 * +FRI",
        "@Daily",
        "@EVERY 90s",
    ] {
        assert!(spec.parse::<Schedule>().is_ok(), "{spec}");
    }
    for (spec, kind) in [
        (", * * * *", SpecErrorKind::EmptyField),
        ("*-5 * * * *", SpecErrorKind::NotANumber),
        ("+5 * * * *", SpecErrorKind::NotANumber),
        ("@every 0s", SpecErrorKind::BadDuration),
        ("@every -1m", SpecErrorKind::BadDuration),
        ("@every 9ms", SpecErrorKind::BadDuration),
        ("TZ= 0 0 * * *", SpecErrorKind::BadZone),
        ("TZ=Local 0 0 * * *", SpecErrorKind::BadZone),
        ("TZ=UTC", SpecErrorKind::Empty),
        ("CRON_TZ=UTC  ", SpecErrorKind::Empty),
        ("@reboot", SpecErrorKind::UnknownDescriptor),
        ("@daily !", SpecErrorKind::UnknownDescriptor),
        ("0 0 0 * * * * *", SpecErrorKind::FieldCount),
    ] {
        let error = spec.parse::<Schedule>().expect_err(spec);
        assert_eq!(error.kind(), kind, "{error}");
    }
    let long = "0 0 * * *".to_owned() + &" ".repeat(1016);
    assert_eq!(long.len(), 1025);
    let error = long.parse::<Schedule>().unwrap_err();
    assert_eq!(error.kind(), SpecErrorKind::TooLong);
    assert!(long[..1024].parse::<Schedule>().is_ok());
}

#[test]
fn the_worst_specs_take_little_time() {
    let worst = [
        "1W,2W,3W,28W,29W,30W,31W,LW,L-1W,L-9W * * 2 +SAT,SUN".to_owned(),
        "* * * * * * ".to_owned() + &"1970/2,".repeat(140),
        "*/1,".repeat(200) + "1 * * 31 2 *",
        "CRON_TZ=America/New_York 30 2 8-14 3 +SUN".to_owned(),
        "CRON_TZ=Europe/Dublin 30 1 25-31 3 +SUN".to_owned(),
        "TZ=Eurooe/Belrin * * * * *".to_owned(),
        "CRON_TZ=".to_owned() + &"E".repeat(40) + " * * * * *",
    ];
    let start = std::time::Instant::now();
    for spec in &worst {
        if let Ok(schedule) = spec.parse::<Schedule>() {
            let schedule = schedule.with_dst(DstPolicy::Robfig);
            let _ = schedule.next_after(at("2026-01-01T00:00:00Z"));
            let _ = schedule.prev_before(at("2026-01-01T00:00:00Z"));
        }
    }
    // What is looked for is a search without an end; how fast each is, the benchmarks say.
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(60), "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn back_and_forth_are_inverse(
        plain in plain_spec(), odd in odd_spec(), zone in zone(),
        second in -2_208_988_800_i64..7_258_118_400, robfig: bool,
    ) {
        let dst = if robfig { DstPolicy::Robfig } else { DstPolicy::RunOnce };
        let now = DateTime::from_timestamp(second, 0).unwrap();
        for spec in [plain, odd] {
            let Ok(schedule) = Schedule::parse_in(&spec, zone) else { continue };
            let schedule = schedule.with_dst(dst);
            let second = TimeDelta::seconds(1);
            if let Some(next) = schedule.next_after(now) {
                prop_assert_eq!(schedule.prev_before(next + second), Some(next));
                prop_assert!(schedule.prev_before(next).is_none_or(|prev| prev <= now));
            }
            if let Some(prev) = schedule.prev_before(now) {
                prop_assert_eq!(schedule.next_after(prev - second), Some(prev));
                prop_assert!(schedule.next_after(prev).is_none_or(|next| next >= now));
            }
            prop_assert!(!schedule.explain().is_empty());
        }
    }
}
