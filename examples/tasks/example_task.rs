//! Every minute: one more API call in the books.

use std::sync::Arc;
use std::time::Duration;

use tasklock::{RunContext, Task, TaskResult, async_trait};
use tracing::info;

use crate::data::Data;

pub(crate) struct ExampleTask {
    spec: String,
    data: Arc<dyn Data>,
}

impl ExampleTask {
    pub(crate) fn new(spec: String, data: Arc<dyn Data>) -> Self {
        Self { spec, data }
    }
}

#[async_trait]
impl Task for ExampleTask {
    fn name(&self) -> &str {
        "example_task"
    }

    fn spec(&self) -> &str {
        &self.spec
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        // The fire time, not the time it is now: however late this runs, the call belongs there.
        let calls = self.data.add_api_call(ctx.fire_time()).await?;
        info!(calls, "An API call was noted");
        Ok(())
    }
}
