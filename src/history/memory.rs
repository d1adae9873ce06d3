//! The history of a service of one process.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Result;
use crate::event::Outcome;
use crate::history::query::{MOST_RUNNING, MOST_RUNS};
use crate::history::stored::StoredStatus;
use crate::history::{
    Counters, DecisionRecord, History, HistoryWrite, LogLine, LogTail, Retention, RunPage,
    RunQuery, RunRecord,
};
use crate::task::{Progress, RunId, TaskName};
use crate::time::{Clock, SystemClock};

/// A [`History`] that lives in this process's memory: for tests, and for a service of one process.
/// Clones share what they hold; nothing survives the process.
#[derive(Debug, Clone)]
pub struct MemoryHistory {
    clock: Arc<dyn Clock>,
    retention: Retention,
    // Held for one operation.
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    runs: BTreeMap<RunId, RunRecord>,
    running: HashSet<RunId>,
    tasks: HashMap<TaskName, OfTask>,
    counters: HashMap<TaskName, Counters>,
    logs: HashMap<RunId, VecDeque<LogLine>>,
    statuses: HashMap<RunId, Said>,
    alive: HashMap<String, DateTime<Utc>>,
}

/// What a run says of itself, and until when.
#[derive(Debug)]
struct Said {
    until: DateTime<Utc>,
    status: Option<String>,
    progress: Option<Progress>,
}

#[derive(Debug, Default)]
struct OfTask {
    runs: VecDeque<RunId>,
    logged: VecDeque<RunId>,
    decided: BTreeMap<i64, Vec<DecisionRecord>>,
}

impl Default for MemoryHistory {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryHistory {
    /// An empty one on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty one whose records grow old by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            retention: Retention::default(),
            kept: Arc::default(),
        }
    }

    /// The same, that keeps more or less. Default: [`Retention::default`].
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is kept is changed by calls that do not panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs that began before are too old.
    fn oldest(&self) -> RunId {
        let age = TimeDelta::from_std(self.retention.age).unwrap_or_default();
        RunId::first_at(self.clock.now() - age)
    }
}

impl Kept {
    fn put_run(&mut self, run: &RunRecord, retention: &Retention) {
        let known = self.runs.get(&run.run_id);
        let has_ended = known.is_some_and(|known| !known.is_running());
        let was_found = known.is_some_and(|known| known.outcome == Some(Outcome::Abandoned));
        let says_more = was_found && !run.is_running() && run.outcome != Some(Outcome::Abandoned);
        if has_ended && !says_more {
            return;
        }
        let counters = self.counters.entry(run.task.clone()).or_default();
        if known.is_none() {
            counters.note_start(run);
            let runs = &mut self.tasks.entry(run.task.clone()).or_default().runs;
            // Those of several instances come in any order.
            let place = runs.partition_point(|id| *id < run.run_id);
            runs.insert(place, run.run_id);
        }
        if run.is_running() {
            self.running.insert(run.run_id);
            self.alive
                .entry(run.instance.clone())
                .or_insert(run.started);
        } else {
            counters.note_end(run);
            self.running.remove(&run.run_id);
            self.statuses.remove(&run.run_id);
        }
        self.runs.insert(run.run_id, run.clone());
        let surplus = self.tasks.get_mut(&run.task).and_then(|of_task| {
            (of_task.runs.len() > retention.runs).then(|| of_task.runs.pop_front())?
        });
        if let Some(surplus) = surplus {
            self.forget(surplus);
        }
    }

    fn forget(&mut self, run: RunId) {
        if let Some(record) = self.runs.remove(&run)
            && let Some(of_task) = self.tasks.get_mut(&record.task)
        {
            of_task.runs.retain(|id| *id != run);
            of_task.logged.retain(|id| *id != run);
        }
        self.running.remove(&run);
        self.logs.remove(&run);
        self.statuses.remove(&run);
    }

    fn forget_before(&mut self, oldest: RunId) {
        while let Some((id, _)) = self.runs.first_key_value().filter(|(id, _)| **id < oldest) {
            let id = *id;
            self.forget(id);
        }
    }

    fn put_decision(&mut self, decided: &DecisionRecord, retention: &Retention) {
        let ring = &mut self.tasks.entry(decided.task.clone()).or_default().decided;
        let at_place = ring.entry(decided.place()).or_default();
        if !at_place.contains(decided) && at_place.len() < decided.most_at_place() {
            at_place.push(decided.clone());
        }
        while ring.len() > retention.decisions {
            ring.pop_first();
        }
    }

    fn put_log(
        &mut self,
        (run, task): (RunId, &TaskName),
        lines: &[LogLine],
        keep_from: u64,
        retention: &Retention,
    ) {
        if !self.logs.contains_key(&run) {
            let logged = &mut self.tasks.entry(task.clone()).or_default().logged;
            let place = logged.partition_point(|id| *id < run);
            logged.insert(place, run);
            if logged.len() > retention.logs
                && let Some(oldest) = logged.pop_front()
            {
                self.logs.remove(&oldest);
                if oldest == run {
                    return;
                }
            }
        }
        let kept = self.logs.entry(run).or_default();
        kept.retain(|old| old.number >= keep_from && lines.iter().all(|l| l.number != old.number));
        kept.extend(lines.iter().filter(|l| l.number >= keep_from).cloned());
    }

    /// The record of a run that goes on, with what it said of itself.
    fn with_status(&self, run: &RunRecord, now: DateTime<Utc>) -> RunRecord {
        let mut run = run.clone();
        if let Some(said) = self.statuses.get(&run.run_id)
            && said.until > now
        {
            let status = StoredStatus {
                status: said.status.clone(),
                progress: said.progress.map(|p| [p.done, p.total]),
            };
            status.fill(&mut run);
        }
        run
    }

    fn running(&self, now: DateTime<Utc>, fits: impl Fn(&RunRecord) -> bool) -> Vec<RunRecord> {
        let mut ids: Vec<&RunId> = self.running.iter().collect();
        ids.sort_unstable();
        let runs = ids.into_iter().filter_map(|id| self.runs.get(id));
        let runs = runs.filter(|run| fits(run)).take(MOST_RUNNING);
        runs.map(|run| self.with_status(run, now)).collect()
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn write(&self, writes: &[HistoryWrite]) -> Result<()> {
        let now = self.clock.now();
        let oldest = self.oldest();
        let retention = &self.retention;
        let mut kept = self.kept();
        for write in writes {
            match write {
                HistoryWrite::Run(run) => kept.put_run(run, retention),
                HistoryWrite::Decided(decided) => kept.put_decision(decided, retention),
                HistoryWrite::Status {
                    run_id,
                    status,
                    progress,
                    ttl,
                } => {
                    if kept.running.contains(run_id) {
                        let ttl = TimeDelta::from_std(*ttl).unwrap_or_default();
                        let said = Said {
                            until: now + ttl,
                            status: status.clone(),
                            progress: *progress,
                        };
                        kept.statuses.insert(*run_id, said);
                    }
                }
                HistoryWrite::Log {
                    run_id,
                    task,
                    lines,
                    keep_from,
                } => kept.put_log((*run_id, task), lines, *keep_from, retention),
                HistoryWrite::Seen { task, at } => {
                    let counters = kept.counters.entry(task.clone()).or_default();
                    counters.known_since.get_or_insert(*at);
                }
                HistoryWrite::Excused { task, until } => {
                    let counters = kept.counters.entry(task.clone()).or_default();
                    counters.excused_until = counters.excused_until.max(Some(*until));
                }
                HistoryWrite::Alive { instance } => {
                    kept.alive.insert(instance.clone(), now);
                }
            }
        }
        kept.forget_before(oldest);
        Ok(())
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>> {
        let now = self.clock.now();
        let kept = self.kept();
        let run = kept.runs.get(&id).filter(|run| run.run_id >= self.oldest());
        Ok(run.map(|run| kept.with_status(run, now)))
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage> {
        let limit = query.most().min(MOST_RUNS);
        let oldest = self.oldest();
        let kept = self.kept();
        let runs = kept.runs.range(oldest..).rev().map(|(_, run)| run);
        let mut found: Vec<RunRecord> = runs
            .filter(|run| query.fits(run))
            .take(limit + 1)
            .cloned()
            .collect();
        let goes_on = found.len() > limit;
        found.truncate(limit);
        Ok(RunPage {
            next: found.last().filter(|_| goes_on).map(|run| run.run_id),
            runs: found,
        })
    }

    async fn running(&self, instance: Option<&str>) -> Result<Vec<RunRecord>> {
        let now = self.clock.now();
        let is_of = |run: &RunRecord| instance.is_none_or(|instance| run.instance == instance);
        Ok(self.kept().running(now, is_of))
    }

    async fn decisions(&self, task: &TaskName) -> Result<Vec<DecisionRecord>> {
        let kept = self.kept();
        let ring = kept.tasks.get(task).map(|of_task| &of_task.decided);
        let mut found: Vec<DecisionRecord> = ring
            .into_iter()
            .flat_map(|ring| ring.values().flatten().cloned())
            .collect();
        found.sort_by(|a, b| b.last.cmp(&a.last).then(a.instance.cmp(&b.instance)));
        Ok(found)
    }

    async fn log(&self, run: RunId, after: u64) -> Result<LogTail> {
        let kept = self.kept();
        let lines = kept.logs.get(&run).into_iter().flatten().cloned();
        Ok(LogTail::new(lines.collect(), after))
    }

    async fn counters(&self, tasks: &[TaskName]) -> Result<Vec<Option<Counters>>> {
        let kept = self.kept();
        let counters = tasks.iter().map(|task| kept.counters.get(task).cloned());
        Ok(counters.collect())
    }

    async fn silent(&self, quiet: Duration) -> Result<Vec<RunRecord>> {
        let now = self.clock.now();
        let since = now - TimeDelta::from_std(quiet).unwrap_or_default();
        let kept = self.kept();
        let is_silent = |run: &RunRecord| {
            let heard = kept.alive.get(&run.instance);
            heard.is_none_or(|heard| *heard < since)
        };
        Ok(kept.running(now, is_silent))
    }

    async fn end(&self, ended: &RunRecord) -> Result<bool> {
        let mut kept = self.kept();
        let is_running = kept
            .runs
            .get(&ended.run_id)
            .is_some_and(RunRecord::is_running);
        if is_running && !ended.is_running() {
            kept.put_run(ended, &self.retention);
        }
        Ok(is_running && !ended.is_running())
    }

    fn describe(&self) -> String {
        "memory of this process".to_owned()
    }
}
