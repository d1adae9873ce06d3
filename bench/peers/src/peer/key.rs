//! The lock that users of schedulers without one write: take a key, work, delete it.

use anyhow::Result;
use deadpool_redis::{Config, Pool, PoolConfig, Runtime};
use tasklock_fleet::starts::Starts;

use crate::peer::work::Work;

/// A pool as large as Go's usual one on two processors.
const CONNECTIONS: usize = 20;

/// Guards tasks by keys, and notes their starts.
#[derive(Clone)]
pub struct Guard {
    pool: Pool,
    starts: Starts,
}

impl Guard {
    pub fn new(work: &Work, starts: &Starts) -> Result<Self> {
        let mut config = Config::from_url(work.url());
        config.pool = Some(PoolConfig::new(CONNECTIONS));
        Ok(Self {
            pool: config.create_pool(Some(Runtime::Tokio1))?,
            starts: starts.clone(),
        })
    }

    /// Runs a task if its key can be taken.
    pub async fn fire(&self, task: u32, instant: i64) -> Result<()> {
        let key = name(task);
        let token = uuid::Uuid::new_v4().to_string();
        let mut connection = self.pool.get().await?;
        let taken: Option<String> = redis::cmd("SET")
            .arg(&key)
            .arg(token)
            .arg("NX")
            .arg("EX")
            .arg(30)
            .query_async(&mut connection)
            .await?;
        drop(connection);
        if taken.is_none() {
            return Ok(());
        }
        self.starts.note(task, instant);
        let mut connection = self.pool.get().await?;
        let mut delete = redis::cmd("DEL");
        let () = delete.arg(&key).query_async(&mut connection).await?;
        Ok(())
    }
}

pub fn name(task: u32) -> String {
    format!("task:lock:peer_{task}")
}
