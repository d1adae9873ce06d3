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
        Rule::Cron(cron) => {
            let never = match schedule.never_fires() {
                true => ": never",
                false => "",
            };
            format!("{}, in {}{never}", sentence(cron), schedule.zone.name())
        }
        Rule::Every(every) => format!("every {every}"),
        Rule::After(after) => format!("{after} after the end of the last run"),
        Rule::Startup => "at each start of an instance".into(),
        Rule::Once(once) => format!("once, at {once}"),
    }
}

fn sentence(cron: &Cron) -> String {
    let times = times_of_day(cron);
    let is_daily = times.is_some();
    let mut parts = vec![times.unwrap_or_else(|| interval(cron))];
    let months = values(u64::from(cron.month), 0);
    let all_months = shape(Field::Month, &months) == Shape::Star;
    let days = days(cron);
    if !days.is_empty() {
        parts.push(days);
    } else if is_daily && all_months {
        parts.push("every day".into());
    }
    if !all_months {
        parts.push(format!("in {}", names(&MONTHS, &months, 1)));
    }
    let years = cron.year_values();
    if !years.is_empty() {
        parts.push(format!("in {}", numbers(&years)));
    }
    parts.join(", ")
}

/// `at 09:30 and 17:30`, if the times of a day are few.
fn times_of_day(cron: &Cron) -> Option<String> {
    let second = match *values(cron.second, 0).as_slice() {
        [second] => second,
        _ => return None,
    };
    let minutes = values(cron.minute, 0);
    let hours = values(u64::from(cron.hour), 0);
    if minutes.len() * hours.len() > TIMES {
        return None;
    }
    let mut times = Vec::new();
    for hour in hours {
        for minute in &minutes {
            times.push(clock(hour, *minute, second));
        }
    }
    Some(format!("at {}", and(times)))
}

fn clock(hour: u32, minute: u32, second: u32) -> String {
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

/// `every 10 minutes of hours 9 to 17`
fn interval(cron: &Cron) -> String {
    let seconds = values(cron.second, 0);
    let minutes = values(cron.minute, 0);
    let hours = values(u64::from(cron.hour), 0);
    let all_hours = shape(Field::Hour, &hours) == Shape::Star;
    // Once an hour.
    if let ([second], [minute]) = (seconds.as_slice(), minutes.as_slice()) {
        match (shape(Field::Hour, &hours), runs(&hours).as_slice()) {
            (Shape::Star, _) if *second + *minute == 0 => return "every hour".into(),
            (Shape::StarStep(step), _) if *second + *minute == 0 && 24 % step == 0 => {
                return format!("every {step} hours");
            }
            (Shape::List, &[(first, last)]) => {
                let (first, last) = (
                    clock(first, *minute, *second),
                    clock(last, *minute, *second),
                );
                return format!("every hour from {first} to {last}");
            }
            _ => {}
        }
    }
    let mut text = String::new();
    // Whether the finest unit comes at all of its values or in even steps, so that "of every
    // minute" need not be said.
    let mut is_even = false;
    if seconds != [0] {
        (text, is_even) = unit("second", &seconds, Field::Second);
    }
    let all_minutes = shape(Field::Minute, &minutes) == Shape::Star;
    if text.is_empty() {
        (text, is_even) = unit("minute", &minutes, Field::Minute);
    } else if !all_minutes {
        text = format!("{text} of {}", plural("minute", &minutes));
        is_even = false;
    } else if !is_even {
        text.push_str(" of every minute");
        is_even = true;
    }
    if !all_hours {
        text = format!("{text} of {}", plural("hour", &hours));
    } else if !is_even {
        text.push_str(" of every hour");
    }
    text
}

/// `every 10 minutes`, which goes on evenly into the next hour, or `at minutes 5 and 20`.
fn unit(name: &str, values: &[u32], field: Field) -> (String, bool) {
    match shape(field, values) {
        Shape::Star => (format!("every {name}"), true),
        Shape::StarStep(step) if 60 % step == 0 => (format!("every {step} {name}s"), true),
        _ if *values == [0, 30] => (format!("every 30 {name}s"), true),
        _ => (format!("at {}", plural(name, values)), false),
    }
}

fn plural(name: &str, values: &[u32]) -> String {
    match values.len() {
        1 => format!("{name} {}", numbers(values)),
        _ => format!("{name}s {}", numbers(values)),
    }
}

/// The two day fields; nothing if every day matches.
fn days(cron: &Cron) -> String {
    let of_month = (!cron.flags.any(Flags::DAY_STAR)).then(|| days_of_month(cron));
    let of_week = (!cron.flags.any(Flags::WEEKDAY_STAR)).then(|| days_of_week(cron));
    match (of_month, of_week) {
        (None, None) => String::new(),
        (Some(days), None) => format!("on {days}"),
        (None, Some(weekdays)) => weekdays,
        (Some(days), Some(weekdays)) if cron.flags.any(Flags::BOTH_DAYS) => {
            format!("on {days}, but only on {weekdays}")
        }
        (Some(days), Some(weekdays)) => format!("on {days}, or on {weekdays}"),
    }
}

fn days_of_month(cron: &Cron) -> String {
    let mut items = Vec::new();
    let days = values(u64::from(cron.day), 0);
    if !days.is_empty() {
        items.push(plural("day", &days));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_explained_in_a_sentence() {
        for (spec, sentence) in [
            ("* * * * * *", "every second"),
            ("* * * * *", "every minute"),
            ("0 */10 * * * *", "every 10 minutes"),
            ("0,30 * * * *", "every 30 minutes"),
            ("@hourly", "every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("*/5 * * * * *", "every 5 seconds"),
            ("5 * * * *", "at minute 5 of every hour"),
            ("15 * * * * *", "at second 15 of every minute"),
            ("*/25 * * * *", "at minutes 0, 25 and 50 of every hour"),
            ("30 4 * * *", "at 04:30, every day"),
            ("15 30 4 * * *", "at 04:30:15, every day"),
            ("0 8,20 * * *", "at 08:00 and 20:00, every day"),
            (
                "0 9-17 * * MON-FRI",
                "every hour from 09:00 to 17:00, Monday to Friday",
            ),
            ("*/15 9-17 * * *", "every 15 minutes of hours 9 to 17"),
            ("* 5 4 * * *", "every second of minute 5 of hour 4"),
            ("0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month"),
            (
                "0 0 */10 * *",
                "at 00:00, on days 1, 11, 21 and 31 of the month",
            ),
            ("0 0 L * *", "at 00:00, on the last day of the month"),
            (
                "0 0 L-1,L-3 * *",
                "at 00:00, on the day before the last and the day 3 days before the last of the month",
            ),
            (
                "0 0 15W * *",
                "at 00:00, on the weekday nearest to day 15 of the month",
            ),
            (
                "0 0 * * FRI#2,SUN#L",
                "at 00:00, the second Friday and the last Sunday",
            ),
            (
                "0 0 13 * FRI",
                "at 00:00, on day 13 of the month, or on Friday",
            ),
            (
                "0 0 13 * +FRI",
                "at 00:00, on day 13 of the month, but only on Friday",
            ),
            ("0 0 * JAN,MAR *", "at 00:00, in January and March"),
            (
                "0 0 0 1 1 * 2027-2029",
                "at 00:00, on day 1 of the month, in January, in 2027 to 2029",
            ),
        ] {
            let schedule: Schedule = spec.parse().unwrap();
            assert_eq!(schedule.explain(), format!("{sentence}, in UTC"), "{spec}");
        }
    }

    #[test]
    fn what_has_no_fields_has_no_zone_and_what_never_comes_says_so() {
        for (spec, sentence) in [
            (
                "CRON_TZ=Asia/Tokyo @daily",
                "at 00:00, every day, in Asia/Tokyo",
            ),
            ("CRON_TZ=Asia/Tokyo @every 90m", "every 1h30m"),
            ("@after 90s", "1m30s after the end of the last run"),
            ("@startup", "at each start of an instance"),
            (
                "@at 2030-01-01T00:00:00+08:00",
                "once, at 2029-12-31T16:00:00Z",
            ),
            (
                "0 0 31 2 *",
                "at 00:00, on day 31 of the month, in February, in UTC: never",
            ),
        ] {
            let schedule: Schedule = spec.parse().unwrap();
            assert_eq!(schedule.explain(), sentence, "{spec}");
        }
    }
}
