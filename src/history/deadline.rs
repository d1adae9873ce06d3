//! By when a task has to succeed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// By when a task has to succeed that fires then, after its last success, or since it is known: at the second
/// of its fire times, or the last one if there is only one, and `grace` later. `None` if no fire
/// time is known: there is none left, or no clock tells, as of `@startup`.
///
/// One firing may be lost without an alarm; two may not. The schedule knows weekends, ends of months
/// and changes of the clock, which an alarm on the time since the last success does not.
///
/// ```text
/// success     fire time    fire time      deadline
///    |------------|------------|---grace-----|
/// ```
pub(crate) fn success_deadline(
    fire_times: impl IntoIterator<Item = DateTime<Utc>>,
    grace: Duration,
) -> Option<DateTime<Utc>> {
    let due = fire_times.into_iter().take(2).last()?;
    due.checked_add_signed(TimeDelta::from_std(grace).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    #[test]
    fn the_deadline_is_the_second_fire_time_and_a_grace() {
        for (spec, since, deadline) in [
            (
                "*/5 * * * *",
                "2026-11-21T10:02:00Z",
                "2026-11-21T10:12:00Z",
            ),
            // A success at a fire time is not one for it.
            (
                "*/5 * * * *",
                "2026-11-21T10:05:00Z",
                "2026-11-21T10:17:00Z",
            ),
            // Friday's run: Monday, Tuesday.
            (
                "0 8 * * MON-FRI",
                "2026-11-20T08:01:00Z",
                "2026-11-24T08:02:00Z",
            ),
            ("0 0 L * *", "2026-01-31T00:10:00Z", "2026-03-31T00:02:00Z"),
            ("@every 90m", "2026-11-21T00:10:00Z", "2026-11-21T03:02:00Z"),
            ("@after 10m", "2026-11-21T00:00:00Z", "2026-11-21T00:22:00Z"),
            (
                "@at 2026-12-01T00:00:00Z",
                "2026-11-21T00:00:00Z",
                "2026-12-01T00:02:00Z",
            ),
            // 02:30 does not come on 29 March, and fires at 03:00 summer time.
            (
                "TZ=Europe/Berlin 30 2 * * *",
                "2026-03-28T01:31:00Z",
                "2026-03-30T00:32:00Z",
            ),
            // The day of 25 hours: 02:30 fires on its first pass.
            (
                "TZ=Europe/Berlin 30 2 * * *",
                "2026-10-24T00:31:00Z",
                "2026-10-26T01:32:00Z",
            ),
        ] {
            let schedule: Schedule = spec.parse().unwrap();
            let fire_times = schedule.upcoming(since.parse().unwrap());
            let found = success_deadline(fire_times, Duration::from_secs(120));
            assert_eq!(
                found,
                Some(deadline.parse().unwrap()),
                "{spec} since {since}"
            );
        }
    }

    #[test]
    fn what_is_never_due_has_no_deadline() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for spec in ["@startup", "@at 2026-01-01T00:00:00Z", "0 0 31 2 *"] {
            let schedule: Schedule = spec.parse().unwrap();
            assert_eq!(
                success_deadline(schedule.upcoming(now), Duration::ZERO),
                None,
                "{spec}"
            );
        }
    }
}
