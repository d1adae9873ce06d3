//! What the engine announces, and who listens.

mod log;
mod observers;
mod words;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::control::{Answer, AuditEntry, By, Drift, Instance};
use crate::error::Error;
use crate::history::TaskCounters;
use crate::lock::{ClockOffset, Diagnosis, FencingToken};
use crate::schedule::Lint;
use crate::task::{Overlap, RunId, Shard, TaskName};

pub(crate) use observers::Observers;
pub use words::{
    Decision, Ignored, LeaseLoss, LockOperation, Outcome, RecordKind, StoreOperation, Trigger,
};

/// Listens to what the engine does: metrics, logs, tests.
///
/// Called in the order of the events of one task, on the threads that run tasks: it must not
/// block, and should be quick. An observer that panics is not called again for that event, is
/// reported once in the log, and changes nothing for tasks.
pub trait Observer: Send + Sync + 'static {
    /// Takes note of one event.
    fn on_event(&self, event: &Event);
}

/// One fact that the engine announces.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A task was registered.
    TaskRegistered {
        /// The task.
        task: TaskName,
        /// Its spec, as given.
        spec: Arc<str>,
        /// The zone in which the spec is read.
        timezone: Tz,
        /// What becomes of a firing that is due while the run before it goes on.
        overlap: Overlap,
        /// The first fire time, if it is known yet.
        next_fire: Option<DateTime<Utc>>,
        /// What somebody should know who wrote the spec.
        lints: Arc<[Lint]>,
    },
    /// Many tasks are due next in one second. Announced once, at the start, of the second with most of them.
    TasksCollide {
        /// The second.
        at: DateTime<Utc>,
        /// How many they are: 100 or more.
        count: usize,
        /// The first three that were registered.
        tasks: Arc<[TaskName]>,
    },
    /// A task was taken out, and nothing of it goes on any more.
    TaskUnregistered {
        /// The task.
        task: TaskName,
    },
    /// A task defined at run time is not run by this instance as long as it is as it is. Announced once
    /// for each change of it.
    StoredTaskIgnored {
        /// Its name in the store: of a malformed record it may be none of a task.
        task: Arc<str>,
        /// Why.
        why: Ignored,
        /// Why, in words.
        detail: Arc<str>,
    },
    /// Another instance has the task registered with a different schedule: a deployment under way, or
    /// a mistake.
    SpecDiffers {
        /// The task.
        task: TaskName,
        /// Its spec here.
        spec: Arc<str>,
        /// The other instance, if it is known.
        owner: Option<Arc<str>>,
        /// Whether this is the first that is seen of that other schedule.
        is_new: bool,
    },
    /// The scheduler fires from now on.
    SchedulerStarted {
        /// The instance's id.
        instance: Arc<str>,
        /// How many tasks are registered.
        tasks: usize,
        /// The lock, as it describes itself.
        lock: String,
    },
    /// The timer has looked at what is due, and at the clock.
    TimerWoke {
        /// The wall time it saw.
        at: DateTime<Utc>,
    },
    /// The wall clock has moved by more than `by` against the monotonic clock since the timer
    /// looked last.
    ClockStepped {
        /// By how many milliseconds; negative for backwards.
        by_ms: i64,
    },
    /// The timer slept for longer than it had asked for: the machine was suspended, the process
    /// stopped, or the runtime's threads were blocked.
    TimerStalled {
        /// How much longer.
        by: Duration,
    },
    /// A task's next fire time was computed.
    NextFire {
        /// The task.
        task: TaskName,
        /// When it is due next; `None` if never, or if nobody knows yet.
        at: Option<DateTime<Utc>>,
    },
    /// A firing has found its end on this instance: each fire time has exactly one decision.
    FiringDecided {
        /// The task.
        task: TaskName,
        /// The fire time; of several that were decided together, the last.
        fire_time: DateTime<Utc>,
        /// What was decided.
        decision: Decision,
        /// How many fire times this is about: more than one only where a long gap (a machine that
        /// slept) is passed over at once.
        count: u64,
        /// Who has it instead, or has paused the task and until when, where that is known.
        holder: Option<Arc<str>>,
    },
    /// A firing did not run and counts as a failure of its task, by its policy.
    FiringFailed {
        /// The task.
        task: TaskName,
        /// The fire time.
        fire_time: DateTime<Utc>,
        /// Why.
        error: Arc<str>,
    },
    /// A run starts.
    RunStarted {
        /// The run.
        run: RunFacts,
    },
    /// An attempt of a run failed, and another one follows after a wait, unless the run is asked to end
    /// before.
    RunRetried {
        /// The run, with the number of the attempt that failed.
        run: RunFacts,
        /// Why it failed.
        error: Arc<str>,
        /// The same one by one: the error, and the errors that caused it.
        causes: Arc<[String]>,
        /// The [name](crate::TaskError::type_name) of the error's type, if it is known.
        error_type: Option<&'static str>,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// The wait is over: a further attempt within a run starts.
    AttemptStarted {
        /// The run, with the number of this attempt.
        run: RunFacts,
    },
    /// A run has ended. Each run that started ends exactly once.
    RunFinished {
        /// The run.
        run: RunFacts,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        duration: Duration,
        /// Why it did not succeed.
        error: Option<Arc<str>>,
        /// If the task gave an error: that, and the errors that caused it, one by one.
        causes: Arc<[String]>,
        /// The [name](crate::TaskError::type_name) of that error's type, if it is known.
        error_type: Option<&'static str>,
        /// When it ended.
        at: DateTime<Utc>,
    },
    /// This instance has found a run of another one in the history that has not ended, and its instance
    /// gone. Announced by one instance of the fleet.
    RunFoundGone {
        /// The task.
        task: TaskName,
        /// The run.
        run_id: RunId,
        /// The instance that ran it.
        instance: Arc<str>,
        /// How it is taken to have ended: [`Abandoned`](Outcome::Abandoned), or as the lock was told.
        outcome: Outcome,
    },
    /// A run's lease is gone: the run is dropped.
    LeaseLost {
        /// The run.
        run: RunFacts,
        /// What happened to the lease.
        cause: LeaseLoss,
    },
    /// A run could not be made to end: its thread is blocked. Its lock is left to its TTL.
    RunAbandoned {
        /// The run.
        run: RunFacts,
    },
    /// The lock was asked something.
    LockOperation {
        /// What.
        operation: LockOperation,
        /// For how many tasks, by what the lock answered.
        results: LockResults,
        /// How long the answer took.
        took: Duration,
    },
    /// The lock's store does not answer. Announced once until it answers again.
    StoreDown {
        /// What was asked.
        operation: LockOperation,
        /// The first fault.
        error: Arc<Error>,
    },
    /// The lock's store answers again.
    StoreUp {
        /// How long it did not.
        down_for: Duration,
    },
    /// The lock's store was looked at, at the start.
    StoreDiagnosed {
        /// What it is and what is wrong with it.
        diagnosis: Arc<Diagnosis>,
    },
    /// The lock has compared its store's clock with this machine's: at every claim.
    ClockOffset {
        /// How far the store's clock is ahead.
        offset: ClockOffset,
    },
    /// The lock's store is another one than before: replaced, or restarted. All leases are renewed
    /// at once.
    StoreChanged,
    /// Another instance of the fleet was met.
    InstanceJoined {
        /// The instance.
        instance: Arc<Instance>,
    },
    /// Another instance has said that it goes.
    InstanceLeft {
        /// The instance, as it was last.
        instance: Arc<Instance>,
    },
    /// Another instance was not heard of for as long as its record lasts.
    InstanceLost {
        /// The instance, as it was last.
        instance: Arc<Instance>,
    },
    /// How many instances there are, this one among them, and which tasks are not the same on all of them.
    /// Told again every few seconds while the fleet's store answers.
    FleetSeen {
        /// How many.
        instances: usize,
        /// The tasks.
        drifting: Arc<[TaskName]>,
    },
    /// A task is not the same on all instances. Announced once for each difference.
    TaskDrifts {
        /// In what, and who has which.
        drift: Arc<Drift>,
    },
    /// This instance has taken a command, and done or refused what it asks for.
    CommandAnswered {
        /// The command's id.
        command: Arc<str>,
        /// `run`, `cancel`, `skip`, `unlock`.
        action: &'static str,
        /// The task, if it is about one.
        task: Option<TaskName>,
        /// Who asked for it, and why.
        by: By,
        /// What became of it.
        answer: Arc<Answer>,
    },
    /// This instance was asked to take no new firings, or to take them again.
    InstanceDrained {
        /// Whether it takes none.
        is_drained: bool,
    },
    /// A record of the fleet's store cannot be read. Announced once for each version of it.
    RecordMalformed {
        /// Its shelf.
        shelf: &'static str,
        /// Its key.
        key: Arc<str>,
        /// Why.
        error: Arc<str>,
    },
    /// The fleet's store does not answer: what people want, and tasks defined at run time, are followed
    /// as they were known last. Announced once until it answers again.
    FleetStoreDown {
        /// The first fault.
        error: Arc<Error>,
    },
    /// The fleet's store answers again.
    FleetStoreUp {
        /// How long it did not.
        down_for: Duration,
    },
    /// A store beside the lock's did not answer one request, or refused it. Announced each time.
    StoreFailed {
        /// What for.
        operation: StoreOperation,
    },
    /// Somebody asks for something by [`SchedulerHandle::control`](crate::SchedulerHandle::control) of
    /// this instance, or gives it up as nobody took it. It is in the audit trail next.
    ActAsked {
        /// What was asked for.
        entry: Arc<AuditEntry>,
    },
    /// Somebody asked for something by the page or its HTTP API, and was not allowed to.
    ActDenied {
        /// What for.
        action: &'static str,
    },
    /// An observer panicked, in an event of which the others have heard. It is told of to the others.
    ObserverPanicked,
    /// What the history counts of some tasks, over all instances and their lives. Told again every
    /// few seconds while there is a history.
    Counted {
        /// One for each task, with what follows from its schedule.
        tasks: Arc<[TaskCounters]>,
    },
    /// Records of the history were dropped on this instance: it could not be written as fast as
    /// there was something to write.
    HistoryDropped {
        /// What kind of records.
        kind: RecordKind,
        /// How many since the last time.
        count: u64,
    },
    /// The scheduler takes no new firings.
    SchedulerDraining {
        /// How many runs go on.
        running: usize,
    },
    /// The scheduler has stopped.
    SchedulerStopped {
        /// Runs that ended within the grace.
        finished: usize,
        /// Runs that were cancelled.
        cancelled: usize,
        /// Runs that could not be ended.
        abandoned: usize,
        /// How long stopping took.
        took: Duration,
    },
}

/// Which run an event is about. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunFacts {
    /// The task.
    pub task: TaskName,
    /// The run's id.
    pub run_id: RunId,
    /// The instant it runs for.
    pub fire_time: DateTime<Utc>,
    /// Which attempt at the firing it is, from 1: which grant of it, as the lock counts them (one more
    /// for each rerun), plus the retries within this run. The lock does not count those: a rerun of
    /// a run that was retried may repeat numbers.
    pub attempt: u32,
    /// Its fencing token.
    pub fencing_token: FencingToken,
    /// When it started, by this instance's clock.
    pub started: DateTime<Utc>,
    /// Start minus fire time; zero if it started early, or if somebody asked for it.
    pub lateness: Duration,
    /// Which part of the firing it does, if the task's scope is [`Sharded`](crate::Scope::Sharded).
    pub shard: Option<Shard>,
    /// Why it began.
    pub trigger: Trigger,
    /// Who asked for it, if somebody did.
    pub request: Option<Arc<RunRequest>>,
    /// The trace it belongs to, if [somebody knows](crate::SchedulerBuilder::trace_id).
    pub trace_id: Option<Arc<str>>,
}

/// Who asked for a run beside the schedule, and what they gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunRequest {
    /// Who, and why.
    pub by: By,
    /// What the run is told.
    pub params: Option<Arc<str>>,
    /// The id of the command.
    pub command: Arc<str>,
    /// The run that it repeats, if it was asked for as such.
    pub again: Option<RunId>,
    /// The span in which it was asked for, as [`RunNow::traceparent`](crate::RunNow::traceparent).
    pub traceparent: Option<Arc<str>>,
}

impl RunRequest {
    pub(crate) fn new(by: By, params: Option<Arc<str>>, command: Arc<str>) -> Self {
        Self {
            by,
            params,
            command,
            again: None,
            traceparent: None,
        }
    }

    pub(crate) fn asked_in(self, traceparent: Option<Arc<str>>) -> Self {
        Self {
            traceparent,
            ..self
        }
    }

    pub(crate) fn repeating(self, again: Option<RunId>) -> Self {
        Self { again, ..self }
    }
}

/// How many tasks of one lock operation were answered how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockResults {
    /// Granted, extended, released.
    pub ok: u64,
    /// Taken by others, or not acceptable now.
    pub contended: u64,
    /// Not ours any more.
    pub lost: u64,
    /// No answer, or an error.
    pub error: u64,
}
