//! Tasks that are due rarely.

use std::time::Duration;

use tasklock::chrono_tz::Tz;
use tasklock::{BaseTask, Policy};

fn rare(name: &'static str, spec: &'static str, text: &'static str) -> BaseTask {
    BaseTask::new(name, spec, Duration::from_secs(300), |_| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    })
    .description(text)
    .tag("reports")
}

/// Overdue: its made-up past ends three days ago.
pub(super) fn daily() -> BaseTask {
    rare(
        "reports.daily",
        "0 0 14 * * *",
        "The figures of the day, by mail",
    )
    .policy(Policy::default().timezone(Tz::Europe__Berlin))
}

/// Late: it was due in the last hour, and its past ends before that.
pub(super) fn weekly() -> BaseTask {
    rare("statements.hourly", "0 0 * * * *", "Statements of account")
}

/// New: it has no past.
pub(super) fn ledger() -> BaseTask {
    rare(
        "ledger.close",
        "0 30 2 1 * *",
        "Closes the books of the month",
    )
    .policy(Policy::default().timezone(Tz::Europe__Berlin))
}

/// With another schedule than its code says: see the wishes.
pub(super) fn backup() -> BaseTask {
    rare(
        "backup.snapshot",
        "0 30 2 * * *",
        "A snapshot of all databases",
    )
    .policy(Policy::default().timezone(Tz::Europe__Berlin))
}

/// Well, as is the next one.
pub(super) fn digest() -> BaseTask {
    rare("mail.digest", "0 7,37 * * * *", "What happened, by mail")
}

pub(super) fn stock() -> BaseTask {
    rare("stock.levels", "0 */20 * * * *", "What the warehouse has")
}
