//! A service with a page, its fleet and its history in Redis: the process that tabs look at.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tasklock::admin::{Access, Visitor};
use tasklock::{BaseTask, RedisFleet, RedisHistory, RedisLock, Scheduler};
use tasklock_fleet::child;
use tasklock_fleet::starts::Starts;

use crate::instance::say;

/// What whoever asks has to send.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Args, Clone)]
pub struct Settings {
    #[arg(long)]
    pub redis: String,
    #[arg(long)]
    pub tasks: u32,
    /// Each task is due once a minute, and not once a year
    #[arg(long)]
    pub each_minute: bool,
    #[arg(long)]
    pub file: PathBuf,
}

impl Settings {
    /// As words for a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["page".to_owned()];
        for (name, value) in [
            ("--redis", self.redis.clone()),
            ("--tasks", self.tasks.to_string()),
            ("--file", self.file.display().to_string()),
        ] {
            words.extend([name.to_owned(), value]);
        }
        words.extend(self.each_minute.then(|| "--each-minute".to_owned()));
        words
    }
}

#[tokio::main]
pub async fn run(settings: &Settings) -> Result<()> {
    let lock = RedisLock::connect(&settings.redis).await?;
    let scheduler = Scheduler::builder()
        .fleet(RedisFleet::beside(&lock))
        .history(RedisHistory::beside(&lock))
        .lock(lock)
        .build()?;
    for number in 0..settings.tasks {
        let spec = match settings.each_minute {
            false => "0 0 0 1 1 *".to_owned(),
            // One after the other.
            true => format!("{} * * * * *", number % 60),
        };
        let body = |_| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        };
        let timeout = Duration::from_secs(30);
        scheduler.register(BaseTask::new(format!("task.{number}"), spec, timeout, body))?;
    }
    let access = Access::bearer_tokens([(TOKEN, Visitor::operator("bench"))]);
    let page = scheduler.admin().access(access).actions(true).router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(async move { axum::serve(listener, page).await });
    scheduler.start().await?;
    say(&json!({ "port": port }));

    let (sender, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        child::wait_for_end();
        sender.send(())
    });
    end.await.context("nobody waits for the end")?;
    server.abort();
    scheduler.stop().await;
    Starts::with_room(0).write(&settings.file)?;
    say(&json!({}));
    Ok(())
}
