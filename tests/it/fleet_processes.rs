//! Three processes on one Redis: what is asked of one is done by the others, once, whoever dies
//! meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::{Value, json};
use tasklock::chrono::Utc;
use tasklock::{
    Acquired, AuditResult, Claim, Clock, ControlPlane, FencingToken, Lock, RedisFleet, RedisLock,
    SystemClock, TaskStore, Token,
};

use crate::support::RedisServer;
use crate::support::redis_server::RedisOptions;
use crate::support::steered::{Noted, Steered, read_journal, rules_in_words};
use crate::support::steered_judge::{Blow, Trail, astray, judge};

/// Longer than anything takes that comes at all, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Three processes, the server that they share, and what is asked of them.
struct Trio {
    redis: RedisServer,
    lock: RedisLock,
    control: ControlPlane,
    store: TaskStore,
    processes: Vec<Steered>,
    journal: PathBuf,
    _dir: tempfile::TempDir,
    acts: u64,
}

impl Trio {
    async fn start(is_durable: bool) -> Self {
        let redis = RedisOptions {
            is_durable,
            ..RedisOptions::default()
        };
        let redis = redis.start();
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let start = |name: &&str| Steered::start(name, &redis.url(), &journal);
        let processes = NAMES.iter().map(start).collect();
        let lock = RedisLock::builder(&redis.url()).build().unwrap();
        let fleet = RedisFleet::beside(&lock);
        let this = Self {
            control: ControlPlane::new(fleet.clone()),
            store: TaskStore::new(fleet),
            lock,
            redis,
            processes,
            journal,
            _dir: dir,
            acts: 0,
        };
        this.all_are_there().await;
        this
    }

    /// All have begun, and know each other.
    async fn all_are_there(&self) {
        self.until("all three are there", |_| Some(())).await;
        let begun = SystemClock.monotonic();
        loop {
            let there = self.control.instances().await.map_or(0, |all| {
                let fit = all.iter().filter(|i| !i.is_stopping);
                fit.count()
            });
            if there == NAMES.len() {
                return;
            }
            assert!(
                SystemClock.monotonic() - begun < PATIENCE,
                "{there} are there"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has a process ask for something. Returns the number of the act.
    fn ask(&mut self, name: &str, mut act: Value) -> u64 {
        self.acts += 1;
        act["n"] = json!(self.acts);
        self.process(name).ask(&act);
        self.acts
    }

    fn process(&mut self, name: &str) -> &mut Steered {
        self.processes.iter_mut().find(|p| p.name == name).unwrap()
    }

    /// Waits until the journal shows what is looked for.
    async fn until<T>(&self, what: &str, mut look: impl FnMut(&[Noted]) -> Option<T>) -> T {
        let begun = SystemClock.monotonic();
        loop {
            let noted = read_journal(&self.journal);
            if let Some(found) = look(&noted) {
                return found;
            }
            if SystemClock.monotonic() - begun > PATIENCE {
                let last = &noted[noted.len().saturating_sub(20)..];
                panic!("not within {PATIENCE:?}: {what}; the journal ends with {last:#?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks, and waits for the answer.
    async fn answer(&mut self, name: &str, act: Value) -> Value {
        let what = format!("an answer to {act}");
        let n = self.ask(name, act);
        let answered = |l: &&Noted| l.what == "answered" && l.n() == Some(n);
        self.until(&what, |noted| {
            let line = noted.iter().find(answered)?;
            Some(line.more["answer"].clone())
        })
        .await
    }

    /// Asks for what has to be done.
    async fn done(&mut self, name: &str, act: Value) -> Value {
        let mut answer = self.answer(name, act.clone()).await;
        // A machine that is busy with other things: a rule may be asked for once more.
        for _ in 0..5 {
            let error = answer["error"].as_str().unwrap_or_default();
            if act["do"] == "run" || !error.contains("no answer in time") {
                break;
            }
            answer = self.answer(name, act.clone()).await;
        }
        let is = answer["is"].as_str().unwrap();
        assert!(is == "done" || is == "accepted", "{act}: {answer}");
        answer
    }

    /// Waits until each of `names` has decided a firing of a task so, that is due from now on.
    async fn all_decide(&self, names: &[&str], task: &str, decisions: &[&str]) {
        let from = Utc::now().timestamp_millis();
        let what = format!("{decisions:?} of {task} by {names:?}");
        let is_so = |l: &Noted| {
            l.what == "decision"
                && l.text("task") == task
                && l.more["due"].as_i64() >= Some(from)
                && decisions.contains(&l.text("decision"))
        };
        self.until(&what, |noted| {
            let has = |name: &&str| noted.iter().any(|l| l.replica == **name && is_so(l));
            names.iter().all(has).then_some(())
        })
        .await;
    }

    /// What the store says that everybody has to follow.
    async fn truth(&self) -> tasklock::Result<Value> {
        let rules = self.control.rules().await?;
        let stored = self.store.list().await?;
        let specs: serde_json::Map<String, Value> = stored
            .tasks
            .iter()
            .map(|task| (task.name.clone(), json!(task.spec)))
            .collect();
        let drained: Vec<&str> = NAMES
            .into_iter()
            .filter(|name| rules.drain_of(name).is_some())
            .collect();
        Ok(json!({
            "rules": rules_in_words(&rules, Utc::now()), "stored": specs, "drained": drained,
        }))
    }

    /// Waits until all three follow what the store says.
    async fn agree(&self) -> Value {
        let begun = SystemClock.monotonic();
        loop {
            let truth = self.truth().await;
            let noted = read_journal(&self.journal);
            let late = match &truth {
                Ok(truth) => astray(&noted, &NAMES, truth),
                Err(error) => vec![(error.to_string(), Value::Null)],
            };
            match truth {
                Ok(truth) if late.is_empty() => return truth,
                truth => assert!(
                    SystemClock.monotonic() - begun < PATIENCE,
                    "half of it: {late:#?} beside {truth:#?}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn trail(&self) -> Vec<Trail> {
        let entries = self.control.audit(None, 1_000).await.unwrap();
        let number = |actor: &str| actor.strip_prefix("act.")?.parse().ok();
        let read = |entry: tasklock::AuditEntry| {
            let (result, instance) = match entry.result {
                AuditResult::Asked => ("asked", String::new()),
                AuditResult::Done { instance } => ("done", instance.unwrap_or_default()),
                AuditResult::Refused { instance, .. } => ("refused", instance),
                AuditResult::NotTaken => ("not_taken", String::new()),
                AuditResult::GivenUp { instance, .. } => ("given_up", instance),
                other => panic!("{other:?}"),
            };
            Some(Trail {
                n: number(entry.by.actor())?,
                result,
                instance,
            })
        };
        entries.into_iter().filter_map(read).collect()
    }
}

/// A run that goes on on the process `on`, as its id.
async fn long_run(trio: &mut Trio, task: &str, on: &str) -> String {
    let act = json!({"do": "run", "task": task, "on": on});
    let answer = trio.done("a", act).await;
    let run = answer["runs"][0].as_str().unwrap().to_owned();
    trio.until("the long run begins", |noted| {
        let is = |l: &&Noted| l.what == "start" && l.text("run") == run && l.replica == on;
        noted.iter().find(is).map(|_| ())
    })
    .await;
    run
}

/// The token that no run of the three has.
fn ghost() -> Token {
    Token::from_bits(7)
}

/// Whether the lock of a task is still the one that was [taken](taken_by_a_ghost).
fn is_held_by_the_ghost(redis: &RedisServer, task: &str) -> bool {
    let holder = redis.says(&format!("GET task:lock:{task}"));
    holder.contains(ghost().as_str())
}

/// Takes the lock of a task that is due each second, for five minutes.
async fn taken_by_a_ghost(lock: &RedisLock, task: &str) -> FencingToken {
    let begun = SystemClock.monotonic();
    loop {
        let now = Utc::now();
        let claim = Claim::new(task.parse().unwrap(), now, ghost(), "a ghost");
        let claim = claim.with_ttl(Duration::from_secs(300));
        if let Acquired::Granted(grant) = lock.acquire(&claim).await.unwrap() {
            return grant.fencing_token();
        }
        // One of the three has it for its run of this second.
        assert!(
            SystemClock.monotonic() - begun < PATIENCE,
            "{task} is never free"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_one_process_is_done_by_the_others() {
    let mut trio = Trio::start(false).await;
    // Rules.
    trio.done("a", json!({"do": "pause", "task": "tick"})).await;
    trio.all_decide(&NAMES, "tick", &["paused"]).await;
    trio.done("b", json!({"do": "resume", "task": "tick"}))
        .await;
    let due = ["started", "fired_elsewhere"];
    trio.all_decide(&NAMES, "tick", &due).await;
    trio.done("b", json!({"do": "pause_all"})).await;
    trio.all_decide(&NAMES, "tock", &["paused"]).await;
    trio.done("c", json!({"do": "resume_all"})).await;
    trio.all_decide(&NAMES, "tock", &due).await;
    trio.done("c", json!({"do": "drain", "on": "a"})).await;
    trio.all_decide(&["a"], "tick", &["draining"]).await;
    trio.all_decide(&["b", "c"], "tick", &due).await;
    trio.done("b", json!({"do": "undrain", "on": "a"})).await;
    trio.all_decide(&["a"], "tick", &due).await;
    let spec = "* * * * * *";
    trio.done(
        "a",
        json!({"do": "override", "task": "rare.0", "spec": spec}),
    )
    .await;
    trio.all_decide(&NAMES, "rare.0", &due).await;
    trio.done("b", json!({"do": "reset", "task": "rare.0"}))
        .await;
    trio.agree().await;

    // Skips: no fire time of these runs, and each instance says so.
    let answer = trio.done("c", json!({"do": "skip", "task": "tick"})).await;
    let skipped: Vec<i64> = answer["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at.as_i64().unwrap())
        .collect();
    assert_eq!(skipped.len(), 2);
    let decided = trio
        .until("the skipped firings are decided", |noted| {
            let of = |name: &str| {
                let fits = |l: &&Noted| {
                    l.what == "decision"
                        && l.replica == name
                        && l.text("task") == "tick"
                        && skipped.contains(&l.more["due"].as_i64().unwrap())
                };
                noted.iter().filter(fits).cloned().collect::<Vec<_>>()
            };
            let all = NAMES.map(of);
            all.iter().all(|of| of.len() == 2).then_some(all)
        })
        .await;
    assert!(
        decided
            .iter()
            .flatten()
            .all(|l| l.text("decision") == "paused"),
        "{decided:?}"
    );

    // Commands.
    for (issuer, target) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let run = long_run(&mut trio, "long.0", target).await;
        trio.done(issuer, json!({"do": "cancel", "run": run})).await;
        trio.until("the run is cancelled", |noted| {
            let is = |l: &&Noted| l.what == "end" && l.text("run") == run;
            let end = noted.iter().find(is)?;
            assert_eq!(
                (end.text("outcome"), end.replica.as_str()),
                ("cancelled", target)
            );
            Some(())
        })
        .await;
    }
    let fence = taken_by_a_ghost(&trio.lock, "held").await;
    trio.all_decide(&NAMES, "held", &["overlap"]).await;
    trio.done(
        "b",
        json!({"do": "unlock", "task": "held", "fence": fence.get()}),
    )
    .await;
    trio.all_decide(&NAMES, "held", &due).await;

    // Tasks defined at run time.
    trio.done("a", json!({"do": "save", "task": "note.1", "spec": spec}))
        .await;
    trio.all_decide(&NAMES, "note.1", &due).await;
    let spec = "*/2 * * * * *";
    trio.done("b", json!({"do": "save", "task": "note.1", "spec": spec}))
        .await;
    assert_eq!(trio.agree().await["stored"]["note.1"], spec);
    trio.done("c", json!({"do": "delete", "task": "note.1"}))
        .await;
    assert_eq!(trio.agree().await["stored"], json!({}));

    let noted = read_journal(&trio.journal);
    let truth = trio.agree().await;
    // The runs that were cancelled did not end by themselves, and so on: nothing was done twice.
    let acts = judge_only(&noted, &["run", "cancel"]);
    assert_eq!(
        judge(&acts, &trio.trail().await, &truth, &Blow::default()),
        [""; 0]
    );
}

/// The journal without what was asked for beside these acts: rules that are gone again are no truth.
fn judge_only(noted: &[Noted], acts: &[&str]) -> Vec<Noted> {
    let fits =
        |l: &&Noted| l.what != "asked" || acts.contains(&l.more["act"]["do"].as_str().unwrap());
    noted.iter().filter(fits).cloned().collect()
}

/// What befalls the fleet while it is asked for things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    IssuerKilled,
    TargetKilled,
    TargetStopped,
    RedisRestarted,
    RedisEmptied,
}

/// How many rounds; more of them by hand: `TASKLOCK_FLEET_ROUNDS=50`.
fn rounds() -> u64 {
    let rounds = std::env::var("TASKLOCK_FLEET_ROUNDS");
    rounds.ok().and_then(|n| n.parse().ok()).unwrap_or(2)
}

fn seed() -> u64 {
    let seed = std::env::var("TASKLOCK_FLEET_SEED");
    seed.ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

async fn acts_under(fault: Fault) {
    for round in 0..rounds() {
        let seed = seed() * 1_000 + round;
        let wrong = one_round(fault, SmallRng::seed_from_u64(seed)).await;
        assert!(wrong.is_empty(), "{fault:?}, seed {seed}: {wrong:#?}");
    }
}

/// Asks for one thing of each kind at once, and strikes meanwhile. Returns what is wrong then.
async fn one_round(fault: Fault, mut random: SmallRng) -> Vec<String> {
    let mut trio = Trio::start(fault != Fault::RedisEmptied).await;
    let mut blow = Blow::default();
    // What will be taken back has to be there, and so do runs that can be cancelled.
    let mut runs = Vec::new();
    for (n, on) in ["b", "c", "b", "c"].into_iter().enumerate() {
        runs.push(long_run(&mut trio, &format!("long.{n}"), on).await);
    }
    trio.done("c", json!({"do": "pause", "task": "tock"})).await;
    trio.done("c", json!({"do": "drain", "on": "c"})).await;
    trio.done(
        "c",
        json!({"do": "save", "task": "note.1", "spec": "@hourly"}),
    )
    .await;
    let fence = taken_by_a_ghost(&trio.lock, "held").await;
    trio.agree().await;
    // Only what is asked for from here on is judged: what was done before may be undone.
    let before = trio.acts;

    let mut acts = vec![
        json!({"do": "pause", "task": "tick"}),
        json!({"do": "resume", "task": "tock"}),
        json!({"do": "pause", "task": "held"}),
        json!({"do": "pause_all"}),
        json!({"do": "unlock", "task": "held", "fence": fence.get()}),
        json!({"do": "undrain", "on": "c"}),
        json!({"do": "override", "task": "rare.1", "spec": "0 0 * * * *"}),
        json!({"do": "save", "task": "note.2", "spec": "@daily"}),
        json!({"do": "delete", "task": "note.1"}),
    ];
    for n in 0..12 {
        let mut run = json!({"do": "run", "task": format!("job.{n}"), "even_if_paused": true});
        if n % 2 == 0 {
            run["on"] = json!("b");
        }
        if n % 3 == 0 {
            run["key"] = json!(format!("key.{n}"));
        }
        acts.push(run);
    }
    acts.extend(runs.iter().map(|run| json!({"do": "cancel", "run": run})));
    acts.extend((2..6).map(|n| json!({"do": "skip", "task": format!("rare.{n}")})));
    // Any order, and over a time in which a few round trips fit.
    for place in (1..acts.len()).rev() {
        acts.swap(place, random.random_range(0..=place));
    }
    let strike_at = random.random_range(0..acts.len());
    let mut resumed = None;
    if fault == Fault::TargetStopped {
        trio.process("b").signal(Signal::STOP);
    }
    for (place, act) in acts.iter().enumerate() {
        trio.ask("a", act.clone());
        pause(&mut random, 6).await;
        if place == strike_at {
            pause(&mut random, 30).await;
            match fault {
                Fault::IssuerKilled => {
                    trio.process("a").kill();
                    blow.killed.push("a".to_owned());
                    break;
                }
                Fault::TargetKilled => {
                    trio.process("b").kill();
                    blow.killed.push("b".to_owned());
                }
                Fault::TargetStopped => {
                    // Within the time that a command may be taken, or after it.
                    let length = Duration::from_millis(random.random_range(100..9_000));
                    resumed = Some(SystemClock.monotonic() + length);
                }
                Fault::RedisRestarted | Fault::RedisEmptied => {
                    trio.redis.kill();
                    blow.store_was_away = true;
                    blow.lost_data = fault == Fault::RedisEmptied;
                    pause(&mut random, 3_000).await;
                    trio.redis.restart();
                }
            }
        }
    }
    if let Some(at) = resumed {
        tokio::time::sleep(at.saturating_sub(SystemClock.monotonic())).await;
        trio.process("b").signal(Signal::CONT);
    }
    if !blow.killed.is_empty() {
        // At once, or when nobody can take any more what was asked for.
        pause(&mut random, 12_000).await;
        for name in blow.killed.clone() {
            trio.process(&name).restart();
            trio.until("it is back", |noted| {
                let ready = noted
                    .iter()
                    .filter(|l| l.what == "ready" && l.replica == name);
                (ready.count() == 2).then_some(())
            })
            .await;
        }
    }
    if fault == Fault::IssuerKilled {
        // Somebody asks again for what has a key: it is the same wish.
        let again: Vec<(u64, Value)> = trio
            .until("what was asked", |noted| {
                Some(asked_with_keys(noted, before))
            })
            .await;
        for (n, mut act) in again {
            act["n"] = json!(n);
            trio.process("c").ask(&act);
            trio.until("asked again", |noted| {
                let answered = |l: &&Noted| l.what == "answered" && l.n() == Some(n);
                noted.iter().find(answered).map(|_| ())
            })
            .await;
        }
    }
    let issuer_lives = fault != Fault::IssuerKilled;
    let last = trio.acts;
    trio.until("all are answered", |noted| {
        let is = |n: u64| {
            noted
                .iter()
                .any(|l| l.what == "answered" && l.n() == Some(n))
        };
        (!issuer_lives || (before + 1..=last).all(is)).then_some(())
    })
    .await;
    let mut truth = trio.agree().await;
    // What was accepted a moment ago begins, and answers reach the trail.
    tokio::time::sleep(Duration::from_secs(2)).await;
    truth["held"] = json!(is_held_by_the_ghost(&trio.redis, "held"));
    let trail = trio.trail().await;
    let noted: Vec<Noted> = read_journal(&trio.journal)
        .into_iter()
        .filter(|l| l.what != "asked" || l.n() > Some(before))
        .collect();
    let mut wrong = judge(&noted, &trail, &truth, &blow);
    if fault == Fault::IssuerKilled {
        for (n, act) in asked_with_keys(&noted, before) {
            let is = |l: &&Noted| l.what == "start" && l.n() == Some(n);
            let starts = noted.iter().filter(is).count();
            if starts != 1 {
                wrong.push(format!(
                    "act {n} was asked for twice with one key, and ran {starts} times: {act}"
                ));
            }
        }
    }
    wrong
}

/// The runs that were asked for with a key, after the act `before`.
fn asked_with_keys(noted: &[Noted], before: u64) -> Vec<(u64, Value)> {
    let asked = noted
        .iter()
        .filter(|l| l.what == "asked" && l.n() > Some(before));
    let with_key = asked.filter(|l| l.more["act"]["key"].is_string());
    let mut found: Vec<(u64, Value)> = with_key
        .map(|l| (l.n().unwrap(), l.more["act"].clone()))
        .collect();
    found.sort_by_key(|(n, _)| *n);
    found.dedup_by_key(|(n, _)| *n);
    found
}

async fn pause(random: &mut SmallRng, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..=most_ms))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_whose_issuer_is_killed_are_done_once_or_not_at_all() {
    acts_under(Fault::IssuerKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_whose_target_is_killed_are_done_once_or_said_not_to_be() {
    acts_under(Fault::TargetKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_whose_target_is_stopped_for_a_while_are_done_once_or_said_not_to_be() {
    acts_under(Fault::TargetStopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_during_a_restart_of_the_store_are_done_once_or_said_not_to_be() {
    acts_under(Fault::RedisRestarted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_comes_back_empty_has_nothing_done_twice_and_nobody_goes_astray() {
    acts_under(Fault::RedisEmptied).await;
}
