//! From the wall clock to instants: what a rule means in a time zone whose clock changes.
//!
//! Time is walked in stretches of constant offset. Within one, wall clock and instant differ by a
//! constant and the search of [`Cron`] answers. Where one ends, the policy decides:
//!
//! ```text
//! clock put forward, 02:00 → 03:00        clock put back, 03:00 → 02:00
//!
//! 01:30 ─ 02:00│03:00 ─ 03:30             02:30 ─ 03:00│02:00 ─ 02:30 ─ 03:00
//!              │                          first pass   │  second pass
//!     02:30 is nowhere:                   02:30 is twice:
//!     RunOnce runs here                   RunOnce runs a fixed task on the first pass
//! ```
//!
//! The place of a change costs some twenty looks at the offset, so we look for a change only where the
//! offsets at two ends of at most [`WINDOW`] differ. That overlooks a zone that changes its clock and
//! changes it back within the window; no zone ever did, which a test asserts for all of them.

use chrono_tz::Tz;

use super::civil::SECONDS_PER_DAY;
use super::cron::Cron;
use super::offset::offset;

const HOUR: i64 = 3_600;
/// How far ahead one step looks.
const WINDOW: i64 = 2 * SECONDS_PER_DAY;
/// How far before a far match the search resumes. More than any offset from UTC, so that nothing is
/// stepped over, and so much less than the window that the match is within it.
const APPROACH: i64 = 36 * HOUR;
/// The longest stretch of wall time that a change ever repeated, and some more.
const LONGEST_REPEAT: i64 = 30 * HOUR;
/// A gap from this length on is a change of the zone, not of the season, and is never made up for.
/// Vixie's limit.
const LONGEST_GAP: i64 = 3 * HOUR;

/// A rule in its zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zoned<'a> {
    pub(super) cron: &'a Cron,
    pub(super) zone: Tz,
    /// Whether a change of the clock must neither lose nor repeat a run.
    pub(super) run_once: bool,
}

/// A change of the clock: from `at` on, an instant, its offset from UTC is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: i64,
    pub(super) old: i64,
    pub(super) new: i64,
}

impl Zoned<'_> {
    /// The first fire time after `after`, in seconds from the Unix epoch.
    pub(super) fn next(self, after: i64) -> Option<i64> {
        let mut from = after + 1;
        // The offset up to `from`; a change at `from` itself is still to be noticed.
        let mut offset = self.offset(after);
        loop {
            let Some(wall) = self.cron.next_wall(from + offset) else {
                // Nothing is left of the wall clock, unless it goes back and shows some of it again.
                let reach = from + WINDOW;
                if self.offset(reach) == offset {
                    return None;
                }
                let change = self.change_between(from - 1, reach, offset);
                (from, offset) = (change, self.offset(change));
                continue;
            };
            let at = wall - offset;
            let reach = at.min(from + WINDOW);
            if self.offset(reach) != offset {
                // The clock changes on the way: it never shows `wall` before that.
                let change = self.change_between(from - 1, reach, offset);
                let new = self.offset(change);
                if self.makes_up(offset, new) && wall < change + new {
                    return Some(change);
                }
                (from, offset) = (change, new);
            } else if at > reach {
                // Nothing matches before `wall`, whatever the clock does until shortly before it.
                from = (wall - APPROACH).max(reach + 1);
                offset = self.offset(from - 1);
            } else if let Some(repeat) = self.repeat_at(at, offset) {
                from = repeat.end;
            } else {
                return Some(at);
            }
        }
    }

    /// The last fire time at or before `to`, in seconds from the Unix epoch.
    pub(super) fn prev(self, mut to: i64) -> Option<i64> {
        let mut offset = self.offset(to);
        loop {
            let Some(wall) = self.cron.prev_wall(to + offset) else {
                let reach = to - WINDOW;
                let old = self.offset(reach);
                if old == offset {
                    return None;
                }
                let change = self.change_between(reach, to, old);
                (to, offset) = (change - 1, self.offset(change - 1));
                continue;
            };
            let at = wall - offset;
            let reach = at.max(to - WINDOW);
            let old = self.offset(reach);
            if old != offset {
                let change = self.change_between(reach, to, old);
                let old = self.offset(change - 1);
                // The last match is skipped by the clock if it is not before the gap.
                if self.makes_up(old, offset) && wall >= change + old {
                    return Some(change);
                }
                (to, offset) = (change - 1, old);
            } else if at < reach {
                // A change at `reach` itself is still to be noticed.
                to = (wall + APPROACH).min(reach);
                offset = self.offset(to);
            } else if let Some(repeat) = self.repeat_at(at, offset) {
                to = repeat.start - 1;
                offset = self.offset(to);
            } else {
                return Some(at);
            }
        }
    }

    /// The first change of the clock after `after` and up to `until`, with the offsets before and
    /// after it.
    pub(super) fn next_change(self, after: i64, until: i64) -> Option<Change> {
        let mut from = after;
        let old = self.offset(from);
        while from < until {
            let reach = (from + WINDOW).min(until);
            if self.offset(reach) != old {
                let at = self.change_between(from, reach, old);
                let new = self.offset(at);
                return Some(Change { at, old, new });
            }
            from = reach;
        }
        None
    }

    /// Whether a time in the gap between these offsets is made up for after it.
    pub(super) fn makes_up(self, old: i64, new: i64) -> bool {
        self.run_once && (1..LONGEST_GAP).contains(&(new - old))
    }

    /// The second pass that `at` lies in, if this rule must not run in a second pass.
    fn repeat_at(self, at: i64, offset: i64) -> Option<std::ops::Range<i64>> {
        if !self.run_once {
            return None;
        }
        let before = at - LONGEST_REPEAT;
        let old = self.offset(before);
        if old <= offset {
            return None;
        }
        let change = self.change_between(before, at, old);
        let repeat = change..change + old - offset;
        repeat.contains(&at).then_some(repeat)
    }

    /// The first instant after `low` whose offset is not `offset`. It is at `high` at the latest.
    fn change_between(self, mut low: i64, mut high: i64, offset: i64) -> i64 {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset(middle) == offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    fn offset(self, at: i64) -> i64 {
        offset(self.zone, at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::offset::tests::changes;
    use super::*;
    use chrono_tz::TZ_VARIANTS;

    #[test]
    fn no_zone_changes_its_clock_and_back_within_the_window() {
        for zone in TZ_VARIANTS {
            let changes = changes(zone, 1900, 2040);
            for pair in changes.windows(2) {
                let days_between = (pair[1].0 - pair[0].0) / SECONDS_PER_DAY;
                assert!(days_between > 3, "{zone} {pair:?}");
            }
            for (at, by) in changes {
                assert!(-by < LONGEST_REPEAT, "{zone} {at} {by}");
                assert!(offset(zone, at).abs() < 16 * HOUR, "{zone} {at}");
            }
        }
    }
}
