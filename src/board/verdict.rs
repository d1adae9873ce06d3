//! Whether anything is wrong, in a sentence. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::board::instance::and;
use crate::board::{Health, Stamp, Task, span};

/// So many groups are named in the sentence.
const NAMED: usize = 3;
/// So many tasks of a group.
const TASKS: usize = 3;

/// Whether anything is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Verdict {
    /// In a sentence.
    pub(crate) text: String,
    /// Whether nothing needs attention, and that is known.
    pub(crate) is_well: bool,
    /// What needs it, worst first; tasks that share an error are together.
    pub(crate) attention: Vec<Attention>,
}

/// Tasks that need attention for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "admin", derive(schemars::JsonSchema))]
pub(crate) struct Attention {
    /// How they are.
    pub(crate) health: Health,
    /// Their names.
    pub(crate) tasks: Vec<String>,
    /// The same in words.
    pub(crate) text: String,
}

/// That on all tasks, worst first. What is not known any more since `stale_since` is no good news.
pub(crate) fn verdict(tasks: &[&Task], stale_since: Option<Stamp>, now: DateTime<Utc>) -> Verdict {
    let attention = attention(tasks, now);
    let count: usize = attention.iter().map(|group| group.tasks.len()).sum();
    let all = match tasks.len() {
        1 => "1 task".to_owned(),
        n => format!("{n} tasks"),
    };
    let mut text = match (count, tasks.len()) {
        (_, 0) => "no task is known".to_owned(),
        (0, 1) => "1 task, and it is well".to_owned(),
        (0, _) => format!("{all}, none needs attention"),
        (1, n) => format!("1 of {n} tasks needs attention"),
        (count, n) => format!("{count} of {n} tasks need attention"),
    };
    let mut parts: Vec<String> = attention
        .iter()
        .take(NAMED)
        .map(|group| group.text.clone())
        .collect();
    if attention.len() > NAMED {
        parts.push(format!("and {} more", attention.len() - NAMED));
    }
    if attention.is_empty() {
        let late = tasks
            .iter()
            .filter(|task| task.health == Health::Late)
            .count();
        let paused = tasks
            .iter()
            .filter(|task| task.health == Health::Paused)
            .count();
        parts.extend((late > 0).then(|| format!("{late} late")));
        parts.extend((paused > 0).then(|| format!("{paused} paused")));
        let next = tasks
            .iter()
            .filter_map(|task| Some((task.next_fire_at?, &task.name)))
            .min();
        parts.extend(next.map(|(at, name)| {
            let wait = (at.0 - now).to_std().unwrap_or_default();
            format!("next is {name} in {}", span(wait))
        }));
    }
    if !parts.is_empty() {
        text = format!("{text}: {}", parts.join("; "));
    }
    if let Some(since) = stale_since {
        let at = since.0.format("%H:%M:%S");
        text = format!("no data since {at} UTC; before that {text}");
    }
    Verdict {
        text,
        is_well: attention.is_empty() && stale_since.is_none(),
        attention,
    }
}

fn attention(tasks: &[&Task], now: DateTime<Utc>) -> Vec<Attention> {
    let mut by_error: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.health == Health::Failing) {
        if let Some(error) = error_of(task) {
            by_error.entry(error).or_default().push(task);
        }
    }
    by_error.retain(|_, tasks| tasks.len() > 1);
    let mut told: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for task in tasks.iter().filter(|task| task.health.needs_attention()) {
        let shared = error_of(task).filter(|_| task.health == Health::Failing);
        let shared = shared.and_then(|error| by_error.get_key_value(error));
        let Some((error, group)) = shared else {
            found.push(Attention {
                health: task.health,
                tasks: vec![task.name.clone()],
                text: told_of(task, now),
            });
            continue;
        };
        if told.contains(error) {
            continue;
        }
        told.push(error);
        let names: Vec<String> = group.iter().map(|task| task.name.clone()).collect();
        let mut shown: Vec<String> = names.iter().take(TASKS).cloned().collect();
        if names.len() > TASKS {
            shown.push(format!("{} more", names.len() - TASKS));
        }
        found.push(Attention {
            health: Health::Failing,
            text: format!("{} share \"{error}\": {}", names.len(), and(&shown)),
            tasks: names,
        });
    }
    found
}

fn error_of(task: &Task) -> Option<&str> {
    task.last_run.as_ref()?.error.as_deref()
}

fn told_of(task: &Task, now: DateTime<Utc>) -> String {
    let name = &task.name;
    match (
        task.health,
        task.success_deadline_at,
        task.consecutive_failures,
    ) {
        (Health::Overdue, Some(deadline), failures) => {
            let by = span((now - deadline.0).to_std().unwrap_or_default());
            match failures {
                0 => format!("{name} is overdue by {by}"),
                1 => format!("{name} is overdue by {by}, its last run failed"),
                n => format!("{name} is overdue by {by}, its last {n} runs failed"),
            }
        }
        (_, _, 1) => match error_of(task) {
            Some(error) => format!("{name} has failed: {error}"),
            None => format!("{name} has failed"),
        },
        (_, _, n) => format!("{name} has failed {n} times in a row"),
    }
}
