//! A task that takes long, and says how far it has come.

use std::time::Duration;

use tasklock::{BaseTask, TaskError};

const BATCHES: u64 = 400;

pub(super) fn reindex() -> BaseTask {
    BaseTask::new(
        "search.reindex",
        "0 */2 * * * *",
        Duration::from_secs(600),
        |ctx| async move {
            for batch in 0..BATCHES {
                ctx.progress(batch, BATCHES);
                ctx.status(format!("batch {batch} of {BATCHES}"));
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(250)) => {}
                    () = ctx.cancelled() => return Err(TaskError::new("asked to end")),
                }
            }
            Ok(())
        },
    )
    .description("Builds the search index anew")
    .tag("web")
}
