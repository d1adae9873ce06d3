//! What the tasks do: effects on a resource that checks fencing tokens.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tasklock::{RunContext, TaskResult};

use super::super::history::{History, What};
use super::random::Random;

/// Takes an effect unless one with a larger token came before, and keeps the order of all.
const TAKE: &str = "
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[1]) or '0') then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1";

#[derive(Debug, Clone)]
pub struct Body {
    pub history: Arc<History>,
    pub resource: MultiplexedConnection,
    pub shortest: u64,
    pub longest: u64,
}

/// Says when the run's future is gone.
struct Gone {
    history: Arc<History>,
    task: String,
    instant: i64,
    fence: u64,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.history
            .note(What::Gone, &self.task, self.instant, self.fence, "-");
    }
}

impl Body {
    pub fn run(&self, ctx: &RunContext) -> impl Future<Output = TaskResult> + Send + use<> {
        let mut this = self.clone();
        let gone = Gone {
            history: self.history.clone(),
            task: ctx.task_name().to_owned(),
            instant: ctx.fire_time().timestamp_millis(),
            fence: ctx.fencing_token().get(),
        };
        let polled_at = Arc::new(AtomicU64::new(0));
        let seen = polled_at.clone();
        // The same for an instant wherever it runs, and different from one to the next.
        let seed = gone.instant as u64 ^ gone.task.bytes().map(u64::from).sum::<u64>() << 48;
        let takes = Duration::from_millis(Random::new(seed).within(this.shortest..this.longest));
        let mut work = Box::pin(async move {
            let until = tokio::time::Instant::now() + takes;
            loop {
                this.act(&gone, seen.load(Ordering::Relaxed)).await;
                let left = until.saturating_duration_since(tokio::time::Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                tokio::time::sleep(left.min(Duration::from_millis(40))).await;
            }
        });
        poll_fn(move |cx| {
            polled_at.store(History::now(), Ordering::Relaxed);
            work.as_mut().poll(cx)
        })
    }

    async fn act(&mut self, run: &Gone, polled_at: u64) {
        let Gone {
            task,
            instant,
            fence,
            history,
        } = run;
        history.note(What::Act, task, *instant, *fence, &polled_at.to_string());
        let mut call = redis::cmd("EVAL");
        call.arg(TAKE).arg(2).arg(format!("{task}:fence"));
        call.arg(format!("{task}:kept")).arg(fence);
        let word = match call.query_async::<i64>(&mut self.resource).await {
            Ok(1) => "accepted",
            Ok(_) => "refused",
            Err(_) => "failed",
        };
        history.note(What::Effect, task, *instant, *fence, word);
    }
}
