//! A scheduler in simulated time: tokio's clock stands still while there is work, and jumps when there
//! is none, so that a second takes as long as what is done in it.

#![allow(dead_code)] // no benchmark uses all of it

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tasklock::testing::TestClock;
use tasklock::{BaseTask, Event, MemoryLock, Observer, Outcome, Scheduler, SchedulerBuilder};
use tokio::runtime::{Builder, Runtime};

/// Half a second after a full one, so that no second begins while something is measured.
const START: &str = "2027-01-04T00:00:00.5Z";

pub fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime of one thread needs nothing")
}

/// A scheduler on a lock in memory, both on one simulated clock, that fires and counts its outcomes.
pub struct Fleet {
    runtime: Runtime,
    _scheduler: Scheduler,
    succeeded: Succeeded,
}

impl Fleet {
    pub fn start(builder: SchedulerBuilder, tasks: impl Iterator<Item = BaseTask>) -> Self {
        let runtime = runtime();
        let succeeded = Succeeded::default();
        let scheduler = runtime.block_on(async {
            let clock = Arc::new(TestClock::at(START));
            let lock = MemoryLock::with_clock(clock.clone());
            let builder = builder.lock(lock).clock(clock).observer(succeeded.clone());
            let scheduler = builder.build().expect("the settings are the usual ones");
            for task in tasks {
                scheduler.register(task).expect("names and specs are valid");
            }
            scheduler
                .start()
                .await
                .expect("a lock in memory is always up");
            // Leads and room for all of them are found in the first seconds.
            tokio::time::sleep(Duration::from_secs(3)).await;
            scheduler
        });
        Self {
            runtime,
            _scheduler: scheduler,
            succeeded,
        }
    }

    /// How long so many seconds took, in each of which so many runs began and ended.
    pub fn seconds(&self, seconds: u64, runs: u64) -> Duration {
        let before = self.succeeded.count();
        let begun = Instant::now();
        let wait = async { tokio::time::sleep(Duration::from_secs(seconds)).await };
        self.runtime.block_on(wait);
        let took = begun.elapsed();
        let ended = self.succeeded.count() - before;
        assert_eq!(ended, seconds * runs, "what is measured did not happen");
        took
    }
}

/// Clones count together.
#[derive(Clone, Default)]
struct Succeeded(Arc<AtomicU64>);

impl Succeeded {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Observer for Succeeded {
    fn on_event(&self, event: &Event) {
        if let Event::RunFinished {
            outcome: Outcome::Success,
            ..
        } = event
        {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
