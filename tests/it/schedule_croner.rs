//! Fire times against those of another crate, croner, where the rules of both agree.
//!
//! Left out, since they differ by rule:
//! - `*/1` in a day field: a star here; in croner a list of all days, as `1-31` is.
//! - `*,5`: croner has no `*` in lists.
//! - `L-3`, `L-3W`: croner has none.
//! - `L,LW`: croner takes both for `LW`.
//! - `5/2` in days of the week: the field ends with 6 here; in croner with 7, which is Sunday.
//! - `SUN-SUN`: Sunday here; in croner `0-7`.
//! - `MON-FRIL`: croner reads `MON-FRI#L` only.
//! - `?` outside of the day fields: croner has it in these alone.
//! - A field of years: 1970 to 2199 here; in croner 1 to 5000.
//! - `@every`, `@at`, `@midnight`, a zone before the fields: croner has none.
//! - Changes of clocks: a task is fixed in croner if its second, minute and hour have one value each.

use std::ops::RangeInclusive;

use croner::parser::CronParser;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tasklock::Schedule;
use tasklock::chrono::{DateTime, Datelike, Utc};
use tasklock::chrono_tz::{Asia, Tz};

const MONTHS: [&str; 12] = [
    "JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "oct", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"];

/// A value of a field as a number or by its name.
fn written(value: u32, named: bool, names: &[&'static str], base: u32) -> String {
    let name = value.checked_sub(base).and_then(|i| names.get(i as usize));
    match name {
        Some(name) if named => (*name).to_owned(),
        _ => value.to_string(),
    }
}

/// A value, a range, or either with a step; a single value has a step only if `open` says so.
fn item(
    values: RangeInclusive<u32>,
    names: &'static [&'static str],
    base: u32,
    open: bool,
) -> impl Strategy<Value = String> {
    let step = prop_oneof![3 => Just(0_u32), 2 => 1..10_u32, 1 => 1..80_u32];
    (values.clone(), values, any::<bool>(), any::<bool>(), step).prop_map(
        move |(a, b, named, range, step)| {
            let (low, high) = (a.min(b), a.max(b));
            let mut item = written(low, named, names, base);
            let is_range = range && low < high; // never `SUN-SUN`
            if is_range {
                item = format!("{item}-{}", written(high, named, names, base));
            }
            if step > 0 && (is_range || open) {
                item = format!("{item}/{step}");
            }
            item
        },
    )
}

fn list(items: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec(items, 1..4), select(vec![",", ",", ",,"])).prop_map(|(items, comma)| items.join(comma))
}

/// A field without rules of its own.
fn field(
    values: RangeInclusive<u32>,
    names: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let base = *values.start();
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (2..80_u32).prop_map(|step| format!("*/{step}")),
        3 => list(item(values, names, base, true)),
    ]
}

fn day_of_month() -> impl Strategy<Value = String> {
    let nearest = || (1..=31_u32).prop_map(|day| format!("{day}W"));
    let plain = || item(1..=31, &[], 1, true);
    // One item at most is an `L`.
    let days = || list(prop_oneof![3 => plain(), 1 => nearest()]);
    let last = (select(vec!["L", "LW"]), days()).prop_map(|(l, days)| format!("{l},{days}"));
    prop_oneof![
        4 => select(vec!["*", "?"]).prop_map(str::to_owned),
        1 => (select(vec!["*", "?"]), 2..40_u32).prop_map(|(all, step)| format!("{all}/{step}")),
        2 => select(vec!["L", "LW"]).prop_map(str::to_owned),
        1 => last,
        4 => days(),
    ]
}

fn day_of_week() -> impl Strategy<Value = String> {
    let day =
        || (0..=7_u32, any::<bool>()).prop_map(|(day, named)| written(day, named, &WEEKDAYS, 0));
    let nth = prop_oneof![
        (day(), 1..=5_u32).prop_map(|(day, n)| format!("{day}#{n}")),
        day().prop_map(|day| format!("{day}#L")),
        day().prop_map(|day| format!("{day}L")),
        (0..=3_u32, 4..=6_u32, any::<bool>(), 1..=5_u32).prop_map(|(a, b, named, n)| {
            let [a, b] = [a, b].map(|day| written(day, named, &WEEKDAYS, 0));
            format!("{a}-{b}#{n}")
        }),
    ];
    let plain = || item(0..=7, &WEEKDAYS, 0, false);
    let to_sunday = (1..=6_u32).prop_map(|day| format!("{}-SUN", written(day, true, &WEEKDAYS, 0)));
    let items = list(prop_oneof![4 => plain(), 2 => nth, 1 => to_sunday]);
    prop_oneof![
        4 => select(vec!["*", "?", "+*", "+?"]).prop_map(str::to_owned),
        1 => (select(vec!["*", "?", "+*"]), 2..10_u32).prop_map(|(all, step)| format!("{all}/{step}")),
        5 => (select(vec!["", "", "+"]), items).prop_map(|(plus, items)| format!("{plus}{items}")),
    ]
}

fn spec() -> impl Strategy<Value = String> {
    let second = prop_oneof![
        Just(String::new()),
        field(0..=59, &[]).prop_map(|s| s + " ")
    ];
    let clock = (second, field(0..=59, &[]), field(0..=23, &[]));
    let days = (day_of_month(), field(1..=12, &MONTHS), day_of_week());
    (clock, days).prop_map(|((second, minute, hour), (day, month, weekday))| {
        format!("{second}{minute} {hour} {day} {month} {weekday}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1_500,
        ..ProptestConfig::default()
    })]

    #[test]
    fn croner_names_the_same_times(
        spec in spec(),
        // These zones have not changed their clocks in these years.
        zone in select(vec![Tz::UTC, Asia::Tokyo, Asia::Shanghai]),
        second in 946_684_800_i64..4_102_444_800, // 2000 to 2099
    ) {
        let ours = Schedule::parse_in(&spec, zone);
        prop_assert!(ours.is_ok(), "{}: {}", spec, ours.unwrap_err());
        let ours = ours.unwrap();
        // Sloppy ranges are `5/15`, which croner refuses by default.
        let theirs = CronParser::builder().sloppy_ranges(true).build().parse(&spec);
        prop_assert!(theirs.is_ok(), "{}: {}", spec, theirs.unwrap_err());
        let theirs = theirs.unwrap();

        let mut after = DateTime::<Utc>::from_timestamp(second, 0).unwrap().with_timezone(&zone);
        for _ in 0..5 {
            let our_next = ours.next_after(after.to_utc());
            let next = theirs.find_next_occurrence(&after, false).ok();
            let next = next.filter(|next| next.year() <= 2199); // croner's end is the year 5000
            prop_assert_eq!(our_next, next.map(|next| next.to_utc()), "{} after {}", spec, after);
            let Some(next) = next else { break };
            after = next;
        }
    }
}
