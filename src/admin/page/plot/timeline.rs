//! What ran in the last hours and what is due in the next ones.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use maud::{Markup, html};

use super::path::{Boxes, part_of};

/// Bars, in all: of six hours that are past and of a day to come.
pub(in crate::admin::page) const BARS: usize = 120;
/// Bars that are past.
pub(in crate::admin::page) const PAST: usize = 24;
/// How long a bar is.
pub(in crate::admin::page) const BAR: TimeDelta = TimeDelta::minutes(15);

/// Pixels from bar to bar; a bar is two less wide.
const STEP: u32 = 10;
const BASE: u32 = 74;
const HIGHEST: u32 = 54;
/// Labels keep so many bars between each other.
const APART: usize = 16;
/// So many peaks are named.
const LABELS: usize = 4;

/// What is in one bar.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::admin::page) struct Bin {
    /// Runs that succeeded.
    pub(in crate::admin::page) ok: u32,
    /// Runs that ended otherwise.
    pub(in crate::admin::page) failed: u32,
    /// Firings to come.
    pub(in crate::admin::page) due: u32,
    /// Their tasks, those that matter first.
    pub(in crate::admin::page) tasks: Vec<String>,
}

impl Bin {
    fn all(&self) -> u32 {
        self.ok.saturating_add(self.failed).saturating_add(self.due)
    }

    fn words(&self) -> String {
        let mut parts = Vec::new();
        for (count, word) in [
            (self.ok, "succeeded"),
            (self.failed, "failed"),
            (self.due, "due"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        let tasks = self.tasks.iter().take(3).map(String::as_str);
        let tasks: Vec<&str> = tasks.collect();
        let more = match self.tasks.len().saturating_sub(3) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        match tasks.is_empty() {
            true => parts.join(", "),
            false => format!("{}: {}{more}", parts.join(", "), tasks.join(", ")),
        }
    }
}

/// The timeline that begins at `from`, a bar each quarter of an hour, as seen at `now`.
pub(in crate::admin::page) fn timeline(
    from: DateTime<Utc>,
    now: DateTime<Utc>,
    bins: &[Bin],
) -> Markup {
    let bins = bins.get(..bins.len().min(BARS)).unwrap_or_default();
    let most = bins.iter().map(Bin::all).max().unwrap_or(0).max(4);
    let high = |n: u32| match n {
        0 => 0,
        // One run is to be seen beside a thousand.
        n => part_of(HIGHEST, (f64::from(n) / f64::from(most)).sqrt()).max(3),
    };
    let [mut ok, mut failed, mut due] = [(); 3].map(|()| Boxes::default());
    let mut x = 0;
    for bin in bins {
        let full = high(bin.all());
        // What failed keeps at least three pixels of the bar, and leaves as many.
        let red = match (bin.failed, bin.all() - bin.failed) {
            (0, _) => 0,
            (_, 0) => full,
            (n, _) => part_of(full, f64::from(n) / f64::from(bin.all())).max(3),
        }
        .min(full);
        failed.add((x, BASE - full), 8, red);
        // The bar of this quarter has both.
        let rest = full - red;
        let green = match (bin.ok, bin.due) {
            (0, _) => 0,
            (_, 0) => rest,
            (ok, due) => part_of(rest, f64::from(ok) / (f64::from(ok) + f64::from(due))),
        };
        ok.add((x, BASE - green), 8, green);
        due.add((x, BASE - rest), 8, rest - green);
        x += STEP;
    }
    let quarters = (now - from).num_seconds() as f64 / BAR.num_seconds() as f64;
    let now = part_of(STEP * BARS as u32, quarters / BARS as f64);
    let sum = |of: fn(&Bin) -> u32| bins.iter().map(|b| u64::from(of(b))).sum::<u64>();
    let label = format!(
        "in the last six hours {} runs succeeded and {} failed; in the next 24 hours {} are due",
        sum(|b| b.ok),
        sum(|b| b.failed),
        sum(|b| b.due)
    );
    html! {
        svg.wide viewBox="0 0 1200 94" role="img" aria-label=(label) {
            @for (boxes, class) in [(&ok, "s-ok"), (&failed, "s-fail"), (&due, "s-due")] {
                @if let Some(d) = boxes.data() { path class=(class) d=(d) {} }
            }
            line.now x1=(now) x2=(now) y1="4" y2=(BASE) {}
            text.tk x=(now + 4) y="12" { "now" }
            @for (place, name) in peaks(bins) {
                text.tk x=(x_of(place)) y=(BASE.saturating_sub(high(bins.get(place).map_or(0, Bin::all)) + 4).max(12)) { (name) }
            }
            @for (place, time) in hours(from, bins.len()) { text.tk x=(x_of(place)) y="90" { (time) } }
            @for (place, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.all() > 0) {
                rect.hit x=(x_of(place)) y="14" width="10" height="60" {
                    title { (time_of(from, place)) " " (bin.words()) }
                }
            }
        }
    }
}

fn x_of(place: usize) -> u32 {
    STEP * u32::try_from(place).unwrap_or_default()
}

fn start_of(from: DateTime<Utc>, place: usize) -> DateTime<Utc> {
    from + BAR * i32::try_from(place).unwrap_or_default()
}

fn time_of(from: DateTime<Utc>, place: usize) -> String {
    start_of(from, place).format("%H:%M").to_string()
}

/// Every third full hour.
fn hours(from: DateTime<Utc>, bars: usize) -> Vec<(usize, String)> {
    let is_marked = |place: &usize| {
        let at = start_of(from, *place);
        at.hour().is_multiple_of(3) && at.minute() < 15
    };
    let mut marked: Vec<usize> = (0..bars).filter(is_marked).collect();
    // The last label has to fit.
    marked.retain(|place| place + 4 <= bars);
    marked.into_iter().map(|p| (p, time_of(from, p))).collect()
}

/// The bars to come in which more tasks meet than elsewhere, with a name for each: where many meet, they
/// wait for each other.
fn peaks(bins: &[Bin]) -> Vec<(usize, String)> {
    let ahead = || bins.iter().enumerate().skip(PAST);
    let busy = ahead().filter(|(_, b)| b.due > 0).count().max(1);
    let sum: u64 = ahead().map(|(_, b)| u64::from(b.due)).sum();
    let usual = sum / u64::try_from(busy).unwrap_or(1);
    let mut high: Vec<(usize, &Bin)> = ahead()
        .filter(|(_, b)| u64::from(b.due) > 2 * usual.max(1) && !b.tasks.is_empty())
        .collect();
    high.sort_by_key(|(place, bin)| (std::cmp::Reverse(bin.due), *place));
    let mut named: Vec<(usize, String)> = Vec::new();
    for (place, bin) in high {
        let is_clear = |(other, _): &(usize, String)| other.abs_diff(place) >= APART;
        let fits = place + APART <= bins.len() && place >= PAST + 4;
        if named.len() < LABELS && fits && named.iter().all(is_clear) {
            let first = bin.tasks.first().map_or("", String::as_str);
            let more = match bin.tasks.len() {
                0 | 1 => String::new(),
                n => format!(" +{}", n - 1),
            };
            let short: String = first.chars().take(20).collect();
            named.push((place, format!("{short}{more}")));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> DateTime<Utc> {
        "2026-11-21T08:30:00Z".parse().unwrap()
    }

    #[test]
    fn failures_are_on_top_and_are_seen_beside_many_that_succeeded() {
        let mut bins = vec![Bin::default(); BARS];
        bins[3] = Bin {
            ok: 10_000,
            failed: 1,
            tasks: vec!["invoices.sync".into()],
            ..Bin::default()
        };
        let html = timeline(from(), from() + BAR * 24, &bins).into_string();
        assert!(
            html.contains(r#"class="s-fail" d="M30 20h8v3h-8z""#),
            "{html}"
        );
        assert!(html.contains("09:15 10000 succeeded, 1 failed: invoices.sync"));
    }

    #[test]
    fn where_many_tasks_meet_is_named() {
        let one = Bin {
            due: 1,
            tasks: vec!["fx.rates".into()],
            ..Bin::default()
        };
        let mut bins = vec![one; BARS];
        bins[60].due = 9;
        bins[60].tasks = vec!["backup".into(), "reports".into(), "ledger".into()];
        let html = timeline(from(), from() + BAR * 24, &bins).into_string();
        assert!(html.contains(">backup +2<"), "{html}");
        assert!(!html.contains(">fx.rates<"));
    }

    #[test]
    fn marks_stand_at_hours_of_the_clock() {
        let marks = hours(from(), BARS);
        assert_eq!(marks.first().map(|m| m.1.as_str()), Some("09:00"));
        assert!(marks.len() >= 9, "{marks:?}");
    }

    #[test]
    fn counts_beyond_all_bounds_stay_in_the_picture() {
        let bin = Bin {
            ok: u32::MAX,
            failed: u32::MAX,
            due: u32::MAX,
            tasks: Vec::new(),
        };
        let html = timeline(from(), from(), &vec![bin; 1_000]).into_string();
        assert_eq!(html.matches("<rect").count(), BARS);
    }
}
