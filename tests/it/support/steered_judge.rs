//! What a journal of [steered](super::steered) processes says of the promises: each act is done once,
//! or is said not to be; never twice, never half.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::steered::Noted;

/// What was done to whom while the acts were asked for.
#[derive(Debug, Clone, Default)]
pub struct Blow {
    /// Processes that were killed: what they had taken may be left undone.
    pub killed: Vec<String>,
    /// The store was away, so that errors are answers.
    pub store_was_away: bool,
    /// It came back without what it knew.
    pub lost_data: bool,
}

/// An entry of the audit trail, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Trail {
    pub n: u64,
    /// `asked`, `done`, `refused`, `not_taken`, `given_up`.
    pub result: &'static str,
    pub instance: String,
}

/// What is wrong, each in a line that says which act.
pub fn judge(noted: &[Noted], trail: &[Trail], truth: &Value, blow: &Blow) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut acts: BTreeMap<u64, &Noted> = BTreeMap::new();
    for line in noted.iter().filter(|l| l.what == "asked") {
        acts.entry(line.n().unwrap()).or_insert(line);
    }
    for (n, asked) in &acts {
        let act = &asked.more["act"];
        let issuer_lives = !blow.killed.contains(&asked.replica);
        let answer = noted
            .iter()
            .find(|l| l.what == "answered" && l.n() == Some(*n))
            .map_or(Value::Null, |l| l.more["answer"].clone());
        let mut say = |what: &str| wrong.push(format!("act {n}: {what}: {act} -> {answer}"));
        if answer.is_null() && issuer_lives {
            say("nobody was answered");
        }
        let is = answer["is"].as_str().unwrap_or_default().to_owned();
        // On a machine that is busy with other things a store may take too long: nobody knows then.
        let is_late = answer["error"]
            .as_str()
            .is_some_and(|error| error.contains("no answer in time"));
        if is == "error" && !blow.store_was_away && !is_late {
            say("an error, though the store was there");
        }
        let taker = answer["instance"].as_str().unwrap_or_default().to_owned();
        let taker_lives = !blow.killed.contains(&taker);
        let of_act: Vec<&Trail> = trail.iter().filter(|t| t.n == *n).collect();
        let count = |result: &str| of_act.iter().filter(|t| t.result == result).count();
        let (done, refused) = (count("done"), count("refused"));
        if done + refused > 1 {
            say("the trail has two ends of it");
        }
        if count("not_taken") > 0 && done > 0 {
            say("the trail says that it was done, and that nobody took it");
        }
        let doer_lives = of_act
            .iter()
            .filter(|t| t.result == "done")
            .all(|t| !blow.killed.contains(&t.instance));
        match act["do"].as_str().unwrap() {
            "run" => {
                let starts = noted
                    .iter()
                    .filter(|l| l.what == "start" && l.n() == Some(*n))
                    .count();
                if starts > 1 {
                    say("it ran twice");
                }
                if starts > 0 && (is == "not_taken" || is == "refused") {
                    say("it ran, and was said not to");
                }
                if starts == 0 && is == "accepted" && taker_lives {
                    say("it was said to run, and did not");
                }
                if starts == 0 && done > 0 && doer_lives {
                    say("the trail says that it ran, and it did not");
                }
            }
            "cancel" => {
                let ends: Vec<&Noted> = noted
                    .iter()
                    .filter(|l| l.what == "end" && l.text("run") == act["run"].as_str().unwrap())
                    .collect();
                let cancelled = ends
                    .iter()
                    // Its lease may have been lost with the store's data, and the run with it.
                    .filter(|l| {
                        let outcome = l.text("outcome");
                        outcome == "cancelled" || (blow.lost_data && outcome == "lease_lost")
                    })
                    .count();
                if ends.len() > 1 {
                    say("its run ended twice");
                }
                if cancelled > 0 && is == "not_taken" {
                    say("it was cancelled, and was said not to be");
                }
                if cancelled == 0 && is == "accepted" && taker_lives {
                    say("it was said to be cancelled, and is not");
                }
            }
            "skip" => {
                let task = act["task"].as_str().unwrap();
                let skips = &truth["rules"]["skips"][task];
                let known = skips.as_array().map_or(0, Vec::len);
                if known > 2 {
                    say("it was skipped twice");
                }
                if known > 0 && (is == "not_taken" || is == "refused") {
                    say("it was skipped, and was said not to be");
                }
                if is == "accepted" && !blow.lost_data && *skips != answer["skipped"] {
                    say("what was said to be skipped is not");
                }
            }
            "unlock" => {
                let held = truth["held"] == true;
                if held && (is == "accepted" || done > 0) {
                    say("its lock was said to be free, and is not");
                }
                // With the store's data the lock is lost as well.
                if !held && !blow.lost_data && (is == "not_taken" || is == "refused") {
                    say("its lock is free, and was said not to be");
                }
            }
            "pause" | "pause_all" if is == "done" && !blow.lost_data => {
                let what = act.get("task").cloned().unwrap_or(json!("*"));
                let pauses = truth["rules"]["pauses"].as_array();
                if !pauses.is_some_and(|all| all.contains(&what)) {
                    say("it was said to be paused, and is not");
                }
            }
            "override" if is == "done" && !blow.lost_data => {
                let task = act["task"].as_str().unwrap();
                if truth["rules"]["overrides"][task] != act["spec"] {
                    say("it was said to be overridden, and is not");
                }
            }
            "save" if is == "done" && !blow.lost_data => {
                let task = act["task"].as_str().unwrap();
                if truth["stored"][task] != act["spec"] {
                    say("it was said to be saved, and is not");
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Whom of `alive` the journal last saw follow something else than `truth`, and what.
pub fn astray(noted: &[Noted], alive: &[&str], truth: &Value) -> Vec<(String, Value)> {
    let mut astray = Vec::new();
    for name in alive {
        // Of its last life.
        let born = noted
            .iter()
            .rposition(|l| l.what == "ready" && l.replica == **name);
        let life = &noted[born.unwrap_or(0)..];
        let last = life
            .iter()
            .rfind(|l| l.what == "view" && l.replica == **name);
        let view = last.map_or(Value::Null, |l| l.more.clone());
        let same = ["rules", "stored"]
            .iter()
            .all(|part| view[part] == truth[part]);
        let drained = truth["drained"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(name)));
        if !same || view["drained"] != json!(drained) {
            astray.push((name.to_string(), view));
        }
    }
    astray
}

#[test]
fn a_journal_that_breaks_a_promise_is_found_out() {
    let noted = |replica: &str, what: &str, more: Value| Noted {
        replica: replica.to_owned(),
        what: what.to_owned(),
        more,
    };
    let asked = |act: Value| noted("a", "asked", json!({"n": act["n"], "act": act}));
    let answered =
        |n: u64, answer: Value| noted("a", "answered", json!({"n": n, "answer": answer}));
    let start = |n: u64| noted("b", "start", json!({"n": n, "task": "t", "run": "r"}));
    let run = || asked(json!({"n": 1, "do": "run", "task": "t"}));
    let accepted = || {
        answered(
            1,
            json!({"is": "accepted", "instance": "b", "skipped": [1, 2]}),
        )
    };
    let done = |instance: &str| Trail {
        n: 1,
        result: "done",
        instance: instance.to_owned(),
    };
    let truth =
        json!({"rules": {"pauses": [], "skips": {"t": [1, 2]}, "overrides": {}}, "stored": {}});
    let calm = Blow::default();
    let found = |noted: &[Noted], trail: &[Trail], blow: &Blow| judge(noted, trail, &truth, blow);
    let good = [run(), start(1), accepted()];
    assert_eq!(found(&good, &[done("b")], &calm), [""; 0]);
    let has = |found: Vec<String>, what: &str| {
        assert!(found.iter().any(|f| f.contains(what)), "{what}: {found:?}");
    };
    has(
        found(&[run(), start(1), start(1), accepted()], &[], &calm),
        "twice",
    );
    has(found(&[run(), accepted()], &[], &calm), "did not");
    has(found(&[run()], &[], &calm), "nobody was answered");
    let away = Blow {
        killed: vec!["b".to_owned()],
        ..Blow::default()
    };
    assert_eq!(found(&[run(), accepted()], &[done("b")], &away), [""; 0]);
    let not_taken = || answered(1, json!({"is": "not_taken"}));
    has(
        found(&[run(), start(1), not_taken()], &[], &calm),
        "said not to",
    );
    has(
        found(&[run(), not_taken()], &[done("b")], &calm),
        "trail says",
    );
    has(found(&good, &[done("b"), done("c")], &calm), "two ends");
    let error = answered(1, json!({"is": "error"}));
    has(found(&[run(), error], &[], &calm), "an error");
    let skip = || asked(json!({"n": 1, "do": "skip", "task": "t"}));
    assert_eq!(found(&[skip(), accepted()], &[done("b")], &calm), [""; 0]);
    has(found(&[skip(), not_taken()], &[], &calm), "said not to");
    let pause = asked(json!({"n": 1, "do": "pause", "task": "t"}));
    has(
        found(&[pause, answered(1, json!({"is": "done"}))], &[], &calm),
        "is not",
    );
    let pause_all = asked(json!({"n": 1, "do": "pause_all"}));
    has(
        found(&[pause_all, answered(1, json!({"is": "done"}))], &[], &calm),
        "is not",
    );
    let unlock = || asked(json!({"n": 1, "do": "unlock", "task": "t", "fence": 1}));
    assert_eq!(found(&[unlock(), accepted()], &[done("b")], &calm), [""; 0]);
    has(
        found(&[unlock(), not_taken()], &[], &calm),
        "said not to be",
    );
    let held = json!({"held": true});
    has(
        judge(&[unlock(), accepted()], &[], &held, &calm),
        "and is not",
    );
    let cancel = || asked(json!({"n": 1, "do": "cancel", "run": "r"}));
    let end = || noted("b", "end", json!({"run": "r", "outcome": "cancelled"}));
    assert_eq!(found(&[cancel(), end(), accepted()], &[], &calm), [""; 0]);
    has(
        found(&[cancel(), end(), not_taken()], &[], &calm),
        "said not to",
    );
    has(found(&[cancel(), accepted()], &[], &calm), "is not");

    let view = |rules: Value| {
        noted(
            "a",
            "view",
            json!({"rules": rules, "stored": {}, "drained": false}),
        )
    };
    let same = [view(truth["rules"].clone())];
    assert!(astray(&same, &["a"], &truth).is_empty());
    let other = [same[0].clone(), view(json!({}))];
    assert_eq!(astray(&other, &["a"], &truth).len(), 1);
    assert_eq!(astray(&[], &["a"], &truth).len(), 1);
}
