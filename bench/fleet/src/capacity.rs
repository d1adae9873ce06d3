//! What one server carries: each thing that a scheduler asks of it, asked without a pause.
//!
//! Every task goes through the life of a firing, and each step is a pass over all tasks of its own, so
//! that the server's processor time can be told apart: granted, renewed, refused to another, looked at
//! by another, released.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::{Claim, Clock, Completion, Grant, Lock, RedisLock, SystemClock, TaskName, Token};
use tasklock_fleet::lateness::{median, round};
use tasklock_fleet::redis_server::{Info, RedisServer};

use crate::ask::{self, Asked};
use crate::options::Options;

/// No lease of a pass may end before the pass over them all has.
const TTL: Duration = Duration::from_secs(300);
/// Longer than a measurement takes.
const LATE: Duration = Duration::from_secs(86_400);

/// How tasks share requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A request of its own for each.
    Single,
    /// Up to 1 024 in a request, 128 in a call: what one server is asked.
    Calls,
    /// Up to 1 024 in a request, a call for each, since each has a slot of its own: what a primary of a
    /// cluster is asked whose keys have no tag.
    Slots,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::Single, Self::Calls, Self::Slots];

    fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Calls => "calls",
            Self::Slots => "slots",
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    report(options).map(drop)
}

/// Prints everything, in each shape, and at last what an idle instance asks; returns it.
pub fn report(options: &Options) -> Result<Vec<Cost>> {
    let (server, cluster) = (RedisServer::start()?, RedisServer::start_cluster()?);
    let mut costs = Vec::new();
    for shape in Shape::ALL {
        let (server, url) = match shape {
            Shape::Single | Shape::Calls => (&server, server.url()),
            Shape::Slots => (&cluster, cluster.cluster_url()),
        };
        let usual = if shape == Shape::Single {
            20_000
        } else {
            50_000
        };
        for tasks in options.tasks(&[usual], &[usual / 5]) {
            let failed = || format!("{tasks} tasks, {}", shape.word());
            let seen = medians(server, &url, tasks, shape, options.rounds(3, 1));
            let seen = seen.with_context(failed)?;
            seen.iter().for_each(|cost| println!("{}", cost.line()));
            costs.extend(seen);
        }
    }
    let ping = ping(&server, if options.quick { 5_000 } else { 30_000 })?;
    println!("{}", ping.line());
    println!("{}", room()?);
    costs.push(ping);
    Ok(costs)
}

/// What the server spends on one kind of request.
#[derive(Debug, Clone)]
pub struct Cost {
    pub operation: &'static str,
    pub shape: Shape,
    /// Of the server's processor, for one task.
    pub server_us: f64,
    /// By the server's count, those of scripts included, for one task.
    pub commands: f64,
    per_second: f64,
    server_cores: f64,
}

impl Cost {
    fn line(&self) -> Value {
        json!({
            "work": "capacity", "operation": self.operation, "shape": self.shape.word(),
            "per_second": round(self.per_second), "server_cores": round(self.server_cores),
            "server_us": round(self.server_us), "per_core_second": round(1e6 / self.server_us),
            "commands": round(self.commands),
        })
    }

    /// What `tasks` of them took between two looks at the server.
    fn of(
        operation: &'static str,
        shape: Shape,
        tasks: usize,
        took: Duration,
        (before, after): (&Info, &Info),
    ) -> Self {
        let cpu_s = |info: &Info| {
            let of = |field| info.number(field).unwrap_or(f64::NAN);
            of("used_cpu_user") + of("used_cpu_sys")
        };
        let calls = |info: &Info| {
            let calls = info.calls();
            // The harness asks for INFO.
            let own = calls.get("info").copied().unwrap_or(0.0);
            calls.values().sum::<f64>() - own
        };
        let (cpu_s, tasks) = (cpu_s(after) - cpu_s(before), tasks as f64);
        Self {
            operation,
            shape,
            server_us: cpu_s * 1e6 / tasks,
            commands: (calls(after) - calls(before)) / tasks,
            per_second: tasks / took.as_secs_f64(),
            server_cores: cpu_s / took.as_secs_f64(),
        }
    }
}

/// The median of each step over some rounds; one before them, in which there are no records yet, does
/// not count.
fn medians(
    server: &RedisServer,
    url: &str,
    tasks: usize,
    shape: Shape,
    rounds: u32,
) -> Result<Vec<Cost>> {
    server.clear()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let locks = ask::connect(url)?;
    let mut all: Vec<Vec<Cost>> = Vec::new();
    for number in 0..=rounds {
        let steps = runtime.block_on(steps(server, &locks, tasks, shape, number))?;
        if number > 0 {
            all.push(steps);
        }
    }
    let first = all.first().context("no rounds")?.clone();
    let of_all = |place: usize, value: fn(&Cost) -> f64| {
        median(all.iter().filter_map(|steps| steps.get(place)).map(value))
    };
    let medians = first.into_iter().enumerate().map(|(place, cost)| Cost {
        server_us: of_all(place, |c| c.server_us),
        commands: of_all(place, |c| c.commands),
        per_second: of_all(place, |c| c.per_second),
        server_cores: of_all(place, |c| c.server_cores),
        ..cost
    });
    Ok(medians.collect())
}

async fn steps(
    server: &RedisServer,
    locks: &[RedisLock],
    tasks: usize,
    shape: Shape,
    number: u32,
) -> Result<Vec<Cost>> {
    // Later in each round, and always in the past, so that none is too early.
    let instant = SystemClock.now() - TimeDelta::hours(1) + TimeDelta::seconds(number.into());
    let (ours, theirs) = (
        claims(tasks, instant, "bench:1")?,
        claims(tasks, instant, "bench:2")?,
    );
    let names: Vec<TaskName> = ours.iter().map(|claim| claim.task().clone()).collect();
    let is_single = shape == Shape::Single;
    let mut costs = Vec::new();
    let mut note = |operation, asked: &Asked| {
        let looks = (&asked.before, &asked.after);
        costs.push(Cost::of(operation, shape, tasks, asked.took, looks));
    };

    let (asked, grants) = ask::acquire(server, locks, &ours, is_single).await?;
    note("grant", &asked);
    let grants: Vec<Grant> = grants
        .into_iter()
        .collect::<Option<_>>()
        .context("not granted")?;
    note(
        "renew",
        &ask::renew(server, locks, &grants, is_single).await?,
    );
    let (asked, none) = ask::acquire(server, locks, &theirs, is_single).await?;
    anyhow::ensure!(none.iter().all(Option::is_none), "granted twice");
    note("refuse", &asked);
    note("look", &ask::look(server, locks, &names, is_single).await?);
    let ended = grants
        .into_iter()
        .map(|g| (g, Completion::Succeeded))
        .collect::<Vec<_>>();
    note(
        "release",
        &ask::release(server, locks, &ended, is_single).await?,
    );
    Ok(costs)
}

fn claims(tasks: usize, instant: DateTime<Utc>, owner: &str) -> Result<Vec<Claim>> {
    let claim = |n: usize| {
        let bits = u128::try_from(instant.timestamp_micros())? << 64 | (n as u128) << 8;
        let token = Token::from_bits(bits | u128::from(owner.ends_with('2')));
        let claim = Claim::new(format!("bench_{n}").parse()?, instant, token, owner);
        Ok(claim.with_ttl(TTL).with_late(LATE))
    };
    (0..tasks).map(claim).collect()
}

/// One request after the other that asks for nothing: what an idle instance costs each second.
fn ping(server: &RedisServer, times: usize) -> Result<Cost> {
    let client = redis::Client::open(server.url())?;
    let mut connection = client.get_connection()?;
    let before = server.info("everything")?;
    let begun = Instant::now();
    for _ in 0..times {
        let () = redis::cmd("PING").query(&mut connection)?;
    }
    let took = begun.elapsed();
    let after = server.info("everything")?;
    Ok(Cost::of(
        "ping",
        Shape::Single,
        times,
        took,
        (&before, &after),
    ))
}

/// What the server keeps of a task between its runs.
fn room() -> Result<Value> {
    const TASKS: usize = 10_000;
    let server = RedisServer::start()?;
    let used = |info: Info| info.number("used_memory").unwrap_or(f64::NAN);
    let before = used(server.info("memory")?);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let lock = RedisLock::connect(&server.url()).await?;
        let claims = claims(
            TASKS,
            SystemClock.now(),
            "a-host-of-usual-length:12345:0123456789",
        )?;
        let answers = lock.acquire_all(&claims).await;
        let grants = answers.into_iter().map(|answer| Ok(ask::grant(answer?)));
        let grants: Vec<Option<Grant>> = grants.collect::<Result<_>>()?;
        let ended = grants
            .into_iter()
            .flatten()
            .map(|g| (g, Completion::Succeeded));
        for released in lock.release_all(&ended.collect::<Vec<_>>()).await {
            released?;
        }
        anyhow::Ok(())
    })?;
    let bytes = (used(server.info("memory")?) - before) / TASKS as f64;
    Ok(
        json!({"work": "capacity", "operation": "keep", "tasks": TASKS,
        "bytes_per_task": round(bytes)}),
    )
}
