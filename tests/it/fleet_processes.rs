//! Three processes on one Redis: what is asked of one is done by the others, once, whoever dies
//! meanwhile.

mod faults;

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
