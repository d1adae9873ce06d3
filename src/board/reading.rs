//! What is read for a snapshot, and kept for the next: of a store that is away what it said last.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::board::snapshot::{Read, gather};
use crate::board::strip::Strips;
use crate::board::summary::Store;
use crate::board::{Facts, Parts, Plans, Snapshot};
use crate::control::Instance;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Lock;
use crate::task::{Overlap, Scope, TaskName};

/// How long a store may take for all that is asked of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// An instance that was lost is shown for so long.
const SHOWN_LOST: TimeDelta = TimeDelta::minutes(10);

/// The lock's store is looked at closely that often, if somebody looks.
const DIAGNOSE: Duration = Duration::from_secs(300);
/// The leases of so many tasks are looked at.
const LEASES: usize = 500;
/// Ends of a lease that are no further apart are one.
const SAME: TimeDelta = TimeDelta::milliseconds(1_500);

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    read: Read,
    strips: Strips,
    stored: Vec<Facts>,
    fleet: Part,
    history: Part,
    lock: Part,
    /// When the lock's store was looked at closely; monotonic.
    diagnosed: Option<Duration>,
}

/// Whether a store answers.
#[derive(Debug, Default)]
struct Part {
    answered: Option<DateTime<Utc>>,
    /// Since when it does not, and why.
    down: Option<(DateTime<Utc>, String)>,
}

impl Part {
    /// Notes an answer, or that there was none.
    fn note<T>(&mut self, what: &str, answer: Result<T>, now: DateTime<Utc>) -> Option<T> {
        match answer {
            Ok(answer) => {
                (self.answered, self.down) = (Some(now), None);
                Some(answer)
            }
            Err(error) => {
                let since = self.answered.unwrap_or(now);
                let since = self.down.take().map_or(since, |(since, _)| since);
                self.down = Some((since, format!("{what} could not be read: {error}")));
                None
            }
        }
    }
}

impl Reading {
    /// Reads what there is.
    pub(crate) async fn read(&mut self, parts: &Parts, plans: &Plans) -> Snapshot {
        let began = parts.clock.now();
        self.read_fleet(parts, began).await;
        let own = parts.local.as_ref().map(|local| local.tasks());
        let (stored, instances) = (self.stored.clone(), &self.read.instances);
        self.read.facts = gather(own.unwrap_or_default(), stored, instances, parts.zone);
        self.read_history(parts, began).await;
        self.read_lock(parts, began).await;
        let parts_down = [&self.fleet, &self.history, &self.lock];
        let down = parts_down.iter().filter_map(|part| part.down.clone());
        self.read.stale = down.min_by_key(|(since, _)| *since);
        // By the time it is judged, what was read is no older than it says.
        Snapshot::judge(&self.read, &self.strips, plans, parts.clock.now())
    }

    async fn read_fleet(&mut self, parts: &Parts, now: DateTime<Utc>) {
        let own = parts.local.as_ref().and_then(|local| local.instance());
        self.read.this = own.as_ref().map(|own| own.id.clone());
        let Some(control) = &parts.control else {
            self.read.instances = own.into_iter().collect();
            return;
        };
        let answer = limited("the fleet's store", async {
            tokio::try_join!(control.instances(), control.rules(), stored(parts))
        });
        let answer = self.fleet.note("the fleet", answer.await, now);
        if let Some((instances, rules, stored)) = answer {
            self.read.instances = with_lost(&self.read.instances, instances, now);
            self.read.rules = rules;
            self.stored = stored;
        }
        if let Some(mut own) = own {
            // Of itself it knows more than its record, but for how long that took to write.
            let known = self.read.instances.iter().find(|one| one.id == own.id);
            own.store_round_trip_ms = known.and_then(|known| known.store_round_trip_ms);
            self.read.instances.retain(|instance| instance.id != own.id);
            self.read.instances.push(own);
            self.read.instances.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }

    async fn read_history(&mut self, parts: &Parts, now: DateTime<Utc>) {
        let Some(history) = &parts.history else {
            return;
        };
        let facts = self.read.facts.iter();
        let names: Vec<TaskName> = facts.map(|facts| facts.name.clone()).collect();
        let strips = &mut self.strips;
        let answer = limited("the history", async {
            let counters = history.counters(&names);
            let (counters, running) = tokio::try_join!(counters, history.running(None))?;
            let counted: Vec<_> = names.iter().cloned().zip(counters).collect();
            strips.follow(&**history, &counted).await?;
            Ok((counted, running))
        });
        let answer = self.history.note("the history", answer.await, now);
        if let Some((counted, running)) = answer {
            let known = counted.into_iter();
            let known = known.filter_map(|(task, counters)| Some((task, counters?)));
            self.read.counters = known.collect();
            self.read.running = running;
        }
    }

    async fn read_lock(&mut self, parts: &Parts, now: DateTime<Utc>) {
        let Some(lock) = &parts.lock else {
            return;
        };
        let facts = self.read.facts.iter();
        let judged: Vec<(TaskName, Vec<TaskName>)> = facts
            .filter_map(|facts| {
                let policy = &facts.policy.as_ref()?.0;
                policy.pause_after?;
                let keys = match policy.scope {
                    Scope::Sharded(count) => (0..count).map(|n| facts.name.part(n)).collect(),
                    _ => vec![facts.name.clone()],
                };
                Some((facts.name.clone(), keys))
            })
            .collect();
        let locked = self.locked();
        let asked = parts.clock.monotonic();
        let (answer, leases) = tokio::join!(
            limited("the lock's store", failures(&**lock, &judged)),
            limited("the lock's store", leases(&**lock, &locked)),
        );
        let took = parts.clock.monotonic().saturating_sub(asked);
        let is_asked = !judged.is_empty() || !locked.is_empty();
        self.note_leases(&locked, leases.unwrap_or_default(), parts.clock.now());
        self.diagnose(&**lock, asked).await;
        let answer = match is_asked {
            true => self.lock.note("the lock", answer, now),
            false => {
                // Nobody has asked: then only the instance knows.
                self.lock.down = None;
                answer.ok()
            }
        };
        if let Some(failures) = answer {
            self.read.failures = failures;
        }
        let down = parts
            .local
            .as_ref()
            .and_then(|local| local.store_down_since());
        let down = down.or(self.lock.down.as_ref().map(|(since, _)| *since));
        self.read.store = Some(Store {
            status: if down.is_some() { "down" } else { "ok" }.to_owned(),
            place: Some(lock.describe()),
            down_since: down.map(Into::into),
            latency_s: is_asked.then(|| crate::board::seconds(took)),
        });
        if let Some(since) = down
            && self.lock.down.is_none()
        {
            let text = "the lock's store does not answer".to_owned();
            self.lock.down = Some((since, text));
        }
    }

    /// Tasks that run, and have one lock.
    fn locked(&self) -> Vec<TaskName> {
        let instances = self.read.instances.iter();
        let told = instances.flat_map(|instance| instance.running.iter().map(|run| &run.task));
        let known = self.read.running.iter().map(|run| &run.task);
        let running: HashSet<&TaskName> = told.chain(known).collect();
        let facts = self.read.facts.iter();
        let locked = facts.filter(|facts| {
            let policy = facts.policy.as_ref().map(|(policy, _)| policy);
            running.contains(&facts.name)
                && policy.is_some_and(|policy| {
                    policy.scope == Scope::Once && !matches!(policy.overlap, Overlap::Allow(_))
                })
        });
        locked
            .map(|facts| facts.name.clone())
            .take(LEASES)
            .collect()
    }

    /// Notes when leases end. An end that is where it was, but for the time that the answer took, stays
    /// there: that is no news.
    fn note_leases(
        &mut self,
        locked: &[TaskName],
        left: Vec<Option<Duration>>,
        now: DateTime<Utc>,
    ) {
        let before = std::mem::take(&mut self.read.leases);
        for (task, left) in locked.iter().zip(left) {
            let left = left.and_then(|left| TimeDelta::from_std(left).ok());
            let Some(ends) = left.and_then(|left| now.checked_add_signed(left)) else {
                continue;
            };
            let known = before.get(task).copied();
            let is_same = |known: &DateTime<Utc>| (*known - ends).abs() < SAME;
            let ends = known.filter(is_same).unwrap_or(ends);
            self.read.leases.insert(task.clone(), ends);
        }
    }

    /// Looks now and then at what the lock's store is.
    async fn diagnose(&mut self, lock: &dyn Lock, now: Duration) {
        let is_due = |at: Duration| now.saturating_sub(at) >= DIAGNOSE;
        if self.diagnosed.is_none_or(is_due) {
            self.diagnosed = Some(now);
            if let Ok(found) = limited("the lock's store", lock.diagnose()).await {
                self.read.findings = found.findings().to_vec();
            }
        }
    }
}

async fn leases(lock: &dyn Lock, locked: &[TaskName]) -> Result<Vec<Option<Duration>>> {
    match locked {
        [] => Ok(Vec::new()),
        some => lock.leases(some).await,
    }
}

/// How many runs in a row have failed of each task: the most of its parts.
async fn failures(
    lock: &dyn Lock,
    judged: &[(TaskName, Vec<TaskName>)],
) -> Result<HashMap<TaskName, u32>> {
    let keys: Vec<TaskName> = judged.iter().flat_map(|(_, keys)| keys).cloned().collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut states = lock.last_fired(&keys).await?.into_iter();
    let of = |(task, keys): &(TaskName, Vec<TaskName>)| {
        let states = states.by_ref().take(keys.len());
        let most = states
            .map(|state| state.map_or(0, |state| state.failures))
            .max();
        (task.clone(), most.unwrap_or_default())
    };
    Ok(judged.iter().map(of).collect())
}

#[cfg(feature = "dynamic")]
async fn stored(parts: &Parts) -> Result<Vec<Facts>> {
    let Some(store) = &parts.store else {
        return Ok(Vec::new());
    };
    let stored = store.list().await?.tasks;
    let facts = stored
        .iter()
        .filter_map(|task| Facts::stored(task, parts.zone));
    Ok(facts.collect())
}

#[cfg(not(feature = "dynamic"))]
async fn stored(_: &Parts) -> Result<Vec<Facts>> {
    Ok(Vec::new())
}

/// Those that there are, and those that were there and have not said that they go.
fn with_lost(before: &[Instance], mut there: Vec<Instance>, now: DateTime<Utc>) -> Vec<Instance> {
    let is_lost = |old: &&Instance| {
        let is_gone = !there.iter().any(|instance| instance.id == old.id);
        is_gone && !old.is_stopping && now - old.said < SHOWN_LOST
    };
    let lost: Vec<Instance> = before.iter().filter(is_lost).cloned().collect();
    there.extend(lost);
    there.sort_by(|a, b| a.id.cmp(&b.id));
    there
}

/// Waits for a store, though not for ever.
async fn limited<T>(what: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| {
            let text = format!("{what} did not answer within {PATIENCE:?}");
            Err(Error::new(ErrorKind::StoreUnavailable, text))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, said: &str, is_stopping: bool) -> Instance {
        let text = format!(
            r#"{{"id":"{id}","host":"h","version":"1","started":0,"said":0,"task_count":0,"is_stopping":{is_stopping}}}"#
        );
        let mut instance: Instance = serde_json::from_str(&text).unwrap();
        instance.said = said.parse().unwrap();
        instance
    }

    #[test]
    fn an_instance_that_is_gone_without_a_word_is_shown_for_ten_minutes() {
        let now: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        let before = [
            instance("a", "2026-11-21T09:59:58Z", false),
            instance("dead", "2026-11-21T09:55:00Z", false),
            instance("gone", "2026-11-21T09:59:40Z", true),
            instance("long-dead", "2026-11-21T09:49:00Z", false),
        ];
        let there = vec![
            instance("a", "2026-11-21T09:59:59Z", false),
            instance("b", "2026-11-21T09:59:59Z", false),
        ];
        let all = with_lost(&before, there, now);
        let ids: Vec<&str> = all.iter().map(|instance| instance.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "dead"]);
        let shown =
            crate::board::Instance::of(all.last().unwrap(), &Default::default(), false, now);
        assert_eq!(shown.state, crate::board::InstanceState::Lost);
    }
}
