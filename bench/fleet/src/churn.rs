//! Tasks defined at run time that come and go by the thousand: does the process stay as large as it was?

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tasklock::{Expected, MemoryFleet, MemoryLock, Metrics, Scheduler, StoredTask};
use tasklock_fleet::lateness::round;
use tasklock_fleet::usage::Usage;

use crate::options::Options;
use crate::stored::{Nothing, save};

const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    for tasks in options.tasks(&[1_000], &[100]) {
        runtime.block_on(measure(tasks, options.rounds(60, 10)))?;
    }
    Ok(())
}

async fn measure(tasks: usize, rounds: u32) -> Result<()> {
    let builder = Scheduler::builder()
        .lock(MemoryLock::new())
        .fleet(MemoryFleet::new())
        .metrics(Metrics::new()?);
    let scheduler = builder.build()?;
    scheduler.handler("none", |_, _: Nothing| async { Ok(()) })?;
    scheduler.start().await?;
    let store = scheduler.handle().task_store().context("a fleet")?;
    let there = async |expected: usize| -> Result<()> {
        let begun = Instant::now();
        while scheduler.list_tasks().len() != expected {
            ensure!(begun.elapsed() < PATIENCE, "{expected} tasks are not there");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    };
    for number in 1..=rounds {
        for n in 0..tasks {
            let spec = format!("@every {}h", number as usize * tasks + n);
            save(
                &store,
                &StoredTask::new(format!("t{number}.{n}"), "none", spec),
            )
            .await?;
        }
        there(tasks).await?;
        for n in 0..tasks {
            store
                .delete(&format!("t{number}.{n}"), Expected::Anything)
                .await?;
        }
        there(0).await?;
        if number % (rounds / 6).max(1) == 0 {
            println!(
                "{}",
                json!({
                    "work": "churn", "tasks_so_far": number as usize * tasks,
                    "memory_mb": round(Usage::own()?.memory_mb),
                })
            );
        }
    }
    scheduler.stop().await;
    Ok(())
}
