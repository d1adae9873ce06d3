//! The history of a fleet: [`RedisHistory`].

mod reply;
mod request;

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Value, from_redis_value};

use crate::error::Result;
use crate::history::query::{MOST_LOOKED_AT, MOST_RUNNING, MOST_RUNS};
use crate::history::{
    Counters, DecisionRecord, History, HistoryWrite, LogLine, LogTail, Retention, RunPage,
    RunQuery, RunRecord,
};
use crate::lock::{RedisLine, RedisLock, RedisScript};
use crate::task::{RunId, TaskName};

static WRITE: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("history write", include_str!("redis/write.lua")));
static RUNS: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("history runs", include_str!("redis/runs.lua")));
static RUNNING: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("history running", include_str!("redis/running.lua")));
static READ: LazyLock<RedisScript> =
    LazyLock::new(|| RedisScript::new("history read", include_str!("redis/read.lua")));

/// So many writes are one call: a millisecond of the server's time.
const WRITES_PER_CALL: usize = 64;
/// The counters of so many tasks are read at once.
const TASKS_PER_CALL: usize = 500;

/// A [`History`] on the servers of a [`RedisLock`], whatever their topology, with its prefix. Clones
/// share their connections.
///
/// ```no_run
/// # async fn f() -> tasklock::Result<()> {
/// use tasklock::{RedisHistory, RedisLock, Scheduler};
///
/// let lock = RedisLock::connect("redis://127.0.0.1:6379").await?;
/// let history = RedisHistory::beside(&lock);
/// let scheduler = Scheduler::builder().lock(lock).history(history).build()?;
/// # Ok(()) }
/// ```
///
/// All of it is in the keys that begin with `{<prefix>task:history}`: in a cluster, on one node. Beside
/// what the lock needs, the user needs on these keys `HGET`, `HSET`, `HDEL`, `HLEN`, `HKEYS`, `HVALS`,
/// `ZADD`, `ZREM`, `ZCARD`, `ZSCORE`, `ZRANGE`, `ZRANGEBYSCORE`, `ZRANGEBYLEX`, `ZREVRANGEBYLEX`,
/// `ZREMRANGEBYSCORE`, `GET`, `SET`, `DEL` and `PEXPIRE`. `docs/history.md` says how much memory it
/// takes.
#[derive(Clone)]
pub struct RedisHistory {
    line: RedisLine,
    retention: Retention,
}

impl RedisHistory {
    /// On the servers of `lock`.
    pub fn beside(lock: &RedisLock) -> Self {
        Self {
            line: RedisLine::beside(lock),
            retention: Retention::default(),
        }
    }

    /// The same, that keeps more or less. Default: [`Retention::default`]. All instances of a fleet
    /// should say the same.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    async fn ask<T>(
        &self,
        script: &RedisScript,
        args: Vec<String>,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T> {
        let answer = self.line.call(script, [self.line.history()], args).await?;
        read(answer).ok_or_else(|| self.line.misunderstood(script))
    }

    async fn texts(&self, script: &RedisScript, args: Vec<String>) -> Result<Vec<String>> {
        let read = |answer| from_redis_value::<Vec<Vec<u8>>>(answer).ok();
        let texts = self.ask(script, args, read).await?;
        // What is no text was not written by us, and is no record either.
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(texts.into_iter().map(text).collect())
    }

    async fn runs_that_go_on(&self, [whose, which]: [&str; 2]) -> Result<Vec<RunRecord>> {
        let args = vec![whose.to_owned(), which.to_owned(), MOST_RUNNING.to_string()];
        let texts = self.texts(&RUNNING, args).await?;
        let runs = texts.chunks(2).filter_map(reply::run);
        let mut runs: Vec<RunRecord> = runs.filter(RunRecord::is_running).collect();
        runs.sort_by_key(|run| run.run_id);
        Ok(runs)
    }

    async fn put(&self, writes: &[HistoryWrite]) -> Result<()> {
        let mut args = request::retention(&self.retention);
        for write in writes {
            request::write(write, &mut args);
        }
        let done = |answer| from_redis_value::<u64>(answer).ok();
        self.ask(&WRITE, args, done).await.map(drop)
    }
}

#[async_trait]
impl History for RedisHistory {
    async fn write(&self, writes: &[HistoryWrite]) -> Result<()> {
        for some in writes.chunks(WRITES_PER_CALL) {
            self.put(some).await?;
        }
        Ok(())
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>> {
        let texts = self
            .texts(&READ, vec!["run".to_owned(), id.to_string()])
            .await?;
        Ok(reply::run(&texts).filter(|run| run.run_id == id))
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage> {
        let limit = query.most();
        let [index, mut newest, oldest] = request::bounds(query);
        let mut page = RunPage::default();
        let mut looked_at = 0;
        loop {
            let args = vec![
                index.clone(),
                newest.clone(),
                oldest.clone(),
                MOST_RUNS.to_string(),
            ];
            let texts = self.texts(&RUNS, args).await?;
            let count = texts.len() / 2;
            for pair in texts.chunks(2) {
                let Some(id) = pair.first().and_then(|id| id.parse::<RunId>().ok()) else {
                    continue;
                };
                // The next page begins at the last one of this one, if there is one more.
                if page.runs.len() == limit {
                    return Ok(page);
                }
                page.next = Some(id);
                let run = pair.get(1..).and_then(reply::run);
                page.runs
                    .extend(run.filter(|run| run.run_id == id && query.fits(run)));
            }
            looked_at += count;
            let last = texts.chunks(2).last().and_then(|pair| pair.first());
            let Some(last) = last.filter(|_| count == MOST_RUNS) else {
                page.next = None;
                return Ok(page);
            };
            if looked_at >= MOST_LOOKED_AT {
                return Ok(page);
            }
            newest = format!("({last}");
        }
    }

    async fn running(&self, instance: Option<&str>) -> Result<Vec<RunRecord>> {
        match instance {
            Some(instance) => self.runs_that_go_on(["of", instance]).await,
            None => self.runs_that_go_on(["all", ""]).await,
        }
    }

    async fn decisions(&self, task: &TaskName) -> Result<Vec<DecisionRecord>> {
        let texts = self
            .texts(&READ, vec!["decisions".to_owned(), task.to_string()])
            .await?;
        let lines = texts.iter().flat_map(|text| text.lines());
        let mut found: Vec<_> = lines.filter_map(DecisionRecord::from_json).collect();
        found.retain(|decided| decided.task == *task);
        found.sort_by(|a, b| b.last.cmp(&a.last).then(a.instance.cmp(&b.instance)));
        Ok(found)
    }

    async fn log(&self, run: RunId, after: u64) -> Result<LogTail> {
        let args = vec!["log".to_owned(), run.to_string(), after.to_string()];
        let texts = self.texts(&READ, args).await?;
        let lines = texts.iter().filter_map(|text| LogLine::from_json(text));
        Ok(LogTail::new(lines.collect(), after))
    }

    async fn counters(&self, tasks: &[TaskName]) -> Result<Vec<Option<Counters>>> {
        let mut found = Vec::with_capacity(tasks.len());
        for some in tasks.chunks(TASKS_PER_CALL) {
            let mut args = vec!["counters".to_owned()];
            args.extend(some.iter().map(TaskName::to_string));
            let texts = self.texts(&READ, args).await?;
            let mut counters = texts.iter().map(|text| reply::counters(text));
            // One for each task, whatever was answered.
            found.extend(some.iter().map(|_| counters.next().flatten()));
        }
        Ok(found)
    }

    async fn silent(&self, quiet: Duration) -> Result<Vec<RunRecord>> {
        let quiet = quiet.as_millis().to_string();
        self.runs_that_go_on(["silent", &quiet]).await
    }

    async fn end(&self, ended: &RunRecord) -> Result<bool> {
        if ended.is_running() {
            return Ok(false);
        }
        let mut args = request::retention(&self.retention);
        request::run("end", ended, &mut args);
        let done = |answer| from_redis_value::<u64>(answer).ok();
        Ok(self.ask(&WRITE, args, done).await? == 1)
    }

    fn describe(&self) -> String {
        self.line.to_string()
    }
}

impl fmt::Debug for RedisHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHistory")
            .field("servers", &format_args!("{}", self.line))
            .field("retention", &self.retention)
            .finish()
    }
}
