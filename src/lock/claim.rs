//! What is asked of a lock, and what it grants.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lock::token::{FencingToken, Token};
use crate::task::TaskName;

/// A request for the right to run one firing.
///
/// A claim keeps its token when it is repeated: that is what makes a repeated request safe.
#[derive(Debug, Clone)]
pub struct Claim {
    pub(crate) task: TaskName,
    pub(crate) fire_time: DateTime<Utc>,
    pub(crate) token: Token,
    pub(crate) owner: Arc<str>,
    pub(crate) ttl: Duration,
    pub(crate) early: Duration,
    pub(crate) late: Duration,
    pub(crate) keep: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) delay: Option<Duration>,
    pub(crate) pause_after: Option<u32>,
    pub(crate) spec: Arc<str>,
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    pub(crate) is_at_most_once: bool,
    pub(crate) is_off_schedule: bool,
}

impl Claim {
    /// A claim of `owner` (a label for people: at most 64 bytes, no `|` and no control characters;
    /// others are replaced) on one firing, with the defaults of the setters below.
    pub fn new(task: TaskName, fire_time: DateTime<Utc>, token: Token, owner: &str) -> Self {
        let mut label: String = owner
            .chars()
            .map(|c| if c == '|' || c.is_control() { '_' } else { c })
            .collect();
        while label.len() > 64 {
            label.pop();
        }
        Self {
            task,
            fire_time,
            token,
            owner: label.into(),
            ttl: Duration::from_secs(30),
            early: Duration::from_secs(1),
            late: Duration::from_secs(65),
            keep: Duration::from_secs(30 * 86_400),
            max_attempts: 1,
            delay: None,
            pause_after: None,
            spec: "".into(),
            lane: 0,
            lanes: 1,
            is_at_most_once: false,
            is_off_schedule: false,
        }
    }

    /// How long the lease lasts unless renewed; rounded up to whole seconds. Default: 30 s.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        self.ttl = Duration::from_secs(seconds.max(1));
        self
    }

    /// How far before the fire time, by the store's clock, the lease may be taken. Default: 1 s.
    #[must_use]
    pub fn with_early(mut self, early: Duration) -> Self {
        self.early = early;
        self
    }

    /// How long after the fire time, by the store's clock, the lease may be taken. Default: 65 s.
    ///
    /// The record of the instant is kept for at least twice this and an hour, 30 days by default:
    /// longer than any claim on it could be accepted.
    #[must_use]
    pub fn with_late(mut self, late: Duration) -> Self {
        self.late = late;
        self.keep = self.keep.max(late * 2 + Duration::from_secs(3600));
        self
    }

    /// How often the firing may be granted when its runs die before they end. Default: 1.
    #[must_use]
    pub fn with_max_attempts(mut self, max: u32) -> Self {
        self.max_attempts = max.max(1);
        self
    }

    /// That the firing comes so long after the end of the task's last run, wherever that was, by
    /// the store's clock: a claim that comes sooner, or whose fire time is sooner, is answered with
    /// [`Acquired::Delayed`](crate::Acquired::Delayed). The run of an owner that died counts as
    /// ended when the first such claim finds its lease over. Default: no such condition.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// That the firing is refused with [`Acquired::Paused`](crate::Acquired::Paused) when so many runs
    /// of the task in a row have failed or timed out. Default: never.
    #[must_use]
    pub fn with_pause_after(mut self, failures: u32) -> Self {
        self.pause_after = Some(failures);
        self
    }

    /// What the task's spec is, in at most 16 characters of `0-9 a-z`: the lock keeps it with the
    /// grant and tells it to the next to claim, so that instances with different specs notice.
    /// Default: empty.
    #[must_use]
    pub fn with_spec(mut self, spec: &str) -> Self {
        let is_fit = |c: &char| c.is_ascii_digit() || c.is_ascii_lowercase();
        self.spec = spec
            .chars()
            .filter(is_fit)
            .take(16)
            .collect::<String>()
            .into();
        self
    }

    /// Which of several locks of the task the lease is taken on, for a task that may run more than once
    /// at a time. Each lock excludes as the one of lane 0 does, which is `task:lock:<name>`; the record
    /// of instants is one for all. Default: 0.
    #[must_use]
    pub fn with_lane(mut self, lane: u32) -> Self {
        self.lane = lane;
        self
    }

    /// How many locks the task has. With several a lock that has lost its data takes the lane of a run
    /// that goes on back, whatever it knows of the others, since another on that lane cannot be
    /// granted meanwhile. Default: 1; a lane other than 0 is one of several.
    #[must_use]
    pub fn with_lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes.max(1);
        self
    }

    /// That the firing should rather not run than run twice: a lock whose store has lost what it
    /// knew of the instant answers with [`Acquired::InDoubt`](crate::Acquired::InDoubt), if it
    /// notices. Default: no.
    #[must_use]
    pub fn with_at_most_once(mut self) -> Self {
        self.is_at_most_once = true;
        self
    }

    /// That the task is to run beside its schedule, as somebody asked for it: the lease is taken, so that
    /// no scheduled run goes on meanwhile, and the record of instants stays as it is, so that none is
    /// lost. The fire time says nothing to the lock then, and is not looked at; neither are attempts,
    /// delay and tolerances. Default: no.
    #[must_use]
    pub fn with_off_schedule(mut self) -> Self {
        self.is_off_schedule = true;
        self
    }

    /// The task claimed.
    pub fn task(&self) -> &TaskName {
        &self.task
    }

    /// The instant claimed.
    pub fn fire_time(&self) -> DateTime<Utc> {
        self.fire_time
    }

    /// What identifies the claim; the same in its repetitions.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The claiming instance's label.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How long the lease lasts unless renewed, in whole seconds.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How far before the fire time the lease may be taken.
    pub fn early(&self) -> Duration {
        self.early
    }

    /// How long after the fire time the lease may be taken.
    pub fn late(&self) -> Duration {
        self.late
    }

    /// How long the lock must remember the instant.
    pub fn keep(&self) -> Duration {
        self.keep
    }

    /// How often the firing may be granted when its runs die before they end.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// How long after the end of the task's last run the firing comes, if it depends on that.
    pub fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// After how many failures in a row the firing is refused.
    pub fn pause_after(&self) -> Option<u32> {
        self.pause_after
    }

    /// What the task's spec is.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Which of the task's locks is claimed.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// How many locks the task has, as far as the claim says.
    pub fn lanes(&self) -> u32 {
        self.lanes.max(self.lane.saturating_add(1))
    }

    /// Whether the firing should rather not run than run twice.
    pub fn is_at_most_once(&self) -> bool {
        self.is_at_most_once
    }

    /// Whether it leaves the record of instants as it is.
    pub fn is_off_schedule(&self) -> bool {
        self.is_off_schedule
    }

    /// The instant in epoch milliseconds, as locks keep it.
    pub(crate) fn instant_ms(&self) -> i64 {
        self.fire_time.timestamp_millis()
    }
}

/// The right to run one firing, as a lock granted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(crate) task: TaskName,
    pub(crate) fire_time: DateTime<Utc>,
    pub(crate) token: Token,
    pub(crate) owner: Arc<str>,
    pub(crate) ttl: Duration,
    pub(crate) keep: Duration,
    pub(crate) fencing_token: FencingToken,
    pub(crate) attempt: u32,
    pub(crate) remaining: Duration,
    pub(crate) spec: Arc<str>,
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    pub(crate) is_off_schedule: bool,
    pub(crate) before: Option<Before>,
}

/// What a lock knew of a task's last grant before it answered a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The instant of that grant.
    pub fire_time: DateTime<Utc>,
    /// What the task's spec was for the instance that got it.
    pub spec: String,
}

impl Grant {
    /// What a lock grants to `claim`: `remaining` is how long the lease lasts from the moment the
    /// store handled the request, `attempt` counts from 1.
    ///
    /// For implementations of [`Lock`](crate::Lock).
    pub fn new(
        claim: &Claim,
        fencing_token: FencingToken,
        attempt: u32,
        remaining: Duration,
    ) -> Self {
        Self {
            task: claim.task.clone(),
            fire_time: claim.fire_time,
            token: claim.token.clone(),
            owner: claim.owner.clone(),
            ttl: claim.ttl,
            keep: claim.keep,
            fencing_token,
            attempt,
            remaining,
            spec: claim.spec.clone(),
            lane: claim.lane,
            lanes: claim.lanes(),
            is_off_schedule: claim.is_off_schedule,
            before: None,
        }
    }

    /// The same grant, with what the lock knew of the one before it.
    #[must_use]
    pub fn with_before(mut self, before: Option<Before>) -> Self {
        self.before = before;
        self
    }

    /// What the lock knew of the grant before this one.
    pub fn before(&self) -> Option<&Before> {
        self.before.as_ref()
    }

    /// Which of the task's locks was granted.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// How many locks the task has, as far as the claim said.
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    /// Whether the claim left the record of instants as it is.
    pub fn is_off_schedule(&self) -> bool {
        self.is_off_schedule
    }

    /// What the task's spec is, as the claim said.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The task.
    pub fn task(&self) -> &TaskName {
        &self.task
    }

    /// The instant.
    pub fn fire_time(&self) -> DateTime<Utc> {
        self.fire_time
    }

    /// What identifies the claim that was granted.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The owner's label.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How long the lock must remember the instant.
    pub fn keep(&self) -> Duration {
        self.keep
    }

    /// The number that grows with every grant of the task.
    pub fn fencing_token(&self) -> FencingToken {
        self.fencing_token
    }

    /// Which attempt at the firing this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long the lease lasted when it was granted, from the moment the store handled the
    /// request: the whole TTL, or what was left of it when a repeated claim found its lock.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }

    /// The lease's full TTL, which a renewal restores.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(crate) fn instant_ms(&self) -> i64 {
        self.fire_time.timestamp_millis()
    }
}
