//! What is known of a task, whoever told it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::control::{Instance, TaskFacts};
use crate::schedule::DstPolicy;
#[cfg(feature = "dynamic")]
use crate::store::StoredTask;
use crate::task::{Policy, TaskName};

/// What is known of a task, whoever told it.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) name: TaskName,
    pub(crate) spec: Arc<str>,
    pub(crate) timezone: Tz,
    pub(crate) dst: DstPolicy,
    /// How it behaves and how long it may take, if that is known.
    pub(crate) policy: Option<(Arc<Policy>, Duration)>,
    /// The kind of one that is defined at run time.
    pub(crate) kind: Option<Arc<str>>,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) source: Option<String>,
    pub(crate) is_enabled: bool,
    /// The version of one that is stored.
    pub(crate) version: Option<u64>,
    /// When it is due next, if only an instance can know.
    pub(crate) next_fire: Option<DateTime<Utc>>,
}

/// An instance that shows itself: knows more of its tasks than it tells others.
pub(crate) trait Local: Send + Sync + 'static {
    /// Itself, as others would see it; nobody, if it was never started and only knows its tasks.
    fn instance(&self) -> Option<Instance>;

    /// Its tasks.
    fn tasks(&self) -> Vec<Facts>;

    /// Since when its lock's store has not answered.
    fn store_down_since(&self) -> Option<DateTime<Utc>>;
}

impl Facts {
    /// What an instance tells others; `zone` if it does not tell that.
    pub(crate) fn told(task: &TaskFacts, zone: Tz) -> Self {
        let policy = task.settings.clone().map(Arc::new);
        Self {
            name: task.name.clone(),
            spec: task.spec.as_str().into(),
            timezone: task.timezone.unwrap_or(zone),
            dst: policy
                .as_ref()
                .and_then(|policy| policy.dst)
                .unwrap_or_default(),
            policy: policy.zip(task.timeout),
            kind: task.kind.as_deref().map(Arc::from),
            description: String::new(),
            tags: task.tags.clone(),
            source: None,
            is_enabled: true,
            version: None,
            next_fire: None,
        }
    }

    /// What is stored.
    #[cfg(feature = "dynamic")]
    pub(crate) fn stored(task: &StoredTask, zone: Tz) -> Option<Self> {
        let policy = task.whole_policy();
        Some(Self {
            name: task.name.parse().ok()?,
            spec: task.spec.as_str().into(),
            timezone: policy.timezone.unwrap_or(zone),
            dst: policy.dst.unwrap_or_default(),
            policy: Some((Arc::new(policy), task.timeout)),
            kind: Some(task.kind.as_str().into()),
            description: task.description.clone(),
            tags: Vec::new(),
            source: task
                .owner
                .as_ref()
                .map(|owner| format!("stored by {owner}")),
            is_enabled: task.enabled,
            version: Some(task.version.get()),
            next_fire: None,
        })
    }
}
