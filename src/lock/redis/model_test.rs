//! Random sequences of requests and accidents, on a real server and on the model of the protocol:
//! after every step the answers and the stored records must agree.

use std::ops::Range;
use std::time::Duration;

use chrono::DateTime;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Client};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::lock::redis::{RedisLock, only};
use crate::lock::state::State;
use crate::lock::transition::{self, Record, Stored};
use crate::lock::{Acquired, Claim, Completion, Grant, Holder, Token, Unlocked};

#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../tests/it/support/redis_server.rs"]
mod redis_server;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A new claim on an instant, by one of the owners.
    Acquire {
        claim: NewClaim,
    },
    /// One of the claims made so far, again.
    Repeat {
        claim: prop::sample::Index,
    },
    /// The same for what was granted so far.
    Renew {
        grant: prop::sample::Index,
    },
    Release {
        grant: prop::sample::Index,
        how: Completion,
    },
    /// Several claims in one call, of the same task.
    Batch {
        claims: Vec<NewClaim>,
    },
    Resume,
    /// With the fencing token of one of the grants so far.
    Unlock {
        grant: prop::sample::Index,
    },
    Accident(Accident),
}

#[derive(Debug, Clone)]
struct NewClaim {
    owner: usize,
    instant: i64,
    max_attempts: u32,
    /// Whether the store's clock lets it be claimed.
    is_due: bool,
    ttl: u64,
    late: u64,
    delay_ms: Option<u64>,
    pause_after: Option<u32>,
    lane: u32,
    lanes: u32,
    is_off_schedule: bool,
}

#[derive(Debug, Clone, Copy)]
enum Accident {
    LockEnds,
    StateEnds,
    AllIsLost,
    /// Another client takes the lock for itself, for so long if it says so.
    Foreign(Option<u32>),
    /// What a step of the server's clock back looks like.
    LockLastsLonger,
    ForeignState,
    /// What a failover to a server whose clock is behind looks like.
    FenceAhead,
    /// The last run ended so many milliseconds after now.
    EndMoves(i64),
}

const OWNERS: [&str; 3] = ["host-a:1:x", "", "höst|b"];
const INSTANTS: Range<i64> = 0..5;

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let how = prop::sample::select(vec![
        Completion::Succeeded,
        Completion::Failed,
        Completion::TimedOut,
        Completion::Cancelled,
        Completion::Abandoned,
        Completion::Abandoned,
    ]);
    let accident = prop_oneof![
        4 => Just(Accident::LockEnds),
        1 => Just(Accident::StateEnds),
        1 => Just(Accident::AllIsLost),
        2 => prop::option::of(1000..7_200_000_u32).prop_map(Accident::Foreign),
        1 => Just(Accident::LockLastsLonger),
        1 => Just(Accident::ForeignState),
        2 => Just(Accident::FenceAhead),
        2 => prop::sample::select(vec![-3_600_000, 3_600_000]).prop_map(Accident::EndMoves),
    ];
    prop_oneof![
        6 => new_claim().prop_map(|claim| Step::Acquire { claim }),
        2 => index().prop_map(|claim| Step::Repeat { claim }),
        3 => index().prop_map(|grant| Step::Renew { grant }),
        4 => (index(), how).prop_map(|(grant, how)| Step::Release { grant, how }),
        1 => vec(new_claim(), 1..4).prop_map(|claims| Step::Batch { claims }),
        1 => Just(Step::Resume),
        2 => index().prop_map(|grant| Step::Unlock { grant }),
        3 => accident.prop_map(Step::Accident),
    ]
}

fn new_claim() -> impl Strategy<Value = NewClaim> {
    (
        0..OWNERS.len(),
        INSTANTS,
        prop::sample::select(vec![1, 1, 2, 3]),
        prop::bool::weighted(0.9),
        // Long enough that no lease ends by itself in the middle of a sequence.
        prop::sample::select(vec![20, 30, 300]),
        // The instants are a minute old.
        prop::sample::select(vec![3600, 3600, 3600, 30]),
        prop::sample::select(vec![None, None, Some(0), Some(10), Some(7_200_000)]),
        prop::sample::select(vec![None, None, None, Some(1), Some(2)]),
        prop::sample::select(vec![(0, 1), (0, 1), (0, 2), (1, 2)]),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(
                owner,
                instant,
                max_attempts,
                is_due,
                ttl,
                late,
                delay_ms,
                pause_after,
                lanes,
                is_off_schedule,
            )| {
                let (lane, lanes) = lanes;
                NewClaim {
                    owner,
                    instant,
                    max_attempts,
                    is_due,
                    ttl,
                    late,
                    delay_ms,
                    pause_after,
                    lane,
                    lanes,
                    is_off_schedule,
                }
            },
        )
}

/// A task on the server, and what the model takes it to be.
struct Play {
    lock: RedisLock,
    client: MultiplexedConnection,
    lock_key: String,
    lane_key: String,
    state_key: String,
    task: String,
    /// Epoch milliseconds of the instant 0.
    base_ms: i64,
    model: Stored,
    claims: Vec<Claim>,
    grants: Vec<Grant>,
    /// How often each kind of answer was seen.
    seen: std::collections::BTreeMap<String, usize>,
}

impl Play {
    fn claim(&mut self, new: &NewClaim) -> Claim {
        let number = u128::try_from(self.claims.len()).unwrap();
        // Not due: too early and too late by turns.
        let off_ms = match (new.is_due, new.instant % 2) {
            (true, _) => 0,
            (false, 0) => 3 * 3_600_000,
            (false, _) => -3 * 3_600_000,
        };
        let ms = self.base_ms + new.instant * 1000 + off_ms;
        let claim = Claim::new(
            self.task.parse().unwrap(),
            DateTime::from_timestamp_millis(ms).unwrap(),
            Token::from_bits(number),
            OWNERS[new.owner],
        )
        .with_ttl(Duration::from_secs(new.ttl))
        .with_late(Duration::from_secs(new.late))
        .with_max_attempts(new.max_attempts)
        .with_spec(["", "5a", "6b"][new.owner])
        .with_lane(new.lane)
        .with_lanes(new.lanes);
        let claim = match new.pause_after {
            Some(failures) => claim.with_pause_after(failures),
            None => claim,
        };
        let claim = match new.delay_ms {
            Some(ms) => claim.with_delay(Duration::from_millis(ms)),
            None => claim,
        };
        let claim = match new.is_off_schedule {
            true => claim.with_off_schedule(),
            false => claim,
        };
        self.claims.push(claim.clone());
        claim
    }

    async fn acquire(&mut self, claims: &[Claim]) {
        let answers = self.lock.timed_acquire(claims, None).await;
        assert_eq!(answers.len(), claims.len());
        for (claim, answer) in claims.iter().zip(answers) {
            let (now_us, answer) = answer.unwrap();
            let stored = std::mem::take(&mut self.model);
            let (stored, expected) = transition::acquire(stored, claim, now_us);
            self.model = stored;
            assert_eq!(roughly(&answer, &expected), expected, "{claim:?}");
            self.saw(&answer);
            if let Acquired::Granted(grant) = answer {
                self.grants.push(grant);
            }
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Acquire { claim } => {
                let claim = self.claim(claim);
                self.acquire(&[claim]).await;
            }
            Step::Batch { claims } => {
                let claims: Vec<Claim> = claims.iter().map(|c| self.claim(c)).collect();
                self.acquire(&claims).await;
            }
            Step::Repeat { claim } => {
                if let Some(claim) = pick(&self.claims, claim) {
                    self.acquire(&[claim]).await;
                }
            }
            Step::Renew { grant } => {
                if let Some(grant) = pick(&self.grants, grant) {
                    let answers = self.lock.timed_renew(std::slice::from_ref(&grant)).await;
                    let (now_us, answer) = answers.into_iter().next().unwrap().unwrap();
                    let stored = std::mem::take(&mut self.model);
                    let (stored, expected) = transition::renew(stored, &grant, now_us);
                    self.model = stored;
                    assert_eq!(answer, expected, "{grant:?}");
                    self.saw(&answer);
                }
            }
            Step::Release { grant, how } => {
                if let Some(grant) = pick(&self.grants, grant) {
                    let answers = self.lock.timed_release(&[(grant.clone(), *how)]).await;
                    let (now_us, answer) = only(answers).unwrap();
                    let stored = std::mem::take(&mut self.model);
                    let (stored, expected) = transition::release(stored, &grant, *how, now_us);
                    self.model = stored;
                    assert_eq!(answer, expected, "{grant:?}");
                    self.saw(&answer);
                }
            }
            Step::Resume => {
                let task = self.task.parse().unwrap();
                crate::lock::Lock::resume(&self.lock, &task).await.unwrap();
                // The clock matters to nothing but the ends of records, which are far.
                let stored = std::mem::take(&mut self.model);
                let now_us = chrono::Utc::now().timestamp_micros();
                (self.model, ()) = transition::resume(stored, now_us);
            }
            Step::Unlock { grant } => {
                if let Some(grant) = pick(&self.grants, grant).filter(|g| g.lane() == 0) {
                    let task = self.task.parse().unwrap();
                    let fence = grant.fencing_token();
                    let answer = crate::lock::Lock::unlock(&self.lock, &task, fence).await;
                    let answer = answer.unwrap();
                    let stored = std::mem::take(&mut self.model);
                    let now_us = chrono::Utc::now().timestamp_micros();
                    let (stored, expected) = transition::unlock(stored, fence, now_us);
                    self.model = stored;
                    assert_eq!(answer, expected, "{grant:?}");
                    if answer == Unlocked::Freed {
                        self.same_end().await;
                    }
                    self.saw(&answer);
                }
            }
            Step::Accident(accident) => self.accident(*accident).await,
        }
        self.compare().await;
    }

    /// The server's clock was read a little earlier than ours: takes the end that it wrote.
    async fn same_end(&mut self) {
        let text: String = redis::cmd("GET")
            .arg(&self.state_key)
            .query_async(&mut self.client)
            .await
            .unwrap();
        let theirs: State = text.parse().unwrap();
        let mut ours = self.model.parsed_state().unwrap();
        assert!((ours.ended - theirs.ended).abs() < 1000);
        ours.ended = theirs.ended;
        self.model.state.as_mut().unwrap().text = ours.to_string();
    }

    async fn accident(&mut self, accident: Accident) {
        let other = self.model.parsed_state().map(|mut state| {
            match accident {
                Accident::EndMoves(ms) => state.ended = chrono::Utc::now().timestamp_millis() + ms,
                _ => state.fence += 3_600_000_000,
            }
            state.to_string()
        });
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("TIME");
        let (lock_key, state_key) = (&self.lock_key, &self.state_key);
        match accident {
            Accident::LockEnds => pipeline.del(lock_key),
            Accident::StateEnds => pipeline.del(state_key),
            Accident::AllIsLost => pipeline.cmd("FLUSHALL"),
            Accident::Foreign(None) => pipeline.set(lock_key, "foreign"),
            Accident::Foreign(Some(ms)) => pipeline.pset_ex(lock_key, "foreign", ms.into()),
            Accident::LockLastsLonger => pipeline.cmd("PEXPIRE").arg(lock_key).arg(7_200_000),
            Accident::ForeignState => pipeline.set(state_key, "1|2|x|R|1|1|1|0||t|o"),
            Accident::FenceAhead | Accident::EndMoves(_) => match &other {
                Some(text) => pipeline.cmd("SET").arg(state_key).arg(text).arg("KEEPTTL"),
                None => pipeline.cmd("PING"),
            },
        };
        let ((s, us), _): ((i64, i64), redis::Value) =
            pipeline.query_async(&mut self.client).await.unwrap();
        let now_ms = s * 1000 + us / 1000;
        let record = |text: &str, ms: Option<i64>| {
            Some(Record {
                text: text.to_owned(),
                expires_ms: ms.map(|ms| now_ms + ms),
            })
        };
        let model = &mut self.model;
        match accident {
            Accident::LockEnds => model.lock = None,
            Accident::StateEnds => model.state = None,
            Accident::AllIsLost => *model = Stored::default(),
            Accident::Foreign(ms) => model.lock = record("foreign", ms.map(i64::from)),
            Accident::LockLastsLonger => {
                if let Some(lock) = &mut model.lock {
                    lock.expires_ms = Some(now_ms + 7_200_000);
                }
            }
            Accident::ForeignState => model.state = record("1|2|x|R|1|1|1|0||t|o", None),
            Accident::FenceAhead | Accident::EndMoves(_) => {
                if let (Some(state), Some(text)) = (&mut model.state, other) {
                    state.text = text;
                }
            }
        }
    }

    /// The stored records, with their ends as epoch milliseconds.
    async fn compare(&mut self) {
        type Text = Option<String>;
        type Records = ((i64, i64), Text, i64, Text, i64, Text, i64);
        let records: Records = redis::pipe()
            .atomic()
            .cmd("TIME")
            .get(&self.lock_key)
            .pttl(&self.lock_key)
            .get(&self.state_key)
            .pttl(&self.state_key)
            .get(&self.lane_key)
            .pttl(&self.lane_key)
            .query_async(&mut self.client)
            .await
            .unwrap();
        let ((s, us), lock, lock_ms, state, state_ms, lane, lane_ms) = records;
        let now_ms = s * 1000 + us / 1000;
        let model_lane = self.model.lanes.get(&1).cloned();
        for (what, model, text, left) in [
            ("lane", &model_lane, lane, lane_ms),
            ("lock", &self.model.lock, lock, lock_ms),
            ("state", &self.model.state, state, state_ms),
        ] {
            let model_text = model.as_ref().map(|r| &r.text);
            assert_eq!(text.as_ref(), model_text, "{what}");
            let end = model.as_ref().and_then(|r| r.expires_ms);
            match end {
                // Two clocks are read in one step, each with its own rounding.
                Some(end) => assert!(
                    (now_ms + left - end).abs() <= 20,
                    "{what}: {left} {model:?}"
                ),
                None => assert!(left < 0, "{what}: {left} {model:?}"),
            }
        }
    }

    fn saw(&mut self, answer: &impl std::fmt::Debug) {
        let text = format!("{answer:?}");
        let name: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
        *self.seen.entry(name).or_default() += 1;
    }
}

fn pick<T: Clone>(items: &[T], index: &prop::sample::Index) -> Option<T> {
    (!items.is_empty()).then(|| index.get(items).clone())
}

/// How much time may pass between two readings of a clock.
const BETWEEN: Duration = Duration::from_millis(200);

/// An answer that is as expected but for what passes between two readings of a clock.
fn roughly(answer: &Acquired, expected: &Acquired) -> Acquired {
    let mut answer = answer.clone();
    let near = |found: &mut Duration, expected: Duration| {
        if found.abs_diff(expected) <= BETWEEN {
            *found = expected;
        }
    };
    match (&mut answer, expected) {
        (Acquired::Granted(found), Acquired::Granted(expected)) => {
            near(&mut found.remaining, expected.remaining);
        }
        (
            Acquired::Held(Holder {
                remaining: Some(found),
                ..
            }),
            Acquired::Held(Holder {
                remaining: Some(expected),
                ..
            }),
        ) => near(found, *expected),
        _ => {}
    }
    answer
}

#[test]
fn the_scripts_do_what_the_model_does() {
    const SEQUENCES: u32 = 400;
    let server = redis_server::RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lock = RedisLock::builder(&server.url()).build().unwrap();
    let client = Client::open(server.url()).unwrap();
    let client = runtime
        .block_on(client.get_multiplexed_async_connection())
        .unwrap();
    let seen = std::cell::RefCell::new(std::collections::BTreeMap::<String, usize>::new());
    let number = std::cell::Cell::new(0_u32);
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&vec(step(), 1..40), |steps| {
            number.set(number.get() + 1);
            let task = format!("t{}", number.get());
            let mut play = Play {
                lock: lock.clone(),
                client: client.clone(),
                lock_key: format!("task:lock:{task}"),
                lane_key: format!("{{task:lock:{task}}}:lane:1"),
                state_key: format!("{{task:lock:{task}}}:state"),
                task,
                base_ms: chrono::Utc::now().timestamp_millis() - 60_000,
                model: Stored::default(),
                claims: Vec::new(),
                grants: Vec::new(),
                seen: std::mem::take(&mut seen.borrow_mut()),
            };
            runtime.block_on(async {
                for step in &steps {
                    play.step(step).await;
                }
            });
            *seen.borrow_mut() = play.seen;
            Ok(())
        })
        .unwrap();
    // A run that never met an answer proves nothing about it.
    let seen = seen.into_inner();
    for answer in [
        "Granted",
        "AlreadyFired",
        "Superseded",
        "Burned",
        "Held",
        "TooEarly",
        "TooLate",
        "Delayed",
        "Paused",
        "FinishEarlier",
        "Extended",
        "Reasserted",
        "Lost",
        "Freed",
        "WasGone",
        "NotOwner",
        "NotLocked",
        "Other",
    ] {
        assert!(
            seen.contains_key(answer),
            "{answer} was never seen: {seen:?}"
        );
    }
}
