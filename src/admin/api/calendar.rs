//! Fire times to come, for calendars: RFC 5545.

use std::fmt::Write;

use axum::http::header;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::api::tasks::entry;
use crate::admin::call::Call;
use crate::admin::reply::{Answer, Reply};
use crate::board::Entry;

/// The most fire times of a task, and of all.
const OF_TASK: usize = 200;
const OF_ALL: usize = 2_000;
/// The longest line, in bytes.
const LINE: usize = 73;

/// Which fire times.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CalendarQuery {
    /// Those of this task. Default: of all.
    task: Option<String>,
    /// Those of so many days, 31 at the most. Default: 7.
    days: Option<u32>,
}

pub(super) async fn calendar(call: Call) -> Answer {
    let query: CalendarQuery = call.query()?;
    let snapshot = call.state.board.look().await;
    let to = snapshot.at + TimeDelta::days(i64::from(query.days.unwrap_or(7).clamp(1, 31)));
    let entries: Vec<&Entry> = match &query.task {
        Some(task) => vec![entry(&snapshot, task)?],
        None => snapshot.entries.iter().collect(),
    };
    let mut text = String::new();
    let mut add = |line: &str| fold(&mut text, line);
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//tasklock//tasks//EN",
    ] {
        add(line);
    }
    let mut count = 0;
    for entry in entries {
        for fire in entry.fires((snapshot.at, to), OF_TASK, &snapshot.rules) {
            if fire.held_back.is_some() || count >= OF_ALL {
                continue;
            }
            count += 1;
            let name = &entry.task.name;
            add("BEGIN:VEVENT");
            add(&format!("UID:{name}-{}@tasklock", fire.at.0.timestamp()));
            add(&format!("DTSTAMP:{}", instant(snapshot.at)));
            add(&format!("DTSTART:{}", instant(fire.at.0)));
            add(&format!("SUMMARY:{}", escaped(name)));
            add(&format!(
                "DESCRIPTION:{}",
                escaped(&entry.task.schedule.text)
            ));
            add("END:VEVENT");
        }
    }
    add("END:VCALENDAR");
    Ok(Reply::of((
        [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")],
        text,
    )))
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Adds a line; a long one goes on in the next, after a blank.
fn fold(text: &mut String, line: &str) {
    let mut length = 0;
    for c in line.chars() {
        if length + c.len_utf8() > LINE {
            text.push_str("\r\n ");
            length = 1;
        }
        length += c.len_utf8();
        // Writing to a `String` cannot fail.
        let _ = text.write_char(c);
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_and_texts_escaped() {
        let mut text = String::new();
        fold(
            &mut text,
            &format!("SUMMARY:{}", escaped(&"a,b;\u{7}".repeat(30))),
        );
        assert!(text.ends_with("\r\n") && text.lines().count() > 1);
        assert!(text.lines().all(|line| line.len() <= 75));
        assert_eq!(escaped("a,b;c\\d\ne"), "a\\,b\\;c\\\\d\\ne");
    }
}
