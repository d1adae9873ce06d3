//! What the scripts answer, read strictly: what is no record counts as not there.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Outcome;
use crate::history::stored::StoredStatus;
use crate::history::{Counters, RunRecord};

/// A record, `letter|instance|json`, and what the run says of itself if that follows.
pub(super) fn run(texts: &[String]) -> Option<RunRecord> {
    let (_, rest) = texts.first()?.split_once('|')?;
    let (_, json) = rest.split_once('|')?;
    let mut run = RunRecord::from_json(json)?;
    let status = texts.get(1).and_then(|text| StoredStatus::from_json(text));
    if let Some(status) = status {
        status.fill(&mut run);
    }
    Some(run)
}

/// `known|start|success|failure|failures|id|ended|outcome|took`, as `write.lua` writes it, and
/// `|excused` if it is, as `read.lua` adds it.
pub(super) fn counters(text: &str) -> Option<Counters> {
    let parts: Vec<&str> = text.split('|').collect();
    let [
        known,
        start,
        success,
        failure,
        row,
        id,
        ended,
        outcome,
        took,
        excused @ ..,
    ] = parts.as_slice()
    else {
        return None;
    };
    let excused_until = match excused {
        [] => None,
        [until] => instant(until)?,
        _ => return None,
    };
    let ended = instant(ended)?;
    let last_run = match (id.parse(), ended) {
        (Ok(id), Some(ended)) => Some((id, ended)),
        _ => None,
    };
    let took = Duration::from_micros(took.parse().ok()?);
    Some(Counters {
        known_since: instant(known)?,
        excused_until,
        last_start: instant(start)?,
        last_success: instant(success)?,
        last_failure: instant(failure)?,
        consecutive_failures: row.parse().ok()?,
        last_run,
        last_outcome: Outcome::from_word(outcome),
        last_duration: last_run.map(|_| took),
    })
}

/// Epoch microseconds; none for 0, nothing for what is no instant.
fn instant(text: &str) -> Option<Option<DateTime<Utc>>> {
    match text.parse().ok()? {
        0 => Some(None),
        us => DateTime::from_timestamp_micros(us).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_others_have_written_are_none() {
        let good = "1|2|0|0|3|01JD9A4F2C6Q8V0Y3M5N7P9R1T|5|failure|7";
        let read = counters(good).unwrap();
        assert_eq!(read.consecutive_failures, 3);
        assert_eq!(read.last_success, None);
        assert_eq!(read.last_duration, Some(Duration::from_micros(7)));
        assert_eq!(read.excused_until, None);
        let until = counters(&format!("{good}|5")).unwrap().excused_until;
        assert_eq!(until, DateTime::from_timestamp_micros(5));
        for bad in [
            "",
            "x",
            "1|2",
            &good.replace('3', "-3"),
            &format!("{good}|"),
            &format!("{good}|5|6"),
            "9223372036854775807|0|0|0|0||0||0",
        ] {
            assert_eq!(counters(bad), None, "{bad}");
        }
    }
}
