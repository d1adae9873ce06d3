//! Schedules against two other crates: the cost of a parse and of a search for the next fire time.

use std::hint::black_box;
use std::str::FromStr;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use croner::parser::CronParser;
use tasklock::Schedule;
use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::chrono_tz::{America, Europe, Tz};

/// A case, its spec, and its spec for `cron`, which always starts with seconds.
const PARSED: [(&str, &str, &str); 3] = [
    ("stars", "* * * * *", "0 * * * * *"),
    ("names", "0 30 4 * * MON-FRI", "0 30 4 * * MON-FRI"),
    ("lists", LISTS, LISTS),
];
const LISTS: &str = "0 0,15,30,45 8-18 1-15/2 1,4,7,10 *";

const NEW_YORK: Tz = America::New_York;
const BERLIN: Tz = Europe::Berlin;

const SEARCHED: [(&str, Tz, &str, &str); 7] = [
    ("every_minute", Tz::UTC, "* * * * *", "0 * * * * *"),
    ("every_5_minutes", NEW_YORK, "*/5 * * * *", "0 */5 * * * *"),
    ("daily_0230", NEW_YORK, "30 2 * * *", "0 30 2 * * *"),
    (
        "weekdays_0900",
        BERLIN,
        "0 9 * * MON-FRI",
        "0 0 9 * * MON-FRI",
    ),
    ("yearly", Tz::UTC, "0 0 1 1 *", "0 0 0 1 1 *"),
    ("29_february", Tz::UTC, "0 0 29 2 *", "0 0 0 29 2 *"),
    ("never", Tz::UTC, "0 0 31 2 *", "0 0 0 31 2 *"),
];

/// Where searches start: spread over a year and over the day, in no order, so that neither caches
/// nor the prediction of branches see the same search twice in a row.
fn instants(zone: Tz) -> Vec<DateTime<Tz>> {
    let begin = DateTime::<Utc>::from_timestamp(1_798_761_600, 0).unwrap_or_default(); // 2027-01-01
    let second = |i: i64| (i * 37 % 64) * (365 * 86_400 / 64) + i * 7_919 % 86_400;
    (0..64)
        .map(|i| (begin + TimeDelta::seconds(second(i))).with_timezone(&zone))
        .collect()
}

fn parse(c: &mut Criterion) {
    for (case, spec, with_seconds) in PARSED {
        let mut group = c.benchmark_group(format!("parse/{case}"));
        group.bench_function("tasklock", |b| {
            b.iter(|| black_box(spec).parse::<Schedule>());
        });
        group.bench_function("croner", |b| {
            b.iter(|| CronParser::new().parse(black_box(spec)));
        });
        group.bench_function("cron", |b| {
            b.iter(|| cron::Schedule::from_str(black_box(with_seconds)));
        });
        group.finish();
    }
}

/// Measures `find` from each of the instants in turn.
fn search<T, N>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    library: &str,
    instants: &[T],
    find: impl Fn(&T) -> N,
) {
    let mut turn = instants.iter().cycle();
    group.bench_function(library, |b| {
        b.iter(|| turn.next().map(|at| find(black_box(at))));
    });
}

fn next(c: &mut Criterion) {
    for (case, zone, spec, with_seconds) in SEARCHED {
        let zoned = instants(zone);
        let instants: Vec<DateTime<Utc>> = zoned.iter().map(|at| at.to_utc()).collect();
        let mut group = c.benchmark_group(format!("next/{case}"));
        match Schedule::parse_in(spec, zone) {
            Ok(ours) => search(&mut group, "tasklock", &instants, |at| ours.next_after(*at)),
            Err(error) => eprintln!("tasklock refuses {spec}: {error}"),
        }
        match CronParser::new().parse(spec) {
            Ok(croner) => {
                if let Some(Err(error)) = zoned.first().map(|at| next_of_croner(&croner, at)) {
                    eprintln!("croner fails to search {spec}: {error}");
                }
                let find = |at: &_| next_of_croner(&croner, at);
                search(&mut group, "croner", &zoned, find);
            }
            Err(error) => eprintln!("croner refuses {spec}: {error}"),
        }
        match cron::Schedule::from_str(with_seconds) {
            Ok(cron) => search(&mut group, "cron", &zoned, |at| cron.after(at).next()),
            Err(error) => eprintln!("cron refuses {with_seconds}: {error}"),
        }
        group.finish();
    }
}

fn next_of_croner(
    croner: &croner::Cron,
    at: &DateTime<Tz>,
) -> Result<DateTime<Tz>, croner::errors::CronError> {
    croner.find_next_occurrence(at, false)
}

criterion_group!(benches, parse, next);
criterion_main!(benches);
