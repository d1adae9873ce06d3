//! Tasks that are well.

use std::time::Duration;

use tasklock::BaseTask;

/// Every ten seconds, in the fraction of one.
pub(super) fn rates() -> BaseTask {
    BaseTask::new(
        "fx.rates",
        "*/10 * * * * *",
        Duration::from_secs(8),
        |ctx| async move {
            ctx.status("asking the bank of issue");
            let ms = 80 + ctx.fire_time().timestamp().unsigned_abs() % 7 * 40;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        },
    )
    .description("Exchange rates of the day")
    .tag("billing")
}

/// Every five seconds: too often to be in the timeline.
pub(super) fn cache() -> BaseTask {
    BaseTask::new(
        "cache.warm",
        "*/5 * * * * *",
        Duration::from_secs(5),
        |_| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        },
    )
    .description("Keeps the front page's cache warm")
    .tag("web")
}
