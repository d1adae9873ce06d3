//! How long a command is on its way from who asks to the instance that takes it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tasklock::{
    Answer, BaseTask, By, ControlPlane, RedisFleet, RedisLock, RunNow, Scheduler, Version,
};
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::RedisServer;

use crate::options::Options;

/// Instances that may take it, in this process and with connections of their own.
const INSTANCES: usize = 3;

pub fn run(options: &Options) -> Result<()> {
    let rounds = options.rounds(200, 20) as usize;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(rounds))
}

/// `n` instances that are hardly ever due, in one fleet.
pub async fn instances(server: &RedisServer, n: usize) -> Result<Vec<Scheduler>> {
    let mut all = Vec::new();
    for place in 0..n {
        let lock = RedisLock::connect(&server.url()).await?;
        let builder = Scheduler::builder().fleet(RedisFleet::beside(&lock));
        let id = format!("i{place}");
        let scheduler = builder.lock(lock).instance_id(id).build()?;
        let minute = Duration::from_secs(60);
        let task = BaseTask::new("t", "0 0 0 1 1 * 2199", minute, |_| async { Ok(()) });
        scheduler.register(task)?;
        scheduler.start().await?;
        all.push(scheduler);
    }
    Ok(all)
}

async fn measure(rounds: usize) -> Result<()> {
    let server = RedisServer::start()?;
    let all = instances(&server, INSTANCES).await?;
    let fleet = RedisFleet::beside(&RedisLock::connect(&server.url()).await?);
    let control = ControlPlane::new(fleet);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let by = By::new("bench", "to measure")?;
    let (mut taken, mut answered, mut followed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // At any moment of the second in which instances look by themselves.
        tokio::time::sleep(Duration::from_millis(20 + (round as u64 * 37) % 100)).await;
        let begun = Instant::now();
        let receipt = control.run(RunNow::new("t", &by)).await?;
        answered.push(begun.elapsed());
        let Answer::Accepted(accepted) = receipt.answer else {
            anyhow::bail!("{receipt:?}");
        };
        // By whole milliseconds of one machine's clock.
        taken.push(accepted.after);
        let begun = Instant::now();
        let version = control.drain("nobody", &by).await?;
        follow(&all, version, begun).await?;
        followed.push(begun.elapsed());
        control.undrain("nobody", &by).await?;
    }
    let ms = |all: &mut Vec<Duration>, part: f64| {
        all.sort_unstable();
        let place = ((all.len() as f64 * part) as usize).min(all.len() - 1);
        round_ms(all[place])
    };
    println!(
        "{}",
        json!({
            "work": "control", "instances": INSTANCES, "commands": rounds,
            "taken_p50_ms": ms(&mut taken, 0.5), "taken_p99_ms": ms(&mut taken, 0.99),
            "answered_p50_ms": ms(&mut answered, 0.5), "answered_p99_ms": ms(&mut answered, 0.99),
            "followed_p50_ms": ms(&mut followed, 0.5), "followed_p99_ms": ms(&mut followed, 0.99),
        })
    );
    for scheduler in all {
        scheduler.stop().await;
    }
    Ok(())
}

/// Waits until all follow a rule of that version.
async fn follow(all: &[Scheduler], _version: Version, begun: Instant) -> Result<()> {
    let follows = |s: &Scheduler| s.handle().rules().drain_of("nobody").is_some();
    while !all.iter().all(follows) {
        ensure!(
            begun.elapsed() < Duration::from_secs(10),
            "a rule is not followed"
        );
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(())
}

fn round_ms(took: Duration) -> f64 {
    round(took.as_secs_f64() * 1e3)
}
