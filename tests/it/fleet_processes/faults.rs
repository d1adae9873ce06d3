//! Everything is asked for at once, and something dies meanwhile.

use super::*;

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
            // Nobody may have taken it in its time, on a machine that is busy with other things; or the
            // one that did is dead, and is named.
            let is_said = |l: &Noted| {
                let answer = &l.more["answer"];
                let taker = answer["instance"].as_str().unwrap_or_default();
                let is_none = answer["is"] != "accepted" || blow.killed.iter().any(|k| k == taker);
                l.what == "answered" && l.n() == Some(n) && is_none
            };
            let may_be_none = noted.iter().any(is_said);
            if starts > 1 || (starts == 0 && !may_be_none) {
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
