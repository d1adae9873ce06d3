//! Begins what goes on beside the firings while there is a history: its writer, and a look now and
//! then at what it counts, for whoever listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::control::{Overridden, Rules, upcoming};
use crate::error::Result;
use crate::event::{Event, StoreOperation};
use crate::history::{Counters, History, HistoryWrite, TaskCounters, success_deadline};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::task::TaskName;

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(10);
/// So many tasks are looked at each time: if there are more, in turns.
const TASKS: usize = 5_000;
/// A history must answer in this time.
const LIMIT: Duration = Duration::from_secs(10);

/// Begins, if there is a history.
pub(crate) fn begin(engine: &Arc<Engine>) {
    let Some(writer) = engine.settings.history.clone() else {
        return;
    };
    tokio::spawn(writer.clone().run(engine.settings.lock.clone()));
    let engine = engine.clone();
    let begun = engine.settings.clock.now();
    tokio::spawn(async move {
        let mut first = 0;
        while !engine.quiet.is_cancelled() {
            // What cannot be read now can be read later; metrics leave out what is old.
            let looked = look(&engine, &*writer.history, begun, &mut first);
            if !matches!(tokio::time::timeout(LIMIT, looked).await, Ok(Ok(()))) {
                engine.announce(&Event::StoreFailed {
                    operation: StoreOperation::HistoryRead,
                });
            }
            tokio::select! {
                () = engine.quiet.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}

/// Reads what is counted of the tasks that have their turn, and announces it.
async fn look(
    engine: &Engine,
    history: &dyn History,
    begun: DateTime<Utc>,
    first: &mut usize,
) -> Result<()> {
    let mut entries = engine.registry.all();
    entries.retain(|entry| entry.is_first());
    if *first >= entries.len() {
        *first = 0;
    }
    let turn: Vec<&Arc<Entry>> = entries.iter().skip(*first).take(TASKS).collect();
    if turn.is_empty() {
        return Ok(());
    }
    let names: Vec<TaskName> = turn.iter().map(|entry| entry.name.clone()).collect();
    let counters = history.counters(&names).await?;
    let mut running: HashMap<TaskName, DateTime<Utc>> = HashMap::new();
    for run in history.running(None).await? {
        let since = running.entry(run.task).or_insert(run.started);
        *since = run.started.min(*since);
    }
    let failed_too_often = paused_by_failures(engine, &turn).await?;
    let now = engine.settings.clock.now();
    let rules = engine.steering.rules();
    let grace = engine.settings.success_grace;
    let mut writes = Vec::new();
    let tasks: Vec<TaskCounters> = turn
        .iter()
        .zip(counters)
        .map(|(entry, counters)| {
            let task = entry.name.clone();
            let mut counters = counters.unwrap_or_else(|| {
                let seen = task.clone();
                writes.push(HistoryWrite::Seen {
                    task: seen,
                    at: now,
                });
                Counters::known(now)
            });
            let excused = excused_until(entry, &rules, begun, now);
            if let Some(until) = excused.filter(|_| excused > counters.expected_since()) {
                // Rules are forgotten an hour after they have ended; a weekly task has to be excused for
                // longer.
                counters.excused_until = excused;
                writes.push(HistoryWrite::Excused { task, until });
            }
            let over = engine.steering.overridden(entry);
            let paused_since = rules.pause_of(entry.name.as_str(), now).map(|p| p.from);
            let mut counted = counted(entry, over.as_ref(), counters, now, grace);
            counted.running_since = running.get(&entry.name).copied();
            counted.paused_since = paused_since;
            if paused_since.is_some() {
                counted.success_deadline = None;
            } else if let Some(since) = failed_too_often.get(&entry.name) {
                // Nobody has wanted this: it has to succeed again nevertheless.
                counted.paused_since = Some(*since);
            }
            counted
        })
        .collect();
    *first += TASKS;
    engine.announce(&Event::Counted {
        tasks: tasks.into(),
    });
    if !writes.is_empty() {
        history.write(&writes).await?;
    }
    Ok(())
}

/// Until when nothing was expected of a task, by what is known here: the end of its last pause, or of its
/// last other schedule; for one that is defined at run time when it was saved while this scheduler ran. A task
/// of code may be registered late in each life of its process: that excuses nothing.
fn excused_until(
    entry: &Entry,
    rules: &Rules,
    begun: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let is_new = entry.kind.is_some() && entry.registered > begun;
    let saved = Some(entry.registered).filter(|_| is_new);
    rules.excused_until(entry.name.as_str(), now).max(saved)
}

/// Since when tasks are paused whose runs failed too often in a row: of a task in parts, the first part.
async fn paused_by_failures(
    engine: &Engine,
    turn: &[&Arc<Entry>],
) -> Result<HashMap<TaskName, DateTime<Utc>>> {
    let entries = turn.iter().filter(|e| e.policy.pause_after.is_some());
    let entries: Vec<Arc<Entry>> = entries
        .flat_map(|entry| engine.registry.named(&entry.name))
        .collect();
    let keys: Vec<TaskName> = entries.iter().map(|entry| entry.key.clone()).collect();
    let mut paused: HashMap<TaskName, DateTime<Utc>> = HashMap::new();
    if keys.is_empty() {
        return Ok(paused);
    }
    let last = engine.settings.lock.last_fired(&keys).await?;
    for (entry, last) in entries.iter().zip(last) {
        let most = entry.policy.pause_after;
        let Some(last) = last.filter(|last| most.is_some_and(|most| last.failures >= most)) else {
            continue;
        };
        if let Some(ended) = last.ended_at {
            let since = paused.entry(entry.name.clone()).or_insert(ended);
            *since = ended.min(*since);
        }
    }
    Ok(paused)
}

/// What is counted of a task, and what follows from its schedule, or from what somebody has put in its
/// place for a while.
fn counted(
    entry: &Entry,
    over: Option<&Overridden>,
    counters: Counters,
    now: DateTime<Utc>,
    grace: Duration,
) -> TaskCounters {
    let code = &*entry.schedule;
    let since = counters.expected_since().unwrap_or(now);
    let deadline = success_deadline(upcoming(code, over, since, 2), grace);
    let next = upcoming(code, over, now, 1).pop();
    let interval = next.and_then(|next| {
        let before = match over {
            Some(over) => over.prev_before(code, next),
            None => code.prev_before(next),
        };
        (next - before?).to_std().ok()
    });
    TaskCounters {
        task: entry.name.clone(),
        success_deadline: deadline,
        interval: code.delay().or(interval),
        running_since: None,
        paused_since: None,
        counters,
        timeout: entry.timeout,
    }
}
