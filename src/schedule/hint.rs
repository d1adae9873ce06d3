//! What somebody may have meant whose spec is refused: mistakes that other dialects teach.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::error::SpecErrorKind as Kind;
use super::field::{Fault, Field, WEEKDAYS};

/// A hint for a spec whose fields were not reached.
pub(super) fn for_fault(fault: &Fault<'_>) -> Option<String> {
    match fault.kind {
        Kind::BadZone => nearest_zone(fault.at).map(|zone| format!("did you mean {zone}?")),
        _ => None,
    }
}

/// A hint for a mistake in a field of a spec of `count` fields.
pub(super) fn for_field(
    field: Field,
    fault: &Fault<'_>,
    texts: &[&str; 7],
    count: usize,
) -> Option<String> {
    let [.., day, month, weekday, _] = texts;
    let wrong = fault.at;
    let digit = |c: char| c.is_ascii_digit();
    let is_year = |text: &str| {
        let number = text.split(|c| !digit(c)).next().unwrap_or_default();
        number.len() == 4 && number >= "1970"
    };
    let names_weekday = |text: &str| {
        let is_weekday = |word: &str| WEEKDAYS.iter().any(|day| day.eq_ignore_ascii_case(word));
        text.split([',', '-', '#']).any(is_weekday)
    };
    let hint = if wrong.contains('~') {
        "random values (~, as in cronie) are not supported"
    } else if wrong.contains('$') {
        "$ is not supported"
    } else if wrong == "H" || wrong.starts_with("H(") {
        "hashed values (H, as in Jenkins) are not supported"
    } else if count == 6 && (is_year(weekday) || names_weekday(month)) {
        "a year is the seventh field, and six fields start with the second; AWS puts the minute \
         first and the year sixth"
    } else if field == Field::Year {
        "the seventh field is the year, 1970 to 2199"
    } else if field == Field::Weekday && day.contains('?') && wrong.contains(digit) {
        "Quartz numbers the days of the week from 1 (Sunday), cron from 0: use names, such as \
         MON-FRI"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// The zone whose name is most like `name`: the same in another case, the same city, or the same
/// but for two letters.
fn nearest_zone(name: &str) -> Option<Tz> {
    if name.len() > 40 || !name.is_ascii() {
        return None;
    }
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let same = |zone: &&Tz| zone.name().eq_ignore_ascii_case(name);
    let same_city = |zone: &&Tz| city(zone.name()).eq_ignore_ascii_case(name);
    if let Some(zone) = TZ_VARIANTS.iter().find(same) {
        return Some(*zone);
    }
    if let Some(zone) = TZ_VARIANTS.iter().find(same_city) {
        return Some(*zone);
    }
    let distance = |zone: &&Tz| (zone.name().len() > 5).then(|| distance(zone.name(), name));
    TZ_VARIANTS
        .iter()
        .filter_map(|zone| Some((distance(&zone)??, *zone)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, zone)| zone)
}

/// How many letters have to be changed, added or removed to make `a` of `b`, up to two.
fn distance(a: &str, b: &str) -> Option<u32> {
    const FAR: u32 = 2;
    fn walk(a: &[u8], b: &[u8], budget: u32) -> Option<u32> {
        match (a, b) {
            ([x, a @ ..], [y, b @ ..]) if x.eq_ignore_ascii_case(y) => walk(a, b, budget),
            ([], []) => Some(0),
            _ => {
                let budget = budget.checked_sub(1)?;
                let (rest_a, rest_b) = (a.split_first(), b.split_first());
                let changed = match (rest_a, rest_b) {
                    (Some((_, a)), Some((_, b))) => walk(a, b, budget),
                    _ => None,
                };
                let removed = rest_a.and_then(|(_, a)| walk(a, b, budget));
                let added = rest_b.and_then(|(_, b)| walk(a, b, budget));
                [changed, removed, added]
                    .into_iter()
                    .flatten()
                    .min()
                    .map(|d| d + 1)
            }
        }
    }
    if a.len().abs_diff(b.len()) > FAR as usize {
        return None;
    }
    walk(a.as_bytes(), b.as_bytes(), FAR)
}
