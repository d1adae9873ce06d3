//! Who may: passwords, rights, certificates.

use super::*;

#[tokio::test]
async fn user_password_and_database_are_used_and_never_shown() {
    let server = RedisOptions {
        password: Some("hunter2".to_owned()),
        users: vec!["svc on >s/e#c?ret ~* +@all".to_owned()],
        ..RedisOptions::default()
    }
    .start();
    let at = |who: &str, db: u8| format!("redis://{who}@127.0.0.1:{}/{db}", server.port());
    for (who, db) in [(":hunter2", 0), (":hunter2", 3), ("svc:s%2Fe%23c%3Fret", 5)] {
        let lock = RedisLock::connect(&at(who, db)).await.unwrap();
        // Each database has its own locks.
        granted(lock.acquire(&claim("x", 10)).await);
        assert_eq!(
            lock.describe(),
            format!("redis at 127.0.0.1:{}/{db}", server.port())
        );
        let debug = format!("{lock:?} {:?}", RedisLock::builder(&at(who, db)));
        assert!(
            !debug.contains("hunter2") && !debug.contains("svc"),
            "{debug}"
        );
    }
    for (who, db, kind) in [
        (":hunter3", 0, ErrorKind::StoreDenied),
        ("svc:hunter3", 0, ErrorKind::StoreDenied),
        ("hunter3:hunter3", 0, ErrorKind::StoreDenied),
        (":hunter2", 99, ErrorKind::InvalidConfig),
    ] {
        let error = RedisLock::connect(&at(who, db)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter"), "{text}");
        assert!(!error.is_transient());
    }
    for path in ["", "/1"] {
        let url = format!("{}{path}", server.url());
        let error = RedisLock::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreDenied, "{error:?}");
        assert!(error.to_string().contains("wants a password"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let rights = "+ping +script|load +evalsha +time +mget +set +del +expire +pexpire +pttl +select";
    let all_keys = "~task:lock:* ~{task:lock:*";
    let without = |right: &str| rights.replace(right, "");
    let server = RedisOptions {
        users: vec![
            format!("good on >p {all_keys} {rights}"),
            format!("script on >p {all_keys} {}", without("+script|load")),
            format!("evalsha on >p {all_keys} {}", without("+evalsha")),
            format!("set on >p {all_keys} {}", without("+set")),
            format!("expire on >p {all_keys} {}", without("+expire")),
            format!("key on >p ~task:lock:* {rights}"),
        ],
        ..RedisOptions::default()
    }
    .start();
    let lock = |user: &str| {
        let url = format!("redis://{user}:p@127.0.0.1:{}", server.port());
        RedisLock::builder(&url).build().unwrap()
    };
    let good = lock("good");
    good.check().await.unwrap();
    let grant = granted(good.acquire(&claim("x", 10)).await);
    good.renew(&grant).await.unwrap();
    good.last_fired(&["x".parse().unwrap()]).await.unwrap();
    good.release(&grant, Completion::Succeeded).await.unwrap();
    for (user, part) in [
        ("script", "SCRIPT LOAD failed"),
        ("evalsha", "EVALSHA to acquire failed"),
        ("set", "SET failed"),
        ("expire", "EXPIRE failed"),
        ("key", "access one of the keys"),
    ] {
        let error = lock(user).check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreDenied, "{user}: {error:?}");
        assert!(error.to_string().contains(part), "{user}: {error}");
    }
    let error = lock("set").acquire(&claim("y", 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDenied, "{error:?}");
}

#[tokio::test]
async fn tls_trusts_the_ca_that_it_was_given_and_no_other() {
    let server = RedisOptions {
        is_tls: true,
        ..RedisOptions::default()
    }
    .start();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("rediss://{host}:{}/2", server.port());
        let builder = RedisLock::builder(&url).ca_certificate(server.ca());
        let lock = builder.build().unwrap();
        lock.check().await.unwrap();
        let grant = granted(lock.acquire(&claim(host, 10)).await);
        lock.release(&grant, Completion::Succeeded).await.unwrap();
        assert_eq!(
            lock.describe(),
            format!("redis (TLS) at {host}:{}/2", server.port())
        );
    }
    // The public authorities do not vouch for it.
    let error = RedisLock::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    assert!(error.to_string().contains("ca_certificate"), "{error}");
    // A name that its certificate does not have.
    let url = format!("rediss://127.0.0.2:{}", server.port());
    let builder = RedisLock::builder(&url).ca_certificate(server.ca());
    let error = builder.build().unwrap().check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    // Without TLS to a port that speaks it, and the other way round.
    let url = format!("redis://127.0.0.1:{}", server.port());
    let error = impatient(&url).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    let plain = RedisServer::start();
    let url = format!("rediss://127.0.0.1:{}", plain.port());
    let error = impatient(&url).check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
}
