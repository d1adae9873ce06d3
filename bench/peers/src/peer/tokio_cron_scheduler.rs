//! tokio-cron-scheduler.

use std::sync::Arc;

use anyhow::Result;
use tasklock_fleet::starts::Starts;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::peer::key::Guard;
use crate::peer::work::Work;

/// `room` is for messages between its parts; what does not fit is lost.
#[tokio::main]
pub async fn run(room: Option<usize>) -> Result<()> {
    let work = Arc::new(Work::from_env()?);
    let starts = Starts::with_room(0);
    let guard = Guard::new(&work, &starts)?;
    let scheduler = match room {
        Some(room) => JobScheduler::new_with_channel_size(room).await?,
        None => JobScheduler::new().await?,
    };
    for task in 0..u32::try_from(work.tasks)? {
        let (guard, told) = (guard.clone(), work.clone());
        let job = Job::new_async(work.spec(), move |_, _| {
            // Jobs are not told their instant.
            let (guard, instant) = (guard.clone(), told.instant());
            Box::pin(async move {
                if let Err(error) = guard.fire(task, instant).await {
                    eprintln!("tokio-cron-scheduler: task {task}: {error:#}");
                }
            })
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    work.until_end(&starts).await
}
