//! `run --here` and `run --no-lock`: in the process of whoever asks.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tasklock::{ControlPlane, RedisFleet, RedisLock};

use super::rig::{Fleet, interrupt, said};
use crate::support::redis_server::free_port;

const LONG: &str = r#"{"parts": 200}"#;

#[test]
fn a_run_here_is_in_this_process_under_the_lock_and_in_the_history() {
    let fleet = Fleet::start();
    let words = [
        "run",
        "reindex",
        "--here",
        "--reason",
        "to see it",
        "--params",
        r#"{"parts": 2}"#,
    ];
    let said = fleet.ask_own(&words);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.starts_with("success in "), "{said:?}");
    for line in [
        "run of reindex: in this process, under its lock\n",
        "\nrun 0",
    ] {
        assert!(said.err.contains(line), "{said:?}");
    }
    // What it logs goes where the program logs.
    assert!(said.err.contains("Indexed part 2 of 2"), "{said:?}");
    let instances = fleet.ask(&["instances", "-o", "json"]).json();
    assert_eq!(instances.as_array().unwrap().len(), 3, "it is no instance");
    let found = fleet
        .ask(&["runs", "reindex", "-n", "1", "-o", "json"])
        .json();
    assert_eq!(found[0]["outcome"], "success");
    assert_eq!(found[0]["trigger"]["kind"], "manual");
    assert_eq!(found[0]["trigger"]["reason"], "to see it");
    let by = &found[0]["instance"];
    assert!(
        instances.as_array().unwrap().iter().all(|i| &i["id"] != by),
        "{found}"
    );
    // What it logged is there for those who come later.
    let id = found[0]["id"].as_str().unwrap();
    assert!(
        fleet
            .ask(&["logs", id])
            .done()
            .contains("Indexed part 2 of 2")
    );

    let failed = fleet.ask_own(&[
        "run",
        "reindex",
        "--here",
        "--params",
        r#"{"parts":0}"#,
        "-o",
        "json",
    ]);
    assert_eq!(failed.status, 1, "{failed:?}");
    let run: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!(run["outcome"], "failure");
    assert_eq!(run["error"]["message"], "there is nothing to index");
    fleet
        .ask_own(&["run", "helo", "--here"])
        .refuses(3, &["no task helo"]);
}

#[test]
fn the_lock_keeps_a_run_here_from_one_elsewhere_unless_it_is_left_out() {
    let fleet = Fleet::start();
    let id = fleet
        .ask(&["run", "reindex", "--no-wait", "--params", LONG])
        .done();
    fleet.task("reindex", |task| task["active"][0]["id"] == id.trim());
    fleet
        .ask_own(&["run", "reindex", "--here"])
        .refuses(4, &["a run of task reindex goes on", "--queue"]);
    let said = fleet.ask_own(&["run", "reindex", "--no-lock", "--params", r#"{"parts": 1}"#]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.err
            .contains("without its lock: nothing keeps another run of it from going on"),
        "{said:?}"
    );
    let queued = fleet
        .own(&[
            "run",
            "reindex",
            "--here",
            "--queue",
            "--params",
            r#"{"parts": 1}"#,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    fleet.ask(&["cancel", id.trim(), "--abort"]).done();
    let output = queued.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && out.starts_with("success"),
        "{out}"
    );

    // And the other way round: nobody else begins while it goes on here.
    let here = fleet
        .own(&["run", "reindex", "--here", "--params", LONG])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    fleet.held("reindex");
    fleet.ask(&["run", "reindex"]).refuses(4, &["goes on"]);
    // Whoever began it ends it.
    let out = interrupt(here);
    assert!(out.starts_with("cancelled in "), "{out}");
    fleet.wait_for(&["locks", "-o", "json"], |locks| {
        let locks = locks.as_array().unwrap();
        locks.iter().all(|lock| lock["task"] != "reindex")
    });
    fleet.ask(&["run", "reindex"]).done();
}

#[test]
fn a_paused_task_is_not_run_here_but_by_whoever_insists() {
    let fleet = Fleet::start();
    fleet
        .ask(&["pause", "reindex", "--reason", "moving"])
        .done();
    for how in ["--here", "--no-lock"] {
        fleet
            .ask_own(&["run", "reindex", how])
            .refuses(4, &["paused by ana", "--even-if-paused"]);
    }
    let said = fleet.ask_own(&["run", "reindex", "--here", "--even-if-paused"]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_runs_a_task_in_a_process_of_his_own_is_in_the_audit_trail() {
    let fleet = tokio::task::spawn_blocking(Fleet::start).await.unwrap();
    let command = fleet.own(&["run", "reindex", "--no-lock", "--reason", "lock is stuck"]);
    let asked = tokio::task::spawn_blocking(move || said(command))
        .await
        .unwrap();
    assert_eq!(asked.status, 0, "{asked:?}");
    let lock = RedisLock::connect(&fleet.redis.url()).await.unwrap();
    let control = ControlPlane::new(RedisFleet::beside(&lock));
    let trail = control.audit(None, 10).await.unwrap();
    let entry = trail.iter().find(|entry| entry.action == "run").unwrap();
    assert_eq!(entry.by.reason(), "lock is stuck");
    assert_eq!(
        entry.detail.as_deref(),
        Some("in a process of its own, without the lock")
    );
}

#[test]
fn what_a_run_here_needs_is_said() {
    let fleet = Fleet::start();
    // This program has none of the fleet's code, and no file of tasks.
    let home = tempfile::tempdir().unwrap();
    let mut remote = fleet.remote(&["run", "reindex", "--here"]);
    remote
        .current_dir(home.path())
        .env_remove("TASKLOCK_CONFIG");
    said(remote).refuses(1, &["tasks.toml: the file cannot be read"]);
    fleet
        .ask_own(&["run", "reindex", "--here", "--config", "x.toml"])
        .refuses(2, &["leave --config out"]);
    for (words, part) in [
        (&["run", "t", "--here", "--on", "api"][..], "--on"),
        (&["run", "t", "--no-lock", "--queue"], "--queue"),
        (&["run", "t", "--here", "--no-lock"], "--no-lock"),
        (&["run", "t", "--config", "x"], "--here"),
    ] {
        fleet.ask(words).refuses(2, &[part]);
    }
}

#[test]
fn an_application_whose_store_is_away_says_so_with_status_5() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let begun = std::time::Instant::now();
    for words in [
        &["start"][..],
        &["start", "-d"],
        &["list"],
        &["run", "hello"],
        &["run", "hello", "--here"],
    ] {
        let mut command = std::process::Command::new(crate::daemon::program());
        command.arg("cron").args(words).current_dir(home.path());
        command.env("REDIS_URL", format!("redis://127.0.0.1:{port}"));
        said(command).refuses(5, &[&format!("127.0.0.1:{port}")]);
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
}
