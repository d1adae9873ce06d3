//! An instance, for people.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::board::Stamp;
use crate::control::{self, Rules};
use crate::text::contained_line;

/// Not heard of for so long, it is lost.
const LOST_AFTER: TimeDelta = TimeDelta::seconds(10);

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum InstanceState {
    /// It takes firings.
    Ready,
    /// Somebody has asked it to take none.
    Draining,
    /// It has not started to fire, or it stops.
    Stopping,
    /// It was not heard of for 10 s, and had not said that it goes.
    Lost,
}

#[cfg(feature = "cli")]
impl InstanceState {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            InstanceState::Ready => "ready",
            InstanceState::Draining => "draining",
            InstanceState::Stopping => "stopping",
            InstanceState::Lost => "lost",
        }
    }
}

/// An instance, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Instance {
    /// Its id.
    pub(crate) id: String,
    /// The host it is on.
    pub(crate) host: String,
    /// What it does.
    pub(crate) state: InstanceState,
    /// The version of the application, if it says so.
    pub(crate) application: Option<String>,
    /// The version of tasklock.
    pub(crate) version: String,
    /// When it was started, by its clock.
    pub(crate) started_at: Stamp,
    /// When it was heard of last, by its clock.
    pub(crate) said_at: Stamp,
    /// How many runs go on there.
    pub(crate) running: usize,
    /// How many may, if that is limited.
    pub(crate) limit: Option<u32>,
    /// How many tasks are registered there.
    pub(crate) tasks: usize,
    /// How far the clock of the lock's store is ahead of its own, in seconds.
    pub(crate) clock_skew_s: Option<f64>,
    /// How long the fleet's store took to answer it last, in seconds.
    pub(crate) store_round_trip_s: Option<f64>,
    /// Who asked it to drain, and why.
    pub(crate) drain: Option<Drain>,
    /// Whether it is the one that answers.
    pub(crate) is_this: bool,
}

/// Who asked an instance to drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Drain {
    /// Who.
    pub(crate) actor: String,
    /// Why.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) from: Stamp,
}

impl Instance {
    pub(crate) fn of(
        instance: &control::Instance,
        rules: &Rules,
        is_this: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let drain = rules.drain_of(&instance.id);
        let is_lost = !is_this && now - instance.said > LOST_AFTER;
        let line = |text: &String| contained_line(text, 256);
        Self {
            id: line(&instance.id),
            host: line(&instance.host),
            state: match (is_lost, instance.is_stopping, drain) {
                (true, _, _) => InstanceState::Lost,
                (_, true, _) => InstanceState::Stopping,
                (_, _, Some(_)) => InstanceState::Draining,
                _ => InstanceState::Ready,
            },
            application: instance.application.as_ref().map(line),
            version: line(&instance.version),
            started_at: instance.started.into(),
            said_at: instance.said.into(),
            running: instance.running.len() + instance.runs_left_out(),
            limit: instance.limit,
            tasks: instance.task_count,
            clock_skew_s: instance.clock_offset_ms.map(|ms| ms as f64 / 1e3),
            store_round_trip_s: instance.store_round_trip_ms.map(|ms| ms as f64 / 1e3),
            drain: drain.map(|drain| Drain {
                actor: drain.by.actor().to_owned(),
                reason: drain.by.reason().to_owned(),
                from: drain.from.into(),
            }),
            is_this,
        }
    }
}

/// How the instances are, in a sentence: `2 of 3 instances are ready; api-3 was not heard of for 47 s`.
pub(crate) fn told(instances: &[Instance], now: DateTime<Utc>) -> String {
    let ready = instances.iter().filter(|i| i.state == InstanceState::Ready);
    let (ready, all) = (ready.count(), instances.len());
    let mut parts = vec![match (ready, all) {
        (_, 0) => "no instance is known".to_owned(),
        (1, 1) => "1 instance is ready".to_owned(),
        (ready, all) if ready == all => format!("all {all} instances are ready"),
        (ready, all) => format!("{ready} of {all} instances are ready"),
    }];
    for instance in instances {
        let id = &instance.id;
        match instance.state {
            InstanceState::Ready => {}
            InstanceState::Draining => parts.push(match &instance.drain {
                Some(drain) => format!("{id} drains, as {} wants it", drain.actor),
                None => format!("{id} drains"),
            }),
            InstanceState::Stopping => parts.push(format!("{id} stops")),
            InstanceState::Lost => {
                let silent = (now - instance.said_at.0).to_std().unwrap_or_default();
                let held = match instance.running {
                    0 => "it had no run".to_owned(),
                    1 => "it had 1 run".to_owned(),
                    n => format!("it had {n} runs"),
                };
                let silent = crate::board::span(silent);
                parts.push(format!("{id} was not heard of for {silent}, {held}"));
            }
        }
    }
    let mut versions: Vec<&str> = instances
        .iter()
        .map(|i| i.application.as_deref().unwrap_or(&i.version))
        .collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        parts.push(format!("versions {} are mixed", and(&versions)));
    }
    parts.join("; ")
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
