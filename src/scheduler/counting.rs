//! Begins what goes on beside the firings while there is a history: its writer, and a look now and
//! then at what it counts, for whoever listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::event::{Event, StoreOperation};
use crate::history::{Counters, History, HistoryWrite, TaskCounters, success_deadline};
use crate::schedule::Schedule;
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
    tokio::spawn(async move {
        let mut first = 0;
        while !engine.quiet.is_cancelled() {
            // What cannot be read now can be read later; metrics leave out what is old.
            let looked = look(&engine, &*writer.history, &mut first);
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
async fn look(engine: &Engine, history: &dyn History, first: &mut usize) -> Result<()> {
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
    let now = engine.settings.clock.now();
    let rules = engine.steering.rules();
    let seen: Vec<HistoryWrite> = names
        .iter()
        .zip(&counters)
        .filter(|(_, counters)| counters.is_none())
        .map(|(task, _)| HistoryWrite::Seen {
            task: task.clone(),
            at: now,
        })
        .collect();
    let tasks: Vec<TaskCounters> = turn
        .iter()
        .zip(counters)
        .map(|(entry, counters)| {
            let counters = counters.unwrap_or_default();
            let other = engine.steering.overridden(entry);
            let other = other.filter(|other| other.from <= now && now < other.until);
            let schedule = other.map_or_else(|| (*entry.schedule).clone(), |other| other.schedule);
            let paused_since = rules.pause_of(entry.name.as_str(), now).map(|p| p.from);
            let grace = engine.settings.success_grace;
            let mut counted = counted(entry, &schedule, counters, now, grace);
            counted.running_since = running.get(&entry.name).copied();
            counted.paused_since = paused_since;
            if paused_since.is_some() {
                counted.success_deadline = None;
            }
            counted
        })
        .collect();
    *first += TASKS;
    engine.announce(&Event::Counted {
        tasks: tasks.into(),
    });
    if !seen.is_empty() {
        history.write(&seen).await?;
    }
    Ok(())
}

/// What is counted of a task, and what follows from its schedule.
fn counted(
    entry: &Entry,
    schedule: &Schedule,
    counters: Counters,
    now: DateTime<Utc>,
    grace: Duration,
) -> TaskCounters {
    let since = counters
        .last_success
        .or(counters.known_since)
        .unwrap_or(now);
    let next = schedule.next_after(now);
    let interval = next.and_then(|next| (next - schedule.prev_before(next)?).to_std().ok());
    TaskCounters {
        task: entry.name.clone(),
        success_deadline: success_deadline(schedule, since, grace),
        interval: schedule.delay().or(interval),
        running_since: None,
        paused_since: None,
        counters,
        timeout: entry.timeout,
    }
}
