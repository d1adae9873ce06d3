//! `run`, `logs -f` and `cancel`.

use std::process::Stdio;

use serde_json::Value;

use super::rig::{Fleet, said_to};

#[test]
fn a_run_that_is_asked_for_is_followed_to_its_end() {
    let fleet = Fleet::start();
    for own in [true, false] {
        let words = [
            "run",
            "reindex",
            "--reason",
            "rates were stale",
            "--params",
            r#"{"parts": 2}"#,
        ];
        let said = if own {
            fleet.ask_own(&words)
        } else {
            fleet.ask(&words)
        };
        assert_eq!(said.status, 0, "{said:?}");
        let first = said
            .out
            .find("  INFO   Indexed part 1 of 2")
            .unwrap_or_else(|| panic!("{said:?}"));
        let second = said.out.find("Indexed part 2 of 2").unwrap();
        let end = said.out.find("success in ").unwrap();
        assert!(first < second && second < end, "{said:?}");
        assert!(
            said.err.starts_with("run of reindex: accepted by "),
            "{said:?}"
        );
    }
    let found = fleet
        .ask(&["runs", "reindex", "-n", "1", "-o", "json"])
        .json();
    assert_eq!(found[0]["trigger"]["kind"], "manual");
    assert_eq!(found[0]["trigger"]["reason"], "rates were stale");
    assert!(
        found[0]["trigger"]["actor"]
            .as_str()
            .unwrap()
            .starts_with("ana@")
    );
    // The same run is known by its id to whoever did not wait.
    let id = fleet.ask(&["run", "reindex", "--no-wait"]).done();
    let logs = fleet.ask_own(&["logs", "-f", id.trim()]);
    assert!(logs.out.contains("Indexed part 2 of 2"), "{logs:?}");
    assert!(logs.err.contains("success"), "{logs:?}");
}

#[test]
fn a_run_that_fails_ends_the_command_with_status_1_and_the_error() {
    let fleet = Fleet::start();
    let said = fleet.ask(&["run", "reindex", "--params", r#"{"parts":0}"#]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.out.contains("failure in") && said.out.contains("there is nothing to index"),
        "{said:?}"
    );
    let said = fleet.ask_own(&["run", "reindex", "--params", r#"{"parts":0}"#, "-o", "json"]);
    assert_eq!(said.status, 1, "{said:?}");
    let run: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(run["outcome"], "failure");
    let failing = fleet.task("reindex", |task| task["health"] == "failing");
    assert!(failing["consecutive_failures"].as_u64().unwrap() >= 1);
    let list = fleet.ask(&["list"]);
    assert!(list.err.contains("need attention"), "{list:?}");
}

#[test]
fn parameters_come_from_standard_input_so_that_nobody_sees_them() {
    let fleet = Fleet::start();
    let words = ["run", "reindex", "--params", "-"];
    let said = said_to(fleet.remote(&words), "{\"parts\": 1}\n");
    assert!(
        said.status == 0 && said.out.contains("Indexed part 1 of 1"),
        "{said:?}"
    );
    let said = said_to(fleet.remote(&words), "{\"password\": \"hunter2\"");
    said.refuses(2, &["the parameters are no JSON: line 1"]);
    assert!(!said.err.contains("hunter2"), "{said:?}");
}

#[test]
fn a_task_that_runs_is_refused_or_waited_for_and_its_run_can_be_cancelled() {
    let fleet = Fleet::start();
    let long = r#"{"parts": 200}"#;
    let id = fleet
        .ask(&["run", "reindex", "--no-wait", "--params", long])
        .done();
    let id = id.trim().to_owned();
    let again = fleet.ask(&["run", "reindex"]);
    again.refuses(4, &["refused by", "--queue"]);

    let queued = fleet
        .remote(&["run", "reindex", "--queue", "--params", r#"{"parts": 1}"#])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fleet.task("reindex", |task| task["active"][0]["id"] == id.as_str());
    let followed = fleet.ask(&["run", "reindex", "--on", "nobody"]);
    followed.refuses(3, &["no instance \"nobody\" is there"]);

    // By its task: one run goes on.
    let said = fleet.ask_own(&["cancel", "reindex", "--grace", "1s", "--reason", "too long"]);
    assert!(said.done().contains("accepted by"));
    let run = fleet.wait_for(&["runs", "reindex", "-o", "json"], |runs| {
        runs.as_array()
            .unwrap()
            .iter()
            .any(|run| run["id"] == id.as_str() && run["outcome"] == "cancelled")
    });
    assert!(run.is_array());
    let output = queued.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && out.contains("Indexed part 1 of 1"),
        "{out}"
    );

    fleet.ask(&["cancel", &id]).refuses(4, &["has ended"]);
    fleet
        .ask(&["cancel", "reindex"])
        .refuses(3, &["no run of reindex goes on"]);
    fleet
        .ask(&["cancel", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
        .refuses(3, &["it has ended, or never was"]);
}

#[test]
fn a_wait_that_takes_too_long_ends_and_the_run_does_not() {
    let fleet = Fleet::start();
    let long = r#"{"parts": 50}"#;
    let said = fleet.ask(&["run", "reindex", "--params", long, "--timeout", "1s"]);
    said.refuses(124, &["goes on after"]);
    let task = fleet.task("reindex", |task| task["running"] == true);
    let id = task["active"][0]["id"].as_str().unwrap().to_owned();
    assert!(
        fleet
            .ask(&["cancel", &id, "--abort"])
            .done()
            .contains("accepted")
    );
    fleet.task("reindex", |task| task["running"] == false);
}

#[test]
fn a_command_of_the_application_is_a_task_in_one_line() {
    let fleet = Fleet::start();
    let said = fleet.ask(&["run", "report"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.contains("Report of yesterday"), "{said:?}");
}
