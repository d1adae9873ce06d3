#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "admin")]
pub mod admin;
mod base_task;
#[cfg(any(feature = "admin", feature = "cli"))]
#[cfg_attr(not(all(feature = "admin", feature = "cli")), allow(dead_code))]
#[allow(unused_imports)] // of one surface or the other
mod board;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "standalone", unix))]
mod config;
mod control;
mod defence;
mod error;
mod event;
mod fleet;
mod history;
#[cfg(feature = "dynamic")]
mod kinds;
mod lock;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "cli", feature = "shell"))]
#[cfg_attr(not(unix), allow(dead_code))]
mod process_group;
mod random;
mod schedule;
mod scheduler;
#[cfg(feature = "dynamic")]
mod store;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod time;
#[cfg(feature = "tokio-cron-scheduler")]
pub mod tokio_cron;

pub use async_trait::async_trait;
#[cfg(feature = "metrics")]
pub use prometheus;
#[cfg(feature = "tokio-cron-scheduler")]
pub use tokio_cron_scheduler;
pub use {chrono, chrono_tz};
#[cfg(feature = "dynamic")]
pub use {schemars, serde_json};

pub use base_task::BaseTask;
pub use control::{
    Accepted, Answer, AuditEntry, AuditResult, By, ControlPlane, Drain, Drift, DriftKind, IfPaused,
    IfRunning, Instance, Missed, Override, Pause, PauseFor, Receipt, Refusal, Refused, Rules,
    RunNow, RunningRun, Skip, TaskFacts,
};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    Decision, Event, Ignored, LeaseLoss, LockOperation, LockResults, Observer, Outcome, RecordKind,
    RunFacts, RunRequest, StoreOperation, Trigger,
};
#[cfg(feature = "redis")]
pub use fleet::RedisFleet;
pub use fleet::{
    Entry, EntryId, Expected, FleetStore, Listing, MemoryFleet, Record, Version, Write, Written,
};
#[cfg(feature = "redis")]
pub use history::RedisHistory;
#[cfg(feature = "run-logs")]
pub use history::RunLogLayer;
pub use history::{
    AttemptRecord, Because, Counters, DecisionRecord, Failure, History, HistoryWrite, LogLine,
    LogTail, MemoryHistory, Retention, RunPage, RunQuery, RunRecord, TaskCounters, Why,
};
#[cfg(feature = "http")]
pub use kinds::{Http, HttpParameters};
#[cfg(all(feature = "shell", unix))]
pub use kinds::{Shell, ShellCommand, ShellParameters};
pub use lock::{
    Acquired, Before, Claim, ClockOffset, Completion, Diagnosis, FencingToken, FileLock, Finding,
    Grant, Holder, LastFired, Lock, MemoryLock, Released, Renewed, RunStatus, Severity, Token,
    Unlocked,
};
#[cfg(feature = "redis")]
pub use lock::{RedisLock, RedisLockBuilder};
#[cfg(feature = "metrics")]
pub use metrics::{Histograms, Metrics};
pub use schedule::{DstPolicy, Lint, Schedule, SpecError, SpecErrorKind};
#[cfg(feature = "dynamic")]
pub use scheduler::KindSnapshot;
pub use scheduler::{
    LastRun, Scheduler, SchedulerBuilder, SchedulerHandle, SchedulerState, StopReport,
    TaskSnapshot, TimerEngine,
};
#[cfg(feature = "dynamic")]
pub use store::{Deleted, Kind, Malformed, Saved, StoredTask, StoredTasks, TaskStore};
pub use task::{
    CancelReason, DEFAULT_TIMEOUT, Misfire, OnStoreDown, Overlap, Policy, Progress, Recovery,
    Retry, RunContext, RunId, Scope, Shard, Task, TaskError, TaskName, TaskResult,
};
pub use time::{Clock, SystemClock};
