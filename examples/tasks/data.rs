//! What the tasks count, note and report: in Redis, or in files.

mod files;
mod redis;

use tasklock::chrono::{DateTime, Utc};
use tasklock::{RunContext, TaskError, async_trait};

pub(crate) use files::FileData;
pub(crate) use redis::RedisData;

/// How many users the sample data has.
const SAMPLE_USERS: u32 = 25;

/// `TaskError` takes every other error through `?`.
pub(crate) type Result<T> = std::result::Result<T, TaskError>;

/// What is counted in a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) users: u64,
    pub(crate) calls: u64,
    /// API calls in the hour that was asked for.
    pub(crate) calls_of_hour: u64,
}

#[async_trait]
pub(crate) trait Data: Send + Sync + 'static {
    /// What it is and where, without secrets.
    fn describe(&self) -> String;

    /// Puts sample users and API calls there, if there are none.
    async fn seed(&self) -> Result<()>;

    /// Notes an API call. Returns how many there were so far.
    async fn add_api_call(&self, at: DateTime<Utc>) -> Result<u64>;

    /// Counts users and API calls.
    async fn usage(&self, hour: DateTime<Utc>) -> Result<Usage>;

    /// Leaves something behind that the cleanup will find. Returns its name.
    async fn add_temporary(&self, id: &str) -> Result<String>;

    /// Deletes temporary keys that have no TTL. Returns how many.
    async fn remove_temporary_keys(&self, ctx: &RunContext) -> Result<u64>;

    /// Writes a document, unless one with a larger fencing token stands there. False if so.
    async fn put(&self, name: &str, text: &str, fence: u64) -> Result<bool>;
}

/// The API calls of the sample data: hours ago, and how many.
fn sample_calls() -> impl Iterator<Item = (i64, u32)> {
    (1..=24).map(|hours_ago| (hours_ago, 10 + (hours_ago as u32 * 7) % 23))
}

/// The hour that a call belongs to, as `2026-11-21T10`.
fn hour_of(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H").to_string()
}
