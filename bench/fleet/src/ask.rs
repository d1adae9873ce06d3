//! Passes over many tasks, each of which asks the server one thing of every task, as fast as it answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tasklock::{Acquired, Claim, Completion, Grant, Lock, RedisLock, TaskName};
use tasklock_fleet::redis_server::{Info, RedisServer};
use tokio::task::JoinSet;

/// So many ask at once, each over connections of its own: the server always has a request to go on with.
const CLIENTS: usize = 4;
/// What a scheduler puts into one request.
const TASKS_PER_REQUEST: usize = 1_024;
/// Requests for one task that each client has on their way at once.
const SINGLE_AT_ONCE: usize = 64;

/// A full queue is what is measured, and no fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a pass took, and what the server said of itself before and after.
pub struct Asked {
    pub took: Duration,
    pub before: Info,
    pub after: Info,
}

pub fn connect(url: &str) -> Result<Vec<RedisLock>> {
    let mut locks = Vec::new();
    for _ in 0..CLIENTS {
        let lock = RedisLock::builder(url).response_timeout(PATIENCE);
        locks.push(lock.build()?);
    }
    Ok(locks)
}

/// What was granted, if it was; in the order of the claims.
pub async fn acquire(
    server: &RedisServer,
    locks: &[RedisLock],
    claims: &[Claim],
    is_single: bool,
) -> Result<(Asked, Vec<Option<Grant>>)> {
    let ask = |lock: RedisLock, claims: Vec<Claim>| async move {
        let answers = lock.acquire_all(&claims).await;
        let grants = answers.into_iter().map(|answer| Ok(grant(answer?)));
        grants.collect::<Result<Vec<_>>>()
    };
    pass(server, locks, claims, is_single, ask).await
}

pub async fn renew(
    server: &RedisServer,
    locks: &[RedisLock],
    grants: &[Grant],
    is_single: bool,
) -> Result<Asked> {
    let ask = |lock: RedisLock, grants: Vec<Grant>| async move {
        let answers = lock.renew_all(&grants).await;
        Ok(answers.into_iter().collect::<tasklock::Result<Vec<_>>>()?)
    };
    Ok(pass(server, locks, grants, is_single, ask).await?.0)
}

pub async fn look(
    server: &RedisServer,
    locks: &[RedisLock],
    names: &[TaskName],
    is_single: bool,
) -> Result<Asked> {
    let ask =
        |lock: RedisLock, names: Vec<TaskName>| async move { Ok(lock.last_fired(&names).await?) };
    Ok(pass(server, locks, names, is_single, ask).await?.0)
}

pub async fn release(
    server: &RedisServer,
    locks: &[RedisLock],
    ended: &[(Grant, Completion)],
    is_single: bool,
) -> Result<Asked> {
    let ask = |lock: RedisLock, ended: Vec<(Grant, Completion)>| async move {
        let answers = lock.release_all(&ended).await;
        Ok(answers.into_iter().collect::<tasklock::Result<Vec<_>>>()?)
    };
    Ok(pass(server, locks, ended, is_single, ask).await?.0)
}

pub fn grant(answer: Acquired) -> Option<Grant> {
    match answer {
        Acquired::Granted(grant) => Some(grant),
        _ => None,
    }
}

/// Asks for all of `items`: in requests of many, or in requests of one, many of which are on their way.
async fn pass<I, A, Asking>(
    server: &RedisServer,
    locks: &[RedisLock],
    items: &[I],
    is_single: bool,
    ask: impl Fn(RedisLock, Vec<I>) -> Asking + Copy + Send + 'static,
) -> Result<(Asked, Vec<A>)>
where
    I: Clone + Send + 'static,
    A: Send + 'static,
    Asking: Future<Output = Result<Vec<A>>> + Send,
{
    let lanes = locks.len() * if is_single { SINGLE_AT_ONCE } else { 1 };
    let request = if is_single { 1 } else { TASKS_PER_REQUEST };
    // Everything is ready before the first look at the server.
    let shares = items.chunks(items.len().div_ceil(lanes).max(1));
    let shares: Vec<Vec<Vec<I>>> = shares
        .map(|share| share.chunks(request).map(<[I]>::to_vec).collect())
        .collect();
    let before = server.info("everything")?;
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for (place, (share, lock)) in shares.into_iter().zip(locks.iter().cycle()).enumerate() {
        let lock = lock.clone();
        lanes.spawn(async move {
            let mut answers = Vec::new();
            for request in share {
                answers.extend(ask(lock.clone(), request).await?);
            }
            anyhow::Ok((place, answers))
        });
    }
    let mut answers = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        answers.push(lane.context("a client panicked")??);
    }
    let took = begun.elapsed();
    let after = server.info("everything")?;
    answers.sort_by_key(|(place, _)| *place);
    let answers = answers.into_iter().flat_map(|(_, answers)| answers);
    let asked = Asked {
        took,
        before,
        after,
    };
    Ok((asked, answers.collect()))
}
