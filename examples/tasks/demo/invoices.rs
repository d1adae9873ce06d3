//! Tasks that depend on a bank which does not answer.

use std::time::Duration;

use tasklock::{BaseTask, Policy, Retry, TaskError};

const FAULT: &str = "upstream 503 Service Unavailable";

pub(super) fn sync() -> BaseTask {
    let retry = Retry::times(2).longest_wait(Duration::from_secs(2));
    BaseTask::new(
        "invoices.sync",
        "0 */15 * * * *",
        Duration::from_secs(20),
        |ctx| async move {
            ctx.status("reading page 2 of the bank feed");
            tokio::time::sleep(Duration::from_millis(400)).await;
            Err(TaskError::new(FAULT))
        },
    )
    .policy(Policy::default().retry(retry))
    .description("Pulls paid invoices from the bank feed")
    .tag("billing")
}

pub(super) fn feed() -> BaseTask {
    BaseTask::new(
        "bank.feed",
        "0 5,35 * * * *",
        Duration::from_secs(20),
        |_| async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            Err(TaskError::new(FAULT))
        },
    )
    .description("Asks the bank for new entries")
    .tag("billing")
}

/// Paused: see the wishes.
pub(super) fn dunning() -> BaseTask {
    BaseTask::new(
        "dunning.email",
        "0 0 8 * * MON-FRI",
        Duration::from_secs(600),
        |_| async move { Ok(()) },
    )
    .description("Reminds those who have not paid")
    .tag("billing")
}
