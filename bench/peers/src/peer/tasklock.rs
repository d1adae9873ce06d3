//! This crate.

use std::time::Duration;

use anyhow::Result;
use tasklock::{BaseTask, RedisLock, Scheduler};
use tasklock_fleet::starts::Starts;

use crate::peer::work::Work;

#[tokio::main]
pub async fn run() -> Result<()> {
    let work = Work::from_env()?;
    let starts = Starts::with_room(0);
    let lock = RedisLock::connect(&work.url()).await?;
    let scheduler = Scheduler::builder().lock(lock).build()?;
    for task in 0..u32::try_from(work.tasks)? {
        let starts = starts.clone();
        let body = move |ctx: tasklock::RunContext| {
            let starts = starts.clone();
            async move {
                starts.note(task, ctx.fire_time().timestamp());
                Ok(())
            }
        };
        let (name, timeout) = (format!("peer_{task}"), Duration::from_secs(30));
        scheduler.register(BaseTask::new(name, work.spec(), timeout, body))?;
    }
    scheduler.start().await?;
    work.until_end(&starts).await?;
    scheduler.stop().await;
    Ok(())
}
