//! What a spec means: against tables, worked dates, and a slow oracle written another way.

use proptest::prelude::*;
use tasklock::chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc,
};
use tasklock::chrono_tz::Tz;
use tasklock::{DstPolicy, Schedule, chrono_tz};

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
        ("@after 5m", "unrecognized descriptor", 1),
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
