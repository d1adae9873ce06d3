//! The page: a board of a hundred tasks with sixty runs each, from the request to its text.

mod simulated;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use criterion::{Criterion, criterion_group, criterion_main};
use tasklock::admin::{Access, Visitor};
use tasklock::testing::TestClock;
use tasklock::{BaseTask, MemoryFleet, MemoryHistory, MemoryLock, Scheduler, TaskError};
use tower::ServiceExt;

const TASKS: u64 = 100;

fn board(c: &mut Criterion) {
    let runtime = simulated::runtime();
    let (scheduler, router) = runtime.block_on(async {
        let clock = Arc::new(TestClock::at("2027-01-04T00:00:00.5Z"));
        let builder = Scheduler::builder()
            .lock(MemoryLock::with_clock(clock.clone()))
            .fleet(MemoryFleet::with_clock(clock.clone()))
            .history(MemoryHistory::with_clock(clock.clone()))
            .clock(clock);
        let scheduler = builder.build().expect("the settings are the usual ones");
        for n in 0..TASKS {
            let (name, spec) = (format!("task.number-{n}"), format!("*/{} * * * * *", 2 + n % 4));
            let task = BaseTask::new(name, spec, Duration::from_secs(5), move |ctx| async move {
                let ms = 3 + (ctx.fire_time().timestamp().unsigned_abs() * (n + 7)) % 1_900;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                match ms % 23 {
                    0 => Err(TaskError::new(format!("upstream {n} does not answer"))),
                    _ => Ok(()),
                }
            });
            scheduler.register(task).expect("names and specs are valid");
        }
        scheduler.start().await.expect("memory is always up");
        tokio::time::sleep(Duration::from_secs(305)).await;
        let everybody = Access::from(|_: &axum::http::request::Parts| Visitor::viewer());
        let router = scheduler.admin().access(everybody).router();
        (scheduler, router)
    });
    let mut number = 0;
    c.bench_function("page/board/100", |b| {
        b.iter(|| {
            // Another address each time, so that nothing that was rendered before is sent.
            number += 1;
            let request = Request::get(format!("/?n={number}")).body(Body::empty());
            let request = request.expect("the address is one");
            let answer = runtime.block_on(router.clone().oneshot(request));
            let answer = answer.unwrap_or_else(|never| match never {});
            assert_eq!(answer.status(), StatusCode::OK);
            let text = runtime.block_on(to_bytes(answer.into_body(), usize::MAX));
            black_box(text.expect("it is in memory"))
        })
    });
    drop(scheduler);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(5));
    targets = board
}
criterion_main!(benches);
