//! Many tasks that are due in the same second: told once, at the start.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event::Event;
use crate::scheduler::registry::Entry;
use crate::task::TaskName;

/// So many tasks in one second are told of.
const MANY: usize = 100;
/// So many of them are named.
const NAMED: usize = 3;

/// The second in which most tasks are due next, if there are many. Each task is looked at once, by its next
/// fire time, so that a hundred thousand take milliseconds; that tasks meet later is not seen. Those whose
/// starts are drawn at random do not count, and those of a spread do when they start.
pub(crate) fn fullest(entries: &[Arc<Entry>]) -> Option<Event> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for second in entries.iter().filter_map(|entry| second_of(entry)) {
        *counts.entry(second).or_default() += 1;
    }
    // Of several the first in time.
    let order = |(second, count): &(i64, usize)| (*count, std::cmp::Reverse(*second));
    let (second, count) = counts.into_iter().max_by_key(order)?;
    if count < MANY {
        return None;
    }
    let is_in = |entry: &&Arc<Entry>| second_of(entry) == Some(second);
    let tasks = entries.iter().filter(is_in).map(|entry| entry.name.clone());
    Some(Event::TasksCollide {
        at: DateTime::<Utc>::from_timestamp(second, 0)?,
        count,
        tasks: tasks.take(NAMED).collect::<Arc<[TaskName]>>(),
    })
}

/// The second in which a task starts next.
fn second_of(entry: &Entry) -> Option<i64> {
    if !entry.is_first() || entry.is_driven || !entry.policy.jitter.is_zero() {
        return None;
    }
    let next = entry.slot().next_fire?;
    Some((next + entry.spread).timestamp())
}
