//! Thousands of firings a second, for a minute.

use anyhow::Result;
use serde_json::{Value, json};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::fit::line_through;
use crate::instance::Waking;
use crate::options::Options;
use crate::trial::Trial;

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    for tasks in options.tasks(&[10_000], &[2_000]) {
        let trial = Trial {
            url: server.url(),
            tasks,
            replicas: 1,
            period: 1,
            rounds: options.seconds(60, 10),
            with_limit: false,
            waking: Waking::default(),
        };
        let seen = trial.run(&server)?;
        let mut line = seen.line("sustained", &trial);
        let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
        put("cores", round(seen.cpu_s / seen.seconds).into());
        put(
            "redis_cores",
            round(seen.redis_cpu_s() / seen.seconds).into(),
        );
        // The first quarter is when allocators find their size.
        let memory: Vec<(f64, f64)> = (1..).map(f64::from).zip(seen.memory_mb.clone()).collect();
        let settled = memory.get(memory.len() / 4..).unwrap_or_default();
        let growth = line_through(settled).map(|fit| round(fit.slope * 60.0));
        put("memory_mb_per_minute", json!(growth));
        let times = [memory.first(), memory.get(memory.len() / 2), memory.last()];
        put(
            "memory_mb",
            json!(times.map(|at| at.map(|(_, mb)| round(*mb)))),
        );
        println!("{}", Value::from(line));
    }
    Ok(())
}
