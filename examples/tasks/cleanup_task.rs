//! At night: away with what nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use tasklock::{RunContext, Task, TaskResult, async_trait};
use tracing::info;

use crate::data::Data;
use crate::directory::Directory;

/// Deletes temporary keys that nothing else will ever delete, old log files and old temporary files.
pub(crate) struct CleanupTask {
    spec: String,
    data: Arc<dyn Data>,
    directory: Directory,
}

impl CleanupTask {
    pub(crate) fn new(spec: String, data: Arc<dyn Data>, directory: Directory) -> Self {
        Self {
            spec,
            data,
            directory,
        }
    }
}

#[async_trait]
impl Task for CleanupTask {
    fn name(&self) -> &str {
        "cleanup_task"
    }

    fn spec(&self) -> &str {
        &self.spec
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        let keys = self.data.remove_temporary_keys(&ctx).await?;

        // File systems block, so this has a thread of its own. It cannot be dropped as a future can:
        // it has to ask whether it should go on.
        let directory = self.directory.clone();
        let files = move || {
            let should_end = || ctx.is_cancelled();
            let logs = directory.remove_expired_logs(&should_end)?;
            let temporary = directory.remove_temporary_files(&should_end)?;
            std::io::Result::Ok((logs, temporary))
        };
        let (logs, temporary) = tokio::task::spawn_blocking(files).await??;
        info!(keys, logs, temporary, "Cleaned up");
        Ok(())
    }
}
