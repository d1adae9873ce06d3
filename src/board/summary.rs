//! All of it in a few numbers and two sentences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::board::{Health, Pause, Stamp, Verdict};

/// All of it in a few numbers and two sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Summary {
    /// When this was read.
    pub(crate) at: Stamp,
    /// Since when some of it could not be read: the rest is as it was then.
    pub(crate) stale_since: Option<Stamp>,
    /// What could not be read, in words.
    pub(crate) trouble: Option<String>,
    /// Whether anything is wrong with tasks.
    pub(crate) verdict: Verdict,
    /// How many tasks there are of each health; all words are there.
    #[cfg_attr(feature = "admin", schemars(with = "BTreeMap<String, usize>"))]
    pub(crate) tasks: BTreeMap<Health, usize>,
    /// How many runs go on.
    pub(crate) running: usize,
    /// The task that fires next.
    pub(crate) next: Option<Next>,
    /// The pause of all tasks, if they are paused.
    pub(crate) pause: Option<Pause>,
    /// How the instances are.
    pub(crate) instances: Instances,
    /// The lock's store, as far as the instance that answers knows.
    pub(crate) store: Store,
    /// The version of tasklock that answers.
    pub(crate) version: String,
}

/// The task that fires next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Next {
    /// Its name.
    pub(crate) task: String,
    /// When.
    pub(crate) at: Stamp,
}

/// How the instances are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Instances {
    /// How many there are, lost ones too.
    pub(crate) total: usize,
    /// How many take firings.
    pub(crate) ready: usize,
    /// In a sentence.
    pub(crate) text: String,
    /// The one that answers, if it is one.
    pub(crate) this: Option<String>,
}

/// A store, as far as somebody knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Store {
    /// `ok`, `down` or `unknown`.
    pub(crate) status: String,
    /// Where it is; never with a secret.
    pub(crate) place: Option<String>,
    /// Since when it does not answer.
    pub(crate) down_since: Option<Stamp>,
    /// How long it took to answer last, in seconds.
    pub(crate) latency_s: Option<f64>,
}
