//! The same on a real server, over its restart.

use super::*;

/// Three instances and their store, on a real server.
async fn in_redis(server: &RedisServer) -> (ControlPlane, Vec<(Scheduler, RecordingObserver)>) {
    let mut all = Vec::new();
    for id in ["a", "b", "c"] {
        let lock = RedisLock::connect(&server.url()).await.unwrap();
        let seen = RecordingObserver::new();
        let builder = Scheduler::builder()
            .fleet(RedisFleet::beside(&lock))
            .lock(lock);
        let scheduler = builder
            .observer(seen.clone())
            .instance_id(id)
            .build()
            .unwrap();
        let task = BaseTask::new("t", "0 0 0 1 1 *", MINUTE, |_| async { Ok(()) });
        scheduler.register(task).unwrap();
        scheduler.start().await.unwrap();
        all.push((scheduler, seen));
    }
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    (ControlPlane::new(RedisFleet::beside(&lock)), all)
}

fn runs(all: &[(Scheduler, RecordingObserver)]) -> usize {
    all.iter().map(|(_, seen)| seen.starts("t").len()).sum()
}

/// Looks until it is so, for twenty seconds at most.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        pass(0.05).await;
    }
    panic!("it never was so");
}

#[tokio::test]
async fn in_redis_commands_are_taken_once_and_rules_are_followed_by_all() {
    let server = RedisServer::start();
    let (control, all) = in_redis(&server).await;
    until(async || control.instances().await.unwrap().len() == 3).await;
    pass(1.5).await;
    let mut after = Vec::new();
    for done in 1..=20 {
        let receipt = control.run(RunNow::new("t", &by())).await.unwrap();
        after.push(accepted(&receipt.answer).after);
        until(async || runs(&all) == done).await;
    }
    // Woken, and not at the next look of each second.
    after.sort_unstable();
    assert!(
        after[after.len() / 2] < Duration::from_millis(250),
        "{after:?}"
    );
    let version = control.pause(PauseFor::all(&by())).await.unwrap();
    until(async || control.followers(version).await.unwrap().len() == 3).await;
    let refused = control.run(RunNow::new("t", &by())).await.unwrap().answer;
    assert_eq!(refused.refusal(), Some(Refusal::Paused));
    pass(1.0).await;
    assert_eq!(runs(&all), 20);
    for (scheduler, _) in &all {
        scheduler.stop().await;
    }
    assert!(control.instances().await.unwrap().is_empty());
}

#[tokio::test]
async fn in_redis_control_goes_on_after_the_server_was_restarted() {
    let options = RedisOptions {
        is_durable: true,
        ..RedisOptions::default()
    };
    let mut server = options.start();
    let (control, all) = in_redis(&server).await;
    control.pause(PauseFor::task("u", &by())).await.unwrap();
    until(async || all.iter().all(|(s, _)| !s.handle().rules().is_empty())).await;
    server.kill();
    pass(3.0).await;
    // What was known last is followed.
    assert!(all.iter().all(|(s, _)| !s.handle().rules().is_empty()));
    server.restart();
    until(async || control.instances().await.is_ok_and(|i| i.len() == 3)).await;
    let run = || RunNow::new("t", &by()).patience(Duration::from_secs(20));
    until(async || {
        control
            .run(run())
            .await
            .is_ok_and(|r| r.answer.is_accepted())
    })
    .await;
    until(async || runs(&all) == 1).await;
    pass(2.0).await;
    assert_eq!(runs(&all), 1);
    for (scheduler, seen) in &all {
        let events = seen.events();
        let downs = events
            .iter()
            .filter(|e| matches!(e, Event::FleetStoreDown { .. }))
            .count();
        let ups = events
            .iter()
            .filter(|e| matches!(e, Event::FleetStoreUp { .. }))
            .count();
        assert_eq!(downs, ups);
        assert!(downs >= 1);
        scheduler.stop().await;
    }
}
