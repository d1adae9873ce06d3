//! The two day fields, which know more than numbers: `L`, `W` and `#`, and the leading `+`.
//!
//! They are Quartz's, as far as Quartz has them: `L-n`, lists of `W` and lists of `#` are not.

use super::cron::{Cron, Flags};
use super::error::{SpecErrorKind as Kind, shown};
use super::field::{Fault, Field, parse_number};
use super::parse::items;

/// Reads the day-of-month field.
pub(super) fn read_day<'a>(text: &'a str, cron: &mut Cron) -> Result<(), Fault<'a>> {
    let mut star = false;
    for item in items(text)? {
        let is_special = item.starts_with(['L', 'l']) || item.ends_with(['L', 'l', 'W', 'w']);
        if is_special {
            read_special_day(item, cron)?;
        } else if item.contains('#') {
            let reason = format!("# belongs into the day-of-week field: {}", shown(item));
            return Err(Fault::new(Kind::NotAllowed, item, reason));
        } else {
            let item = Field::Day.item(item)?;
            star |= item.star;
            cron.day |= item.bits() as u32;
        }
    }
    if star {
        // All days: the rest adds nothing.
        (cron.from_last, cron.near, cron.near_from_last) = (0, 0, 0);
        cron.flags.set(Flags::DAY_STAR, true);
    }
    Ok(())
}

/// Reads `L`, `L-n`, `LW`, `L-nW` or `nW`.
fn read_special_day<'a>(item: &'a str, cron: &mut Cron) -> Result<(), Fault<'a>> {
    let near = item.strip_suffix(['W', 'w']);
    let day = near.unwrap_or(item);
    if let Some(rest) = day.strip_prefix(['L', 'l']) {
        let before = match rest.strip_prefix('-') {
            Some(number) => parse_number(number).map_err(|fault| Fault { at: item, ..fault })?,
            None if rest.is_empty() => 0,
            None => {
                return Err(not_allowed(
                    item,
                    "L is the last day of the month: L or L-3",
                ));
            }
        };
        if before > 30 {
            let reason = format!(
                "days before the last one ({before}) above maximum (30): {}",
                shown(item)
            );
            return Err(Fault::new(Kind::AboveMaximum, item, reason));
        }
        let set = match near {
            Some(_) => &mut cron.near_from_last,
            None => &mut cron.from_last,
        };
        *set |= 1 << before;
        return Ok(());
    }
    if near.is_none() {
        return Err(not_allowed(
            item,
            "L stands alone in days of the month: L or L-3",
        ));
    }
    let is_number = !day.is_empty() && day.bytes().all(|b| b.is_ascii_digit());
    if !is_number {
        return Err(not_allowed(item, "W follows one day: 15W or LW"));
    }
    let day = parse_number(day).map_err(|fault| Fault { at: item, ..fault })?;
    let kind = match day {
        0 => Kind::BelowMinimum,
        1..=31 => {
            cron.near |= 1 << day;
            return Ok(());
        }
        _ => Kind::AboveMaximum,
    };
    let reason = format!("day ({day}) is not one of 1 to 31: {}", shown(item));
    Err(Fault::new(kind, item, reason))
}

/// Reads the day-of-week field.
pub(super) fn read_weekday<'a>(text: &'a str, cron: &mut Cron) -> Result<(), Fault<'a>> {
    let rest = match text.strip_prefix('+') {
        Some(rest) => {
            cron.flags.set(Flags::BOTH_DAYS, true);
            rest
        }
        None => text,
    };
    let mut star = false;
    for item in items(rest)? {
        if item.contains('#') || item.ends_with(['L', 'l']) {
            read_nth_weekday(item, cron)?;
        } else if item.ends_with(['W', 'w']) && !item.contains('/') {
            return Err(not_allowed(item, "W belongs into the day-of-month field"));
        } else {
            let item = Field::Weekday.item(item)?;
            star |= item.star;
            cron.weekday |= week(item.bits());
        }
    }
    if star {
        (cron.nth_weekday, cron.last_weekday) = (0, 0);
        cron.flags.set(Flags::WEEKDAY_STAR, true);
    }
    Ok(())
}

/// Reads `n#k`, `n#L` or `nL`, where `n` may be a range.
fn read_nth_weekday<'a>(item: &'a str, cron: &mut Cron) -> Result<(), Fault<'a>> {
    let (range, nth) = match item.split_once('#') {
        Some((range, nth)) => (range, Some(nth)),
        None => (item.strip_suffix(['L', 'l']).unwrap_or(item), None),
    };
    if range.is_empty() {
        return Err(not_allowed(
            item,
            "a day of the week is missing: FRI#2 or FRIL",
        ));
    }
    let (first, last) = Field::Weekday
        .range(range, item, false)
        .map_err(|fault| Fault { at: item, ..fault })?;
    let days = week(u64::MAX >> (63 - last) & u64::MAX << first);
    let nth = match nth {
        None | Some("L" | "l") => {
            cron.last_weekday |= days;
            return Ok(());
        }
        Some(nth) => parse_number(nth).map_err(|fault| Fault { at: item, ..fault })?,
    };
    let kind = match nth {
        0 => Kind::BelowMinimum,
        1..=5 => {
            cron.nth_weekday |= u64::from(days) << (7 * (nth - 1));
            return Ok(());
        }
        _ => Kind::AboveMaximum,
    };
    let reason = format!(
        "week of the month ({nth}) is not one of 1 to 5: {}",
        shown(item)
    );
    Err(Fault::new(kind, item, reason))
}

/// Bits 0 to 7 as the days of a week: 7 is Sunday too.
fn week(bits: u64) -> u8 {
    (bits & 0x7f | bits >> 7 & 1) as u8
}

fn not_allowed<'a>(item: &'a str, why: &str) -> Fault<'a> {
    Fault::new(Kind::NotAllowed, item, format!("{why}: {}", shown(item)))
}
