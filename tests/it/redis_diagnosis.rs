//! What `RedisLock` finds out about its server, and who is told.

use std::sync::Arc;
use std::time::Duration;

use tasklock::chrono::{TimeDelta, Utc};
use tasklock::testing::{RecordingObserver, SkewedClock};
use tasklock::{
    BaseTask, Claim, Diagnosis, ErrorKind, Event, Lock, Metrics, RedisLock, Scheduler, Severity,
    Token,
};

use crate::support::lines::Lines;
use crate::support::redis_server::{RedisOptions, RedisServer, free_port};

fn evicting() -> RedisServer {
    RedisOptions {
        is_durable: true,
        settings: vec![
            "maxmemory 100mb".to_owned(),
            "maxmemory-policy allkeys-lru".to_owned(),
        ],
        ..RedisOptions::default()
    }
    .start()
}

/// What was found that is not in order.
fn flaws(diagnosis: &Diagnosis) -> Vec<(Severity, &str)> {
    let findings = diagnosis.findings().iter();
    let flaws = findings.filter(|f| f.severity != Severity::Ok);
    flaws.map(|f| (f.severity, f.subject.as_str())).collect()
}

#[tokio::test]
async fn a_durable_server_without_eviction_is_in_order() {
    let server = RedisOptions {
        is_durable: true,
        ..RedisOptions::default()
    }
    .start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let diagnosis = lock.diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [], "{diagnosis}");
    let subjects: Vec<&str> = diagnosis
        .findings()
        .iter()
        .map(|f| f.subject.as_str())
        .collect();
    let all = [
        "version",
        "role",
        "replicas",
        "eviction",
        "persistence",
        "clock",
        "rights",
    ];
    assert_eq!(subjects, all);
    let text = diagnosis.to_string();
    assert!(text.starts_with(&lock.describe()), "{text}");
}

#[tokio::test]
async fn eviction_is_a_warning_and_fails_the_check_of_those_who_deny_it() {
    let server = evicting();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let diagnosis = lock.diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Warning, "eviction")]);
    assert!(diagnosis.has_warnings() && !diagnosis.has_errors());

    let strict = RedisLock::builder(&server.url()).deny_eviction(true);
    let strict = strict.build().unwrap();
    let error = strict.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
    assert!(error.to_string().contains("noeviction"), "{error}");
    let diagnosis = strict.diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Error, "eviction")]);
    let scheduler = Scheduler::builder().lock(strict).build().unwrap();
    assert!(scheduler.start().await.is_err());
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_warned_of() {
    let server = RedisServer::start();
    let lock = RedisLock::connect(&server.url()).await.unwrap();
    let diagnosis = lock.diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Warning, "persistence")]);
}

#[tokio::test]
async fn what_a_user_may_not_ask_is_a_finding_and_no_failure() {
    let rights = "+ping +script|load +evalsha +time +mget +set +del +expire +pexpire +pttl +select";
    let keys = "~task:lock:* ~{task:lock:*";
    let server = RedisOptions {
        users: vec![
            format!("blind on >p {keys} {rights}"),
            format!("mute on >p {keys} {} +info", rights.replace("+set", "")),
        ],
        ..RedisOptions::default()
    }
    .start();
    let lock = |user: &str| {
        let url = format!("redis://{user}:p@127.0.0.1:{}", server.port());
        RedisLock::builder(&url)
    };
    let diagnosis = lock("blind").build().unwrap().diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Warning, "info")]);
    let strict = lock("blind").deny_eviction(true).build().unwrap();
    let error = strict.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDenied, "{error:?}");
    assert!(error.to_string().contains("INFO failed"), "{error}");
    let diagnosis = strict.diagnose().await.unwrap();
    let both = [(Severity::Warning, "info"), (Severity::Error, "rights")];
    assert_eq!(flaws(&diagnosis), both);

    let diagnosis = lock("mute").build().unwrap().diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Error, "rights")]);
    assert!(diagnosis.to_string().contains("SET failed"), "{diagnosis}");
}

#[tokio::test]
async fn a_replica_is_refused_before_the_first_write() {
    let server = RedisOptions {
        settings: vec![format!("replicaof 127.0.0.1 {}", free_port())],
        ..RedisOptions::default()
    }
    .start();
    let lock = RedisLock::builder(&server.url()).build().unwrap();
    let error = lock.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreRefused, "{error:?}");
    assert!(error.to_string().contains("read-only replica"), "{error}");
    let error = lock.last_fired(&["a".parse().unwrap()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreRefused, "{error:?}");
    let diagnosis = lock.diagnose().await.unwrap();
    assert_eq!(flaws(&diagnosis), [(Severity::Error, "role")]);
}

#[tokio::test]
async fn an_unreachable_server_cannot_be_diagnosed() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let error = RedisLock::builder(&url)
        .build()
        .unwrap()
        .diagnose()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
}

#[tokio::test]
async fn a_start_writes_each_flaw_into_the_log() {
    let server = evicting();
    let lines = Lines::default();
    let _guard = lines.listen();
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(RedisLock::connect(&server.url()).await.unwrap())
        .observer(seen.clone())
        .build()
        .unwrap();
    scheduler.start().await.unwrap();
    scheduler.stop().await;
    let line = lines.one(&[
        "WARN",
        "Task lock store has a weakness",
        "subject=\"eviction\"",
    ]);
    assert!(
        line.contains("set maxmemory-policy to noeviction"),
        "{line}"
    );
    let told = |events: &[Event]| {
        events.iter().find_map(|e| match e {
            Event::StoreDiagnosed { diagnosis } => Some(diagnosis.clone()),
            _ => None,
        })
    };
    let diagnosis = seen.wait_for(Duration::ZERO, told).await;
    assert!(diagnosis.has_warnings());
}

#[tokio::test]
async fn the_difference_of_the_clocks_is_measured_at_every_claim() {
    let server = RedisServer::start();
    for seconds in [0, 2, -3600] {
        let clock = SkewedClock::new(TimeDelta::seconds(seconds));
        let builder = RedisLock::builder(&server.url()).clock(Arc::new(clock));
        let lock = builder.build().unwrap();
        assert_eq!(lock.clock_offset(), None);
        let task = format!("t{}", seconds.unsigned_abs()).parse().unwrap();
        let claim = Claim::new(task, Utc::now(), Token::from_bits(7), "a");
        lock.acquire(&claim).await.unwrap();
        let offset = lock.clock_offset().unwrap();
        let off_by = (offset.seconds() + seconds as f64).abs();
        assert!(off_by < 0.25, "{offset:?}");
        assert!(offset.uncertainty() < Duration::from_millis(250));
    }
}

#[tokio::test]
async fn a_claim_tells_the_difference_to_the_metrics() {
    let server = RedisServer::start();
    let lines = Lines::default();
    let _guard = lines.listen();
    let clock = Arc::new(SkewedClock::new(TimeDelta::seconds(-2)));
    let lock = RedisLock::builder(&server.url()).clock(clock.clone());
    let metrics = Metrics::new().unwrap();
    let seen = RecordingObserver::new();
    let scheduler = Scheduler::builder()
        .lock(lock.build().unwrap())
        .clock(clock)
        .observer(seen.clone())
        .metrics(metrics.clone())
        .build()
        .unwrap();
    let task = BaseTask::new("a", "* * * * * *", Duration::from_secs(5), |_| async {
        Ok(())
    });
    scheduler.register(task).unwrap();
    scheduler.start().await.unwrap();
    let measured = |events: &[Event]| {
        events.iter().find_map(|e| match e {
            Event::ClockOffset { offset } => Some(*offset),
            _ => None,
        })
    };
    let offset = seen.wait_for(Duration::from_secs(10), measured).await;
    assert!((1.5..2.5).contains(&offset.seconds()), "{offset:?}");
    scheduler.stop().await;
    let clock = "Clock differs from the lock store's";
    lines.one(&["WARN", clock, "event=\"clock.skew\"", " skew_s="]);
    let text = metrics.encode().unwrap();
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("task_clock_skew_seconds "));
    let skew: f64 = line.unwrap().parse().unwrap();
    assert!((1.5..2.5).contains(&skew), "{skew}");
}
