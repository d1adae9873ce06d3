//! What every [`Lock`] must do, as tests that any implementation can run.

mod beside;
mod claims;
mod delays;
mod failures;
mod lanes;
mod leases;
mod many;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

use crate::error::Result;
use crate::lock::{
    Acquired, Claim, Completion, Grant, Holder, Lock, Released, Renewed, RunStatus, Token,
};
use crate::task::TaskName;
use crate::testing::case::{Breach, Outcome, holds, run, same};

/// A lock, and the means to make its time pass.
#[async_trait]
pub trait LockUnderTest: Send + Sync {
    /// The lock.
    fn lock(&self) -> Arc<dyn Lock>;

    /// Makes the lease of `task` end now: moves a clock by ten seconds, the longest lease here, or deletes the lock
    /// from the store, which is what an end looks like from outside.
    async fn end_lease(&self, task: &TaskName);

    /// The time by the store's clock.
    async fn now(&self) -> DateTime<Utc>;
}

/// How long the suite's leases last.
const TTL: Duration = Duration::from_secs(10);

/// Runs every case on tasks of its own; the lock may hold other tasks. Needs a tokio runtime.
///
/// # Panics
///
/// At the first breach, with the case's name and what was wrong.
pub async fn lock_conformance(subject: &impl LockUnderTest) {
    macro_rules! run {
        ($($part:ident::$case:ident)*) => {
            $(run("lock", stringify!($case), $part::$case(&Case::new(subject).await)).await;)*
        };
    }
    run! {
        claims::a_free_task_is_granted
        claims::a_repeated_claim_gets_the_same_grant
        claims::another_claim_on_a_taken_instant_is_told_who_took_it
        claims::another_instant_is_held_while_a_run_goes_on
        claims::an_instant_is_taken_once_and_for_all
        claims::an_older_instant_is_superseded
        claims::the_next_instant_is_granted_with_a_larger_fencing_token
        claims::an_abandoned_instant_can_be_granted_again
        claims::an_abandoned_instant_does_not_bring_back_older_ones
        claims::a_repeated_claim_after_the_run_is_burned
        claims::a_repeated_claim_after_a_takeover_is_burned
        claims::a_repeated_claim_takes_its_lapsed_lease_up_again
        claims::a_dead_run_is_not_taken_over_by_default
        claims::a_dead_run_is_taken_over_when_attempts_are_left
        claims::an_ended_run_is_not_taken_over
        claims::a_dead_run_is_finished_before_later_instants
        claims::an_instant_far_ahead_is_too_early
        claims::an_instant_long_past_is_too_late
        beside::a_run_off_schedule_takes_no_instant
        beside::a_run_off_schedule_and_a_scheduled_one_exclude_each_other
        beside::a_repeated_claim_off_schedule_keeps_its_lease
        beside::a_dead_run_does_not_come_back_from_under_one_off_schedule
        beside::a_lease_is_taken_from_its_owner_by_its_own_token_only
        delays::a_first_run_waits_for_no_other
        delays::the_end_of_a_run_is_recorded_and_kept_by_the_next
        delays::a_run_too_soon_after_the_last_one_is_delayed
        delays::a_run_long_enough_after_the_last_one_is_granted
        delays::a_delayed_claim_is_held_while_a_run_goes_on
        delays::a_dead_run_has_ended_when_a_delayed_claim_finds_it
        delays::an_abandoned_run_leaves_the_end_of_the_one_before
        failures::failures_in_a_row_are_counted_and_a_success_ends_the_row
        failures::a_task_is_paused_after_as_many_failures_as_the_claim_says
        failures::a_resumed_task_is_granted_and_keeps_its_instants
        failures::a_task_that_never_failed_can_be_resumed
        failures::a_claim_learns_of_the_spec_of_the_grant_before
        lanes::each_lane_excludes_for_itself
        lanes::an_instant_is_taken_once_for_all_lanes
        lanes::a_repeated_claim_on_a_lane_gets_the_same_grant
        lanes::a_repeated_claim_keeps_its_lane_when_another_was_granted_since
        lanes::a_renewal_takes_its_lane_back_whoever_was_granted_another
        lanes::without_lanes_a_renewal_takes_nothing_back_from_a_newer_grant
        leases::a_renewal_extends_a_lease
        leases::a_renewal_brings_a_lapsed_lease_back
        leases::a_renewal_after_a_takeover_is_lost
        leases::a_delayed_renewal_does_not_bring_a_released_lease_back
        leases::a_lease_is_shown_with_how_long_it_lasts
        leases::a_release_frees_the_task
        leases::a_repeated_release_changes_nothing
        leases::a_release_after_the_end_of_the_lease_still_records_the_run
        leases::a_release_after_a_takeover_says_who_has_the_task
        leases::every_completion_is_recorded
        leases::an_unknown_task_was_never_fired
        many::a_batch_is_answered_in_order
        many::a_batch_handles_duplicates_one_after_the_other
        many::every_allowed_character_makes_a_name_of_its_own
        many::tasks_do_not_disturb_each_other
        many::check_and_describe_answer
        many::no_update_under_the_lock_is_lost
    }
}

/// One case's task, and its instants.
struct Case<'a> {
    subject: &'a dyn LockUnderTest,
    lock: Arc<dyn Lock>,
    task: TaskName,
    /// The instant 0, long enough ago that the next hundred are due too.
    base: DateTime<Utc>,
}

impl<'a> Case<'a> {
    async fn new(subject: &'a dyn LockUnderTest) -> Self {
        Self {
            subject,
            lock: subject.lock(),
            task: fresh_task(""),
            base: subject.now().await.trunc_subsecs(0) - Duration::from_secs(200),
        }
    }

    /// A claim of `owner` on the instant so many seconds after the first.
    fn claim(&self, owner: &str, instant: u64) -> Claim {
        self.claim_on(&self.task, owner, instant)
    }

    fn claim_on(&self, task: &TaskName, owner: &str, instant: u64) -> Claim {
        let fire_time = self.base + Duration::from_secs(instant);
        Claim::new(task.clone(), fire_time, fresh_token(), owner)
            .with_ttl(TTL)
            .with_late(Duration::from_secs(3600))
    }

    async fn granted(&self, claim: &Claim) -> std::result::Result<Grant, Breach> {
        match self.lock.acquire(claim).await? {
            Acquired::Granted(grant) => Ok(grant),
            other => Err(Breach(format!("not granted: {other:?}"))),
        }
    }

    async fn acquires(&self, claim: &Claim, expected: Acquired) -> Outcome {
        same(self.lock.acquire(claim).await?, expected)
    }

    async fn renews(&self, grant: &Grant, expected: Renewed) -> Outcome {
        same(self.lock.renew(grant).await?, expected)
    }

    async fn releases(&self, grant: &Grant, how: Completion, expected: Released) -> Outcome {
        same(self.lock.release(grant, how).await?, expected)
    }

    /// That the last instant taken is `instant`, and how far its run has come.
    async fn records(&self, instant: Option<u64>, status: RunStatus) -> Outcome {
        let tasks = [self.task.clone()];
        let last = self.lock.last_fired(&tasks).await?;
        let [Some(last)] = last.as_slice() else {
            return Err(Breach(format!("no record: {last:?}")));
        };
        let fire_time = instant.map(|n| self.base + Duration::from_secs(n));
        same((last.fire_time, last.status), (fire_time, status))
    }

    async fn end_lease(&self) {
        self.subject.end_lease(&self.task).await;
    }
}

fn already(owner: &str, status: RunStatus) -> Acquired {
    already_at(1, owner, status)
}

fn already_at(attempt: u32, owner: &str, status: RunStatus) -> Acquired {
    Acquired::AlreadyFired {
        owner: owner.to_owned(),
        status,
        attempt,
        spec: String::new(),
    }
}

fn fresh_token() -> Token {
    let random = || u128::from(RandomState::new().hash_one(0_u8));
    Token::from_bits(random() << 64 | random())
}

/// A name that no run of the suite has used in a store that outlives it.
fn fresh_task(end: &str) -> TaskName {
    let name = format!("conformance.{}{end}", fresh_token().as_str());
    #[allow(clippy::expect_used)] // The suite's own names are good.
    name.parse().expect("a task name")
}
