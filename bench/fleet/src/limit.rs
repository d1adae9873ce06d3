//! The limit: what a program reaches that does nothing but take keys and start tasks.
//!
//! Names, instants, keys and requests are ready before the second comes. Then one connection sends
//! `SET … NX EX` in pipelines of 500, one after the other, and each key that was taken becomes a
//! tokio task, as in any library. There is no schedule, no lease, no release, no record of the
//! instant in the store, and nothing that guards the task.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use tasklock_fleet::child;
use tasklock_fleet::clock::{now_us, until};
use tasklock_fleet::starts::Starts;

use crate::instance::say;

const CHUNK: usize = 500;

#[derive(Args, Clone)]
pub struct Settings {
    #[arg(long)]
    pub redis: String,
    #[arg(long)]
    pub tasks: u32,
    #[arg(long)]
    pub period: u32,
    #[arg(long)]
    pub offset: u32,
    #[arg(long)]
    pub room: usize,
    #[arg(long)]
    pub file: PathBuf,
}

impl Settings {
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["limit".to_owned()];
        for (name, value) in [
            ("--redis", self.redis.clone()),
            ("--tasks", self.tasks.to_string()),
            ("--period", self.period.to_string()),
            ("--offset", self.offset.to_string()),
            ("--room", self.room.to_string()),
            ("--file", self.file.display().to_string()),
        ] {
            words.extend([name.to_owned(), value]);
        }
        words
    }
}

/// Where the times of the replies are, beside the starts in `file`.
pub fn replies_file(file: &Path) -> PathBuf {
    file.with_extension("replies")
}

#[tokio::main]
pub async fn run(settings: &Settings) -> Result<()> {
    let client = redis::Client::open(settings.redis.as_str())?;
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.context("the limit has no store")?;
    let starts = Starts::with_room(settings.room);
    let replies = Starts::with_room(settings.room);
    say(&json!({}));

    let rounds = {
        let (settings, starts, replies) = (settings.clone(), starts.clone(), replies.clone());
        tokio::spawn(async move {
            let (period, offset) = (i64::from(settings.period), i64::from(settings.offset));
            let now = now_us() / 1_000_000;
            let mut instant = (now - offset).div_euclid(period) * period + period + offset;
            loop {
                let requests = requests(settings.tasks, instant);
                tokio::time::sleep(until(instant * 1_000_000)).await;
                take(&mut connection, &requests, instant, &starts, &replies).await?;
                instant += period;
            }
        })
    };
    let (sender, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        child::wait_for_end();
        sender.send(())
    });
    tokio::select! {
        ended = rounds => {
            let ended: Result<()> = ended.context("the limit panicked")?;
            ended?;
        }
        _ = end => tokio::time::sleep(Duration::from_millis(100)).await,
    }
    starts.write(&settings.file)?;
    replies.write(&replies_file(&settings.file))?;
    say(&json!({}));
    Ok(())
}

/// Keys of an instant of its own need no release, and end by themselves.
fn requests(tasks: u32, instant: i64) -> Vec<Pipeline> {
    let numbers: Vec<u32> = (0..tasks).collect();
    let pipeline = |chunk: &[u32]| {
        let mut pipeline = redis::pipe();
        for number in chunk {
            let key = format!("limit:{number}:{instant}");
            pipeline.cmd("SET").arg(key).arg("token");
            pipeline.arg("NX").arg("EX").arg(30);
        }
        pipeline
    };
    numbers.chunks(CHUNK).map(pipeline).collect()
}

async fn take(
    connection: &mut MultiplexedConnection,
    requests: &[Pipeline],
    instant: i64,
    starts: &Starts,
    replies: &Starts,
) -> Result<()> {
    let mut number = 0;
    for request in requests {
        let taken: Vec<Option<String>> = request.query_async(connection).await?;
        let replied_us = now_us();
        for is_ours in taken.iter().map(Option::is_some) {
            if is_ours {
                let (starts, number) = (starts.clone(), number);
                tokio::spawn(async move { starts.note(number, instant) });
                replies.note_at(number, instant, replied_us);
            }
            number += 1;
        }
    }
    Ok(())
}
