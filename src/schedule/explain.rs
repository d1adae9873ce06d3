//! A schedule in English.

use super::cron::{Cron, Flags};
use super::field::Field;
use super::print::{Shape, runs, shape, values};
use super::{Rule, Schedule};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// How many times of day are written out.
const TIMES: usize = 6;

pub(super) fn explain(schedule: &Schedule) -> String {
    match &schedule.rule {
        Rule::Cron(cron) => format!("{} ({})", sentence(cron), schedule.zone.name()),
        Rule::Every(every) => format!("every {every}"),
        Rule::Once(once) => format!("once, at {once}"),
    }
}

fn sentence(cron: &Cron) -> String {
    let mut parts = vec![time(cron)];
    let named = parts.iter().any(|time| time.starts_with("at "));
    let days = days(cron);
    match days.is_empty() {
        true if named && cron.month == 0x1ffe => parts.push("every day".into()),
        true => {}
        false => parts.push(days),
    }
    let months = values(u64::from(cron.month), 0);
    match shape(Field::Month, &months) {
        Shape::Star => {}
        _ => parts.push(format!("in {}", names(&MONTHS, &months, 1))),
    }
    let years = cron.year_values();
    if !years.is_empty() {
        parts.push(format!("in {}", numbers(&years)));
    }
    parts.join(", ")
}

fn time(cron: &Cron) -> String {
    let seconds = values(cron.second, 0);
    let minutes = values(cron.minute, 0);
    let hours = values(u64::from(cron.hour), 0);
    let all_hours = shape(Field::Hour, &hours) == Shape::Star;

    if let ([second], false) = (seconds.as_slice(), all_hours)
        && minutes.len() * hours.len() <= TIMES
    {
        let times = hours.iter().flat_map(|hour| {
            minutes.iter().map(move |minute| match second {
                0 => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            })
        });
        return format!("at {}", and(times.collect()));
    }
    // From the finest field that is not simply zero to the hour.
    let mut parts = Vec::new();
    if seconds != [0] {
        parts.push(unit(Field::Second, &seconds));
    }
    let zero_minute = minutes == [0];
    let all_minutes = shape(Field::Minute, &minutes) == Shape::Star;
    if (parts.is_empty() && !zero_minute) || !(parts.is_empty() || all_minutes) {
        parts.push(unit(Field::Minute, &minutes));
    }
    if parts.is_empty() || !all_hours {
        parts.push(unit(Field::Hour, &hours));
    }
    parts.join(", ")
}

fn unit(field: Field, numbers_of: &[u32]) -> String {
    let name = field.name();
    match shape(field, numbers_of) {
        Shape::Star => format!("every {name}"),
        Shape::StarStep(step) if (field.maximum() + 1).is_multiple_of(step) => {
            format!("every {step} {name}s")
        }
        Shape::StarStep(step) | Shape::OpenStep { step, .. } => {
            let first = numbers_of.first().copied().unwrap_or_default();
            format!("every {step} {name}s from {name} {first} on")
        }
        Shape::Step { first, last, step } => {
            format!("every {step} {name}s from {name} {first} to {last}")
        }
        Shape::List if numbers_of.len() == 1 => format!("at {name} {}", numbers(numbers_of)),
        Shape::List => format!("at {name}s {}", numbers(numbers_of)),
    }
}

/// The two day fields; nothing if every day matches.
fn days(cron: &Cron) -> String {
    let of_month = (!cron.flags.any(Flags::DAY_STAR)).then(|| days_of_month(cron));
    let of_week = (!cron.flags.any(Flags::WEEKDAY_STAR)).then(|| days_of_week(cron));
    match (of_month, of_week) {
        (None, None) => String::new(),
        (Some(days), None) => format!("on {days}"),
        (None, Some(days)) => days,
        (Some(days), Some(weekdays)) if cron.flags.any(Flags::BOTH_DAYS) => {
            format!("on {days} if it is {weekdays}")
        }
        (Some(days), Some(weekdays)) => format!("on {days} or {weekdays}"),
    }
}

fn days_of_month(cron: &Cron) -> String {
    let mut items = Vec::new();
    let days = values(u64::from(cron.day), 0);
    match days.as_slice() {
        [] => {}
        [day] => items.push(format!("day {day}")),
        _ => items.push(match shape(Field::Day, &days) {
            Shape::StarStep(step) => format!("every {step} days from day 1 on"),
            Shape::OpenStep { first, step } => format!("every {step} days from day {first} on"),
            _ => format!("days {}", numbers(&days)),
        }),
    }
    let from_last = |before| match before {
        0 => "the last day".to_owned(),
        1 => "the day before the last".to_owned(),
        _ => format!("the day {before} days before the last"),
    };
    items.extend(
        values(u64::from(cron.from_last), 0)
            .into_iter()
            .map(from_last),
    );
    let near = values(u64::from(cron.near), 0);
    let near = near.into_iter().map(|day| format!("day {day}"));
    let near_last = values(u64::from(cron.near_from_last), 0);
    for day in near.chain(near_last.into_iter().map(from_last)) {
        items.push(format!("the weekday nearest to {day}"));
    }
    format!("{} of the month", and(items))
}

fn days_of_week(cron: &Cron) -> String {
    let mut items = Vec::new();
    let days = values(u64::from(cron.weekday), 0);
    if !days.is_empty() {
        items.push(names(&WEEKDAYS, &days, 0));
    }
    for (nth, ordinal) in ORDINALS.iter().enumerate() {
        let days = values(cron.nth_weekday >> (7 * nth) & 0x7f, 0);
        if !days.is_empty() {
            items.push(format!("the {ordinal} {}", names(&WEEKDAYS, &days, 0)));
        }
    }
    let days = values(u64::from(cron.last_weekday), 0);
    if !days.is_empty() {
        items.push(format!("the last {}", names(&WEEKDAYS, &days, 0)));
    }
    and(items)
}

fn numbers(values: &[u32]) -> String {
    spans(values, |number| number.to_string())
}

fn names(table: &[&str], values: &[u32], base: u32) -> String {
    spans(values, |number| {
        let name = table.get((number - base) as usize);
        name.copied().unwrap_or_default().to_owned()
    })
}

fn spans(values: &[u32], name: impl Fn(u32) -> String) -> String {
    let mut items = Vec::new();
    for (first, last) in runs(values) {
        match last - first {
            0 => items.push(name(first)),
            1 => items.extend([name(first), name(last)]),
            _ => items.push(format!("{} to {}", name(first), name(last))),
        }
    }
    and(items)
}

/// `a, b and c`
fn and(mut items: Vec<String>) -> String {
    let last = items.pop().unwrap_or_default();
    match items.is_empty() {
        true => last,
        false => format!("{} and {last}", items.join(", ")),
    }
}
