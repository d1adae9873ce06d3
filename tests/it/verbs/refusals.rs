//! What is refused, with which status, and what is never said.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::rig::{Fleet, said, tasklock};
use crate::support::redis_server::{RedisOptions, free_port};

const SECRET: &str = "hunter2-is-secret";

#[test]
fn whoever_does_not_say_where_the_fleet_is_is_asked_to() {
    for words in [
        &["list"][..],
        &["run", "t"],
        &["next"],
        &["pause", "t", "--reason", "x"],
    ] {
        let said = said(tasklock(words));
        said.refuses(2, &["where is the fleet?", "--redis", "TASKLOCK_REDIS"]);
        assert_eq!(said.out, "");
    }
    said(tasklock(&["next"])).refuses(2, &["SPEC"]);
    said(tasklock(&["check"])).refuses(2, &["SPECS"]);
    let mut both = tasklock(&["list"]);
    both.env("TASKLOCK_REDIS", "redis://127.0.0.1:1")
        .env("TASKLOCK_URL", "https://127.0.0.1:1/x");
    said(both).refuses(2, &["are both set"]);
}

#[test]
fn a_store_that_is_away_is_status_5_within_seconds() {
    let port = free_port();
    let begun = Instant::now();
    for words in [
        &["list"][..],
        &["doctor"],
        &["run", "t"],
        &["health"],
        &["pause", "t", "--reason", "x"],
    ] {
        let url = format!("redis://127.0.0.1:{port}");
        let said = said(tasklock(&[&["--redis", &url], words].concat()));
        said.refuses(5, &[&format!("127.0.0.1:{port}")]);
        assert_eq!(said.out, "", "never a stale green");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    let url = format!("http://127.0.0.1:{port}/admin");
    said(tasklock(&["--url", &url, "list"])).refuses(5, &["cannot be asked"]);
}

#[test]
fn a_password_is_never_on_the_command_line_nor_in_what_is_said() {
    let server = RedisOptions {
        password: Some(SECRET.to_owned()),
        ..RedisOptions::default()
    }
    .start();
    let right = format!("redis://:{SECRET}@127.0.0.1:{}", server.port());
    let wrong = format!("redis://:{SECRET}-not@127.0.0.1:{}", server.port());

    // On the command line it is refused, and not repeated.
    let refused = said(tasklock(&["list", "--redis", &right]));
    refused.refuses(2, &["has a password", "TASKLOCK_REDIS", "--redis-file"]);
    let refused_url = said(tasklock(&[
        "list",
        "--url",
        &format!("https://u:{SECRET}@127.0.0.1:1/"),
    ]));
    refused_url.refuses(2, &["TASKLOCK_TOKEN"]);

    // By the environment, and by a file.
    let mut by_environment = tasklock(&["instances", "-o", "json"]);
    by_environment.env("TASKLOCK_REDIS", &right);
    assert_eq!(said(by_environment).done(), "[]\n");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("redis");
    std::fs::write(&file, format!("{right}\n")).unwrap();
    let by_file = [
        "instances",
        "-o",
        "json",
        "--redis-file",
        file.to_str().unwrap(),
    ];
    assert_eq!(said(tasklock(&by_file)).done(), "[]\n");

    // Neither `ps` nor any message has it.
    let mut watch = tasklock(&["list", "-w"]);
    watch
        .env("TASKLOCK_REDIS", &right)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = watch.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let shown = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    super::rig::interrupt(child);
    assert!(!String::from_utf8_lossy(&shown).contains(SECRET));

    let mut messages = vec![refused, refused_url];
    for words in [
        &["list"][..],
        &["doctor"],
        &["--help"],
        &["run", "t"],
        &["list", "--nonsense"],
    ] {
        for url in [
            &right,
            &wrong,
            &format!("redis://:{SECRET}@nowhere.invalid:1"),
            &SECRET.to_owned(),
            &format!("redis://:{SECRET}@[::"),
        ] {
            let mut command = tasklock(words);
            command
                .env("TASKLOCK_REDIS", url)
                .env("TASKLOCK_TOKEN", SECRET)
                .env("RUST_LOG", "trace");
            messages.push(said(command));
        }
    }
    for said in messages {
        assert!(
            !said.out.contains(SECRET) && !said.err.contains(SECRET),
            "{said:?}"
        );
    }
    let mut denied = tasklock(&["list"]);
    denied.env("TASKLOCK_REDIS", wrong);
    let denied = said(denied);
    assert!([4, 5].contains(&denied.status), "{denied:?}");
    // A token goes to nobody who could listen.
    let mut plain = tasklock(&["list", "--url", "http://example.invalid/admin"]);
    plain.env("TASKLOCK_TOKEN", SECRET);
    said(plain).refuses(2, &["over https only"]);
}

#[test]
fn what_does_not_exist_is_status_3_and_what_was_meant_is_guessed() {
    let fleet = Fleet::start();
    for words in [
        &["describe", "helo"][..],
        &["run", "helo"],
        &["next", "helo"],
        &["runs", "helo"],
        &["logs", "helo"],
        &["skip", "helo"],
        &["reset", "helo"],
        &["resume", "helo"],
        &["why", "helo", "--at", "10:00"],
        &["pause", "helo", "--reason", "x"],
        &["override", "helo", "@daily", "--reason", "x"],
    ] {
        for said in [fleet.ask(words), fleet.ask_own(words)] {
            said.refuses(3, &["no task \"helo\" is known: did you mean hello?"]);
            assert_eq!(said.out, "", "{words:?}");
        }
    }
    fleet
        .ask(&["logs", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
        .refuses(3, &["no run 01ARZ3NDEKTSV4RRFFQ69G5FAV is known"]);
    fleet
        .ask(&["logs", "report"])
        .refuses(3, &["has not run yet"]);
}

#[test]
fn what_cannot_be_is_status_2_and_strangers_change_no_terminal() {
    let fleet = Fleet::start();
    let long = "x".repeat(100_000);
    for (words, part) in [
        (&["pause", "hello"][..], "--reason"),
        (&["pause", "--reason", "x"], "--all"),
        (&["pause", "hello", "--all", "--reason", "x"], "--all"),
        (
            &["pause", "hello", "--for", "40d", "--reason", "x"],
            "up to 30 days",
        ),
        (
            &["pause", "hello", "--for", "1y", "--reason", "x"],
            "no length of time",
        ),
        (
            &[
                "pause",
                "hello",
                "--until",
                "2001-01-01T00:00:00Z",
                "--reason",
                "x",
            ],
            "in the past",
        ),
        (
            &["pause", "hello", "--reason", "red \u{1b}[31m"],
            "changes how other text is shown",
        ),
        (&["pause", "hello", "--reason", &long], "longer than 500"),
        (&["skip", "hello", "-n", "0"], "1..=100"),
        (&["describe", "a\u{1b}[2Jb"], "no task \"a\\u{1b}[2Jb\""),
        (&["run", "hello\u{202e}"], "character 6"),
        (&["runs", "--outcome", "fine"], "success"),
        (&["list", "--health", "well"], "overdue"),
        (&["export", "grafana", "--job", "a\"b"], "expected 1 to 64"),
        (&["why", "hello", "--at", "tomorrow"], "is no time"),
        (&["nonsense"], "nonsense"),
    ] {
        let said = fleet.ask(words);
        assert!([2, 3].contains(&said.status), "{words:?}: {said:?}");
        assert!(said.err.contains(part), "{words:?}: {}", said.err);
        assert!(
            !said.err.contains('\u{1b}') && !said.err.contains('\u{202e}'),
            "{}",
            said.err
        );
        assert!(said.err.len() < 10_000, "{words:?}");
    }
}

#[test]
fn a_program_without_a_fleet_says_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let own = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::daemon::program());
        command
            .arg("cron")
            .args(words)
            .env("TMPDIR", home.path())
            .env_remove("REDIS_URL");
        said(command)
    };
    let list = own(&["list"]);
    assert!(list.status == 0 && list.out.contains("reindex"), "{list:?}");
    own(&["run", "hello"]).refuses(1, &["SchedulerBuilder::fleet"]);
    own(&["instances"]).refuses(1, &["SchedulerBuilder::fleet"]);
    own(&["runs"]).refuses(1, &["SchedulerBuilder::history"]);
    assert!(
        own(&["next", "reindex", "-n", "1"])
            .done()
            .contains("04:30:00")
    );
    assert!(
        own(&["doctor"])
            .done()
            .contains("warning  fleet: the scheduler is in no fleet")
    );
}
