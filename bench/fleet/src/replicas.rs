//! The same tasks on several instances.

use anyhow::Result;
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::instance::Waking;
use crate::options::Options;
use crate::trial::{Seen, Trial};

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    for tasks in options.tasks(&[1_000], &[1_000]) {
        for replicas in options.replicas(&[1, 2, 3, 4, 5, 6, 7, 8], &[1, 3]) {
            let trial = trial(&server, tasks, replicas, options.rounds(6, 3));
            let seen = trial.run(&server)?;
            println!("{}", line("replicas", &trial, &seen));
        }
    }
    Ok(())
}

pub fn trial(server: &RedisServer, tasks: usize, replicas: usize, rounds: u32) -> Trial {
    Trial {
        url: server.url(),
        tasks,
        replicas,
        period: 2,
        rounds,
        with_limit: false,
        waking: Waking::default(),
    }
}

pub fn line(work: &str, trial: &Trial, seen: &Seen) -> Value {
    let mut line = seen.line(work, trial);
    let started = seen.ours.started.max(1) as f64;
    let share = |starts: &usize| round(*starts as f64 / started);
    let shares: Vec<f64> = seen.ours.shares.iter().map(share).collect();
    line.insert("shares".into(), json!(shares));
    let calls = seen.commands_per_firing();
    let all: f64 = calls.values().filter_map(Value::as_f64).sum();
    line.insert("commands_per_firing".into(), round(all).into());
    line.insert("of_which".into(), calls.into());
    let cpu = seen.per_firing(seen.redis_cpu_s() * 1e6);
    line.insert("redis_cpu_us_per_firing".into(), cpu.into());
    line.into()
}
