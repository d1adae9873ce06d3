//! Every hour: a report.

use std::sync::Arc;

use tasklock::chrono::{SubsecRound, TimeDelta};
use tasklock::{RunContext, Task, TaskResult, async_trait};
use tracing::info;

use crate::data::{Data, Usage};
use crate::put_fenced;

/// Counts users and API calls, and writes a report.
pub(crate) struct StatsTask {
    spec: String,
    data: Arc<dyn Data>,
}

impl StatsTask {
    pub(crate) fn new(spec: String, data: Arc<dyn Data>) -> Self {
        Self { spec, data }
    }
}

#[async_trait]
impl Task for StatsTask {
    fn name(&self) -> &str {
        "stats_task"
    }

    fn spec(&self) -> &str {
        &self.spec
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        // At 10:00 the report is about the hour from 9 to 10, which is over.
        let hour = ctx.fire_time() - TimeDelta::hours(1);
        // Counting is dropped when the run should end: half a count is of no use to anybody.
        let usage = tokio::select! {
            usage = self.data.usage(hour) => usage?,
            () = ctx.cancelled() => return Err(tasklock::TaskError::new("asked to end")),
        };
        let Usage {
            users,
            calls,
            calls_of_hour,
        } = usage;
        let text = format!(
            "fire_time: {}\nusers: {users}\napi_calls: {calls}\nhour: {}\n\
             api_calls_of_hour: {calls_of_hour}\nrun_id: {}\n",
            ctx.fire_time().trunc_subsecs(0).to_rfc3339(),
            hour.format("%Y-%m-%dT%H"),
            ctx.run_id(),
        );
        // A run that was frozen beyond its lease must not replace its successor's report.
        put_fenced(&*self.data, "report", &text, ctx.fencing_token().get()).await?;
        info!(users, calls, calls_of_hour, "The report was written");
        Ok(())
    }
}
