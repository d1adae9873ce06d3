//! Writes what the engine announces into a history, in batches, off the path of runs.
//!
//! ```text
//! on_event ──> heard ──> queue (16 MiB) ── every half second, or 4 MiB ──> History::write
//!                 └ full: dropped, counted, one warning a minute      └ fails: put back, again later
//! ```

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Observers, RecordKind, StoreOperation};
use crate::history::hearing::Hearing;
use crate::history::queue::{Dropped, Queue};
use crate::history::{History, HistoryWrite, RunLogs, RunRecord, gone};
use crate::lock::Lock;
use crate::task::TaskName;
use crate::text::contained_line;
use crate::time::Clock;

/// For so long more is waited for before something is written.
const GATHER: Duration = Duration::from_millis(500);
/// What runs say of themselves and log is written no more often.
const NOTES: Duration = Duration::from_secs(1);
/// Decisions of firings that others have are written no more often.
const COMMON: Duration = Duration::from_secs(10);
/// How often an instance says that it lives, and after how long without it counts as gone.
const BEAT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(90);
/// How often runs are looked for that nobody reports on.
const SWEEP: Duration = Duration::from_secs(60);
/// A history must answer in this time.
const LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after a fault, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// A batch that a history refuses for good is dropped after so many attempts.
const ATTEMPTS: u32 = 3;
/// A history that is away at the end is tried so often.
const LAST_ATTEMPTS: u32 = 3;
/// A drop is told in the log no more often.
const WARNING: Duration = Duration::from_secs(60);
/// For so long the status of a run stands that says nothing more.
const STATUS_TTL: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(crate) struct HistoryWriter {
    pub(crate) history: Arc<dyn History>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) instance: Arc<str>,
    logs: RunLogs,
    /// What the engine has announced, and is in no record yet.
    pub(super) hearing: Hearing,
    // Held to add, to take, or to change one record.
    queue: Mutex<Queue>,
    pub(super) wake: Arc<Notify>,
    /// In the order of [`RecordKind::ALL`]; all that were dropped.
    dropped: [AtomicU64; RecordKind::ALL.len()],
    /// How many of them were announced, and warned of.
    announced: [AtomicU64; RecordKind::ALL.len()],
    told: [AtomicU64; RecordKind::ALL.len()],
    observers: OnceLock<Observers>,
    stop: CancellationToken,
    give_up: CancellationToken,
    /// Its `run` has begun; cancelled when it has ended.
    running: OnceLock<CancellationToken>,
}

/// When what was done last, by the monotonic clock.
#[derive(Debug, Default)]
struct Times {
    noted: Option<Duration>,
    gathered: Option<Duration>,
    beat: Option<Duration>,
    swept: Option<Duration>,
    warned: Option<Duration>,
}

impl HistoryWriter {
    pub(crate) fn new(
        history: Arc<dyn History>,
        clock: Arc<dyn Clock>,
        instance: Arc<str>,
        logs: RunLogs,
    ) -> Self {
        let wake = Arc::<Notify>::default();
        logs.attach(clock.clone(), wake.clone());
        Self {
            history,
            clock,
            instance,
            logs,
            hearing: Hearing::default(),
            queue: Mutex::default(),
            wake,
            dropped: Default::default(),
            announced: Default::default(),
            told: Default::default(),
            observers: OnceLock::new(),
            stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
            running: OnceLock::new(),
        }
    }

    /// Who is told of drops.
    pub(crate) fn tell(&self, observers: Observers) {
        let _ = self.observers.set(observers);
    }

    /// Writes until it is closed, and looks for runs that nobody reports on.
    pub(crate) async fn run(self: Arc<Self>, lock: Arc<dyn Lock>) {
        let ended = CancellationToken::new();
        if self.running.set(ended.clone()).is_err() {
            return;
        }
        let _guard = ended.drop_guard();
        tokio::select! {
            () = self.give_up.cancelled() => {}
            () = self.write_until_stopped(&lock) => {}
        }
    }

    /// Writes what is left, for so long at most.
    pub(crate) async fn close(&self, limit: Duration) {
        self.stop();
        let Some(ended) = self.running.get() else {
            return;
        };
        if tokio::time::timeout(limit, ended.cancelled())
            .await
            .is_err()
        {
            self.give_up.cancel();
            // What was on its way comes back, to be counted.
            let _ = tokio::time::timeout(limit, ended.cancelled()).await;
        }
        self.drop_the_rest();
    }

    /// What is left is written if that works at once.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    async fn write_until_stopped(&self, lock: &Arc<dyn Lock>) {
        let mut times = Times::default();
        let mut pause = PAUSES[0];
        let (mut attempts, mut last_attempts) = (0, 0);
        loop {
            let is_last = self.stop.is_cancelled();
            self.gather(&mut times, is_last);
            match self.flush().await {
                Ok(()) => {
                    (pause, attempts) = (PAUSES[0], 0);
                    if is_last {
                        self.tell_drops(&mut times, true);
                        return;
                    }
                    self.beat(&mut times);
                    self.sweep(&mut times, lock).await;
                }
                Err(error) => {
                    attempts += 1;
                    self.failed(&error, attempts).await;
                    last_attempts += u32::from(is_last);
                    if last_attempts >= LAST_ATTEMPTS {
                        return self.drop_the_rest();
                    }
                    self.tell_drops(&mut times, is_last);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled(), if !is_last => {}
                    }
                    pause = (pause * 2).min(PAUSES[1]);
                    continue;
                }
            }
            self.tell_drops(&mut times, false);
            self.wait(&times).await;
        }
    }

    /// Waits until there is something to write, and a little longer for more of it.
    async fn wait(&self, times: &Times) {
        let now = self.clock.monotonic();
        let beat_in = since(times.beat, now).map_or(Duration::ZERO, |s| BEAT.saturating_sub(s));
        let beat = tokio::time::sleep(beat_in);
        tokio::pin!(beat);
        let has_something =
            || !self.hearing.is_empty() || !self.queue().is_empty() || !self.logs.is_empty();
        while !has_something() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = &mut beat => return,
            }
        }
        let more = tokio::time::sleep(GATHER);
        tokio::pin!(more);
        while !self.queue().is_much() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = &mut more => return,
            }
        }
    }

    /// Brings what runs have said and logged, and what was gathered, into the queue if it is time.
    fn gather(&self, times: &mut Times, is_last: bool) {
        self.take_in();
        let now = self.clock.monotonic();
        if is_last || is_over(times.gathered, now, COMMON) {
            times.gathered = Some(now);
            let dropped = self.queue().tell_gathered();
            self.count(RecordKind::Event, dropped);
        }
        if is_last || is_over(times.noted, now, NOTES) {
            times.noted = Some(now);
            let (lines, dropped) = self.logs.take();
            self.count(RecordKind::Log, dropped);
            for lines in lines {
                let count = match &lines {
                    HistoryWrite::Log { lines, .. } => lines.len() as u64,
                    _ => 0,
                };
                if self.queue().log(lines).is_err() {
                    self.count(RecordKind::Log, count);
                }
            }
            let noted = self.queue().take_noted();
            for notes in noted {
                let said = notes.take();
                self.queue().add(HistoryWrite::Status {
                    run_id: notes.run_id,
                    status: said.status,
                    progress: said.progress,
                    ttl: STATUS_TTL,
                });
            }
        }
    }

    /// Writes all that waits; what cannot be written stays where it was.
    async fn flush(&self) -> Result<()> {
        loop {
            let batch = self.queue().take();
            if batch.is_empty() {
                return Ok(());
            }
            let mut unwritten = Unwritten {
                writer: self,
                batch,
            };
            self.limited(self.history.write(&unwritten.batch)).await?;
            unwritten.batch.clear();
        }
    }

    async fn limited<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let history = self.history.describe();
                let text = format!("the history in {history} gave no answer within {LIMIT:?}");
                Err(Error::new(ErrorKind::StoreAmbiguous, text))
            }
        }
    }

    fn announce_failure(&self, operation: StoreOperation) {
        if let Some(observers) = self.observers.get() {
            observers.announce(&Event::StoreFailed { operation });
        }
    }

    async fn failed(&self, error: &Error, attempts: u32) {
        self.announce_failure(StoreOperation::HistoryWrite);
        if attempts == 1 {
            warn!(target: "tasklock", event = "history.down", error = %error,
                "Task history cannot be written");
        }
        if error.is_transient() || !attempts.is_multiple_of(ATTEMPTS) {
            return;
        }
        // One that can never be written is not to stop those beside it.
        let mut rest = Unwritten {
            writer: self,
            batch: self.queue().take(),
        };
        while let Some(write) = rest.batch.first() {
            let written = self.limited(self.history.write(std::slice::from_ref(write)));
            match written.await {
                Err(error) if error.is_transient() => return,
                Err(_) => self.count_all(rest.batch.get(..1).unwrap_or_default()),
                Ok(()) => {}
            }
            rest.batch.remove(0);
        }
    }

    fn beat(&self, times: &mut Times) {
        let now = self.clock.monotonic();
        if is_over(times.beat, now, BEAT) {
            times.beat = Some(now);
            let instance = self.instance.to_string();
            self.queue().add(HistoryWrite::Alive { instance });
            self.wake.notify_one();
        }
    }

    /// Finds runs that nobody reports on any more, and writes their ends.
    async fn sweep(&self, times: &mut Times, lock: &Arc<dyn Lock>) {
        let now = self.clock.monotonic();
        // Not at the start: instances that live have said so by the next time.
        if times.swept.is_none() {
            times.swept = Some(now);
        }
        if !is_over(times.swept, now, SWEEP) {
            return;
        }
        times.swept = Some(now);
        if let Err(error) = self.look_for_gone(lock).await {
            self.announce_failure(StoreOperation::HistoryRead);
            debug!(target: "tasklock", event = "history.sweep_failed", error = %error,
                "Task history cannot be looked through");
        }
    }

    async fn look_for_gone(&self, lock: &Arc<dyn Lock>) -> Result<()> {
        let silent = self.limited(self.history.silent(SILENCE)).await?;
        let own = self
            .limited(self.history.running(Some(&self.instance)))
            .await?;
        self.take_in();
        let is_lost = |run: &RunRecord| !self.queue().knows(run.run_id);
        let others = silent
            .into_iter()
            .filter(|run| run.instance != *self.instance);
        let gone_runs: Vec<RunRecord> = own.into_iter().filter(is_lost).chain(others).collect();
        for some in gone_runs.chunks(100) {
            let key = |run: &RunRecord| match run.shard {
                Some(shard) => run.task.part(shard.index),
                None => run.task.clone(),
            };
            let keys: Vec<TaskName> = some.iter().map(key).collect();
            let last = self.limited(lock.last_fired(&keys)).await?;
            for (run, last) in some.iter().zip(last) {
                let found = gone(run, last.as_ref());
                let now = self.clock.now();
                let ended = run.found(found.outcome, now, &self.instance, found.why);
                if self.limited(self.history.end(&ended)).await? {
                    let (task, run_id) = (&run.task, run.run_id);
                    error!(target: "tasklock", event = "run.abandoned", task = %task,
                        run_id = %run_id, instance = %contained_line(&run.instance, 64),
                        found_by = %self.instance, outcome = found.outcome.as_str(),
                        "Task run found without its instance");
                }
            }
        }
        Ok(())
    }

    fn drop_the_rest(&self) {
        self.take_in();
        loop {
            let batch = self.queue().take();
            if batch.is_empty() {
                break;
            }
            self.count_all(&batch);
        }
        self.tell_drops(&mut Times::default(), true);
    }

    fn count_all(&self, batch: &[HistoryWrite]) {
        for write in batch {
            match write {
                HistoryWrite::Run(_) => self.count(RecordKind::Run, 1),
                HistoryWrite::Decided(_) => self.count(RecordKind::Event, 1),
                HistoryWrite::Log { lines, .. } => {
                    self.count(RecordKind::Log, lines.len() as u64);
                }
                _ => {}
            }
        }
    }

    fn count(&self, kind: RecordKind, count: u64) {
        if let Some(dropped) = self.dropped.get(kind as usize) {
            dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Announces drops; tells them in the log once a minute, and at the end.
    fn tell_drops(&self, times: &mut Times, is_last: bool) {
        let now = self.clock.monotonic();
        let may_warn = is_last || is_over(times.warned, now, WARNING);
        let kinds = RecordKind::ALL.iter().zip(&self.dropped);
        let known = self.announced.iter().zip(&self.told);
        for ((kind, dropped), (announced, told)) in kinds.zip(known) {
            let dropped = dropped.load(Ordering::Relaxed);
            let count = dropped.saturating_sub(announced.swap(dropped, Ordering::Relaxed));
            if let Some(observers) = self.observers.get().filter(|_| count > 0) {
                let kind = *kind;
                observers.announce(&Event::HistoryDropped { kind, count });
            }
            let untold = dropped.saturating_sub(told.load(Ordering::Relaxed));
            if may_warn && untold > 0 {
                let count = untold;
                told.store(dropped, Ordering::Relaxed);
                times.warned = Some(now);
                warn!(target: "tasklock", event = "history.dropped", kind = kind.as_str(), count,
                    "Task history records dropped");
            }
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic happens while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue, counts what did not fit, and wakes whoever writes.
    pub(super) fn enqueue(
        &self,
        change: impl FnOnce(&mut Queue) -> std::result::Result<(), Dropped>,
    ) {
        let (changed, wakes) = {
            let mut queue = self.queue();
            let was_empty = queue.is_empty();
            let changed = change(&mut queue);
            (changed, (was_empty && !queue.is_empty()) || queue.is_much())
        };
        if let Err(Dropped(kind)) = changed {
            self.count(kind, 1);
        }
        if wakes {
            self.wake.notify_one();
        }
    }
}

fn since(before: Option<Duration>, now: Duration) -> Option<Duration> {
    before.map(|before| now.saturating_sub(before))
}

fn is_over(before: Option<Duration>, now: Duration, period: Duration) -> bool {
    since(before, now).is_none_or(|since| since >= period)
}

/// A batch on its way; put back unless it was written, also if the way is given up.
struct Unwritten<'a> {
    writer: &'a HistoryWriter,
    batch: Vec<HistoryWrite>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.writer.queue().put_back(batch);
        }
    }
}
