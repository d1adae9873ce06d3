//! What a peer is told, in any language: by its environment.
//!
//! It registers its tasks, says `{}` in a line, fires until its standard input ends, writes its starts
//! down, says `{}` again, and exits.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tasklock_fleet::child;
use tasklock_fleet::clock::now_us;
use tasklock_fleet::starts::Starts;

#[derive(Debug, Clone)]
pub struct Work {
    /// Of the Redis on this host.
    pub port: u16,
    pub tasks: usize,
    /// All tasks are due on each so many seconds.
    pub period: u32,
    pub file: PathBuf,
}

impl Work {
    pub fn tell(&self, command: &mut Command) {
        command
            .env("PEER_PORT", self.port.to_string())
            .env("PEER_TASKS", self.tasks.to_string())
            .env("PEER_PERIOD", self.period.to_string())
            .env("PEER_FILE", &self.file);
    }

    /// As told.
    pub fn from_env() -> Result<Self> {
        let get = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            port: get("PEER_PORT")?.parse()?,
            tasks: get("PEER_TASKS")?.parse()?,
            period: get("PEER_PERIOD")?.parse()?,
            file: get("PEER_FILE")?.into(),
        })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn spec(&self) -> String {
        format!("*/{} * * * * *", self.period)
    }

    /// The instant that a task is for that is called now, for schedulers that do not say.
    pub fn instant(&self) -> i64 {
        let period = i64::from(self.period);
        now_us() / 1_000_000 / period * period
    }

    /// Says that everything is registered, and comes back when it is enough.
    pub async fn until_end(&self, starts: &Starts) -> Result<()> {
        println!("{{}}");
        let (sender, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            child::wait_for_end();
            sender.send(())
        });
        end.await.context("nobody waits for the end")?;
        starts.write(&self.file)?;
        println!("{{}}");
        Ok(())
    }
}
