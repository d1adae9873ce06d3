//! Many tasks due at the same second on one instance, beside the limit.

use anyhow::Result;
use serde_json::Value;
use tasklock_fleet::redis_server::RedisServer;

use crate::instance::Waking;
use crate::options::Options;
use crate::trial::Trial;

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    for tasks in options.tasks(&[1, 100, 1_000, 10_000], &[1, 100, 1_000]) {
        for &engine in &options.engine {
            let trial = Trial {
                url: server.url(),
                tasks,
                replicas: 1,
                period: period(tasks),
                // Few starts in a round need more of them for a percentile.
                rounds: options.rounds(if tasks <= 100 { 15 } else { 8 }, 3),
                with_limit: true,
                waking: Waking {
                    engine,
                    lead_ms: options.lead_ms,
                },
            };
            let mut line = trial.run(&server)?.line("due", &trial);
            line.insert("engine".to_owned(), engine.word().into());
            println!("{}", Value::from(line));
        }
    }
    Ok(())
}

/// Seconds between two rounds, so that what a round leaves behind is done before the limit's comes.
pub fn period(tasks: usize) -> u32 {
    match tasks {
        0..=2_000 => 2,
        2_001..=20_000 => 4,
        _ => 10,
    }
}
