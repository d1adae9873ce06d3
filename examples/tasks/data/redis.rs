//! Data in Redis.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::{RunContext, TaskError, async_trait};

use crate::data::{Data, Result, SAMPLE_USERS, Usage, hour_of, sample_calls};

const USERS: &str = "example:users";
const CALLS: &str = "example:api_calls";
const CALLS_BY_HOUR: &str = "example:api_calls:by_hour";

/// What names of temporary keys begin with.
const TEMPORARY: &str = "tmp:";

/// How many keys the server looks at in one step of a scan, so that no step holds it up.
const BATCH: u32 = 500;

/// Deletes those of the keys that have no TTL. In one step with the look at the TTL, so that one
/// that is given a TTL meanwhile stays.
const UNLINK_WITHOUT_TTL: &str = "\
local removed = 0
for _, key in ipairs(KEYS) do
  if redis.call('TTL', key) == -1 then removed = removed + redis.call('UNLINK', key) end
end
return removed";

/// Writes a document unless one with a larger fencing token stands there.
const PUT_FENCED: &str = "\
local fence = tonumber(redis.call('HGET', KEYS[1], 'fencing_token') or '0')
if fence > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'text', ARGV[1], 'fencing_token', ARGV[2])
return 1";

/// Keys with the prefix `example:`, and temporary ones.
#[derive(Debug)]
pub(crate) struct RedisData {
    client: Client,
}

impl RedisData {
    pub(crate) fn new(url: &str) -> redis::RedisResult<Self> {
        Ok(Self {
            client: Client::open(url)?,
        })
    }

    /// A connection for one run. Runs are rare, and a server that was restarted between two of them
    /// needs no care this way.
    async fn connect(&self) -> Result<MultiplexedConnection> {
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(5)));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&limits);
        Ok(connection.await?)
    }
}

#[async_trait]
impl Data for RedisData {
    fn describe(&self) -> String {
        format!("Redis, keys example:*, and {TEMPORARY}* to be deleted if they have no TTL")
    }

    async fn seed(&self) -> Result<()> {
        let mut redis = self.connect().await?;
        if redis::cmd("EXISTS")
            .arg(USERS)
            .query_async(&mut redis)
            .await?
        {
            return Ok(());
        }
        // All or nothing, and values rather than increments: two replicas may do it at once.
        let now = Utc::now();
        let mut all = redis::pipe();
        all.atomic();
        for id in 1..=SAMPLE_USERS {
            all.hset(USERS, id, format!("user-{id}")).ignore();
        }
        let mut calls = 0;
        for (hours_ago, count) in sample_calls() {
            let hour = hour_of(now - TimeDelta::hours(hours_ago));
            all.hset(CALLS_BY_HOUR, hour, count).ignore();
            calls += count;
        }
        all.set(CALLS, calls).ignore();
        for id in 1..=5 {
            let key = format!("{TEMPORARY}session:{id}");
            all.set(key, "forgotten").ignore();
            let key = format!("{TEMPORARY}upload:{id}");
            all.set_ex(key, "half of an upload", 3600).ignore();
        }
        Ok(all.query_async(&mut redis).await?)
    }

    async fn add_api_call(&self, at: DateTime<Utc>) -> Result<u64> {
        let mut redis = self.connect().await?;
        let (calls,) = redis::pipe()
            .atomic()
            .incr(CALLS, 1)
            .hincr(CALLS_BY_HOUR, hour_of(at), 1)
            .ignore()
            .query_async(&mut redis)
            .await?;
        Ok(calls)
    }

    async fn usage(&self, hour: DateTime<Utc>) -> Result<Usage> {
        let mut redis = self.connect().await?;
        let (users, calls, calls_of_hour): (u64, Option<u64>, Option<u64>) = redis::pipe()
            .hlen(USERS)
            .get(CALLS)
            .hget(CALLS_BY_HOUR, hour_of(hour))
            .query_async(&mut redis)
            .await?;
        Ok(Usage {
            users,
            calls: calls.unwrap_or(0),
            calls_of_hour: calls_of_hour.unwrap_or(0),
        })
    }

    async fn add_temporary(&self, id: &str) -> Result<String> {
        let mut redis = self.connect().await?;
        let key = format!("{TEMPORARY}upload:{id}");
        redis::cmd("SET")
            .arg(&key)
            .arg("half of an upload")
            .exec_async(&mut redis)
            .await?;
        Ok(key)
    }

    async fn remove_temporary_keys(&self, ctx: &RunContext) -> Result<u64> {
        let mut redis = self.connect().await?;
        let mut removed = 0;
        let mut cursor = 0_u64;
        loop {
            if ctx.is_cancelled() {
                let text = format!("asked to end after {removed} keys");
                return Err(TaskError::new(text));
            }
            let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{TEMPORARY}*"))
                .arg("COUNT")
                .arg(BATCH)
                .query_async(&mut redis)
                .await?;
            if !keys.is_empty() {
                let count: u64 = redis::cmd("EVAL")
                    .arg(UNLINK_WITHOUT_TTL)
                    .arg(keys.len())
                    .arg(keys)
                    .query_async(&mut redis)
                    .await?;
                removed += count;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(removed);
            }
        }
    }

    async fn put(&self, name: &str, text: &str, fence: u64) -> Result<bool> {
        let mut redis = self.connect().await?;
        let is_written = redis::cmd("EVAL")
            .arg(PUT_FENCED)
            .arg(1)
            .arg(format!("example:{name}"))
            .arg(text)
            .arg(fence)
            .query_async(&mut redis)
            .await?;
        Ok(is_written)
    }
}
