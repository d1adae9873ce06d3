//! Lines that runs have logged, until they are written: bounded for each run and in all.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::history::{HistoryWrite, LogLine};
use crate::task::{RunId, TaskName};
use crate::time::{Clock, SystemClock};

/// The lines that are kept of a run, and their bytes: the last ones.
const MOST_LINES: usize = 200;
const MOST_BYTES: usize = 64 << 10;
/// The bytes of the lines of all runs that wait to be written.
const MOST_WAITING: usize = 16 << 20;

/// The lines of the runs of one process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunLogs {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    // Held to look one up, to add or to remove one.
    runs: Mutex<HashMap<RunId, Arc<RunLog>>>,
    reader: OnceLock<Reader>,
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

#[derive(Debug)]
struct Reader {
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
}

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct RunLog {
    run_id: RunId,
    task: TaskName,
    // Held to add a line or to take those that wait.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: VecDeque<LogLine>,
    /// The weights of the lines that are kept, waiting or written; the last one is that of `last`.
    kept: VecDeque<usize>,
    weight: usize,
    has_ended: bool,
}

/// A line without its number.
#[derive(Debug)]
#[cfg_attr(not(feature = "run-logs"), allow(dead_code))]
pub(crate) struct Line {
    pub(crate) level: &'static str,
    pub(crate) target: String,
    pub(crate) text: String,
}

#[cfg_attr(not(feature = "run-logs"), allow(dead_code))]
impl RunLogs {
    /// Somebody writes the lines from now on. The first one's clock is used.
    pub(crate) fn attach(&self, clock: Arc<dyn Clock>, wake: Arc<Notify>) {
        let _ = self.inner.reader.set(Reader { clock, wake });
    }

    /// A run begins to log; `None` if nobody wants to know.
    pub(crate) fn begin(&self, run_id: RunId, task: TaskName) -> Option<Arc<RunLog>> {
        self.inner.reader.get()?;
        let log = Arc::new(RunLog {
            run_id,
            task,
            state: Mutex::default(),
        });
        self.runs().insert(run_id, log.clone());
        Some(log)
    }

    pub(crate) fn add(&self, log: &RunLog, line: Line) {
        let inner = &*self.inner;
        let line = LogLine::new(0, self.now(), line.level, line.target, line.text);
        let weight = line.weight();
        if inner.waiting.load(Ordering::Relaxed) + weight > MOST_WAITING {
            inner.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (freed, is_first) = log.state().add(line, weight);
        let waited = inner.waiting.fetch_add(weight, Ordering::Relaxed);
        inner.waiting.fetch_sub(freed, Ordering::Relaxed);
        if is_first
            && waited == 0
            && let Some(reader) = inner.reader.get()
        {
            reader.wake.notify_one();
        }
    }

    /// A run has ended.
    pub(crate) fn end(&self, log: &RunLog) {
        let is_empty = {
            let mut state = log.state();
            state.has_ended = true;
            state.waiting.is_empty()
        };
        if is_empty {
            self.runs().remove(&log.run_id);
        }
    }

    /// What is to be written, and how many lines were dropped since the last time.
    pub(crate) fn take(&self) -> (Vec<HistoryWrite>, u64) {
        let dropped = self.inner.dropped.swap(0, Ordering::Relaxed) as u64;
        if self.inner.waiting.load(Ordering::Relaxed) == 0 {
            return (Vec::new(), dropped);
        }
        let logs: Vec<Arc<RunLog>> = self.runs().values().cloned().collect();
        let mut writes = Vec::new();
        for log in logs {
            let (lines, keep_from, has_ended) = log.state().take();
            if has_ended {
                self.runs().remove(&log.run_id);
            }
            if lines.is_empty() {
                continue;
            }
            let weight = lines.iter().map(LogLine::weight).sum();
            self.inner.waiting.fetch_sub(weight, Ordering::Relaxed);
            writes.push(HistoryWrite::Log {
                run_id: log.run_id,
                task: log.task.clone(),
                lines,
                keep_from,
            });
        }
        (writes, dropped)
    }

    /// Whether lines wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.waiting.load(Ordering::Relaxed) == 0
    }

    fn now(&self) -> DateTime<Utc> {
        match self.inner.reader.get() {
            Some(reader) => reader.clock.now(),
            None => SystemClock.now(),
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<RunLog>>> {
        // Every change is one insert or one remove.
        self.inner
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunLog {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic happens while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a line, and drops those beyond what is kept. Answers the weight of those that had not been
    /// written, and whether this is the first that waits.
    fn add(&mut self, mut line: LogLine, weight: usize) -> (usize, bool) {
        self.last += 1;
        line.number = self.last;
        let is_first = self.waiting.is_empty();
        self.waiting.push_back(line);
        self.kept.push_back(weight);
        self.weight += weight;
        let mut freed = 0;
        while self.kept.len() > MOST_LINES || (self.weight > MOST_BYTES && self.kept.len() > 1) {
            self.weight -= self.kept.pop_front().unwrap_or(0);
            let from = self.keep_from();
            if let Some(gone) = self.waiting.front().filter(|first| first.number < from) {
                freed += gone.weight();
                self.waiting.pop_front();
            }
        }
        (freed, is_first)
    }

    /// The number of the first line that is kept.
    fn keep_from(&self) -> u64 {
        self.last + 1 - self.kept.len() as u64
    }

    fn take(&mut self) -> (Vec<LogLine>, u64, bool) {
        let lines = std::mem::take(&mut self.waiting);
        (lines.into(), self.keep_from(), self.has_ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> RunLogs {
        let logs = RunLogs::default();
        logs.attach(Arc::new(SystemClock), Arc::default());
        logs
    }

    fn run(n: u32) -> (RunId, TaskName) {
        let at = DateTime::from_timestamp(n.into(), 0).unwrap();
        (RunId::first_at(at), "t".parse().unwrap())
    }

    fn line(text: &str) -> Line {
        Line {
            level: "INFO",
            target: "app".to_owned(),
            text: text.to_owned(),
        }
    }

    fn numbers(write: &HistoryWrite) -> (Vec<u64>, u64) {
        match write {
            HistoryWrite::Log {
                lines, keep_from, ..
            } => (lines.iter().map(|l| l.number).collect(), *keep_from),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_lines_of_a_run_are_kept() {
        let logs = attached();
        let (id, task) = run(1);
        let log = logs.begin(id, task).unwrap();
        for n in 0..250 {
            logs.add(&log, line(&n.to_string()));
        }
        let (writes, dropped) = logs.take();
        assert_eq!((writes.len(), dropped), (1, 0));
        assert_eq!(numbers(&writes[0]), ((51..=250).collect(), 51));
        logs.add(&log, line("x"));
        assert_eq!(numbers(&logs.take().0[0]), (vec![251], 52));
        logs.add(&log, line(&"y".repeat(60_000)));
        logs.add(&log, line(&"z".repeat(60_000)));
        assert_eq!(numbers(&logs.take().0[0]), (vec![253], 253));
        assert!(logs.is_empty());
    }

    #[test]
    fn lines_beyond_the_room_for_all_runs_are_dropped_and_counted() {
        let logs = attached();
        let mut added = 0;
        for n in 0..1_000 {
            let (id, task) = run(n);
            let log = logs.begin(id, task).unwrap();
            logs.add(&log, line(&"x".repeat(40_000)));
            logs.end(&log);
            added += 1;
        }
        let (writes, dropped) = logs.take();
        assert_eq!(writes.len() as u64 + dropped, added);
        assert!((300..600).contains(&dropped), "{dropped}");
        assert!(logs.is_empty() && logs.runs().is_empty());
    }

    #[test]
    fn what_nobody_reads_is_not_kept() {
        let (id, task) = run(1);
        assert!(RunLogs::default().begin(id, task).is_none());
    }
}
