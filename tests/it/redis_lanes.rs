//! Several runs of one task at once, on a server that loses its data.

use std::time::Duration;

use tasklock::chrono::{SubsecRound, Utc};
use tasklock::{Acquired, Claim, Grant, Lock, RedisLock, Renewed, Token};

use crate::support::redis_server::RedisServer;

const LANES: u32 = 3;

fn claim(token: u128, seconds_ago: u64, lane: u32) -> Claim {
    let fire_time = Utc::now().trunc_subsecs(0) - Duration::from_secs(seconds_ago);
    Claim::new(
        "t".parse().unwrap(),
        fire_time,
        Token::from_bits(token),
        "host:1:a",
    )
    .with_lane(lane)
    .with_lanes(LANES)
}

async fn granted(lock: &RedisLock, claim: &Claim) -> Grant {
    match lock.acquire(claim).await {
        Ok(Acquired::Granted(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn after_a_loss_of_data_each_run_keeps_its_lane() {
    let server = RedisServer::start();
    let lock = RedisLock::builder(&server.url()).build().unwrap();
    let mut grants = Vec::new();
    for lane in 0..LANES {
        let claim = claim(u128::from(lane), 30 - u64::from(lane) * 10, lane);
        grants.push(granted(&lock, &claim).await);
    }
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        server.says("FLUSHALL");
        for n in order {
            let grant: &Grant = &grants[n];
            assert_eq!(
                lock.renew(grant).await.unwrap(),
                Renewed::Reasserted,
                "{order:?}"
            );
        }
        for grant in &grants {
            assert_eq!(lock.renew(grant).await.unwrap(), Renewed::Extended);
        }
        // The newest instant stays taken, and no lane is free.
        let last = lock.last_fired(&["t".parse().unwrap()]).await.unwrap();
        assert_eq!(
            last[0].as_ref().unwrap().fire_time,
            Some(grants[2].fire_time())
        );
        for lane in 0..LANES {
            let answer = lock.acquire(&claim(99, 1, lane)).await.unwrap();
            assert!(matches!(answer, Acquired::Held(_)), "{answer:?}");
        }
    }
    let fences: Vec<_> = grants.iter().map(Grant::fencing_token).collect();
    assert!(fences.is_sorted());
}
