//! Whether tokio-cron-scheduler reads a spec as we do: the fire times that both find are compared.

use std::fmt;

use chrono::{DateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc};
use tokio_cron_scheduler::Job;

use crate::schedule::Schedule;

/// So far fire times are compared: past all changes of the clock of two years.
const HORIZON: TimeDelta = TimeDelta::days(2 * 366);
/// From each of these on, some are.
const STEP: TimeDelta = TimeDelta::days(7);
const AT_A_TIME: usize = 4;

/// The first fire time after `after` that the two do not agree on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    after: DateTime<Utc>,
    ours: Option<DateTime<Utc>>,
    theirs: Option<DateTime<Utc>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |at: Option<DateTime<Utc>>| at.map_or("never".to_owned(), |at| at.to_rfc3339());
        write!(
            f,
            "after {} tokio-cron-scheduler would fire it at {}, and tasklock at {}",
            self.after.to_rfc3339(),
            word(self.theirs),
            word(self.ours),
        )
    }
}

/// The first difference that is found between the readings of a cron job and of a schedule.
pub(super) fn difference(
    job: &mut Job,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> Option<Difference> {
    // Jobs are for whole seconds; the rest of `now` would be added to each.
    let now = now.trunc_subsecs(0);
    let unknown = || Difference {
        after: now,
        ours: schedule.next_after(now),
        theirs: None,
    };
    let Some(cron) = job.job_data().ok().and_then(|data| data.schedule()) else {
        return Some(unknown());
    };
    // The job goes on with the offset that its zone has now.
    let zone = schedule.timezone();
    let offset = zone.offset_from_utc_datetime(&now.naive_utc()).fix();
    let mut probe = now;
    while probe < now + HORIZON {
        let mut after = probe;
        for _ in 0..AT_A_TIME {
            // Asked anew each time, as a `JobScheduler` does.
            let theirs = cron.iter_after(after.with_timezone(&offset)).next();
            let theirs = theirs.map(|at| at.to_utc());
            let ours = schedule.next_after(after);
            if ours != theirs {
                return Some(Difference {
                    after,
                    ours,
                    theirs,
                });
            }
            after = ours?;
        }
        probe = after.max(probe + STEP);
    }
    None
}
