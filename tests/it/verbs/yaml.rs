//! The answers as YAML: what JSON has.

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use super::rig::{Fleet, said, tasklock};

/// The documents of an answer, as JSON.
fn documents(text: &str) -> Vec<Value> {
    let read = Yaml::load_from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    read.iter().map(json).collect()
}

fn json(yaml: &Yaml<'_>) -> Value {
    if let Some(map) = yaml.as_mapping() {
        let pairs = map.iter();
        return pairs
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(all) = yaml.as_vec() {
        return all.iter().map(json).collect();
    }
    if let Some(number) = yaml.as_integer() {
        return number.into();
    }
    if let Some(number) = yaml.as_floating_point() {
        return number.into();
    }
    if let Some(is_so) = yaml.as_bool() {
        return is_so.into();
    }
    match yaml.as_str() {
        Some(text) => text.into(),
        None => Value::Null,
    }
}

#[test]
fn what_is_there_as_json_is_there_as_yaml() {
    let fleet = Fleet::start();
    let ran = |task: &Value| task["last_run"]["outcome"] == "success";
    fleet.task("hello", ran);
    let same: [&[&str]; 4] = [
        &[
            "next",
            "reindex",
            "-n",
            "3",
            "--from",
            "2026-12-24T00:00:00Z",
        ],
        &[
            "next",
            "-n",
            "2",
            "--after",
            "2026-12-24T00:00:00Z",
            "--",
            "@daily",
        ],
        &[
            "check",
            "-n",
            "0",
            "0 30 2 * * *",
            "61 * * * *",
            "--tz",
            "Europe/Berlin",
        ],
        &["runs", "--outcome", "panicked"],
    ];
    for words in same {
        let in_form = |form: &str| {
            let [first, rest @ ..] = words else { panic!() };
            fleet.ask(&[&[*first, "-o", form], rest].concat())
        };
        let (yaml, written) = (in_form("yaml"), in_form("json"));
        assert_eq!(yaml.status, written.status, "{words:?}");
        let lines: Vec<Value> = written
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(documents(&yaml.out), lines, "{words:?}: {yaml:?}");
    }
    // What changes from one moment to the next has the same keys.
    for words in [
        &["list"][..],
        &["describe", "reindex"],
        &["next"],
        &["runs", "hello", "-n", "1"],
        &["instances"],
        &["locks"],
        &["doctor"],
        &["health", "--any"],
        &["why", "reindex", "--at", "14:00"],
        &["check"],
    ] {
        for own in [true, false] {
            let ask = |form: &str| {
                let words = [words, &["-o", form]].concat();
                match own {
                    true => fleet.ask_own(&words).done(),
                    false => fleet.ask(&words).done(),
                }
            };
            let keys = |value: &Value| -> Vec<String> {
                let first = value.get(0).unwrap_or(value);
                first
                    .as_object()
                    .map(|o| o.keys().cloned().collect())
                    .unwrap_or_default()
            };
            let yaml = documents(&ask("yaml"));
            let written: Value = serde_json::from_str(ask("json").lines().next().unwrap()).unwrap();
            // What comes and goes with a run on its way.
            if words != ["locks"] {
                assert_eq!(keys(&yaml[0]), keys(&written), "{words:?}");
            }
        }
    }
    let list = documents(&fleet.ask(&["list", "-o", "yaml", "--tag", "often"]).done());
    assert_eq!(list[0].as_array().unwrap().len(), 1, "{list:?}");
    assert_eq!(list[0][0]["tags"][0], "often");
    let state = fleet.ask_own(&["state", "-o", "yaml"]);
    assert_eq!(state.status, 3);
    assert_eq!(documents(&state.out)[0]["state"], "not_running");
}

#[test]
fn fire_times_are_shown_by_the_clock_that_is_asked_for() {
    let fleet = Fleet::start();
    let words = [
        "next",
        "reindex",
        "-n",
        "1",
        "--from",
        "2026-12-24T00:00:00Z",
    ];
    let own = fleet.ask(&words).done();
    assert!(own.starts_with("Thu 2026-12-24 04:30:00 CET"), "{own}");
    for asked in [
        fleet.ask(&[&words[..], &["--tz", "Asia/Tokyo"]].concat()),
        fleet.ask_own(&[&words[..], &["--tz", "Asia/Tokyo"]].concat()),
    ] {
        let text = asked.done();
        assert!(text.starts_with("Thu 2026-12-24 12:30:00 JST"), "{text}");
    }
    let spec = [
        "next",
        "--tz",
        "Asia/Tokyo",
        "--from",
        "2026-12-24T00:00:00Z",
        "--",
        "@daily",
    ];
    assert_eq!(said(tasklock(&spec)).done(), "2026-12-25T00:00:00+09:00\n");
}

#[test]
fn the_lines_of_a_task_since_an_instant_are_those_of_its_runs_since_then() {
    let fleet = Fleet::start();
    let first = fleet.ask(&["run", "reindex", "--no-wait"]).done();
    fleet.task("reindex", |task| task["last_run"]["id"] == first.trim());
    fleet.ask(&["run", "reindex"]).done();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let both = loop {
        let said = fleet.ask(&["logs", "reindex", "--since", "1h"]);
        if said.out.matches("Indexed part 2 of 2").count() == 2 {
            break said;
        }
        assert!(std::time::Instant::now() < deadline, "{said:?}");
    };
    // The oldest first.
    assert!(
        both.err.starts_with(&format!("run {}", first.trim())),
        "{both:?}"
    );
    let later = "2100-01-01T00:00:00Z";
    for words in [
        &["logs", "reindex", "--since", later][..],
        &["logs", first.trim(), "--since", later],
    ] {
        assert_eq!(fleet.ask(words).done(), "");
        assert_eq!(fleet.ask_own(words).done(), "");
    }
    let yaml = fleet.ask(&["logs", first.trim(), "-o", "yaml"]).done();
    let lines = documents(&yaml);
    assert_eq!((lines.len(), &lines[0]["n"]), (2, &1.into()), "{yaml}");
}

#[test]
fn a_task_that_was_defined_at_run_time_is_deleted_and_one_of_code_is_not() {
    let fleet = Fleet::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    let save = || {
        let text = "lock.redis_url_env = \"TASKLOCK_REDIS\"\n[[task]]\nname = \"stored\"\nspec = \"@daily\"\nkind = \"x\"\n";
        std::fs::write(file.path(), text).unwrap();
        fleet.ask(&["apply", file.path().to_str().unwrap()]).done();
        fleet.task("stored", |_| true);
    };
    for own in [true, false] {
        save();
        let words = ["delete", "stored", "--reason", "nobody needs it"];
        let said = match own {
            true => fleet.ask_own(&words),
            false => fleet.ask(&words),
        };
        assert_eq!(said.done(), "stored: deleted\n");
        fleet.wait_for(&["list", "-o", "json"], |all| {
            all.as_array()
                .unwrap()
                .iter()
                .all(|t| t["name"] != "stored")
        });
    }
    fleet
        .ask(&["delete", "hello"])
        .refuses(4, &["belongs to code"]);
    fleet
        .ask(&["delete", "helo"])
        .refuses(3, &["did you mean hello?"]);
}
