//! Locks: what a grant and its release, a refusal, a renewal and a look cost, for one task and for many
//! together; in memory, and on a `redis-server` of the benchmark's own.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tasklock::chrono::{DateTime, TimeDelta, Utc};
use tasklock::{
    Acquired, Claim, Clock, Completion, Grant, Lock, MemoryLock, RedisLock, SystemClock, TaskName,
    Token,
};
use tasklock_fleet::redis_server::RedisServer;
use tokio::runtime::{Builder, Runtime};

/// One, what one call of a script takes, and what a scheduler puts into one request.
const TOGETHER: [usize; 3] = [1, 128, 1_024];

/// Tasks whose instants grow with every claim, as a lock demands.
struct Tasks {
    names: Vec<TaskName>,
    first: DateTime<Utc>,
    /// Milliseconds since the first instant.
    instant: AtomicI64,
}

impl Tasks {
    fn new(count: usize) -> Self {
        let name = |n| format!("bench_{count}_{n}").parse();
        let names: Result<Vec<TaskName>, _> = (0..count).map(name).collect();
        Self {
            names: names.expect("these are valid"),
            // So long ago that no instant comes before its claim.
            first: SystemClock.now() - TimeDelta::days(7),
            instant: AtomicI64::default(),
        }
    }

    /// Claims on an instant that nobody has taken.
    fn claims(&self) -> Vec<Claim> {
        let ms = self.instant.fetch_add(1, Ordering::Relaxed);
        let claim = |(n, name): (u128, &TaskName)| {
            let token = Token::from_bits((ms as u128) << 64 | n);
            let instant = self.first + TimeDelta::milliseconds(ms);
            let claim = Claim::new(name.clone(), instant, token, "bench:1");
            claim.with_late(Duration::from_secs(30 * 86_400))
        };
        (0..).zip(&self.names).map(claim).collect()
    }
}

async fn granted(lock: &dyn Lock, claims: &[Claim]) -> Vec<Grant> {
    let answers = lock.acquire_all(claims).await;
    let grant = |answer| match answer {
        Ok(Acquired::Granted(grant)) => grant,
        other => panic!("not granted: {other:?}"),
    };
    answers.into_iter().map(grant).collect()
}

async fn release(lock: &dyn Lock, grants: Vec<Grant>) {
    let ended: Vec<_> = grants
        .into_iter()
        .map(|g| (g, Completion::Succeeded))
        .collect();
    for answer in lock.release_all(&ended).await {
        answer.expect("the store is up");
    }
}

fn measure(c: &mut Criterion, name: &str, runtime: &Runtime, lock: &dyn Lock) {
    for count in TOGETHER {
        let tasks = Tasks::new(count);
        let mut group = c.benchmark_group(format!("lock/{name}"));
        group.throughput(Throughput::Elements(count as u64));
        let id = |what: &str| BenchmarkId::new(what, count);

        group.bench_function(id("grant_and_release"), |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    let claims = tasks.claims();
                    let begun = Instant::now();
                    let grants = granted(lock, &claims).await;
                    release(lock, grants).await;
                    begun.elapsed()
                }))
            });
        });

        let claims = tasks.claims();
        let grants = runtime.block_on(granted(lock, &claims));
        group.bench_function(id("renew"), |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    let begun = Instant::now();
                    let renewed = lock.renew_all(&grants).await;
                    let took = begun.elapsed();
                    assert!(renewed.iter().all(Result::is_ok), "{renewed:?}");
                    took
                }))
            });
        });
        runtime.block_on(release(lock, grants));

        // Of another instance that comes later: the same instants, with tokens of its own.
        let late: Vec<Claim> = claims
            .iter()
            .zip(1_u128..)
            .map(|(claim, n)| {
                let token = Token::from_bits(u128::MAX - n);
                let late = Duration::from_secs(30 * 86_400);
                Claim::new(claim.task().clone(), claim.fire_time(), token, "bench:2")
                    .with_late(late)
            })
            .collect();
        group.bench_function(id("refuse"), |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    let begun = Instant::now();
                    let answers = lock.acquire_all(&late).await;
                    let took = begun.elapsed();
                    let is_taken = |a: &_| matches!(a, Ok(Acquired::AlreadyFired { .. }));
                    assert!(answers.iter().all(is_taken), "{answers:?}");
                    took
                }))
            });
        });

        group.bench_function(id("look"), |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    let begun = Instant::now();
                    let found = lock.last_fired(&tasks.names).await;
                    let took = begun.elapsed();
                    assert!(found.is_ok_and(|all| all.iter().all(Option::is_some)));
                    took
                }))
            });
        });
        group.finish();
    }
}

/// The sum of what `work` says that it took.
async fn timed(times: u64, work: impl AsyncFn() -> Duration) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..times {
        took += work().await;
    }
    took
}

fn memory(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread needs nothing");
    measure(c, "memory", &runtime, &MemoryLock::new());
}

fn redis(c: &mut Criterion) {
    let server = match RedisServer::start() {
        Ok(server) => server,
        Err(error) => return eprintln!("no lock on Redis is measured: {error:#}"),
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread needs nothing");
    let lock = runtime.block_on(RedisLock::connect(&server.url()));
    measure(
        c,
        "redis",
        &runtime,
        &lock.expect("the server has just come up"),
    );
}

criterion_group!(benches, memory, redis);
criterion_main!(benches);
