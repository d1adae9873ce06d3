//! One firing, from due to its outcome: found by the timer, granted by a lock in memory, run under
//! guard, released, announced. In simulated time, so that only processor time counts.

mod simulated;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use tasklock::{BaseTask, Metrics, Scheduler};

use simulated::Fleet;

const EVERY_SECOND: &str = "* * * * * *";

fn tasks(count: u64) -> impl Iterator<Item = BaseTask> {
    let timeout = Duration::from_secs(30);
    let task = move |n| {
        BaseTask::new(format!("due_{n}"), EVERY_SECOND, timeout, |_| async {
            Ok(())
        })
    };
    (0..count).map(task)
}

/// So many are due on each second.
fn due(c: &mut Criterion) {
    let mut group = c.benchmark_group("firing/due");
    group.sample_size(20);
    group.sampling_mode(SamplingMode::Flat);
    for count in [1_u64, 100, 10_000] {
        let fleet = Fleet::start(Scheduler::builder(), tasks(count));
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_custom(|seconds| fleet.seconds(seconds, count));
        });
    }
    group.finish();
}

/// What metrics add to it.
fn with_metrics(c: &mut Criterion) {
    let mut group = c.benchmark_group("firing/with_metrics");
    group.sample_size(20);
    group.sampling_mode(SamplingMode::Flat);
    let count = 100;
    let metrics = Metrics::new().expect("a registry of its own has no conflicts");
    let fleet = Fleet::start(Scheduler::builder().metrics(metrics), tasks(count));
    group.throughput(Throughput::Elements(count));
    group.bench_function(BenchmarkId::from_parameter(count), |b| {
        b.iter_custom(|seconds| fleet.seconds(seconds, count));
    });
    group.finish();
}

criterion_group!(benches, due, with_metrics);
criterion_main!(benches);
