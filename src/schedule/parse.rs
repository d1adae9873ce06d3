//! A spec, from text to rule.

use chrono::{DateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::Rule;
use super::cron::{Cron, Years};
use super::error::{Field, SpecError, quoted};
use super::every::Every;
use super::field::{
    Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Fault, HOUR, MINUTE, MONTH, Piece, SECOND, YEAR, number,
};

/// The longest spec, in bytes.
const LONGEST: usize = 1024;

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
];

/// Reads a spec; `zone` is for one that names none.
pub(super) fn parse(spec: &str, zone: Tz) -> Result<(Rule, Tz), SpecError> {
    if spec.len() > LONGEST {
        let reason = format!(
            "spec has {} bytes: at most {LONGEST} are allowed",
            spec.len()
        );
        return Err(SpecError::new(spec, LONGEST..spec.len(), reason));
    }
    let whole = trim(Piece { text: spec, at: 0 });
    if whole.text.is_empty() {
        return Err(SpecError::new(spec, 0..spec.len(), "empty spec string"));
    }
    let (rest, zone) = split_zone(spec, whole, zone)?;
    let rule = if rest.text.starts_with('@') {
        descriptor(rest).map_err(|(span, reason)| SpecError::new(spec, span, reason))?
    } else {
        Rule::Cron(fields(spec, rest)?)
    };
    Ok((rule, zone))
}

fn trim(piece: Piece<'_>) -> Piece<'_> {
    let start = piece.text.len() - piece.text.trim_start().len();
    Piece {
        text: piece.text.trim(),
        at: piece.at + start,
    }
}

/// Takes `CRON_TZ=zone ` or `TZ=zone ` off the front.
fn split_zone<'a>(spec: &str, whole: Piece<'a>, zone: Tz) -> Result<(Piece<'a>, Tz), SpecError> {
    let Some(prefix) = ["CRON_TZ=", "TZ="]
        .into_iter()
        .find(|p| whole.text.starts_with(p))
    else {
        return Ok((whole, zone));
    };
    let after = whole.text.get(prefix.len()..).unwrap_or_default();
    let name = after.split(char::is_whitespace).next().unwrap_or_default();
    let name = Piece {
        text: name,
        at: whole.at + prefix.len(),
    };
    let zone: Tz = name.text.parse().map_err(|_| {
        let reason = if name.text.is_empty() {
            "provided bad location: the zone is empty".to_owned()
        } else {
            format!(
                "provided bad location {}: no such time zone",
                quoted(name.text)
            )
        };
        SpecError::new(spec, name.span(), reason).hint(nearest_zone(name.text))
    })?;
    let rest = after.get(name.text.len()..).unwrap_or_default();
    let rest = trim(Piece {
        text: rest,
        at: name.at + name.text.len(),
    });
    if rest.text.is_empty() {
        let reason = "empty spec string: a time zone is followed by fields";
        return Err(SpecError::new(spec, rest.span(), reason));
    }
    Ok((rest, zone))
}

/// The zone whose name is nearest to a wrong one, if one is near.
fn nearest_zone(wrong: &str) -> Option<String> {
    // Zone names have at most 32 characters; the bound keeps the search cheap for any text.
    if wrong.is_empty() || wrong.len() > 40 {
        return None;
    }
    let wrong = wrong.to_ascii_lowercase();
    let near = |zone: &Tz| {
        (
            distance(&wrong, &zone.name().to_ascii_lowercase()),
            zone.name(),
        )
    };
    let (distance, name) = TZ_VARIANTS.iter().map(near).min()?;
    (distance <= 3 && distance * 2 < wrong.len()).then(|| format!("did you mean {name}?"))
}

/// How many letters must be changed, added or removed to make one text of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// What begins with `@`.
fn descriptor(piece: Piece<'_>) -> Result<Rule, Fault> {
    let (word, argument) = match piece.text.split_once(char::is_whitespace) {
        Some((word, rest)) => {
            let at = piece.at + piece.text.len() - rest.len();
            (
                Piece {
                    text: word,
                    at: piece.at,
                },
                trim(Piece { text: rest, at }),
            )
        }
        None => {
            let end = piece.at + piece.text.len();
            (piece, Piece { text: "", at: end })
        }
    };
    if word.text.eq_ignore_ascii_case("@every") {
        return match Every::parse(argument.text) {
            Ok(every) => Ok(Rule::Every(every)),
            Err(_) if argument.text.len() > 80 => {
                argument.fault("failed to parse duration: too long")
            }
            Err(reason) => argument.fault(reason),
        };
    }
    if word.text.eq_ignore_ascii_case("@at") {
        let time = DateTime::parse_from_rfc3339(argument.text);
        return match time {
            Ok(time) => Ok(Rule::At(time.with_timezone(&Utc))),
            Err(e) => argument.fault(format!(
                "failed to parse time {}: {e}; it is written as in @at 2027-01-31T09:00:00+08:00",
                quoted(argument.text)
            )),
        };
    }
    let known = MACROS
        .iter()
        .find(|(name, _)| piece.text.eq_ignore_ascii_case(name));
    match known.map(|(_, text)| fields(text, Piece { text, at: 0 })) {
        Some(Ok(cron)) => Ok(Rule::Cron(cron)),
        _ => piece.fault(format!("unrecognized descriptor: {}", quoted(piece.text))),
    }
}

/// Five, six or seven fields.
fn fields(spec: &str, rest: Piece<'_>) -> Result<Cron, SpecError> {
    let mut found: Vec<Piece<'_>> = Vec::with_capacity(7);
    let mut at = rest.at;
    for text in rest.text.split(char::is_whitespace) {
        if !text.is_empty() {
            found.push(Piece { text, at });
        }
        // The blank that ended this part may be of several bytes.
        let after = spec.get(at + text.len()..).and_then(|s| s.chars().next());
        at += text.len() + after.map_or(0, char::len_utf8);
    }
    let of = found.len();
    if !(5..=7).contains(&of) {
        let start = found.get(7).map_or(rest.at, |extra| extra.at);
        let reason = format!("expected 5 to 7 fields, found {of}");
        return Err(SpecError::new(spec, start..rest.span().end, reason));
    }
    let zero = Piece {
        text: "0",
        at: rest.at,
    };
    let mut fields = found.iter().copied();
    let mut number = 0;
    let mut next = |bounds: &Bounds| {
        number += 1;
        let piece = fields.next().unwrap_or(zero);
        (
            piece,
            Field {
                name: bounds.name,
                number,
                of,
            },
        )
    };
    let aws = hint_for_aws(&found);
    let fail = |field: Field| {
        let aws = aws.clone();
        move |(span, reason): Fault| {
            let faulty = spec.get(span.clone()).unwrap_or_default();
            let hint = hint_for_item(faulty).or(aws);
            SpecError::new(spec, span, reason)
                .in_field(field)
                .hint(hint)
        }
    };

    let mut cron = Cron::default();
    if of > 5 {
        let (piece, field) = next(&SECOND);
        cron.second = bits(&SECOND, piece).map_err(fail(field))?;
    } else {
        cron.second = 1;
    }
    let (piece, field) = next(&MINUTE);
    cron.minute = bits(&MINUTE, piece).map_err(fail(field))?;
    cron.flags.minute_star = piece.text.starts_with(['*', '?']);
    let (piece, field) = next(&HOUR);
    cron.hour = bits(&HOUR, piece).map_err(fail(field))? as u32;
    cron.flags.hour_star = piece.text.starts_with(['*', '?']);
    let (piece, field) = next(&DAY_OF_MONTH);
    days_of_month(&mut cron, piece).map_err(fail(field))?;
    let (piece, field) = next(&MONTH);
    cron.month = bits(&MONTH, piece).map_err(fail(field))? as u16;
    let (piece, field) = next(&DAY_OF_WEEK);
    days_of_week(&mut cron, piece).map_err(fail(field))?;
    if of == 7 {
        let (piece, field) = next(&YEAR);
        cron.years = years(piece).map_err(fail(field))?;
    }
    Ok(cron)
}

fn bits(bounds: &Bounds, field: Piece<'_>) -> Result<u64, Fault> {
    let base = if bounds.min == 1 { 0 } else { bounds.min };
    let mut bits = 0;
    for item in bounds.items(field)? {
        bits |= bounds.values(item)?.bits(base);
    }
    Ok(bits)
}

/// `None` for every year.
fn years(field: Piece<'_>) -> Result<Option<Box<Years>>, Fault> {
    let mut years = Years::default();
    let mut is_star = false;
    for item in YEAR.items(field)? {
        let values = YEAR.values(item)?;
        is_star |= values.is_star;
        for year in values.iter() {
            years.add(year);
        }
    }
    Ok((!is_star).then(|| Box::new(years)))
}

/// The usual items, and `L L-n LW L-nW nW`.
fn days_of_month(cron: &mut Cron, field: Piece<'_>) -> Result<(), Fault> {
    for item in DAY_OF_MONTH.items(field)? {
        let (day, to_weekday) = match item.cut_suffix('W') {
            Some(day) if !day.text.is_empty() => (day, true),
            _ => (item, false),
        };
        if let Some(rest) = day.cut_prefix('L') {
            let before = match rest.cut_prefix('-') {
                None if rest.text.is_empty() => 0,
                Some(n) => number(n).or_else(|_| unknown(item))?,
                None => return unknown(item),
            };
            if before > 30 {
                return item.fault(format!(
                    "days before the last ({before}) above maximum (30): {}",
                    item.text
                ));
            }
            let bit = 1 << before;
            if to_weekday {
                cron.near_last |= bit
            } else {
                cron.last |= bit
            }
        } else if to_weekday {
            let day = number(day).or_else(|_| unknown(item))?;
            if !(1..=31).contains(&day) {
                return item.fault(format!("day ({day}) is not one of 1 to 31: {}", item.text));
            }
            cron.near |= 1 << day;
        } else {
            let values = DAY_OF_MONTH.values(item)?;
            cron.flags.day_star |= values.is_star;
            cron.day |= values.bits(0) as u32;
        }
    }
    Ok(())
}

/// The usual items, `n#k n#L nL`, and a `+` before the field.
fn days_of_week(cron: &mut Cron, field: Piece<'_>) -> Result<(), Fault> {
    let items = match field.cut_prefix('+') {
        Some(rest) => {
            cron.flags.both_days = true;
            rest
        }
        None => field,
    };
    for item in DAY_OF_WEEK.items(items)? {
        if let Some((days, which)) = item.split_once('#') {
            let days = DAY_OF_WEEK.plain(days).or_else(|_| unknown(item))?;
            if which.text.eq_ignore_ascii_case("L") {
                days.iter().for_each(|d| cron.last_weekday |= 1 << (d % 7));
                continue;
            }
            let k = number(which).or_else(|_| unknown(item))?;
            if !(1..=5).contains(&k) {
                return item.fault(format!(
                    "occurrence ({k}) is not one of 1 to 5: {}",
                    item.text
                ));
            }
            days.iter()
                .for_each(|d| cron.nth |= 1 << ((d % 7) * 5 + k - 1));
        } else if let Some(days) = item.cut_suffix('L').filter(|days| !days.text.is_empty()) {
            let days = DAY_OF_WEEK.plain(days).or_else(|_| unknown(item))?;
            days.iter().for_each(|d| cron.last_weekday |= 1 << (d % 7));
        } else {
            let values = DAY_OF_WEEK.values(item)?;
            cron.flags.weekday_star |= values.is_star;
            let bits = values.bits(0) as u8;
            cron.weekday |= (bits & 0x7f) | (bits >> 7);
        }
    }
    Ok(())
}

fn unknown<T>(item: Piece<'_>) -> Result<T, Fault> {
    item.fault(format!("failed to parse int from {:?}", quoted(item.text)))
}

fn hint_for_item(item: &str) -> Option<String> {
    let text = if item.contains('~') {
        "random values (~) are not supported"
    } else if item.contains('$') {
        "$ is not supported"
    } else if item.starts_with(['H', 'h']) {
        "hashed values (H) are not supported"
    } else {
        return None;
    };
    Some(text.to_owned())
}

/// Six fields in the order of AWS, whose last one is the year.
fn hint_for_aws(fields: &[Piece<'_>]) -> Option<String> {
    let [_, _, _, _, month, last] = fields else {
        return None;
    };
    let is_year = last
        .text
        .get(..4)
        .and_then(|y| y.parse().ok())
        .is_some_and(|y: u32| y >= 1970);
    let is_weekday = |name: &&str| month.text.to_ascii_uppercase().contains(*name);
    (is_year || DAY_OF_WEEK.names.iter().any(is_weekday)).then(|| {
        "six fields are second, minute, hour, day of month, month, day of week; a year is the \
         seventh"
            .to_owned()
    })
}
