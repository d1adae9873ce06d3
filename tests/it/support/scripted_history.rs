//! A history in memory that can be slow or away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::{
    Counters, DecisionRecord, Error, ErrorKind, History, HistoryWrite, LogTail, MemoryHistory,
    Result, RunId, RunPage, RunQuery, RunRecord, TaskName, async_trait,
};

/// What becomes of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// They are done.
    No,
    /// They are refused for now.
    Fails,
    /// They are refused for good.
    Denied,
    /// No answer ever comes.
    Hangs,
}

#[derive(Debug, Clone)]
pub struct ScriptedHistory {
    pub inner: MemoryHistory,
    state: Arc<Mutex<(Away, Vec<usize>)>>,
}

impl ScriptedHistory {
    pub fn new(inner: MemoryHistory) -> Self {
        Self {
            inner,
            state: Arc::new(Mutex::new((Away::No, Vec::new()))),
        }
    }

    pub fn set(&self, away: Away) {
        self.state.lock().unwrap().0 = away;
    }

    /// How many records each call has written.
    pub fn calls(&self) -> Vec<usize> {
        self.state.lock().unwrap().1.clone()
    }
}

#[async_trait]
impl History for ScriptedHistory {
    async fn write(&self, writes: &[HistoryWrite]) -> Result<()> {
        let away = self.state.lock().unwrap().0;
        match away {
            Away::No => {
                self.state.lock().unwrap().1.push(writes.len());
                self.inner.write(writes).await
            }
            Away::Fails => Err(Error::new(
                ErrorKind::StoreUnavailable,
                "connection refused",
            )),
            Away::Denied => Err(Error::new(ErrorKind::StoreDenied, "wrong password")),
            Away::Hangs => std::future::pending().await,
        }
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>> {
        self.inner.run(id).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<RunPage> {
        self.inner.runs(query).await
    }

    async fn running(&self, instance: Option<&str>) -> Result<Vec<RunRecord>> {
        self.inner.running(instance).await
    }

    async fn decisions(&self, task: &TaskName) -> Result<Vec<DecisionRecord>> {
        self.inner.decisions(task).await
    }

    async fn log(&self, run: RunId, after: u64) -> Result<LogTail> {
        self.inner.log(run, after).await
    }

    async fn counters(&self, tasks: &[TaskName]) -> Result<Vec<Option<Counters>>> {
        self.inner.counters(tasks).await
    }

    async fn silent(&self, quiet: Duration) -> Result<Vec<RunRecord>> {
        self.inner.silent(quiet).await
    }

    async fn end(&self, ended: &RunRecord) -> Result<bool> {
        self.inner.end(ended).await
    }

    fn describe(&self) -> String {
        "a scripted history".to_owned()
    }
}
