//! The code that stored tasks name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::task::{RunContext, TaskError, TaskResult};

/// A kind of work that [stored tasks](crate::StoredTask) name: code, which they give parameters.
///
/// For most, [`Scheduler::handler`](crate::Scheduler::handler) makes one of a closure. This is for
/// those that know more of their parameters than the type says.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// What a task of this kind has to say. Unknown fields are let in unless the type refuses them
    /// (`#[serde(deny_unknown_fields)]`).
    type Parameters: DeserializeOwned + JsonSchema + Send + 'static;

    /// What is wrong with parameters that the type lets in, such as a command that is not allowed.
    /// Asked when a task is saved where this kind is known, and before it is run anywhere.
    ///
    /// # Errors
    ///
    /// A text that says which of them, and what to give in its place.
    fn check(&self, parameters: &Self::Parameters) -> Result<(), TaskError> {
        let _ = parameters;
        Ok(())
    }

    /// Does the work of one firing. All that [`Task::run`](crate::Task::run) says holds here.
    ///
    /// # Errors
    ///
    /// Whatever the work returns.
    async fn run(&self, ctx: RunContext, parameters: Self::Parameters) -> TaskResult;
}

/// A kind, whatever its parameters are.
#[async_trait]
pub(crate) trait AnyKind: Send + Sync {
    /// What its parameters look like.
    fn schema(&self) -> Schema;

    /// Says what is wrong with parameters.
    fn check(&self, parameters: &Value) -> Result<()>;

    async fn run(&self, ctx: RunContext, parameters: &Value) -> TaskResult;
}

/// A kind whose parameters are JSON here and a type of its own there.
pub(crate) struct Typed<K>(pub(crate) K);

impl<K: Kind> Typed<K> {
    /// Running needs them as this type: what cannot be read so is wrong, and nothing else is.
    fn read(parameters: &Value) -> Result<K::Parameters> {
        use serde::Deserialize as _;
        K::Parameters::deserialize(parameters).map_err(|e| {
            let why: String = e.to_string().escape_debug().take(300).collect();
            let text = format!("its parameters do not fit its kind: {why}");
            Error::new(ErrorKind::InvalidTask, text).with_source(e)
        })
    }
}

#[async_trait]
impl<K: Kind> AnyKind for Typed<K> {
    fn schema(&self) -> Schema {
        schemars::schema_for!(K::Parameters)
    }

    fn check(&self, parameters: &Value) -> Result<()> {
        let parameters = Self::read(parameters)?;
        self.0.check(&parameters).map_err(|e| {
            let text = format!("its parameters do not fit its kind: {e}");
            Error::new(ErrorKind::InvalidTask, text)
        })
    }

    async fn run(&self, ctx: RunContext, parameters: &Value) -> TaskResult {
        let parameters = Self::read(parameters).map_err(TaskError::permanent)?;
        self.0.check(&parameters)?;
        self.0.run(ctx, parameters).await
    }
}

impl fmt::Debug for dyn AnyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kind")
    }
}

type Running = Pin<Box<dyn Future<Output = TaskResult> + Send>>;

struct Closure<P> {
    body: Box<dyn Fn(RunContext, P) -> Running + Send + Sync>,
}

#[async_trait]
impl<P: DeserializeOwned + JsonSchema + Send + 'static> Kind for Closure<P> {
    type Parameters = P;

    async fn run(&self, ctx: RunContext, parameters: P) -> TaskResult {
        (self.body)(ctx, parameters).await
    }
}

/// The kind that a closure is.
pub(crate) fn closure<P, F, Fut>(body: F) -> Arc<dyn AnyKind>
where
    P: DeserializeOwned + JsonSchema + Send + 'static,
    F: Fn(RunContext, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = TaskResult> + Send + 'static,
{
    let body = Box::new(move |ctx, parameters| -> Running { Box::pin(body(ctx, parameters)) });
    Arc::new(Typed(Closure { body }))
}
