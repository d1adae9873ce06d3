//! What is asked of a fleet: for people, and for programs.

use std::io::BufRead;

use serde_json::Value;

use super::rig::{Fleet, row};

#[test]
fn the_list_says_how_each_task_is_the_same_to_all_who_ask() {
    let fleet = Fleet::start();
    // They have run by then, and somebody has told of it.
    let ran = |task: &Value| task["last_run"]["outcome"] == "success" && task["stats"]["runs"] != 0;
    fleet.task("hello", ran);
    let [remote, own] = fleet.both(&["list"]);
    let names = |list: &Value| -> Vec<String> {
        let all = list.as_array().unwrap();
        let mut names: Vec<String> = all
            .iter()
            .map(|task| task["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&remote), ["hello", "reindex", "report", "slow"]);
    assert_eq!(names(&remote), names(&own));
    let shape = |list: &Value| -> Vec<String> {
        let keys = list[0].as_object().unwrap().keys();
        keys.cloned().collect()
    };
    assert_eq!(shape(&remote), shape(&own));
    for list in [&remote, &own] {
        let all = list.as_array().unwrap();
        let reindex = all.iter().find(|task| task["name"] == "reindex").unwrap();
        assert_eq!(reindex["schedule"]["cron"], "TZ=Europe/Berlin 0 30 4 * * *");
        assert_eq!(reindex["schedule"]["timezone"], "Europe/Berlin");
        assert_eq!(reindex["health"], "new");
        assert_eq!(reindex["registered_on"], 3);
        assert_eq!(reindex["instances"], 3);
        assert!(reindex["next_fire_at"].as_str().unwrap().ends_with('Z'));
    }

    for said in [fleet.ask(&["list"]), fleet.ask_own(&["list"])] {
        assert_eq!(said.status, 0);
        let head = said.out.lines().next().unwrap();
        assert_eq!(
            head.split_whitespace().collect::<Vec<_>>(),
            [
                "HEALTH", "NAME", "SCHEDULE", "ZONE", "PAUSED", "RUNNING", "LAST", "NEXT"
            ]
        );
        let hello = row(&said.out, "hello");
        assert_eq!(hello[..4], ["healthy", "hello", "* * * * * *", "UTC"]);
        assert!(hello[6].ends_with("s ago"), "{hello:?}");
        assert!(
            row(&said.out, "reindex").last().unwrap().contains('h'),
            "{}",
            said.out
        );
        // Talk is beside the answer.
        assert!(said.err.starts_with("4 tasks"), "{}", said.err);
        assert!(
            !said.out.contains("4 tasks") && !said.out.contains('\u{1b}'),
            "{}",
            said.out
        );
    }
    let wide = fleet.ask(&["list", "-o", "wide"]).done();
    assert!(row(&wide, "reindex").contains(&"3/3"), "{wide}");
    let mut sorted: Vec<String> = fleet
        .ask(&["list", "-o", "name"])
        .done()
        .lines()
        .map(str::to_owned)
        .collect();
    sorted.sort_unstable();
    assert_eq!(sorted, names(&remote));
    let new = fleet.ask(&["list", "-o", "name", "--health", "new"]).done();
    assert!(new.contains("reindex") && !new.contains("hello"), "{new}");
    assert_eq!(
        fleet.ask(&["list", "-o", "name", "--tag", "none"]).done(),
        ""
    );
}

#[test]
fn a_task_its_fire_times_its_runs_and_its_instants_are_told() {
    let fleet = Fleet::start();
    let hello = fleet.task("hello", |task| task["last_run"]["outcome"] == "success");
    let run = hello["last_run"]["id"].as_str().unwrap();

    // describe
    let [remote, own] = fleet.both(&["describe", "reindex"]);
    assert_eq!(remote["name"], "reindex");
    assert_eq!(remote["schedule"], own["schedule"]);
    assert_eq!(remote["policy"], own["policy"]);
    let text = fleet.ask(&["describe", "reindex"]).done();
    for part in [
        "reindex   new",
        "schedule:",
        "at 04:30",
        "on 3 of 3 instances",
        "\nnext\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let text = fleet.ask_own(&["describe", "hello"]).done();
    assert!(
        text.contains("last runs") && text.contains("success"),
        "{text}"
    );

    // next
    let [remote, own] = fleet.both(&[
        "next",
        "reindex",
        "-n",
        "3",
        "--after",
        "2026-12-24T00:00:00Z",
    ]);
    assert_eq!(remote, own);
    let at: Vec<&str> = remote
        .as_array()
        .unwrap()
        .iter()
        .map(|fire| fire["at"].as_str().unwrap())
        .collect();
    assert_eq!(
        at,
        [
            "2026-12-24T03:30:00.000Z",
            "2026-12-25T03:30:00.000Z",
            "2026-12-26T03:30:00.000Z"
        ]
    );
    let text = fleet
        .ask(&[
            "next",
            "reindex",
            "-n",
            "1",
            "--after",
            "2026-12-24T00:00:00Z",
        ])
        .done();
    assert!(
        text.starts_with("Thu 2026-12-24 04:30:00 CET   in "),
        "{text}"
    );
    let all = fleet.ask(&["next"]).done();
    assert_eq!(row(&all, "DUE"), ["NAME", "DUE", "IN"]);
    assert!(all.lines().nth(1).unwrap().starts_with("hello"), "{all}");

    // runs
    let [remote, _] = fleet.both(&["runs", "hello", "-n", "5"]);
    let runs = remote.as_array().unwrap();
    assert!(!runs.is_empty() && runs.len() <= 5);
    for found in runs {
        assert_eq!(
            (&found["task"], &found["trigger"]["kind"]),
            (&"hello".into(), &"schedule".into())
        );
        assert!(found["lock"]["fencing_token"].as_u64().unwrap() > 0);
    }
    let text = fleet.ask(&["runs", "hello"]).done();
    let heads = "RUN TASK OUTCOME TRIGGER STARTED TOOK INSTANCE ERROR";
    assert_eq!(
        text.lines()
            .next()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        heads
    );
    assert!(row(&text, run).contains(&"success"), "{text}");
    assert_eq!(
        fleet
            .ask(&["runs", "--outcome", "failure", "-o", "json"])
            .done(),
        "[]\n"
    );
    let since = fleet
        .ask(&["runs", "hello", "--since", "1h", "-o", "json"])
        .json();
    assert!(!since.as_array().unwrap().is_empty());

    // logs, which are written up to a second and a half after the run
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while fleet.ask(&["logs", run]).done().is_empty() {
        assert!(std::time::Instant::now() < deadline, "no log of {run}");
    }
    let [remote, own] = ["own", "remote"].map(|who| {
        let said = match who {
            "own" => fleet.ask_own(&["logs", run]),
            _ => fleet.ask(&["logs", run]),
        };
        said.done()
    });
    assert_eq!(remote, own);
    assert!(remote.contains("  INFO   Hello at "), "{remote}");
    let line: Value =
        serde_json::from_str(fleet.ask(&["logs", run, "-o", "json"]).done().trim()).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["n"], 1);
    assert!(fleet.ask(&["logs", "hello"]).err.starts_with("run "));

    // why
    let due = fleet
        .ask(&["runs", "hello", "-n", "1", "-o", "json"])
        .json()[0]["due_at"]
        .clone();
    let due = due.as_str().unwrap();
    let [remote, _] = fleet.both(&["why", "hello", "--at", due]);
    assert_eq!(remote["answer"], "ran");
    let text = fleet.ask(&["why", "hello", "--at", due]).done();
    assert!(
        text.contains(": ran on ") && text.contains("success"),
        "{text}"
    );
    let text = fleet.ask(&["why", "reindex", "--at", "14:00"]).done();
    assert!(text.contains("not due: the schedule is at 04:30"), "{text}");
}

#[test]
fn the_instances_the_locks_and_the_store_are_told() {
    let fleet = Fleet::with(&[("SLOW_SECONDS", "4")]);
    let [remote, own] = fleet.both(&["instances"]);
    let ids = |all: &Value| -> Vec<Value> {
        all.as_array()
            .unwrap()
            .iter()
            .map(|i| i["id"].clone())
            .collect()
    };
    assert_eq!(ids(&remote).len(), 3);
    // Whoever only asks is no instance.
    assert_eq!(ids(&remote), ids(&own));
    let text = fleet.ask(&["instances"]);
    assert!(text.err.contains("all 3 instances are ready"), "{text:?}");
    let id = remote[0]["id"].as_str().unwrap();
    assert!(row(&text.out, id).contains(&"1.8.2"), "{text:?}");

    let held = fleet.held("slow");
    assert_eq!(held["holder_lives"], true);
    let table = fleet.ask_own(&["locks"]).done();
    assert_eq!(
        row(&table, "HOLDER"),
        ["TASK", "HOLDER", "TOKEN", "HELD", "TTL", "RUN"]
    );

    for said in [fleet.ask(&["doctor"]), fleet.ask_own(&["doctor"])] {
        assert_eq!(said.status, 0, "{said:?}");
        assert!(
            said.out.contains("ok       store: redis at 127.0.0.1:"),
            "{said:?}"
        );
        assert!(
            said.out.contains(&format!("instance {id}: ready")),
            "{said:?}"
        );
    }
    let findings = fleet.ask(&["doctor", "-o", "json"]).json();
    assert_eq!(findings[0]["severity"], "ok");

    assert!(fleet.ask(&["health"]).done().starts_with("ready   "));
    assert_eq!(
        fleet.ask_own(&["health", "--any", "-o", "json"]).json()["ready"],
        true
    );

    // The specs of the tasks, where none are given.
    for said in [
        fleet.ask(&["check", "-n", "1"]),
        fleet.ask_own(&["check", "-n", "1"]),
    ] {
        let text = said.done();
        assert!(text.contains("ok       * * * * * *  hello\n"), "{text}");
        assert!(text.contains("specs: 4, errors: 0, warnings: 0"), "{text}");
    }
}

#[test]
fn a_list_that_is_watched_is_shown_again_and_again() {
    let fleet = Fleet::start();
    let mut watch = fleet.remote(&["list", "-w", "--interval", "1s", "-o", "json"]);
    let mut child = watch
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&line)
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            4
        );
    }
    super::rig::interrupt(child);
}
