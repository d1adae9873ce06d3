//! `run --here` with the tasks of a file, and what ends with which status.

use std::process::Stdio;

use rustix::process::Signal;

use super::host::{Host, signal, wait};
use crate::support::RedisServer;
use crate::support::redis_server::free_port;

fn task(name: &str, script: &str, more: &str) -> String {
    format!(
        "[[task]]\nname = {name:?}\nspec = \"0 0 1 1 *\"\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n{more}\n"
    )
}

#[test]
fn a_task_of_a_file_is_run_here_with_its_output_its_timeout_and_its_status() {
    let redis = RedisServer::start();
    let tasks = [
        task("greets", "echo hello from $TASKLOCK_TASK", ""),
        task("fails", "echo oops >&2; exit 3", ""),
        task("hangs", "sleep 60", "timeout_s = 0.2"),
    ]
    .concat();
    let host = Host::with(&format!(
        "lock.redis_url = \"{}\"\nlisten = \"127.0.0.1:{}\"\n{tasks}",
        redis.url(),
        free_port()
    ));
    let config = host.path().join("tasks.toml");
    let config = config.to_str().unwrap();
    // The daemon's tasks and place, not its listener: it may be there as well.
    let running = host.start();
    host.wait_for("log", "Task scheduler started");
    let (status, out, err) = host.run(&["run", "greets", "--here", "--config", config]);
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("success in "), "{out}");
    assert!(err.contains("hello from greets"), "{err}");
    let (status, out, _) = host.run(&["run", "fails", "--here"]);
    assert_eq!(status, 1);
    assert!(out.contains("ended with exit code 3: oops"), "{out}");
    let (status, out, _) = host.run(&["run", "hangs", "--no-lock"]);
    assert_eq!(status, 1);
    assert!(out.starts_with("timeout in "), "{out}");
    // The fleet knows of them.
    let runs = ["runs", "-o", "json", "--redis", &redis.url()];
    let (status, out, err) = host.run(&runs);
    assert_eq!(status, 0, "{err}");
    let runs: serde_json::Value = serde_json::from_str(&out).unwrap();
    let outcomes: Vec<&str> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["timeout", "failure", "success"], "{runs}");
    assert_eq!(host.run(&["run", "nobody", "--here"]).0, 3);
    assert_eq!(running.stop(), 0);
}

#[test]
fn what_runs_in_the_daemon_is_not_run_here_unless_the_lock_is_left_out() {
    let host = Host::with(&format!(
        "lock.directory = \"locks\"\n{}",
        task("long", "echo begun >> said; sleep 60", "grace_s = 0")
            .replace("0 0 1 1 *", "@startup")
    ));
    let running = host.start();
    host.wait_for("said", "begun");
    let (status, _, err) = host.run(&["run", "long", "--here"]);
    assert_eq!(status, 4, "{err}");
    assert!(err.contains("a run of task long goes on"), "{err}");
    let mut here = host.command(&["run", "long", "--no-lock"]);
    let here = here
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait(
        || host.read("said").lines().count() == 2,
        || host.read("said"),
    );
    signal(here.id(), Signal::TERM);
    let output = here.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.starts_with("cancelled in "), "{out}");
    running.kill();
}

#[test]
fn a_redis_that_is_away_is_status_5_and_no_obstacle_without_the_lock() {
    let place = format!(
        "lock.redis_url = \"redis://127.0.0.1:{}\"\nlock.wait_s = 0\n",
        free_port()
    );
    let host = Host::with(&(place.clone() + &task("t", "echo ran > said", "")));
    for words in [&["start"][..], &["run", "t", "--here"]] {
        let (status, out, err) = host.run(words);
        assert_eq!(
            (status, out.contains("success")),
            (5, false),
            "{words:?}: {err}"
        );
        assert!(err.contains("127.0.0.1:"), "{err}");
    }
    let (status, out, err) = host.run(&["run", "t", "--no-lock"]);
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("success"), "{out}");
    assert_eq!(host.read("said"), "ran\n");
    // What is for the store.
    host.write(
        "stored.toml",
        place + "[[task]]\nname = \"t\"\nspec = \"@daily\"\nkind = \"x\"\n",
    );
    let (status, _, err) = host.run(&["apply", "stored.toml"]);
    assert_eq!(status, 5, "{err}");
    // Nothing is running; a file is wrong; a word is.
    assert_eq!(host.run(&["stop"]).0, 3);
    assert_eq!(host.run(&["reload"]).0, 3);
    assert_eq!(host.run(&["state"]).0, 3);
    host.write("wrong.toml", "nonsense = 1\n");
    assert_eq!(host.run(&["start", "--config", "wrong.toml"]).0, 1);
    assert_eq!(host.run(&["apply", "wrong.toml"]).0, 1);
    assert_eq!(host.run(&["start", "--nonsense"]).0, 2);
    let (status, _, err) = host.run(&["start", "--redis", "redis://127.0.0.1:1"]);
    assert!(status == 2 && err.contains("under [lock]"), "{err}");
}
