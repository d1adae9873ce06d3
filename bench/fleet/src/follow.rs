//! What it costs to follow a fleet in which nothing happens.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;
use tasklock_fleet::usage::Usage;

use crate::control::instances;
use crate::options::Options;

pub fn run(options: &Options) -> Result<()> {
    let seconds = options.seconds(60, 10);
    let runtime = tokio::runtime::Runtime::new()?;
    for n in options.replicas(&[1, 3], &[3]) {
        runtime.block_on(measure(n, seconds))?;
    }
    Ok(())
}

async fn measure(n: usize, seconds: u32) -> Result<()> {
    let server = RedisServer::start()?;
    let all = instances(&server, n).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, cpu) = (server.info("everything")?, Usage::own()?);
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (after, used) = (server.info("everything")?, Usage::own()?);
    let each = f64::from(seconds) * n as f64;
    let calls = after.calls().into_iter().filter_map(|(name, count)| {
        let count = count - before.calls().get(&name).copied().unwrap_or(0.0);
        (count > 0.0).then(|| (name, json!(round(count / each))))
    });
    let calls: serde_json::Map<_, _> = calls.collect();
    let field = |name: &str| {
        let number = |info: &tasklock_fleet::redis_server::Info| info.number(name);
        Some(number(&after)? - number(&before)?)
    };
    println!(
        "{}",
        json!({
            "work": "follow", "instances": n, "seconds": seconds,
            "reads_per_instance_and_second": field("total_reads_processed").map(|n| round(n / each)),
            "commands_per_instance_and_second": calls,
            "cpu_percent_per_instance": round((used.cpu_s - cpu.cpu_s) / each * 100.0),
            "server_cpu_percent": field("used_cpu_user")
                .zip(field("used_cpu_sys"))
                .map(|(user, sys)| round((user + sys) / f64::from(seconds) * 100.0)),
        })
    );
    for scheduler in all {
        scheduler.stop().await;
    }
    Ok(())
}
