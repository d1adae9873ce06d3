//! A store that is far away.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::instance::Waking;
use crate::options::Options;
use crate::proxy::Proxy;
use crate::trial::Trial;

/// In each direction.
const DELAY: Duration = Duration::from_millis(10);

pub fn run(options: &Options) -> Result<()> {
    let server = RedisServer::start()?;
    let proxy = Proxy::start(server.port(), DELAY)?;
    for tasks in options.tasks(&[1_000], &[1_000]) {
        let trial = Trial {
            url: proxy.url(),
            tasks,
            replicas: 1,
            period: 2,
            rounds: options.rounds(10, 3),
            with_limit: true,
            waking: Waking::default(),
        };
        let seen = trial.run(&server)?;
        let mut line = seen.line("latency", &trial);
        // Timers ring late: what a request really takes is more than twice the delay.
        line.insert("round_trip_ms".into(), round(proxy.round_trip_ms()?).into());
        println!("{}", Value::from(line));
    }
    Ok(())
}
