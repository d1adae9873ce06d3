//! One peer's turn: its processes, watched for some rounds.

use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value};
use tasklock_fleet::account::Account;
use tasklock_fleet::child::Child;
use tasklock_fleet::clock::until;
use tasklock_fleet::redis_server::{Info, RedisServer};
use tasklock_fleet::rounds::Rounds;
use tasklock_fleet::usage::{Usage, machine_cpu_s};

use crate::outcome::Outcome;
use crate::peer::Peer;
use crate::peer::work::Work;

pub struct Turn {
    pub tasks: usize,
    pub replicas: usize,
    pub rounds: u32,
    pub period: u32,
}

impl Turn {
    pub fn run(&self, peer: Peer, server: &RedisServer) -> Result<Outcome> {
        server.clear()?;
        let dir = tempfile::tempdir()?;
        let mut processes = Vec::new();
        for number in 0..self.replicas {
            let work = Work {
                port: server.port(),
                tasks: self.tasks,
                period: self.period,
                file: dir.path().join(format!("starts{number}")),
            };
            let mut command: Command = peer.command()?;
            work.tell(&mut command);
            processes.push(Child::start(peer.name(), command, &work.file)?);
        }
        let rounds = Rounds::soon(self.rounds, self.period, 0)?;
        let window = rounds.window_us();
        let usages = || -> Result<Vec<Usage>> { processes.iter().map(Child::usage).collect() };
        std::thread::sleep(until(window.start));
        let (used, busy, store) = (usages()?, machine_cpu_s(), server.info("cpu")?);
        std::thread::sleep(until(window.end));
        let (used_then, busy_then, store_then) = (usages()?, machine_cpu_s(), server.info("cpu")?);

        let mut starts = Vec::new();
        for process in processes {
            starts.push(process.end()?.starts);
        }
        let account = Account::of(&starts, &rounds, self.tasks);
        let cpu = |all: &[Usage]| all.iter().map(|u| u.cpu_s).sum::<f64>();
        let of_store = |info: &Info| {
            let number = |field| info.number(field).unwrap_or(0.0);
            number("used_cpu_user") + number("used_cpu_sys")
        };
        let per_firing = 1e6 / account.started.max(1) as f64;
        let seconds = (window.end - window.start) as f64 / 1e6;
        Ok(Outcome {
            lateness: [50.0, 99.0, 100.0].map(|percent| account.lateness.percentile(percent)),
            due: account.due,
            lost: account.lost,
            duplicate: account.duplicate,
            early: account.early,
            cpu_us: (cpu(&used_then) - cpu(&used)) * per_firing,
            redis_cpu_us: (of_store(&store_then) - of_store(&store)) * per_firing,
            peak_mb: used_then.iter().map(|u| u.peak_mb).fold(0.0, f64::max),
            busy_cores: (busy_then - busy) / seconds,
        })
    }

    /// What all lines of a comparison begin with.
    pub fn line(&self, peer: Peer) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("work".to_owned(), "peers".into());
        line.insert("peer".to_owned(), peer.name().into());
        line.insert("tasks".to_owned(), self.tasks.into());
        line.insert("replicas".to_owned(), self.replicas.into());
        line.insert("period_s".to_owned(), self.period.into());
        line
    }
}
