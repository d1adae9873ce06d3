//! How instants, specs and errors are written.

use chrono::{DateTime, Offset, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::schedule::{Schedule, SpecError};

/// An instant in RFC 3339, by the zone's clock. Of old, zones had offsets with seconds, which
/// RFC 3339 cannot say: such an instant is written in UTC.
pub(crate) fn instant(at: DateTime<Utc>, zone: Tz) -> String {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    if offset.local_minus_utc() % 60 == 0 {
        at.with_timezone(&offset)
            .to_rfc3339_opts(SecondsFormat::AutoSi, false)
    } else {
        at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
    }
}

/// The next `count` fire times, or fewer if there are no more.
pub(crate) fn fire_times(
    schedule: &Schedule,
    after: DateTime<Utc>,
    count: usize,
) -> impl Iterator<Item = String> + '_ {
    let zone = schedule.timezone();
    schedule
        .upcoming(after)
        .take(count)
        .map(move |at| instant(at, zone))
}

/// A stranger's text on a terminal: control characters and look-alikes become visible.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            ' '..='~' => vec![c],
            _ => c.escape_unicode().collect(),
        })
        .collect()
}

pub(crate) fn spec_error(error: &SpecError) -> Value {
    json!({
        "message": error.to_string(),
        "kind": format!("{:?}", error.kind()),
        "field": error.field(),
        "column": error.column(),
        "reason": error.reason(),
        "hint": error.hint(),
    })
}
