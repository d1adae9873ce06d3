//! Times and durations as people read them, and names as parts of links.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

/// A duration given in seconds: `120 ms`, `1.4 s`, `38.2 s`, `4 min 10 s`, `6 h`, `22 d`.
pub(super) fn seconds(seconds: f64) -> String {
    let s = match seconds {
        s if s.is_finite() => s.clamp(0.0, 1e12),
        _ => return "—".to_owned(),
    };
    let two = |big: f64, name: &str, small: f64, small_name: &str| {
        let whole = (s / big).floor();
        match ((s - whole * big) / small).floor() {
            0.0 => format!("{whole} {name}"),
            rest => format!("{whole} {name} {rest} {small_name}"),
        }
    };
    match s {
        s if s < 0.000_000_5 => "0 s".to_owned(),
        s if s < 0.000_95 => format!("{} µs", (s * 1e6).round()),
        s if s < 0.9995 => format!("{} ms", (s * 1e3).round()),
        s if s < 60.0 => format!("{} s", ((s * 10.0).round() / 10.0).min(59.9)),
        s if s < 10.0 * MINUTE => two(MINUTE, "min", 1.0, "s"),
        s if s < HOUR => format!("{} min", (s / MINUTE).floor()),
        s if s < DAY => two(HOUR, "h", MINUTE, "min"),
        s if s < 10.0 * DAY => two(DAY, "d", HOUR, "h"),
        s => format!("{} d", (s / DAY).floor()),
    }
}

/// The same of a span of time.
pub(super) fn span(span: TimeDelta) -> String {
    seconds(span.num_milliseconds() as f64 / 1e3)
}

/// `in 4 min`, `67 s ago`, as seen at `now`: the same words as the script's, which goes on counting.
pub(super) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let s = (at - now).num_milliseconds() as f64 / 1e3;
    let a = s.abs();
    let (n, unit) = match a {
        a if a < 90.0 => (a, "s"),
        a if a < 5_400.0 => (a / MINUTE, "min"),
        a if a < 129_600.0 => (a / HOUR, "h"),
        a => (a / DAY, "d"),
    };
    match s < 0.0 {
        true => format!("{} {unit} ago", n.round()),
        false => format!("in {} {unit}", n.round()),
    }
}

/// A time that is shown relative to now, with the absolute one behind it.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! { time data-rel datetime=(iso(at)) title=(iso(at)) { (relative(at, now)) } }
}

/// The same of what is to come, which is now when it has come.
pub(super) fn ahead(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let words = if at <= now {
        "now".to_owned()
    } else {
        relative(at, now)
    };
    html! { time data-rel="next" datetime=(iso(at)) title=(iso(at)) { (words) } }
}

/// How long until then, which the script counts down.
pub(super) fn left(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! { time data-rel="left" datetime=(iso(at)) title=(iso(at)) { (whole(at - now)) } }
}

/// How long since then, which the script counts up.
pub(super) fn held(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! { time data-rel="for" datetime=(iso(at)) title=(iso(at)) { (whole(now - at)) } }
}

/// A span in whole seconds.
fn whole(span: TimeDelta) -> String {
    match span.num_seconds() {
        s @ ..60 => format!("{} s", s.max(0)),
        s => seconds(s as f64),
    }
}

/// A time of the clock, in UTC until the reader wants another zone.
pub(super) fn clock(at: DateTime<Utc>) -> Markup {
    html! { time.mono data-abs datetime=(iso(at)) title=(iso(at)) { (at.format("%H:%M:%S")) } }
}

/// The same with its day.
pub(super) fn day_and_clock(at: DateTime<Utc>) -> Markup {
    html! { time.mono data-abs="d" datetime=(iso(at)) title=(iso(at)) { (at.format("%a %d %b %H:%M:%S")) } }
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A name as one part of a path: whatever is not plain is percent-encoded.
pub(super) fn path_part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                part.push(char::from(byte))
            }
            // A part of dots only would lead elsewhere.
            b'.' if name.bytes().any(|b| b != b'.') => part.push('.'),
            byte => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

/// `1 run`, `2 runs`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_says_most() {
        for (s, words) in [
            (0.0, "0 s"),
            (0.000_02, "20 µs"),
            (0.12, "120 ms"),
            (0.9999, "1 s"),
            (1.44, "1.4 s"),
            (59.99, "59.9 s"),
            (120.0, "2 min"),
            (250.0, "4 min 10 s"),
            (3_599.0, "59 min"),
            (9_000.0, "2 h 30 min"),
            (90_000.0, "1 d 1 h"),
            (f64::NAN, "—"),
            (-4.0, "0 s"),
        ] {
            assert_eq!(seconds(s), words, "{s}");
        }
    }

    #[test]
    fn times_are_told_as_seen_now() {
        let now: DateTime<Utc> = "2026-11-21T14:30:00Z".parse().unwrap();
        for (s, words) in [
            (-67, "67 s ago"),
            (240, "in 4 min"),
            (-79_200, "22 h ago"),
            (0, "in 0 s"),
        ] {
            assert_eq!(relative(now + TimeDelta::seconds(s), now), words);
        }
    }

    #[test]
    fn what_is_counted_is_whole_seconds_and_never_below_none() {
        let now: DateTime<Utc> = "2026-11-21T14:30:00Z".parse().unwrap();
        let words = |ms| whole(TimeDelta::milliseconds(ms));
        assert_eq!(
            [-5_000, 0, 999, 21_900, 250_000].map(words),
            ["0 s", "0 s", "0 s", "21 s", "4 min 10 s"]
        );
        let html = left(now + TimeDelta::seconds(21), now).into_string();
        assert!(
            html.contains(">21 s<") && html.contains("data-rel=\"left\""),
            "{html}"
        );
    }

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        for (name, part) in [
            ("reports.daily", "reports.daily"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("..", "%2E%2E"),
            ("\"><script>", "%22%3E%3Cscript%3E"),
            ("ä b", "%C3%A4%20b"),
        ] {
            assert_eq!(path_part(name), part);
        }
    }
}
