//! What a task defined at run time is for the engine: a task like others.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::store::{AnyKind, StoredTask};
use crate::task::{Policy, RunContext, Task, TaskError, TaskResult};

/// A stored task, with the code that it names.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Those that the engine knows of it do not change.
    name: Arc<str>,
    spec: Arc<str>,
    kind: Option<Arc<dyn AnyKind>>,
    // Held to copy or to set.
    task: Arc<RwLock<Arc<StoredTask>>>,
}

impl Body {
    pub(super) fn new(task: Arc<StoredTask>, kind: Option<Arc<dyn AnyKind>>) -> Self {
        Self {
            name: task.name.as_str().into(),
            spec: task.spec.as_str().into(),
            kind,
            task: Arc::new(RwLock::new(task)),
        }
    }

    /// Whether its kind is known here.
    pub(super) fn is_runnable(&self) -> bool {
        self.kind.is_some()
    }

    pub(super) fn task(&self) -> Arc<StoredTask> {
        let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
        task.clone()
    }

    /// Has the next runs be given other parameters; all that is planned by is the same.
    pub(super) fn set(&self, task: Arc<StoredTask>) {
        *self.task.write().unwrap_or_else(PoisonError::into_inner) = task;
    }
}

#[async_trait]
impl Task for Body {
    fn name(&self) -> &str {
        &self.name
    }

    fn spec(&self) -> &str {
        &self.spec
    }

    fn timeout(&self) -> Duration {
        self.task().timeout
    }

    fn policy(&self) -> Policy {
        self.task().whole_policy()
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        let task = self.task();
        match &self.kind {
            Some(kind) => match asked_with(&ctx)? {
                Some(parameters) => kind.run(ctx, &parameters).await,
                None => kind.run(ctx, &task.parameters).await,
            },
            None => {
                let text = format!("the kind {} is not known here", task.kind);
                Err(TaskError::permanent(text))
            }
        }
    }
}

/// The parameters that somebody gave who asked for this run, in place of those that are stored.
fn asked_with(ctx: &RunContext) -> Result<Option<Value>, TaskError> {
    let Some(text) = ctx.params() else {
        return Ok(None);
    };
    serde_json::from_str(text).map(Some).map_err(|e| {
        let text = format!("the parameters that this run was asked for with are no JSON: {e}");
        TaskError::permanent(text)
    })
}
