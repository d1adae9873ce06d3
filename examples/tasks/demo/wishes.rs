//! What people want of the tasks: as on any other day.

use std::time::Duration;

use tasklock::chrono_tz::Tz;
use tasklock::{By, PauseFor, RunNow, Scheduler};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn wish(scheduler: &Scheduler) -> tasklock::Result<()> {
    let Some(control) = scheduler.handle().control() else {
        return Ok(());
    };
    let ana = By::new("ana", "bank holiday")?;
    control
        .pause(PauseFor::task("dunning.email", &ana).lasting(4 * HOUR))
        .await?;
    let leo = By::new("leo", "before the migration tonight")?;
    control
        .override_spec("backup.snapshot", "0 0 */6 * * *", Tz::UTC, 48 * HOUR, &leo)
        .await?;
    Ok(())
}

/// Runs that somebody wants at once.
pub(super) async fn run(scheduler: &Scheduler) -> tasklock::Result<()> {
    let Some(control) = scheduler.handle().control() else {
        return Ok(());
    };
    for (task, why) in [
        ("search.reindex", "the index lost a field"),
        ("invoices.sync", "is the bank back?"),
        ("bank.feed", "is the bank back?"),
    ] {
        control
            .run(RunNow::new(task, &By::new("leo", why)?))
            .await?;
    }
    Ok(())
}
