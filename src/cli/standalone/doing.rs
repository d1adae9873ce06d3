//! A task of a file, as the engine runs it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{Doer, TaskOfFile, Work};
use crate::kinds::secret_file;
use crate::store::Kind;
use crate::task::{Policy, RunContext, Task, TaskError, TaskResult};

/// A task of a file.
#[derive(Debug)]
pub(super) struct Doing(pub(super) Arc<TaskOfFile>);

#[async_trait]
impl Task for Doing {
    fn name(&self) -> &str {
        &self.0.plan.name
    }

    fn spec(&self) -> &str {
        &self.0.plan.spec
    }

    fn timeout(&self) -> Duration {
        self.0.plan.timeout
    }

    fn policy(&self) -> Policy {
        self.0.plan.whole_policy()
    }

    fn description(&self) -> &str {
        &self.0.plan.description
    }

    fn tags(&self) -> &[&str] {
        &self.0.tags
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        let TaskOfFile { work, doer, .. } = &*self.0;
        match (doer, work) {
            (Doer::Shell(shell, parameters), _) => shell.run(ctx, parameters.clone()).await,
            (Doer::Http(http), Work::Request(parameters, files)) => {
                let mut parameters = (**parameters).clone();
                for (name, path) in files {
                    let value = secret_file::value(path).map_err(TaskError::new)?;
                    let value = value.trim().to_owned();
                    parameters.headers.insert(name.clone(), value);
                }
                http.check(&parameters)?;
                http.run(ctx, parameters).await
            }
            _ => Err(TaskError::permanent("there is nobody here to do it")),
        }
    }
}

/// A kind of work whose list can be another one from now on.
#[derive(Debug)]
pub(super) struct Changing<K> {
    // Held to copy or to set.
    now: Arc<RwLock<Arc<K>>>,
}

impl<K> Changing<K> {
    pub(super) fn new(kind: Arc<K>) -> Self {
        Self {
            now: Arc::new(RwLock::new(kind)),
        }
    }

    pub(super) fn set(&self, kind: Arc<K>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = kind;
    }

    fn now(&self) -> Arc<K> {
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<K> Clone for Changing<K> {
    fn clone(&self) -> Self {
        Self {
            now: self.now.clone(),
        }
    }
}

#[async_trait]
impl<K: Kind> Kind for Changing<K> {
    type Parameters = K::Parameters;

    fn check(&self, parameters: &K::Parameters) -> Result<(), TaskError> {
        self.now().check(parameters)
    }

    async fn run(&self, ctx: RunContext, parameters: K::Parameters) -> TaskResult {
        self.now().run(ctx, parameters).await
    }
}
