//! One run of a stored task, in real time.

use std::sync::Arc;
use std::time::Duration;

use tasklock::serde_json::Value;
use tasklock::testing::RecordingObserver;
use tasklock::{
    Event, Kind, MemoryFleet, MemoryLock, Outcome, Policy, Saved, Scheduler, StoredTask, TaskStore,
};

/// How a run ended, and what it said.
pub type Ended = (Outcome, String);

/// A scheduler with a kind, which runs stored tasks once each.
pub struct OneRun {
    pub scheduler: Scheduler,
    pub store: TaskStore,
    seen: RecordingObserver,
    timeout: Duration,
}

impl OneRun {
    pub async fn of(kind: impl Kind) -> Self {
        let seen = RecordingObserver::new();
        let scheduler = Scheduler::builder()
            .lock(MemoryLock::new())
            .fleet(MemoryFleet::new())
            .observer(seen.clone())
            .shutdown_grace(Duration::ZERO)
            .build()
            .unwrap();
        scheduler.kind("kind", kind).unwrap();
        scheduler.start().await.unwrap();
        let store = scheduler.handle().task_store().unwrap();
        Self {
            scheduler,
            store,
            seen,
            timeout: Duration::from_secs(60),
        }
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Saves a task that runs at once; what is wrong with it, if anything.
    pub async fn save(&self, name: &str, parameters: Value) -> Result<(), String> {
        let task = StoredTask::new(name, "kind", "@startup")
            .parameters(parameters)
            .timeout(self.timeout)
            .policy(Policy::default().cancel_grace(Duration::from_secs(10)));
        match self.store.save(&task).await {
            Ok(Saved::Done(_)) => Ok(()),
            Ok(refused) => panic!("{refused:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits for the end of a task's run.
    pub async fn ended(&self, name: &str) -> Ended {
        let is_it = |event: &Event| match event {
            Event::RunFinished {
                run,
                outcome,
                error,
                ..
            } if run.task == name => {
                let error: Option<Arc<str>> = error.clone();
                Some((*outcome, error.as_deref().unwrap_or_default().to_owned()))
            }
            _ => None,
        };
        let patience = Duration::from_secs(60);
        self.seen
            .wait_for(patience, |events| events.iter().find_map(is_it))
            .await
    }

    pub async fn run(&self, name: &str, parameters: Value) -> Ended {
        self.save(name, parameters).await.unwrap();
        self.ended(name).await
    }
}
