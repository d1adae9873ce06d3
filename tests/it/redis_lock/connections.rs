//! Servers that restart, hang and are cut off.

use super::*;

#[tokio::test]
async fn a_restarted_server_is_used_at_once() {
    let mut server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let grant = granted(lock.acquire(&claim("x", 10)).await);
    server.restart();
    // Neither the claims' dead connection nor the lost scripts cost a call.
    granted(lock.acquire(&claim("y", 10)).await);
    // And the run that went on brings its records back.
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Reasserted);

    server.kill();
    let begun = Instant::now();
    for _ in 0..3 {
        let error = lock.acquire(&claim("z", 10)).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let error = lock.renew(&grant).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    let error = lock.acquire(&claim("z", 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    server.restart();
    granted(lock.acquire(&claim("z", 10)).await);
    assert_eq!(lock.renew(&grant).await.unwrap(), Renewed::Reasserted);
    assert_eq!(
        lock.release(&grant, Completion::Succeeded).await.unwrap(),
        Released::Freed
    );
}

#[tokio::test]
async fn a_durable_server_remembers_across_a_crash() {
    let mut server = RedisOptions {
        is_durable: true,
        ..RedisOptions::default()
    }
    .start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let taken = claim("x", 10);
    granted(lock.acquire(&taken).await);
    server.restart();
    match lock.acquire(&claim("x", 9)).await.unwrap() {
        Acquired::Held(holder) => assert_eq!(holder.owner.as_deref(), Some("host:1:a")),
        other => panic!("{other:?}"),
    }
    granted(lock.acquire(&taken).await);
}

#[tokio::test]
async fn a_run_that_outlives_the_stores_data_keeps_its_instant_taken() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    let first = claim("x", 10);
    let grant = granted(lock.acquire(&first).await);
    command(&mut other, "FLUSHALL").await;
    let released = lock.release(&grant, Completion::Succeeded).await.unwrap();
    assert_eq!(released, Released::WasGone);
    let again = Claim::new(
        first.task().clone(),
        first.fire_time(),
        Token::from_bits(u128::MAX),
        "b",
    )
    .with_late(Duration::from_secs(3600));
    let already = Acquired::AlreadyFired {
        owner: "host:1:a".to_owned(),
        status: RunStatus::Succeeded,
        attempt: 1,
        spec: String::new(),
    };
    assert_eq!(lock.acquire(&again).await.unwrap(), already);
}

#[tokio::test]
async fn two_time_outs_in_a_row_replace_a_connection_that_swallows_everything() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = impatient(&proxy.url());
    granted(lock.acquire(&claim("warm-up", 10)).await);
    lock.check().await.unwrap(); // leaves a second connection, idle in the pool
    proxy.black_hole_all();
    let stuck = claim("x", 10);
    let begun = Instant::now();
    for _ in 0..2 {
        let error = lock.acquire(&stuck).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreAmbiguous, "{error:?}");
    }
    // Not slowed down by the dead one in the pool.
    granted(lock.acquire(&stuck).await);
    lock.check().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_cut_connection_costs_no_call() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = RedisLock::connect(&proxy.url()).await.unwrap();
    for n in 0..5 {
        let grant = granted(lock.acquire(&claim("x", 20 - n)).await);
        lock.renew(&grant).await.unwrap();
        proxy.cut_all();
        let released = lock.release(&grant, Completion::Succeeded).await.unwrap();
        assert_eq!(released, Released::Freed);
    }
}

#[tokio::test]
async fn many_calls_share_one_connection_and_one_round_trip() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = RedisLock::connect(&proxy.url()).await.unwrap();
    let claims: Vec<Claim> = (0..1000).map(|n| claim(&format!("t{n}"), 10)).collect();
    let answers = lock.acquire_all(&claims).await;
    let grants: Vec<Grant> = answers.into_iter().map(granted).collect();
    proxy.delay(Duration::from_millis(10));
    let begun = Instant::now();
    let mut releases = tokio::task::JoinSet::new();
    for grant in grants {
        let lock = lock.clone();
        releases.spawn(async move { lock.release(&grant, Completion::Succeeded).await });
    }
    while let Some(released) = releases.join_next().await {
        assert_eq!(released.unwrap().unwrap(), Released::Freed);
    }
    // One after the other they would take ten seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(proxy.accepted() <= 3, "{} connections", proxy.accepted());
}

#[tokio::test]
async fn calls_share_one_attempt_to_reach_a_server_that_does_not_answer() {
    let server = RedisServer::start();
    server.pause();
    let lock = impatient(&server.url());
    let begun = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..50 {
        let lock = lock.clone();
        calls.spawn(async move { lock.acquire(&claim(&format!("t{n}"), 10)).await });
    }
    while let Some(answer) = calls.join_next().await {
        let error = answer.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    server.resume();
    granted(lock.acquire(&claim("x", 10)).await);
}

#[tokio::test]
async fn a_lock_can_be_built_while_its_server_is_away() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let lock = RedisLock::builder(&url).build().unwrap();
    let error = lock.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    let text = error.to_string();
    assert!(text.starts_with(&lock.describe()), "{text}");
    assert!(std::error::Error::source(&error).is_some());
    let error = RedisLock::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
}
