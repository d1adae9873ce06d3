//! Runs by the hour of the day, and by the day of half a year.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use maud::{Markup, html};

use super::path::Boxes;

/// Days of hours that are drawn.
pub(in crate::admin::page) const DAYS: i64 = 14;
/// Weeks of days that are drawn.
pub(in crate::admin::page) const WEEKS: i64 = 26;
const CELL: u32 = 11;
const STEP: u32 = 13;
const LEFT: u32 = 46;

/// What ran in a cell; `None` where nothing can be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    runs: u32,
    failed: u32,
}

struct Grid {
    what: &'static str,
    /// Rows of cells, with their labels.
    rows: Vec<(String, Vec<Option<Cell>>)>,
    /// Labels below columns.
    columns: Vec<(usize, String)>,
}

/// The last 14 days by hours, in UTC, of runs given by their starts and whether they failed. Nothing is
/// known before `since`.
pub(in crate::admin::page) fn hours(
    now: DateTime<Utc>,
    since: DateTime<Utc>,
    runs: impl IntoIterator<Item = (DateTime<Utc>, bool)>,
) -> Markup {
    let first = now.date_naive() - TimeDelta::days(DAYS - 1);
    let place = |at: DateTime<Utc>| {
        let row = (at.date_naive() - first).num_days();
        (usize::try_from(row).ok(), at.hour() as usize)
    };
    let start = |row: usize, column: usize| {
        let hours = i64::try_from(24 * row + column).unwrap_or_default();
        first.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::hours(hours)
    };
    let rows = (0..DAYS as usize).map(|row| {
        let known = |column| {
            let at = start(row, column);
            at <= now && at + TimeDelta::hours(1) > since
        };
        let cells = (0..24).map(|c| known(c).then(Cell::default)).collect();
        let label = match row % 3 {
            0 => start(row, 0).format("%d %b").to_string(),
            _ => String::new(),
        };
        (label, cells)
    });
    let mut grid = Grid {
        what: "runs by hour in the last 14 days, UTC",
        rows: rows.collect(),
        columns: [0, 6, 12, 18].map(|h| (h, format!("{h:02}"))).to_vec(),
    };
    grid.count(runs.into_iter().map(|(at, failed)| (place(at), failed)));
    grid.draw()
}

/// The last 26 weeks by days, in UTC, of runs given by their starts and whether they failed.
pub(in crate::admin::page) fn calendar(
    now: DateTime<Utc>,
    since: DateTime<Utc>,
    runs: impl IntoIterator<Item = (DateTime<Utc>, bool)>,
) -> Markup {
    let today = now.date_naive();
    let monday = today - TimeDelta::days(i64::from(today.weekday().num_days_from_monday()));
    let first = monday - TimeDelta::weeks(WEEKS - 1);
    let day = |row: usize, column: usize| -> NaiveDate {
        first + TimeDelta::days(i64::try_from(7 * column + row).unwrap_or_default())
    };
    let place = |at: DateTime<Utc>| {
        let days = (at.date_naive() - first).num_days();
        match usize::try_from(days) {
            Ok(days) => (Some(days % 7), days / 7),
            Err(_) => (None, 0),
        }
    };
    let names = ["Mon", "", "Wed", "", "Fri", "", "Sun"];
    let rows = names.into_iter().enumerate().map(|(row, name)| {
        let known = |column| (since.date_naive()..=today).contains(&day(row, column));
        let cells = (0..WEEKS as usize).map(|c| known(c).then(Cell::default));
        (name.to_owned(), cells.collect())
    });
    let begins_month = |column: &usize| day(0, *column).day() <= 7;
    let month = |column: usize| (column, day(0, column).format("%b").to_string());
    let mut grid = Grid {
        what: "runs by day in the last 26 weeks, UTC",
        rows: rows.collect(),
        columns: (0..WEEKS as usize)
            .filter(begins_month)
            .map(month)
            .collect(),
    };
    grid.count(runs.into_iter().map(|(at, failed)| (place(at), failed)));
    grid.draw()
}

impl Grid {
    fn count(&mut self, runs: impl Iterator<Item = ((Option<usize>, usize), bool)>) {
        for ((row, column), failed) in runs {
            let row = row.and_then(|row| self.rows.get_mut(row));
            if let Some(cell) = row.and_then(|(_, cells)| cells.get_mut(column)) {
                let cell = cell.get_or_insert_default();
                cell.runs = cell.runs.saturating_add(1);
                cell.failed = cell.failed.saturating_add(u32::from(failed));
            }
        }
    }

    fn draw(&self) -> Markup {
        let cells = || self.rows.iter().flat_map(|(_, cells)| cells).flatten();
        let most = cells().map(|cell| cell.runs).max().unwrap_or(0).max(1);
        let classes = ["s-base", "s-ok h1", "s-ok h2", "s-ok", "s-fail"];
        let mut boxes = [(); 5].map(|()| Boxes::default());
        let mut failed = Vec::new();
        let mut y = 0;
        for (_, row) in &self.rows {
            let mut x = LEFT;
            for cell in row {
                if let Some(cell) = cell {
                    let [none, few, some, many, fail] = &mut boxes;
                    let chosen = match cell {
                        Cell { runs: 0, .. } => none,
                        Cell { failed: 1.., .. } => {
                            failed.push((x, y, *cell));
                            fail
                        }
                        Cell { runs, .. } if runs.saturating_mul(3) <= most => few,
                        Cell { runs, .. } if runs.saturating_mul(3) <= most.saturating_mul(2) => {
                            some
                        }
                        _ => many,
                    };
                    chosen.add((x, y), CELL, CELL);
                }
                x += STEP;
            }
            y += STEP;
        }
        let width = LEFT + STEP * self.rows.first().map_or(0, |(_, r)| r.len() as u32);
        let runs: u64 = cells().map(|c| u64::from(c.runs)).sum();
        let bad: u64 = cells().map(|c| u64::from(c.failed)).sum();
        let label = format!("{}: {runs} in all, {bad} failed", self.what);
        html! {
            svg width=(width) height=(y + 18) viewBox={ "0 0 " (width) " " (y + 18) } role="img" aria-label=(label) {
                @for (boxes, class) in boxes.iter().zip(classes) {
                    @if let Some(d) = boxes.data() { path class=(class) d=(d) {} }
                }
                @for (row, (label, _)) in self.rows.iter().enumerate().filter(|(_, (l, _))| !l.is_empty()) {
                    text.tk x="0" y=(STEP * row as u32 + 10) { (label) }
                }
                @for (column, label) in &self.columns { text.tk x=(LEFT + STEP * *column as u32) y=(y + 12) { (label) } }
                @for (x, y, cell) in failed {
                    rect.hit x=(x) y=(y) width=(CELL) height=(CELL) { title { (cell.failed) " of " (cell.runs) " failed" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_worst_of_an_hour_colours_it() {
        let now = at("2026-11-21T14:30:00Z");
        let runs = [
            (at("2026-11-21T02:00:00Z"), false),
            (at("2026-11-21T02:05:00Z"), true),
            (at("2026-11-08T00:00:00Z"), false),
            (at("2026-11-07T23:59:59Z"), true), // the day before the first
            (at("2027-11-07T23:59:59Z"), true), // beyond the last
        ];
        let html = hours(now, at("2026-10-01T00:00:00Z"), runs).into_string();
        // Third hour of the last of 14 rows.
        assert!(
            html.contains(r#"class="s-fail" d="M72 169h11v11h-11z""#),
            "{html}"
        );
        assert!(html.contains("3 in all, 1 failed"), "{html}");
        assert!(html.contains("1 of 2 failed"));
    }

    #[test]
    fn what_nobody_can_know_is_not_drawn() {
        let now = at("2026-11-21T14:30:00Z");
        let html = hours(now, now, []).into_string();
        assert_eq!(html.matches("h11v11").count(), 1, "{html}");
    }

    #[test]
    fn a_calendar_ends_with_this_week() {
        let now = at("2026-11-21T14:30:00Z"); // a Saturday
        let runs = [(now, false), (at("2026-11-16T01:00:00Z"), true)];
        let html = calendar(now, at("2026-01-01T00:00:00Z"), runs).into_string();
        let last = LEFT + 25 * STEP;
        assert!(
            html.contains(&format!("d=\"M{last} 65h11v11h-11z\"")),
            "{html}"
        );
        assert!(html.contains(&format!("class=\"s-fail\" d=\"M{last} 0h11v11h-11z\"")));
        assert!(html.contains("2 in all, 1 failed"));
        assert!(html.contains(">Jun<") && html.contains(">Nov<"), "{html}");
    }
}
