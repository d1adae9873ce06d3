//! The instances, and what they run: the same tasks on each of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tasklock::{
    BaseTask, Event, Observer, Policy, RunContext, Scheduler, TaskError, TaskName, TaskResult,
};
use tokio::sync::Notify;

use crate::clock::SimClock;
use crate::history::{Firing, History, Life, What};
use crate::sim_lock::SimLock;

/// Name and spec of each task, and how often it fires, in milliseconds.
pub const TASKS: [(&str, &str, i64); 8] = [
    ("every_second", "* * * * * *", 1000),
    ("two_seconds", "*/2 * * * * *", 2000),
    ("three_seconds", "*/3 * * * * *", 3000),
    ("four_seconds", "@every 4s", 4000),
    ("five_seconds", "*/5 * * * * *", 5000),
    ("seven_seconds", "@every 7s", 7000),
    ("short", "@every 700ms", 700),
    ("after", "@after 2s", 2000),
];
/// The number of the one that runs a time after its last run.
pub const AFTER: usize = 7;
pub const AFTER_DELAY: i64 = 2000;
pub const LEASE: i64 = 3000;
pub const MISFIRE: i64 = 4000;
/// What a simulated panic says, so that the test's output can leave it out.
pub const PANIC: &str = "a simulated panic";

const TIMEOUT: Duration = Duration::from_millis(2500);
const CANCEL_GRACE: Duration = Duration::from_millis(300);
const SHUTDOWN_GRACE: Duration = Duration::from_millis(1200);

pub fn task_number(name: &str) -> usize {
    let found = TASKS.iter().position(|(n, _, _)| *n == name);
    found.unwrap_or_else(|| panic!("{name:?} is no task"))
}

pub fn host_name(instance: usize) -> String {
    format!("instance-{instance}")
}

pub fn number_of(host: &str) -> usize {
    host.strip_prefix("instance-").unwrap().parse().unwrap()
}

fn firing(task: &TaskName, fire_time: tasklock::chrono::DateTime<tasklock::chrono::Utc>) -> Firing {
    Firing {
        task: task_number(task.as_str()),
        instant: fire_time.timestamp_millis(),
    }
}

/// What an instance's process is made of, each time it is started.
#[derive(Debug, Clone)]
pub struct Instance {
    pub number: usize,
    pub seed: u64,
    pub clock: Arc<SimClock>,
    pub history: History,
    pub stop: Arc<Notify>,
    /// How often it has been started.
    pub boots: Arc<Mutex<u32>>,
}

impl Instance {
    pub fn life(&self) -> Life {
        Life {
            instance: self.number,
            boot: *self.boots.lock().unwrap(),
        }
    }

    /// The instance's process: runs until it is asked to stop.
    pub async fn run(self) -> turmoil::Result {
        *self.boots.lock().unwrap() += 1;
        let life = self.life();
        let scheduler = self.scheduler(life);
        tokio::select! {
            biased;
            () = self.stop.notified() => {}
            () = start(&scheduler) => {
                self.history.note(What::Up(life));
                self.stop.notified().await;
            }
        }
        self.history.note(What::Stopping(life));
        scheduler.stop().await;
        self.history.note(What::Stopped(life));
        Ok(())
    }

    fn scheduler(&self, life: Life) -> Scheduler {
        let scheduler = Scheduler::builder()
            .lock(SimLock::default())
            .clock(self.clock.clone())
            .observer(Witness {
                life,
                history: self.history.clone(),
            })
            .instance_id(host_name(self.number))
            .shutdown_grace(SHUTDOWN_GRACE)
            .wait_for_lock(Duration::from_secs(20))
            .build()
            .unwrap();
        let policy = Policy::default()
            .lease_ttl(Duration::from_millis(LEASE.unsigned_abs()))
            .misfire_threshold(Duration::from_millis(MISFIRE.unsigned_abs()))
            .cancel_grace(CANCEL_GRACE);
        for (number, (name, spec, _)) in TASKS.into_iter().enumerate() {
            let this = self.clone();
            let body = move |ctx: RunContext| this.clone().body(life, number, ctx);
            let task = BaseTask::new(name, spec, TIMEOUT, body).policy(policy.clone());
            scheduler.register(task).unwrap();
        }
        scheduler
    }

    /// One run: takes 5 ms to 3 s, and ends in one of the ways in which runs end.
    async fn body(self, life: Life, task: usize, ctx: RunContext) -> TaskResult {
        let firing = Firing {
            task,
            instant: ctx.fire_time().timestamp_millis(),
        };
        let _body = Body::begin(self.history, life, firing);
        // By what it is, not by what was drawn before, so that a change elsewhere in the
        // simulation does not change what each run does.
        let seed = self.seed ^ (firing.instant as u64).rotate_left(20) ^ task as u64;
        let mut rng = SmallRng::seed_from_u64(seed);
        let longest = if rng.random_bool(0.3) { 3000 } else { 400 };
        let takes = Duration::from_millis(rng.random_range(5..=longest));
        let is_polite = rng.random_bool(0.5);
        tokio::select! {
            biased;
            () = ctx.cancelled(), if is_polite => return Err(TaskError::new("was asked to end")),
            () = tokio::time::sleep(takes) => {}
        }
        match rng.random_range(0..20) {
            0 => Err(TaskError::new("a simulated failure")),
            1 => std::panic::panic_any(PANIC),
            _ => Ok(()),
        }
    }
}

/// Starts a scheduler, and goes on trying.
async fn start(scheduler: &Scheduler) {
    while scheduler.start().await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The stretch of time in which a task's code may do something.
struct Body {
    history: History,
    life: Life,
    firing: Firing,
}

impl Body {
    fn begin(history: History, life: Life, firing: Firing) -> Self {
        history.note(What::BodyBegan(life, firing));
        Self {
            history,
            life,
            firing,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.history.note(What::BodyEnded(self.life, self.firing));
    }
}

/// Writes down what the engine announces.
struct Witness {
    life: Life,
    history: History,
}

impl Observer for Witness {
    fn on_event(&self, event: &Event) {
        let life = self.life;
        let what = match event {
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                count,
                ..
            } => What::Decided(life, firing(task, *fire_time), *decision, *count),
            Event::RunStarted { run } => What::Started(
                life,
                firing(&run.task, run.fire_time),
                run.fencing_token.get(),
            ),
            Event::RunFinished { run, outcome, .. } => {
                What::Finished(life, firing(&run.task, run.fire_time), *outcome)
            }
            _ => return,
        };
        self.history.note(what);
    }
}
