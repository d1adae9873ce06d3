//! Specs of the grammar's pieces.

use std::fmt::Write;

use tasklock::chrono_tz::TZ_VARIANTS;

const LONGEST_SPEC: usize = 1_024;

const TIMES: &[&str] = &[
    "*", "*", "0", "59", "*/7", "0-59/13", "1,2,3", "30", "*/70", "5/9",
];
const HOURS: &[&str] = &["*", "*", "0", "2", "1-3", "23", "*/5", "22/3", "1,13"];
const DAYS: &[&str] = &[
    "*",
    "?",
    "29",
    "30",
    "31",
    "L",
    "LW",
    "L-30",
    "L-29W",
    "31W",
    "1W",
    "15W",
    "1-7",
    "*/30",
    "L-3",
    "29-31",
    "13",
    "30W,31W",
    "L-27,L-28",
];
const MONTHS: &[&str] = &["*", "*", "2", "FEB", "2,4", "4,6,9,11", "1", "*/11", "12"];
const WEEKDAYS: &[&str] = &[
    "*",
    "?",
    "+SUN",
    "+MON#5",
    "+FRI#L",
    "7#5",
    "MON-FRI#1",
    "+SAT#5",
    "5L",
    "+0-6#5",
    "FRI",
    "+WED#1",
    "+TUE",
    "*/2",
];
const YEARS: &[&str] = &[
    "*",
    "2199",
    "1970",
    "2100",
    "2000-2199/7",
    "2199,1970",
    "1970-2199/100",
    "2096-2104",
    "1971/4",
    "2100,2200",
    "2198/3",
];
const DURATIONS: &[&str] = &[
    "10ms",
    "1ns",
    "1h30m",
    "2562047h",
    "99999h",
    "0.0000001h",
    "12345.678s",
    "7us",
];

/// A spec of the grammar's pieces, mostly of dates that are rare or do not exist.
pub fn any(random: &mut Random) -> String {
    let zone = if random.one_in(8) {
        format!("CRON_TZ={} ", random.of(&TZ_VARIANTS).name())
    } else {
        String::new()
    };
    let spec = match random.below(20) {
        0 => format!("{zone}@every {}", random.of(DURATIONS)),
        1 => format!("{zone}@every {}ns", random.next() >> random.below(40)),
        2 => format!("{zone}@at {}-02-29T23:59:60Z", 1_880 + random.below(340)),
        3 | 4 => return long(random, &zone),
        5 | 6 => format!("{zone}{}", in_gaps(random)),
        _ => {
            let second = random.of(TIMES);
            let six = fields(random);
            let year = random.of(YEARS);
            match random.below(4) {
                0 => format!("{zone}{six}"),
                1 => format!("{zone}{second} {six}"),
                _ => format!("{zone}{second} {six} {year}"),
            }
        }
    };
    if random.one_in(16) {
        // As a person mistypes it: most of these are refused, with a message to make.
        spec.replacen(' ', random.of(&["  ", "~", "", " H ", ",", "/"]), 2)
    } else {
        spec
    }
}

/// Minute to day of week.
fn fields(random: &mut Random) -> String {
    let (minute, hour) = (random.of(TIMES), random.of(HOURS));
    let (day, month) = (random.of(DAYS), random.of(MONTHS));
    format!("{minute} {hour} {day} {month} {}", random.of(WEEKDAYS))
}

/// A time of the days on which clocks are put forward. Where the clock skips it each year, a search
/// goes through all years and looks for the change in each.
fn in_gaps(random: &mut Random) -> String {
    let minute = random.of(&["30", "*", "0-59", "59", "*/7 *"]);
    let hour = random.of(&["0", "1", "2", "3"]);
    let month = random.of(&["3", "4", "9", "10", "3,10"]);
    let day = random.of(&["SUNL", "SUN#1", "SUN#2", "FRIL", "SUN#2,SUNL"]);
    format!("{minute} {hour} * {month} {day}")
}

/// A list in one of the fields that fills the spec up to the longest.
fn long(random: &mut Random, zone: &str) -> String {
    let pieces = [TIMES, DAYS, WEEKDAYS, YEARS, &["9", "1-7", ""]];
    let [times, days, weekdays, years, other] = pieces;
    let (before, items, after) = match random.below(6) {
        0 => ("", times, " 2 31 2 * *"),
        1 => ("0 0 0 ", days, " 2 +SUN#5 2199"),
        2 => ("0 0 0 29 2 +", weekdays, " *"),
        3 => ("0 0 0 29 2 +SUN#5 ", years, ""),
        4 => ("0 ", other, " * * *"),
        _ => ("0 0 31 ", other, " *"),
    };
    let mut spec = format!("{zone}{before}");
    loop {
        let item = random.of(items).trim_start_matches('+');
        if spec.len() + item.len() + after.len() > LONGEST_SPEC - 2 {
            break format!("{spec}{item}{after}");
        }
        // Writing to a string does not fail.
        let _ = write!(spec, "{item},");
    }
}

/// Marsaglia's xorshift with a fixed start, so that all runs ask the same.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}
