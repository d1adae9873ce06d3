//! No scheduler: a loop that sleeps until the second, takes all keys in pipelines of 500 over one
//! connection, starts a task for each, and deletes the keys of a pipeline in one command.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use tasklock_fleet::clock::until;
use tasklock_fleet::starts::Starts;

use crate::peer::key::name;
use crate::peer::work::Work;

const CHUNK: usize = 500;

#[tokio::main]
pub async fn run() -> Result<()> {
    let work = Work::from_env()?;
    let starts = Starts::with_room(0);
    let client = redis::Client::open(work.url())?;
    let connection = client.get_multiplexed_async_connection().await?;
    let rounds = tokio::spawn(rounds(work.clone(), connection, starts.clone()));
    tokio::select! {
        ended = rounds => ended?,
        ended = work.until_end(&starts) => ended,
    }
}

async fn rounds(work: Work, mut connection: MultiplexedConnection, starts: Starts) -> Result<()> {
    let tasks: Vec<u32> = (0..u32::try_from(work.tasks)?).collect();
    let period = i64::from(work.period);
    let mut instant = work.instant() + period;
    loop {
        tokio::time::sleep(until(instant * 1_000_000)).await;
        for chunk in tasks.chunks(CHUNK) {
            take(&mut connection, chunk, instant, &starts).await?;
        }
        instant += period; // one that is late catches up
    }
}

async fn take(
    connection: &mut MultiplexedConnection,
    tasks: &[u32],
    instant: i64,
    starts: &Starts,
) -> Result<()> {
    let mut sets = redis::pipe();
    for task in tasks {
        let set = sets.cmd("SET").arg(name(*task)).arg("token");
        set.arg("NX").arg("EX").arg(30);
    }
    let taken: Vec<Option<String>> = sets.query_async(connection).await?;
    let mut delete = redis::cmd("DEL");
    for (task, taken) in tasks.iter().zip(taken) {
        if taken.is_some() {
            let (starts, task) = (starts.clone(), *task);
            tokio::spawn(async move { starts.note(task, instant) });
            delete.arg(name(task));
        }
    }
    // Without a key the command would be refused.
    if delete.args_iter().count() > 1 {
        let () = delete.query_async(connection).await?;
    }
    Ok(())
}
