//! Which task is due next. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::schedule::Schedule;

/// When each task is to start next, in order.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    times: BTreeSet<(DateTime<Utc>, usize)>,
}

impl Timeline {
    pub(crate) fn insert(&mut self, at: DateTime<Utc>, task: usize) {
        self.times.insert((at, task));
    }

    pub(crate) fn remove(&mut self, at: DateTime<Utc>, task: usize) {
        self.times.remove(&(at, task));
    }

    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        self.times.first().map(|(at, _)| *at)
    }

    /// Takes out one task that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, usize)> {
        let first = *self.times.first()?;
        (first.0 <= now).then(|| {
            self.times.pop_first();
            first
        })
    }

    /// Takes out everything.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (DateTime<Utc>, usize)> + use<> {
        std::mem::take(&mut self.times).into_iter()
    }
}

/// The fire times of one task from `first` to `now`, as they are to be settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Those that are too late, or have too many newer ones behind them: how many, and the last.
    pub(crate) passed: Option<(u64, DateTime<Utc>)>,
    /// At most the two newest, oldest first.
    pub(crate) fresh: Vec<DateTime<Utc>>,
    /// The next one, after `now`.
    pub(crate) next: Option<DateTime<Utc>>,
}

/// How many fire times of one task are counted one by one; a longer gap (a machine that slept for
/// a day, a task of every second) is passed over at once and counted as this many.
const MOST_COUNTED: u64 = 1000;

/// How many firings of one task that are found due together are kept.
const MOST_FRESH: usize = 2;

/// Finds what is due of one task whose next fire time was `first`.
pub(crate) fn due(
    schedule: &Schedule,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
    misfire_threshold: Duration,
) -> Due {
    let mut due = Due {
        passed: None,
        fresh: Vec::new(),
        next: Some(first),
    };
    let mut count = 0;
    while let Some(t) = due.next.filter(|t| *t <= now) {
        if due.fresh.len() == MOST_FRESH {
            count += 1;
            due.passed = Some((count, due.fresh.remove(0)));
        }
        due.fresh.push(t);
        due.next = if count >= MOST_COUNTED {
            // Not before the threshold, else the newest ones would be lost with the rest.
            let edge = TimeDelta::from_std(misfire_threshold)
                .ok()
                .and_then(|d| now.checked_sub_signed(d));
            schedule.next_after(edge.map_or(t, |edge| edge.max(t)))
        } else {
            schedule.next_after(t)
        };
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn due_of(spec: &str, first: i64, now: i64) -> Due {
        due(
            &spec.parse().unwrap(),
            at(first),
            at(now),
            Duration::from_secs(60),
        )
    }

    #[test]
    fn one_fire_time_is_due_and_the_next_is_known() {
        let found = due_of("* * * * * *", 100, 100);
        assert_eq!(
            found,
            Due {
                passed: None,
                fresh: vec![at(100)],
                next: Some(at(101))
            }
        );
        assert!(due_of("* * * * * *", 100, 99).fresh.is_empty());
    }

    #[test]
    fn of_a_gap_the_two_newest_are_kept_and_the_rest_is_counted() {
        let found = due_of("* * * * * *", 100, 109);
        assert_eq!(found.passed, Some((8, at(107))));
        assert_eq!(found.fresh, vec![at(108), at(109)]);
        assert_eq!(found.next, Some(at(110)));
    }

    #[test]
    fn a_gap_of_years_takes_bounded_work_and_loses_none_of_the_newest() {
        let found = due_of("* * * * * *", 100, 1_000_000_000);
        assert_eq!(found.fresh, vec![at(999_999_999), at(1_000_000_000)]);
        let (count, last) = found.passed.unwrap();
        assert!((MOST_COUNTED..1100).contains(&count), "{count}");
        assert_eq!(last, at(999_999_998));
    }

    #[test]
    fn tasks_come_out_in_the_order_of_their_times() {
        let mut timeline = Timeline::default();
        timeline.insert(at(5), 0);
        timeline.insert(at(3), 1);
        timeline.insert(at(5), 2);
        assert_eq!(timeline.next(), Some(at(3)));
        assert_eq!(timeline.pop_due(at(2)), None);
        let order: Vec<usize> = std::iter::from_fn(|| timeline.pop_due(at(9)))
            .map(|d| d.1)
            .collect();
        assert_eq!(order, [1, 0, 2]);
    }
}
