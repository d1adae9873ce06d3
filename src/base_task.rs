//! A task made of a closure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

use crate::task::{Policy, RunContext, Task, TaskResult};

type Body = dyn Fn(RunContext) -> Pin<Box<dyn Future<Output = TaskResult> + Send>> + Send + Sync;

/// A task made of a name, a spec, a timeout and an async closure.
///
/// ```
/// use std::time::Duration;
/// use tasklock::BaseTask;
///
/// let task = BaseTask::new("simple_task", "0 */10 * * * *", Duration::from_secs(60), |ctx| async move {
///     println!("due at {}", ctx.fire_time());
///     Ok(())
/// });
/// ```
pub struct BaseTask {
    name: Box<str>,
    spec: Box<str>,
    timeout: Duration,
    // None for the default: it is large, and most tasks have it.
    policy: Option<Box<Policy>>,
    // None for one that says nothing.
    about: Option<Box<About>>,
    body: Box<Body>,
}

/// What people are told of a task.
#[derive(Debug, Default)]
struct About {
    description: String,
    tags: Vec<&'static str>,
}

impl BaseTask {
    /// A task that runs `body`. Its parts are checked when it is registered.
    pub fn new<F, Fut>(
        name: impl Into<String>,
        spec: impl Into<String>,
        timeout: Duration,
        body: F,
    ) -> Self
    where
        F: Fn(RunContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = TaskResult> + Send + 'static,
    {
        Self {
            name: name.into().into(),
            spec: spec.into().into(),
            timeout,
            policy: None,
            about: None,
            body: Box::new(move |ctx| Box::pin(body(ctx))),
        }
    }

    /// The same task with another policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// The same task with a word on what it is for.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.about.get_or_insert_default().description = text.into();
        self
    }

    /// The same task with one more word by which people find it.
    #[must_use]
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.about.get_or_insert_default().tags.push(tag);
        self
    }
}

impl fmt::Debug for BaseTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseTask")
            .field("name", &self.name)
            .field("spec", &self.spec)
            .field("timeout", &self.timeout)
            .field("policy", &Task::policy(self))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Task for BaseTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn spec(&self) -> &str {
        &self.spec
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn policy(&self) -> Policy {
        self.policy.as_deref().cloned().unwrap_or_default()
    }

    fn description(&self) -> &str {
        self.about.as_ref().map_or("", |about| &about.description)
    }

    fn tags(&self) -> &[&str] {
        self.about.as_ref().map_or(&[], |about| &about.tags)
    }

    async fn run(&self, ctx: RunContext) -> TaskResult {
        (self.body)(ctx).await
    }
}
