//! Beside a slow search that can hardly be wrong, over all zones.

use super::*;

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
