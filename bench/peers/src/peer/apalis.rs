//! apalis-cron: a stream of ticks and a worker for each task.

use std::str::FromStr;

use anyhow::Result;
use apalis::prelude::{BoxDynError, Data, WorkerBuilder};
use apalis_cron::{CronScheduler, Tick};
use tasklock_fleet::starts::Starts;

use crate::peer::key::Guard;
use crate::peer::work::Work;

#[derive(Clone)]
struct Guarded {
    task: u32,
    guard: Guard,
}

async fn fire(tick: Tick, guarded: Data<Guarded>) -> Result<(), BoxDynError> {
    let Guarded { task, guard } = &*guarded;
    let instant = i64::try_from(tick.get_timestamp())?;
    Ok(guard.fire(*task, instant).await?)
}

#[tokio::main]
pub async fn run() -> Result<()> {
    let work = Work::from_env()?;
    let starts = Starts::with_room(0);
    let guard = Guard::new(&work, &starts)?;
    for task in 0..u32::try_from(work.tasks)? {
        let guard = guard.clone();
        let schedule = cron::Schedule::from_str(&work.spec())?;
        let worker = WorkerBuilder::new(format!("worker_{task}"))
            .backend(CronScheduler::new(schedule))
            .data(Guarded { task, guard })
            .build(fire);
        tokio::spawn(async move {
            if let Err(error) = worker.run().await {
                eprintln!("apalis: worker {task}: {error}");
            }
        });
    }
    work.until_end(&starts).await
}
