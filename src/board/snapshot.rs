//! All that people look at, as it was at one moment. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::board::entry::Seen;
use crate::board::instance::told;
use crate::board::locked::locks;
use crate::board::strip::Strips;
use crate::board::summary::{Instances, Next, Store};
use crate::board::task::Active;
use crate::board::verdict::verdict;
use crate::board::{
    Entry, Facts, Health, Instance, InstanceState, Lock, Pause, Plans, Stamp, Summary, Task,
};
use crate::control::{self, Drift, Rules, drifts};
use crate::history::{Counters, RunRecord};
use crate::lock::Finding;
use crate::task::TaskName;

/// All that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Read {
    /// The instances that there are, and those that were lost lately.
    pub(crate) instances: Vec<control::Instance>,
    /// The one that reads, if it is one.
    pub(crate) this: Option<String>,
    pub(crate) rules: Rules,
    /// What each task is, by whoever knows best.
    pub(crate) facts: Vec<Arc<Facts>>,
    pub(crate) counters: HashMap<TaskName, Counters>,
    pub(crate) running: Vec<RunRecord>,
    /// How many runs in a row have failed, as the lock counts it.
    pub(crate) failures: HashMap<TaskName, u32>,
    /// When leases end if they are not renewed.
    pub(crate) leases: HashMap<TaskName, DateTime<Utc>>,
    /// What the lock's store is, and what is wrong with it.
    pub(crate) findings: Vec<Finding>,
    pub(crate) store: Option<Store>,
    /// Since when some of it is old, and why.
    pub(crate) stale: Option<(DateTime<Utc>, String)>,
}

/// All that people look at, as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// Since when some of it is old, and why.
    pub(crate) stale: Option<(Stamp, String)>,
    /// The tasks, worst first.
    pub(crate) entries: Vec<Entry>,
    /// Where each of them is there.
    places: HashMap<String, usize>,
    /// The instances, by their ids.
    pub(crate) instances: Vec<Instance>,
    /// The locks that are held, by task.
    pub(crate) locks: Vec<Lock>,
    /// Tasks that are not the same everywhere.
    #[allow(dead_code)] // shown by pages and commands
    pub(crate) drifts: Vec<Drift>,
    /// What people want.
    pub(crate) rules: Rules,
    /// What the lock's store is, and what is wrong with it.
    #[cfg_attr(not(feature = "admin"), allow(dead_code))] // of the page
    pub(crate) findings: Vec<Finding>,
    /// All of it in short.
    pub(crate) summary: Summary,
}

impl Snapshot {
    /// What follows from all of it at `now`.
    pub(crate) fn judge(read: &Read, strips: &Strips, plans: &Plans, now: DateTime<Utc>) -> Self {
        let rules = &read.rules;
        let is_this = |id: &str| read.this.as_deref() == Some(id);
        let instances = read.instances.iter();
        let instances: Vec<Instance> = instances
            .map(|i| Instance::of(i, rules, is_this(&i.id), now))
            .collect();
        let is_there = |id: &str| {
            let there = instances.iter().find(|instance| instance.id == id);
            there.is_some_and(|instance| instance.state != InstanceState::Lost)
        };
        let living: Vec<control::Instance> = read
            .instances
            .iter()
            .filter(|i| is_there(&i.id))
            .cloned()
            .collect();
        let drifts = drifts(&living);
        let ttls: HashMap<&str, _> = read
            .facts
            .iter()
            .filter_map(|facts| Some((facts.name.as_str(), facts.policy.as_ref()?.0.lease_ttl)))
            .collect();
        let ttl = |task: &str| ttls.get(task).copied();
        let locks = locks(&living, &read.running, ttl, |task| {
            read.leases.get(task).copied()
        });
        let mut active: HashMap<&str, Vec<Active>> = HashMap::new();
        for lock in &locks {
            active.entry(&lock.task).or_default().push(Active {
                id: lock.run_id.clone(),
                instance: lock.holder.clone(),
                started_at: lock.since,
                fencing_token: lock.fencing_token,
                lease_ends_at: lock.lease_ends_at,
            });
        }
        let registered = registered(&living);
        let mut entries: Vec<Entry> = read
            .facts
            .iter()
            .map(|facts| {
                let name = &facts.name;
                let mut active = active.remove(name.as_str()).unwrap_or_default();
                active.sort_by_key(|run| run.started_at);
                let seen = Seen {
                    counters: read.counters.get(name),
                    strip: strips.of(name),
                    active,
                    failures: read.failures.get(name).copied().unwrap_or_default(),
                    registered_on: registered.get(name).map_or(0, |on| on.all),
                    handler_on: registered.get(name).map_or(0, |on| on.with_handler),
                    instances: living.len(),
                    drifts: drifts.iter().any(|drift| drift.task == *name),
                };
                Entry::judge(facts.clone(), seen, rules, plans, now)
            })
            .collect();
        entries.sort_by(|a, b| a.place().cmp(&b.place()));
        let named = entries.iter().enumerate();
        let places = named
            .map(|(n, entry)| (entry.task.name.clone(), n))
            .collect();
        let stale = read.stale.as_ref();
        let stale = stale.map(|(since, why)| (Stamp(*since), why.clone()));
        let summary = summary(read, stale.as_ref(), &entries, &instances, locks.len(), now);
        Self {
            at: now,
            stale,
            places,
            entries,
            instances,
            locks,
            drifts,
            rules: read.rules.clone(),
            findings: read.findings.clone(),
            summary,
        }
    }

    /// A task.
    pub(crate) fn entry(&self, task: &str) -> Option<&Entry> {
        self.entries.get(*self.places.get(task)?)
    }

    /// The tasks, worst first.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.entries.iter().map(|entry| &entry.task)
    }

    /// Names of tasks that look like `name`, which is none, best first: three at the most.
    pub(crate) fn similar(&self, name: &str) -> Vec<&str> {
        let name: String = name.chars().take(TaskName::MAX_LEN).collect();
        let most = name.len() / 3 + 1;
        let mut found: Vec<(usize, &str)> = self
            .tasks()
            .map(|task| (distance(&name, &task.name), task.name.as_str()))
            .filter(|(distance, other)| *distance <= most || other.contains(name.as_str()))
            .collect();
        found.sort_unstable();
        found.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// On how many instances a task is.
#[derive(Debug, Clone, Copy, Default)]
struct On {
    all: usize,
    with_handler: usize,
}

/// How many of `instances` say that they have each task.
fn registered(instances: &[control::Instance]) -> HashMap<&TaskName, On> {
    let mut found: HashMap<&TaskName, On> = HashMap::new();
    for task in instances.iter().flat_map(|instance| &instance.tasks) {
        let on = found.entry(&task.name).or_default();
        on.all += 1;
        on.with_handler += usize::from(!task.lacks_kind);
    }
    found
}

fn summary(
    read: &Read,
    stale: Option<&(Stamp, String)>,
    entries: &[Entry],
    instances: &[Instance],
    running: usize,
    now: DateTime<Utc>,
) -> Summary {
    let tasks: Vec<&Task> = entries.iter().map(|entry| &entry.task).collect();
    let mut counts: BTreeMap<Health, usize> = Health::ALL.iter().map(|h| (*h, 0)).collect();
    for task in &tasks {
        *counts.entry(task.health).or_default() += 1;
    }
    let next = tasks
        .iter()
        .filter_map(|task| Some((task.next_fire_at?, &task.name)));
    let all = read.rules.pauses(now).into_iter();
    let all = all.filter(|pause| pause.task.is_none() && pause.from <= now);
    let ready = instances.iter().filter(|i| i.state == InstanceState::Ready);
    Summary {
        at: now.into(),
        stale_since: stale.map(|(since, _)| *since),
        trouble: stale.map(|(_, why)| why.clone()),
        verdict: verdict(&tasks, stale.map(|(since, _)| *since), now),
        tasks: counts,
        running,
        next: next.min().map(|(at, task)| Next {
            task: task.clone(),
            at,
        }),
        pause: all.map(Pause::of).next(),
        instances: Instances {
            total: instances.len(),
            ready: ready.count(),
            text: told(instances, now),
            this: read.this.clone(),
        },
        store: read.store.clone().unwrap_or_else(|| Store {
            status: "unknown".to_owned(),
            place: None,
            down_since: None,
            latency_s: None,
        }),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The facts of all tasks, each by whoever knows best: this instance, the store of tasks, others.
pub(crate) fn gather(
    own: Vec<Facts>,
    stored: Vec<Facts>,
    instances: &[control::Instance],
    zone: Tz,
) -> Vec<Arc<Facts>> {
    let mut all: BTreeMap<TaskName, Facts> = BTreeMap::new();
    for task in instances.iter().flat_map(|instance| &instance.tasks) {
        all.entry(task.name.clone())
            .or_insert_with(|| Facts::told(task, zone));
    }
    for facts in stored {
        // Code that has the name owns it, as far as it is known.
        match all.get_mut(&facts.name) {
            Some(told) if told.kind.is_none() && told.policy.is_some() => {}
            _ => drop(all.insert(facts.name.clone(), facts)),
        }
    }
    for mut facts in own {
        if let Some(told) = all.get(&facts.name)
            && facts.kind.is_some()
        {
            // Whether it is switched on, who stored it and why only its record says.
            facts.is_enabled = told.is_enabled;
            facts.version = told.version;
            facts.description = told.description.clone();
            facts.source = told.source.clone();
        }
        all.insert(facts.name.clone(), facts);
    }
    all.into_values().map(Arc::new).collect()
}

/// How many letters have to change to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = usize::from(x != *y);
            left = (diagonal + cost).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_that_change() {
        for (a, b, d) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("invoices.sync", "invoice.sync", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
