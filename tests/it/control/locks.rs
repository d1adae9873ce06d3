//! Locks that are released by hand.

use tasklock::{Acquired, Claim, Clock, Lock, Token};

use super::*;
use crate::support::{Fault, ScriptedLock};

#[tokio::test(start_paused = true)]
async fn a_lock_of_a_run_that_has_just_begun_is_not_taken_from_an_instance_that_lives() {
    let fleet = Fleet::new();
    let (a, b) = (fleet.instance("a"), fleet.instance("b"));
    for instance in [&a, &b] {
        instance.task("t", "0 * * * * *", |_| async {
            pass(30.0).await;
            Ok(())
        });
        instance.start().await;
    }
    // Long enough for each to know the other, and no record has been written since the run began.
    while a.seen.starts("t").is_empty() && b.seen.starts("t").is_empty() {
        pass(0.01).await;
    }
    let runs = [a.seen.starts("t"), b.seen.starts("t")].concat();
    let token = runs[0].fencing_token;
    // Whichever instance takes the command.
    for _ in 0..4 {
        let receipt = fleet.control.unlock("t", token, false, &by()).await;
        let answer = receipt.unwrap().answer;
        assert_eq!(answer.refusal(), Some(Refusal::HolderLives), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_released_by_its_own_fencing_token_only() {
    let fleet = Fleet::new();
    let a = fleet.instance("a");
    let policy = || Policy::default().lease_ttl(Duration::from_secs(300));
    a.task_with("t", "0 * * * * *", HOUR, policy(), |_| async {
        pass(1000.0).await;
        Ok(())
    });
    a.start().await;
    let b = fleet.instance("b");
    b.task_with("t", "0 * * * * *", HOUR, policy(), |_| async { Ok(()) });
    pass(66.0).await;
    let token = a.seen.starts("t")[0].fencing_token;
    b.start().await;
    pass(6.0).await;
    let unlock = async |token, force| {
        fleet
            .control
            .unlock("t", token, force, &by())
            .await
            .unwrap()
            .answer
    };
    assert_eq!(
        unlock(token, false).await.refusal(),
        Some(Refusal::HolderLives)
    );
    let stale = tasklock::FencingToken::new(token.get() - 1);
    assert_eq!(
        unlock(stale, true).await.refusal(),
        Some(Refusal::TokenMovedOn)
    );
    assert!(unlock(token, true).await.is_accepted());
    assert_eq!(
        unlock(token, true).await.refusal(),
        Some(Refusal::NotLocked)
    );
    // Its renewal does not bring it back: the run is dropped, and the next firing is free.
    pass(120.0).await;
    assert_eq!(a.seen.outcomes("t"), [Outcome::LeaseLost]);
    assert!(a.seen.starts("t").len() + b.seen.starts("t").len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_released_without_an_answer_is_not_said_to_be_refused() {
    let fleet = Fleet::new();
    let lock = ScriptedLock::new(fleet.lock.clone());
    let store = fleet.store.clone();
    let a = Bench::on(fleet.clock.clone(), lock.clone(), |b| {
        b.fleet(store).instance_id("a")
    });
    a.task("t", "0 0 0 1 1 *", |_| async { Ok(()) });
    a.start().await;
    pass(1.0).await;
    let claim = Claim::new(
        "t".parse().unwrap(),
        fleet.clock.now(),
        Token::from_bits(7),
        "gone",
    );
    let claim = claim.with_ttl(MINUTE);
    let Acquired::Granted(grant) = fleet.lock.acquire(&claim).await.unwrap() else {
        panic!("nobody has it");
    };
    lock.unlocks([Fault::ReplyLost, Fault::NotSent]);
    let fence = grant.fencing_token();
    let receipt = fleet.control.unlock("t", fence, false, &by()).await;
    let answer = receipt.unwrap().answer;
    assert!(answer.is_accepted(), "{answer:?}");
}
