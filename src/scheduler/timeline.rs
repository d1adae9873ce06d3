//! Which task is due next. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::control::Overridden;
use crate::schedule::Schedule;
use crate::task::Misfire;

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

    /// How many are to start up to `at`, counted up to `most`.
    pub(crate) fn count(&self, at: DateTime<Utc>, most: usize) -> usize {
        self.times.range(..=(at, usize::MAX)).take(most).count()
    }

    /// Takes out one task that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, usize)> {
        let first = *self.times.first()?;
        (first.0 <= now).then(|| {
            self.times.pop_first();
            first
        })
    }

    pub(crate) fn clear(&mut self) {
        self.times.clear();
    }
}

/// The fire times of one task from `first` to `now`, as they are to be settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Those that do not run, as newer ones do: how many, and the last.
    pub(crate) passed: Option<(u64, DateTime<Utc>)>,
    /// Those that may run, oldest first.
    pub(crate) fresh: Vec<DateTime<Utc>>,
    /// The next one, after `now`.
    pub(crate) next: Option<DateTime<Utc>>,
}

/// How many fire times of one task are counted one by one; a longer gap (a machine that slept for
/// a day, a task of every second) is passed over at once and counted as this many.
const MOST_COUNTED: u64 = 1000;

/// How many firings of one task that are found due together are kept, unless its policy wants more.
const MOST_FRESH: usize = 2;

/// When a task is due: as its code says, or for a while as somebody else does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timetable<'a> {
    code: &'a Schedule,
    over: Option<&'a Overridden>,
}

impl<'a> Timetable<'a> {
    pub(crate) fn new(code: &'a Schedule, over: Option<&'a Overridden>) -> Self {
        Self { code, over }
    }

    pub(crate) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.over {
            Some(over) => over.next_after(self.code, after),
            None => self.code.next_after(after),
        }
    }

    fn prev_before(&self, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.over {
            Some(over) => over.prev_before(self.code, before),
            None => self.code.prev_before(before),
        }
    }
}

/// Finds what is due of one task whose next fire time was `first`.
pub(crate) fn due(
    schedule: Timetable<'_>,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
    misfire_threshold: Duration,
    misfire: Misfire,
) -> Due {
    let most = match misfire {
        Misfire::RunAll(max) => MOST_FRESH.max(max as usize),
        Misfire::Skip | Misfire::RunOnce => MOST_FRESH,
    };
    let mut due = Due {
        passed: None,
        fresh: Vec::new(),
        next: Some(first),
    };
    let mut has_leapt = false;
    while let Some(t) = due.next.filter(|t| *t <= now) {
        if due.fresh.len() == most {
            due.pass_oldest();
        }
        due.fresh.push(t);
        let is_far = due.passed.is_some_and(|(count, _)| count >= MOST_COUNTED);
        due.next = if is_far && !has_leapt {
            has_leapt = true;
            newest(schedule, most, t, now)
        } else {
            schedule.next_after(t)
        };
    }
    if let (true, Some((_, last)), Some(first)) = (has_leapt, &mut due.passed, due.fresh.first()) {
        *last = schedule.prev_before(*first).unwrap_or(*last);
    }
    if misfire == Misfire::RunOnce {
        let in_time =
            |t: &DateTime<Utc>| (now - *t).to_std().unwrap_or_default() <= misfire_threshold;
        while due.fresh.len() > 1 && due.fresh.first().is_some_and(|t| !in_time(t)) {
            due.pass_oldest();
        }
    }
    due
}

impl Due {
    fn pass_oldest(&mut self) {
        if !self.fresh.is_empty() {
            let count = self.passed.map_or(0, |(count, _)| count);
            self.passed = Some((count + 1, self.fresh.remove(0)));
        }
    }
}

/// The first of the `most` newest fire times after `after` and up to `now`; if there are fewer, the
/// first of these.
fn newest(
    schedule: Timetable<'_>,
    most: usize,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let next = schedule.next_after(now);
    let mut first = next;
    let mut before = next.unwrap_or(DateTime::<Utc>::MAX_UTC);
    for _ in 0..most {
        match schedule.prev_before(before).filter(|t| *t > after) {
            Some(t) => (first, before) = (Some(t), t),
            None => break,
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn due_of(spec: &str, first: i64, now: i64) -> Due {
        due_under(Misfire::Skip, spec, first, now)
    }

    fn due_under(misfire: Misfire, spec: &str, first: i64, now: i64) -> Due {
        let (schedule, minute) = (spec.parse().unwrap(), Duration::from_secs(60));
        due(
            Timetable::new(&schedule, None),
            at(first),
            at(now),
            minute,
            misfire,
        )
    }

    #[test]
    fn of_those_missed_run_once_keeps_the_newest_unless_one_is_in_time() {
        let hours = |first, now| due_under(Misfire::RunOnce, "@hourly", first, now);
        let missed = hours(3_600, 4 * 3_600 + 600);
        assert_eq!(missed.fresh, [at(4 * 3_600)]);
        assert_eq!(missed.passed, Some((3, at(3 * 3_600))));
        let one_in_time = hours(3_600, 4 * 3_600 + 10);
        assert_eq!(one_in_time.fresh, [at(4 * 3_600)]);
        assert_eq!(one_in_time.passed, Some((3, at(3 * 3_600))));
        let only = hours(3_600, 3_600 + 600);
        assert_eq!((only.fresh, only.passed), (vec![at(3_600)], None));
        let all_in_time = due_under(Misfire::RunOnce, "* * * * * *", 100, 105);
        assert_eq!(all_in_time.fresh, [at(104), at(105)]);
    }

    #[test]
    fn of_those_missed_run_all_keeps_as_many_as_it_says() {
        let five = due_under(Misfire::RunAll(5), "@hourly", 3_600, 10 * 3_600);
        assert_eq!(five.fresh.len(), 5);
        assert_eq!(five.fresh[0], at(6 * 3_600));
        assert_eq!(five.passed, Some((5, at(5 * 3_600))));
        let years = due_under(Misfire::RunAll(3), "* * * * * *", 100, 1_000_000_000);
        let newest = [999_999_998, 999_999_999, 1_000_000_000].map(at);
        assert_eq!(years.fresh, newest);
        assert_eq!(years.next, Some(at(1_000_000_001)));
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
