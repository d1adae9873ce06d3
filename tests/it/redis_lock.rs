//! `RedisLock` on real servers, and the ways in which servers and networks fail.

mod access;
mod connections;

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tasklock::chrono::{SubsecRound, Utc};
use tasklock::{
    Acquired, Claim, Completion, ErrorKind, Grant, Holder, Lock, RedisLock, Released, Renewed,
    RunStatus, Token,
};

use crate::support::proxy::Proxy;
use crate::support::redis_server::{RedisOptions, RedisServer, free_port};

const TTL: Duration = Duration::from_secs(30);

fn claim(task: &str, seconds_ago: u64) -> Claim {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let token = Token::from_bits(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    let fire_time = Utc::now().trunc_subsecs(0) - Duration::from_secs(seconds_ago);
    Claim::new(task.parse().unwrap(), fire_time, token, "host:1:a")
        .with_ttl(TTL)
        .with_late(Duration::from_secs(3600))
}

fn granted(answer: tasklock::Result<Acquired>) -> Grant {
    match answer {
        Ok(Acquired::Granted(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

async fn client(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn command(client: &mut MultiplexedConnection, text: &str) -> redis::Value {
    let mut words = text.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    for word in words {
        cmd.arg(word);
    }
    cmd.query_async(client).await.unwrap()
}

/// A lock whose time-outs are short.
fn impatient(url: &str) -> RedisLock {
    RedisLock::builder(url)
        .response_timeout(Duration::from_millis(150))
        .connect_timeout(Duration::from_millis(300))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_plain_client_and_the_lock_exclude_each_other() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    let theirs = "SET task:lock:x theirs NX EX 3600";

    let grant = granted(lock.acquire(&claim("x", 10)).await);
    let ttl: i64 = other.pttl("task:lock:x").await.unwrap();
    assert!((29_000..=30_000).contains(&ttl), "{ttl}");
    assert_eq!(command(&mut other, theirs).await, redis::Value::Nil);
    let freed = lock.release(&grant, Completion::Succeeded).await.unwrap();
    assert_eq!(freed, Released::Freed);

    assert_eq!(command(&mut other, theirs).await, redis::Value::Okay);
    // The state of our earlier run says nothing about them, and their lease is not cut to our TTL.
    for next in [claim("x", 9), claim("x", 8)] {
        match lock.acquire(&next).await.unwrap() {
            Acquired::Held(Holder {
                owner: None,
                remaining: Some(left),
            }) => assert!(left > Duration::from_secs(3590), "{left:?}"),
            other => panic!("{other:?}"),
        }
    }
    let not_ours = lock.release(&grant, Completion::Succeeded).await.unwrap();
    assert_eq!(not_ours, Released::WasGone);
    let value: String = other.get("task:lock:x").await.unwrap();
    assert_eq!(value, "theirs");
}

#[tokio::test]
async fn keys_and_texts_are_those_of_the_protocol() {
    let server = RedisServer::start();
    let mut other = client(&server).await;
    for (prefix, lock_key, state_key) in [
        ("", "task:lock:a.b", "{task:lock:a.b}:state"),
        ("app:", "app:task:lock:a.b", "{app:task:lock:a.b}:state"),
        ("{app}:", "{app}:task:lock:a.b", "{app}:task:lock:a.b:state"),
    ] {
        let builder = RedisLock::builder(&server.url()).prefix(prefix);
        let lock = builder.build().unwrap();
        let claim = claim("a.b", 10).with_spec("5a");
        let grant = granted(lock.acquire(&claim).await);
        let token: String = other.get(lock_key).await.unwrap();
        assert_eq!(token.len(), 32);
        let ms = claim.fire_time().timestamp_millis();
        let fence = grant.fencing_token();
        let state: String = other.get(state_key).await.unwrap();
        assert_eq!(
            state,
            format!("0|{ms}|{fence}|R|1|30000|0|0|5a|{token}|host:1:a")
        );
        let keep: i64 = other.ttl(state_key).await.unwrap();
        assert!(keep > 29 * 86_400, "{keep}");

        lock.release(&grant, Completion::Failed).await.unwrap();
        let state: String = other.get(state_key).await.unwrap();
        let last = lock.last_fired(&["a.b".parse().unwrap()]).await.unwrap();
        let ended = last[0].as_ref().unwrap().ended_at.unwrap();
        let age = Utc::now() - ended;
        assert!((0..5_000).contains(&age.num_milliseconds()), "{age}");
        let ended = ended.timestamp_millis();
        assert_eq!(
            state,
            format!("0|{ms}|{fence}|F|1|30000|{ended}|1|5a|{token}|host:1:a")
        );
        let keys: Vec<String> = other.keys("*").await.unwrap();
        assert_eq!(keys, [state_key]);
        command(&mut other, "FLUSHALL").await;
    }
}

#[tokio::test]
async fn a_reply_lost_after_execution_does_not_lock_us_out() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = RedisLock::connect(&proxy.url()).await.unwrap();
    granted(lock.acquire(&claim("warm-up", 10)).await);

    proxy.lose_next_reply();
    let lost = claim("x", 10);
    let first = granted(lock.acquire(&lost).await);
    assert_eq!(proxy.accepted(), 2, "the claims' connection was replaced");
    let again = granted(lock.acquire(&lost).await);
    assert_eq!(first.fencing_token(), again.fencing_token());
    assert_eq!(first.attempt(), 1);

    lock.renew(&first).await.unwrap();
    proxy.lose_next_reply();
    assert_eq!(lock.renew(&first).await.unwrap(), Renewed::Extended);

    // The release was executed; its repeat finds nothing left to do.
    lock.release(
        &granted(lock.acquire(&claim("y", 9)).await),
        Completion::Succeeded,
    )
    .await
    .unwrap();
    proxy.lose_next_reply();
    let released = lock.release(&first, Completion::Succeeded).await.unwrap();
    assert_eq!(released, Released::WasGone);
    // The instant of before, though a second may have begun meanwhile.
    let other = Token::from_bits(u128::MAX);
    let late = Claim::new("x".parse().unwrap(), lost.fire_time(), other, "host:2:b")
        .with_late(Duration::from_secs(3600));
    match lock.acquire(&late).await.unwrap() {
        Acquired::AlreadyFired { status, .. } => assert_eq!(status, RunStatus::Succeeded),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_late_reply_is_ambiguous_and_the_repeat_gets_the_grant() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = impatient(&proxy.url());
    granted(lock.acquire(&claim("warm-up", 10)).await);

    proxy.delay(Duration::from_millis(200));
    let slow = claim("x", 10);
    let error = lock.acquire(&slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreAmbiguous, "{error}");
    assert!(error.to_string().contains("may have been executed"));
    assert!(error.to_string().starts_with("redis at 127.0.0.1:"));
    proxy.delay(Duration::ZERO);
    assert_eq!(granted(lock.acquire(&slow).await).attempt(), 1);
    assert_eq!(proxy.accepted(), 1, "one time-out costs no connection");
}

#[tokio::test]
async fn a_dropped_call_can_be_repeated() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let lock = RedisLock::connect(&proxy.url()).await.unwrap();
    granted(lock.acquire(&claim("warm-up", 10)).await);
    proxy.delay(Duration::from_millis(50));
    let claim = claim("x", 10);
    let dropped = tokio::time::timeout(Duration::from_millis(10), lock.acquire(&claim)).await;
    assert!(dropped.is_err());
    proxy.delay(Duration::ZERO);
    granted(lock.acquire(&claim).await);
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_taught_them_again() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    command(&mut other, "SCRIPT FLUSH").await;
    let claims: Vec<Claim> = (0..300).map(|n| claim(&format!("t{n}"), 10)).collect();
    let answers = lock.acquire_all(&claims).await;
    let grants: Vec<Grant> = answers.into_iter().map(granted).collect();
    for (claim, grant) in claims.iter().zip(&grants) {
        assert_eq!(claim.task(), grant.task());
    }
    command(&mut other, "SCRIPT FLUSH").await;
    for renewed in lock.renew_all(&grants).await {
        assert_eq!(renewed.unwrap(), Renewed::Extended);
    }
    command(&mut other, "SCRIPT FLUSH").await;
    let released = lock.release(&grants[0], Completion::Succeeded).await;
    assert_eq!(released.unwrap(), Released::Freed);
}

#[tokio::test]
async fn values_of_other_types_are_answers_and_not_errors() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    command(&mut other, "LPUSH task:lock:x 1").await;
    command(&mut other, "LPUSH {task:lock:y}:state 1").await;
    command(&mut other, "SET {task:lock:z}:state nonsense").await;
    let held = Acquired::Held(Holder {
        owner: None,
        remaining: None,
    });
    assert_eq!(lock.acquire(&claim("x", 10)).await.unwrap(), held);
    granted(lock.acquire(&claim("y", 10)).await);
    granted(lock.acquire(&claim("z", 10)).await);
    let tasks = ["x", "y", "z"].map(|t| t.parse().unwrap());
    let last = lock.last_fired(&tasks).await.unwrap();
    assert!(last[0].is_none() && last[1].is_some() && last[2].is_some());
}

#[tokio::test]
async fn a_lease_made_too_long_by_the_servers_clock_is_cut() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    granted(lock.acquire(&claim("x", 10)).await);
    // What a step of the clock by an hour back looks like.
    command(&mut other, "PEXPIRE task:lock:x 3600000").await;
    match lock.acquire(&claim("x", 9)).await.unwrap() {
        Acquired::Held(holder) => assert_eq!(holder.remaining, Some(TTL)),
        other => panic!("{other:?}"),
    }
    let left: u64 = other.pttl("task:lock:x").await.unwrap();
    assert!(left <= 30_000, "{left}");
}

#[tokio::test]
async fn a_server_that_refuses_writes_says_so_and_serves_again_later() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let mut other = client(&server).await;
    let dead_primary = format!("REPLICAOF 127.0.0.1 {}", free_port());
    for (n, (refuse, accept)) in [
        (dead_primary.as_str(), "REPLICAOF NO ONE"),
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ]
    .into_iter()
    .enumerate()
    {
        let claim = claim(&format!("t{n}"), 10);
        command(&mut other, refuse).await;
        for _ in 0..2 {
            let error = lock.acquire(&claim).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreRefused, "{refuse}: {error:?}");
            let error = lock.check().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreRefused, "{refuse}: {error:?}");
        }
        command(&mut other, accept).await;
        granted(lock.acquire(&claim).await);
    }
}

#[tokio::test]
async fn an_unknown_host_is_unavailable() {
    let lock = RedisLock::builder("redis://no-such-host.invalid").build();
    let error = lock.unwrap().check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    assert!(error.to_string().contains("no-such-host.invalid"));
}

#[tokio::test]
async fn a_check_leaves_nothing_behind() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    lock.check().await.unwrap();
    let mut other = client(&server).await;
    let keys: Vec<String> = other.keys("*").await.unwrap();
    for key in keys {
        let left: i64 = other.pttl(&key).await.unwrap();
        assert!(left <= 1000 && left != -1, "{key}: {left}");
    }
}

#[test]
fn addresses_and_values_that_cannot_work_are_refused() {
    for (url, part) in [
        ("localhost:6379", "unknown scheme"),
        ("redis://:hunter2@h:x", "invalid port"),
        ("redis://u:hunter2@h/x", "not a database number"),
        ("http://u:hunter2@h", "unknown scheme"),
    ] {
        let error = RedisLock::builder(url).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
    }
    let builder = || RedisLock::builder("redis://h");
    for (builder, part) in [
        (
            builder().response_timeout(Duration::ZERO),
            "response_timeout",
        ),
        (builder().connect_timeout(Duration::ZERO), "connect_timeout"),
        (builder().pool_size(5), "pool_size"),
        (builder().prefix("a{}b"), "prefix"),
        (builder().ca_certificate("x"), "does not use TLS"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// A server that answers every command but `PING` with the number 7.
async fn nonsense() -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 256 * 1024];
                while let Ok(n @ 1..) = client.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                    for command in text.split("\r\n").filter(|line| line.starts_with('*')) {
                        let is_ping = command == "*1" && text.contains("PING");
                        let reply: &[u8] = if is_ping { b"+PONG\r\n" } else { b":7\r\n" };
                        client.write_all(reply).await.unwrap();
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn an_answer_of_unknown_shape_names_script_and_key() {
    let url = format!("redis://127.0.0.1:{}", nonsense().await);
    let lock = RedisLock::builder(&url).build().unwrap();
    let answers = lock.acquire_all(&[claim("a", 1), claim("b", 1)]).await;
    for (answer, key) in answers.into_iter().zip(["task:lock:a", "task:lock:b"]) {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreProtocol, "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(key) && text.contains("script acquire ("),
            "{text}"
        );
    }
    let error = lock.last_fired(&["a".parse().unwrap()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreProtocol, "{error:?}");
}
