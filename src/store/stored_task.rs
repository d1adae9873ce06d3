//! A task that is data.

use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fleet::Version;
use crate::task::{DEFAULT_TIMEOUT, Policy, seconds, zone};

/// A task defined at run time.
///
/// ```
/// use tasklock::StoredTask;
/// use tasklock::serde_json::json;
///
/// let task = StoredTask::new("ping_home", "http_ping", "0 */5 * * * *")
///     .parameters(json!({ "url": "https://example.com" }))
///     .owner("web");
/// assert!(task.enabled);
/// ```
///
/// Its parts are checked when it is [saved](crate::TaskStore::save). As JSON it is an object of these
/// fields, of which `name`, `kind` and `spec` are required and others are refused; durations are
/// seconds: `{"name":"ping_home","kind":"http_ping","spec":"0 */5 * * * *","timeout_s":30}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoredTask {
    /// Its name, unique among all tasks of the fleet, those of code included.
    pub name: String,
    /// The kind of work: the name under which code registered a handler.
    pub kind: String,
    /// When it is due; see [`Schedule`](crate::Schedule).
    pub spec: String,
    /// The zone of the spec. Default: that of the scheduler which runs it.
    #[serde(default, with = "zone", skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Tz>,
    /// How long a run may take. Default: [`DEFAULT_TIMEOUT`].
    #[serde(rename = "timeout_s", with = "seconds", default = "default_timeout")]
    pub timeout: Duration,
    /// What the handler is given: at most 64 KiB of JSON. Default: `{}`.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
    /// How it behaves when things are not as planned. Its zone is given as
    /// [`timezone`](Self::timezone).
    #[serde(default)]
    pub policy: Policy,
    /// Who answers for it, for people. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it fires. Default: yes.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it was saved, of one that was read; 0 of one that is new. Who saves it says with it what he
    /// has seen.
    #[serde(default, with = "version", skip_serializing_if = "is_new")]
    pub version: Version,
}

impl StoredTask {
    /// A new one, without parameters, with the default timeout and policy.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, spec: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            spec: spec.into(),
            timezone: None,
            timeout: DEFAULT_TIMEOUT,
            parameters: no_parameters(),
            policy: Policy::default(),
            owner: None,
            description: String::new(),
            enabled: true,
            version: Version::default(),
        }
    }

    /// With these parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: Value) -> Self {
        self.parameters = parameters;
        self
    }

    /// With a spec that is about the clock of `zone`.
    #[must_use]
    pub fn timezone(mut self, zone: Tz) -> Self {
        self.timezone = Some(zone);
        self
    }

    /// With another timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With another policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// With somebody who answers for it.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// With a word on what it is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Firing, or not.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The policy as the engine wants it, with the zone.
    pub(crate) fn whole_policy(&self) -> Policy {
        let mut policy = self.policy.clone();
        policy.timezone = self.timezone.or(policy.timezone);
        policy
    }

    /// Whether a run of `other` would be the same but for what it is given and what people are told.
    pub(crate) fn is_planned_as(&self, other: &Self) -> bool {
        let plan = |task: &Self| (task.timezone, task.timeout, task.enabled);
        (&self.name, &self.kind, &self.spec) == (&other.name, &other.kind, &other.spec)
            && plan(self) == plan(other)
            && self.policy == other.policy
    }
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

fn no_parameters() -> Value {
    Value::Object(Map::new())
}

fn yes() -> bool {
    true
}

fn is_new(version: &Version) -> bool {
    *version == Version::default()
}

/// A version as its number.
mod version {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::fleet::Version;

    pub(super) fn serialize<S: Serializer>(version: &Version, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(version.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Version, D::Error> {
        u64::deserialize(from).map(Version::new)
    }
}
