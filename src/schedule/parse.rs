//! From a spec's text to a rule.
//!
//! ```text
//! schedule = [ ("CRON_TZ=" | "TZ=") zone WS ] ( "@" macro | fields )
//! fields   = 5: min hour dom month dow | 6: sec and those | 7: and year
//! field    = item *( "," item )          items may be empty, a field may not
//! ```
//!
//! Items and their places are slices of the spec, so that an error finds its column by comparing
//! addresses and a spec without a mistake pays nothing for it.

use std::ops::Range;

use chrono_tz::Tz;

use super::after::After;
use super::cron::{Cron, FIRST_NAMED_YEAR, Flags, Years};
use super::error::{SpecError, SpecErrorKind as Kind, shown};
use super::every::Every;
use super::field::{Fault, Field};
use super::once::Once;
use super::{Rule, days, hint};

/// The longest spec in bytes. Robfig takes any; a limit keeps what a hostile spec can cost small.
pub(super) const LONGEST_SPEC: usize = 1_024;

/// Reads a spec. `zone` holds unless the spec names its own.
pub(super) fn parse(spec: &str, zone: Tz) -> Result<(Rule, Tz), SpecError> {
    let refuse = |fault: Fault<'_>| {
        let hint = hint::for_fault(&fault);
        let span = span_in(spec, fault.at);
        SpecError::new(fault.kind, spec, span, fault.reason, hint)
    };
    if spec.len() > LONGEST_SPEC {
        let reason = format!(
            "spec of {} bytes is too long: at most {LONGEST_SPEC} are read",
            spec.len()
        );
        return Err(refuse(Fault::new(Kind::TooLong, spec, reason)));
    }
    let text = spec.trim_ascii();
    if text.is_empty() {
        return Err(refuse(Fault::new(Kind::Empty, spec, "empty spec string")));
    }
    let (zone, rest) = split_zone(text, zone).map_err(refuse)?;
    if rest.is_empty() {
        let reason = "empty spec string: nothing follows the time zone";
        return Err(refuse(Fault::new(Kind::Empty, rest, reason)));
    }
    if rest.starts_with('@') {
        let rule = descriptor(rest).map_err(refuse)?;
        return Ok((rule, zone));
    }

    let mut fields = [""; 7];
    let mut count = 0;
    // The first field too many, or else all of them: where a wrong number of fields is to be seen.
    let mut surplus = None;
    for text in rest.split_ascii_whitespace() {
        match fields.get_mut(count) {
            Some(field) => *field = text,
            None => surplus = surplus.or(Some(text)),
        }
        count += 1;
    }
    let [a, b, c, d, e, f, g] = fields;
    let texts = match count {
        5 => ["0", a, b, c, d, e, "*"],
        6 => [a, b, c, d, e, f, "*"],
        7 => [a, b, c, d, e, f, g],
        _ => {
            let reason = format!("expected 5 to 7 fields, found {count}: {}", shown(rest));
            let at = surplus.unwrap_or(rest);
            return Err(refuse(Fault::new(Kind::FieldCount, at, reason)));
        }
    };
    match read_fields(&texts) {
        Ok(cron) => Ok((Rule::Cron(cron), zone)),
        Err((field, fault)) => {
            let hint = hint::for_field(field, &fault, &texts, count);
            let span = span_in(spec, fault.at);
            // Only a spec of five fields starts with the minute.
            let number = field as usize + usize::from(count != 5);
            let error = SpecError::new(fault.kind, spec, span, fault.reason, hint);
            Err(error.in_field(field, number, count))
        }
    }
}

/// Where in `spec` its part `part` is.
fn span_in(spec: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().wrapping_sub(spec.as_ptr().addr());
    // A part that is not one of the spec has no place: point at all of it.
    match start.checked_add(part.len()) {
        Some(end) if end <= spec.len() => start..end,
        _ => 0..spec.len(),
    }
}

/// Takes the prefix `CRON_TZ=` or `TZ=` off and the blanks after it.
fn split_zone(spec: &str, default: Tz) -> Result<(Tz, &str), Fault<'_>> {
    let Some(rest) = spec
        .strip_prefix("CRON_TZ=")
        .or_else(|| spec.strip_prefix("TZ="))
    else {
        return Ok((default, spec));
    };
    let end = rest
        .find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    if name.is_empty() {
        let reason = "provided bad location: no name follows the equals sign";
        return Err(Fault::new(Kind::BadZone, name, reason));
    }
    match name.parse() {
        Ok(zone) => Ok((zone, rest.trim_ascii_start())),
        Err(_) => {
            let reason = format!("provided bad location {}: no such time zone", shown(name));
            Err(Fault::new(Kind::BadZone, name, reason))
        }
    }
}

/// Reads what starts with an `@`: in any case, where robfig wants lower case.
fn descriptor(text: &str) -> Result<Rule, Fault<'_>> {
    let end = text
        .find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(text.len());
    let (word, argument) = text.split_at(end);
    let argument = argument.trim_ascii_start();
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("@every") {
        return Every::parse(argument).map(Rule::Every);
    }
    if is("@after") {
        return After::parse(argument).map(Rule::After);
    }
    if is("@at") {
        return Once::parse(argument).map(Rule::Once);
    }
    if is("@startup") && argument.is_empty() {
        return Ok(Rule::Startup);
    }
    let fields = match () {
        () if !argument.is_empty() => None,
        () if is("@hourly") => Some(["0", "0", "*", "*", "*", "*", "*"]),
        () if is("@daily") || is("@midnight") => Some(["0", "0", "0", "*", "*", "*", "*"]),
        () if is("@weekly") => Some(["0", "0", "0", "*", "*", "0", "*"]),
        () if is("@monthly") => Some(["0", "0", "0", "1", "*", "*", "*"]),
        () if is("@yearly") || is("@annually") => Some(["0", "0", "0", "1", "1", "*", "*"]),
        () => None,
    };
    // The fields written here are right: if they were not, the word would be unknown.
    match fields.map(|fields| read_fields(&fields)) {
        Some(Ok(cron)) => Ok(Rule::Cron(cron)),
        _ => {
            let reason = format!("unrecognized descriptor: {}", shown(text));
            Err(Fault::new(Kind::UnknownDescriptor, text, reason))
        }
    }
}

/// Reads the seven fields, seconds to years.
fn read_fields<'a>(texts: &[&'a str; 7]) -> Result<Cron, (Field, Fault<'a>)> {
    let [second, minute, hour, day, month, weekday, year] = *texts;
    let mut cron = Cron {
        second: numbers(Field::Second, second)?,
        minute: numbers(Field::Minute, minute)?,
        hour: numbers(Field::Hour, hour)? as u32,
        ..Cron::default()
    };
    days::read_day(day, &mut cron).map_err(|fault| (Field::Day, fault))?;
    cron.month = numbers(Field::Month, month)? as u16;
    days::read_weekday(weekday, &mut cron).map_err(|fault| (Field::Weekday, fault))?;
    cron.years = years(year)?;
    cron.flags.set(Flags::MINUTE_STAR, starts_with_star(minute));
    cron.flags.set(Flags::HOUR_STAR, starts_with_star(hour));
    Ok(cron)
}

/// Reads a field of at most 64 values as bits.
fn numbers(field: Field, text: &str) -> Result<u64, (Field, Fault<'_>)> {
    let mut bits = 0;
    for item in items(text).map_err(|fault| (field, fault))? {
        bits |= field.item(item).map_err(|fault| (field, fault))?.bits();
    }
    Ok(bits)
}

fn years(text: &str) -> Result<Option<Box<Years>>, (Field, Fault<'_>)> {
    let field = Field::Year;
    if text == "*" {
        return Ok(None);
    }
    let mut years = Years::default();
    let mut every = false;
    for item in items(text).map_err(|fault| (field, fault))? {
        let item = field.item(item).map_err(|fault| (field, fault))?;
        if item.star {
            every = true;
            continue;
        }
        for year in item.values() {
            let bit = (i64::from(year) - FIRST_NAMED_YEAR) as usize;
            if let Some(word) = years.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
    }
    Ok((!every).then(|| Box::new(years)))
}

/// The items of a field. Empty ones are dropped, as robfig does; a field without any would leave
/// robfig with an empty set and the search without an end.
pub(super) fn items(text: &str) -> Result<impl Iterator<Item = &str>, Fault<'_>> {
    if text.bytes().all(|b| b == b',') {
        let reason = format!("empty field: {}", shown(text));
        return Err(Fault::new(Kind::EmptyField, text, reason));
    }
    Ok(text.split(',').filter(|item| !item.is_empty()))
}

fn starts_with_star(text: &str) -> bool {
    text.trim_start_matches(',').starts_with(['*', '?'])
}
