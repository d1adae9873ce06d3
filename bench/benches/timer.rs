//! The timer: what it costs to register tasks, to wake beside tasks that are not due, and to find many
//! due at once. In simulated time, so that only processor time counts.

mod simulated;

use std::time::{Duration, Instant};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use tasklock::{BaseTask, MemoryLock, Policy, Scheduler, Scope};

use simulated::{Fleet, runtime};

/// Due in none of the seconds that are simulated.
const IDLE: &str = "0 0 0 1 1 * 2199";
const EVERY_SECOND: &str = "* * * * * *";

/// A task that asks no lock: what is left of a firing is the timer and an empty run.
fn task(name: String, spec: &str) -> BaseTask {
    let policy = Policy::default().scope(Scope::EveryInstance);
    BaseTask::new(name, spec, Duration::from_secs(30), |_| async { Ok(()) }).policy(policy)
}

fn register(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer/register");
    group.sample_size(10);
    group.sampling_mode(SamplingMode::Flat);
    for count in [1_000_u64, 100_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let runtime = runtime();
            b.iter_custom(|rounds| {
                let _inside = runtime.enter();
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    let scheduler = Scheduler::builder().lock(MemoryLock::new()).build();
                    let scheduler: Scheduler = scheduler.expect("the settings are the usual ones");
                    let tasks: Vec<BaseTask> = (0..count)
                        .map(|n| task(format!("idle_{n}"), IDLE))
                        .collect();
                    let begun = Instant::now();
                    for task in tasks {
                        scheduler.register(task).expect("names and spec are valid");
                    }
                    took += begun.elapsed();
                }
                took
            });
        });
    }
    group.finish();
}

/// One task is due each second, beside many that are not: this must not grow with them.
fn wake(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer/wake_beside");
    for idle in [0_u64, 1_000, 100_000] {
        let idle_tasks = (0..idle).map(|n| task(format!("idle_{n}"), IDLE));
        let due = std::iter::once(task("due".to_owned(), EVERY_SECOND));
        let fleet = Fleet::start(Scheduler::builder(), idle_tasks.chain(due));
        group.bench_function(BenchmarkId::from_parameter(idle), |b| {
            b.iter_custom(|seconds| fleet.seconds(seconds, 1));
        });
    }
    group.finish();
}

/// So many are due on each second.
fn due(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer/due");
    group.sample_size(20);
    group.sampling_mode(SamplingMode::Flat);
    for count in [1_u64, 100, 10_000] {
        let tasks = (0..count).map(|n| task(format!("due_{n}"), EVERY_SECOND));
        let fleet = Fleet::start(Scheduler::builder(), tasks);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_custom(|seconds| fleet.seconds(seconds, count));
        });
    }
    group.finish();
}

criterion_group!(benches, register, wake, due);
criterion_main!(benches);
