//! The kind `shell`, with real processes.

use std::path::Path;
use std::time::{Duration, Instant};

use tasklock::serde_json::json;
use tasklock::{Outcome, Shell, ShellCommand};

use crate::support::lines::Lines;
use crate::support::one_run::OneRun;

/// Runs the script that a task gives; not to be done outside of tests.
fn any_script() -> Shell {
    let sh = ShellCommand::new(["/bin/sh", "-c"]).arguments_if(9, |_| true);
    Shell::new().allow("sh", sh)
}

async fn script(text: &str) -> (Outcome, String) {
    let script = json!({ "command": "sh", "arguments": [text] });
    OneRun::of(any_script()).await.run("t", script).await
}

/// Whether a process lives that is no zombie.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z'))
}

async fn written(path: &Path) -> String {
    for _ in 0..3_000 {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("{} was not written", path.display());
}

async fn gone(pid: &str) {
    for _ in 0..500 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid} is still there");
}

#[tokio::test]
async fn a_command_runs_with_its_words_its_environment_and_a_log() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let env = ShellCommand::new([
        "/bin/sh",
        "-c",
        "env; echo \"got $1 $2\"; echo oops >&2",
        "sh",
    ])
    .arguments(2)
    .environment(["REGION"])
    .directory("/");
    let run = OneRun::of(Shell::new().allow("env", env)).await;
    let ended = run
        .run(
            "t",
            json!({ "command": "env", "arguments": ["a b", "$HOME;`id`"], "environment": { "REGION": "eu" } }),
        )
        .await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    lines.one(&["task_run", "task.name=t", "stdout", "got a b $HOME;`id`"]);
    lines.one(&["task_run", "stderr", "oops"]);
    lines.one(&["REGION=eu"]);
    lines.one(&["TASKLOCK_TASK=t"]);
    lines.one(&["TASKLOCK_FENCING_TOKEN=1"]);
    assert!(!lines.text().contains("CARGO_MANIFEST_DIR"));
}

#[tokio::test]
async fn what_the_list_does_not_allow_is_refused_when_it_is_saved() {
    let shell = Shell::new()
        .allow("fixed", ["/bin/true"])
        .allow(
            "one",
            ShellCommand::new(["/bin/true"])
                .arguments(1)
                .environment(["A"]),
        )
        .allow("none", Vec::<String>::new());
    let run = OneRun::of(shell).await;
    let long = "x".repeat(60_000);
    for (parameters, part) in [
        (
            json!({ "command": "rm" }),
            "\"rm\" is not allowed here: there are [\"fixed\"",
        ),
        (
            json!({ "command": "fixed", "arguments": ["x"] }),
            "a task may give it 0",
        ),
        (
            json!({ "command": "one", "arguments": ["--all"] }),
            "\"--all\" is not allowed",
        ),
        (
            json!({ "command": "one", "arguments": ["a\u{0}b"] }),
            "is not allowed",
        ),
        (
            json!({ "command": "one", "arguments": [long] }),
            "is not allowed",
        ),
        (
            json!({ "command": "one", "environment": { "LD_PRELOAD": "x" } }),
            "LD_PRELOAD",
        ),
        (
            json!({ "command": "one", "environment": { "A": "a\u{0}b" } }),
            "cannot be set",
        ),
        (json!({ "command": "none" }), "names no program"),
        (
            json!({ "command": "one", "shell": "sh" }),
            "unknown field `shell`",
        ),
        (json!({ "commands": ["one"] }), "unknown field"),
    ] {
        let error = run.save("t", parameters).await.unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.len() < 400 && !error.contains('\0'), "{error}");
    }
}

#[tokio::test]
async fn exit_codes_signals_and_the_last_word_are_in_the_error() {
    let ended = script("echo fine; echo first >&2; echo disk full >&2; exit 3").await;
    let text = "the command sh ended with exit code 3: disk full";
    assert_eq!(ended, (Outcome::Failure, text.to_owned()));
    let ended = script("kill -9 $$").await;
    let text = "the command sh was ended by signal 9 (SIGKILL)";
    assert_eq!(ended, (Outcome::Failure, text.to_owned()));
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let missing = Shell::new().allow("backup", ["/nowhere/backup", "--all"]);
    let run = OneRun::of(missing).await;
    let (outcome, error) = run.run("t", json!({ "command": "backup" })).await;
    assert_eq!(outcome, Outcome::Failure);
    let text = "the command backup cannot be started: /nowhere/backup: No such file";
    assert!(error.starts_with(text), "{error}");
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_are_read_and_a_little_of_it_is_kept() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let text =
        "echo first; head -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo last";
    let ended = script(text).await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    let log = lines.text();
    // The lines have their spans before them.
    assert!(log.len() < 300_000, "{}", log.len());
    lines.one(&["stdout", "first"]);
    lines.one(&["stdout", " last"]);
    lines.one(&["Output left out", "stream=\"stdout\""]);
}

#[tokio::test]
async fn binary_output_and_a_line_without_end_do_no_harm() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let text = "head -c 3000000 /dev/urandom; printf '\\033[2J\\000\\377\\n'; head -c 90000 /dev/zero >&2; exit 1";
    let (outcome, error) = script(text).await;
    assert_eq!(outcome, Outcome::Failure);
    assert!(
        error.len() < 2_000 && !error.chars().any(char::is_control),
        "{error}"
    );
    let log = lines.text();
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    assert!(log.chars().all(is_plain));
    assert!(log.len() < 1_000_000, "{}", log.len());
}

#[tokio::test]
async fn a_command_that_ignores_to_be_asked_is_killed_with_all_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let text = format!(
        "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $$ $! > {}; while :; do sleep 0.05; done",
        file.display()
    );
    let shell = any_script().grace(Duration::from_millis(300));
    let run = OneRun::of(shell).await.timeout(Duration::from_secs(1));
    let begun = Instant::now();
    let (outcome, error) = run
        .run("t", json!({ "command": "sh", "arguments": [text] }))
        .await;
    assert_eq!(outcome, Outcome::Timeout, "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(1_250));
    for pid in written(&file).await.split(' ') {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_command_that_hears_has_time_to_end_and_its_children_have_none_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (file, child) = (dir.path().join("said"), dir.path().join("child"));
    let text = format!(
        "trap 'sleep 0.2; echo bye > {}; exit 0' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $! > {}; while :; do sleep 0.05; done",
        file.display(),
        child.display()
    );
    let run = OneRun::of(any_script()).await;
    run.save("t", json!({ "command": "sh", "arguments": [text] }))
        .await
        .unwrap();
    let child = written(&child).await;
    let report = run.scheduler.stop().await;
    assert_eq!(report.cancelled, ["t"]);
    assert_eq!(run.ended("t").await.0, Outcome::Cancelled);
    assert_eq!(written(&file).await, "bye");
    gone(&child).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_does_not_hold_its_run_up_and_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("child");
    let text = format!(
        "(trap '' TERM HUP; sleep 100) & echo $! > {}; echo done",
        file.display()
    );
    let begun = Instant::now();
    let ended = script(&text).await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    assert!(begun.elapsed() < Duration::from_secs(30));
    gone(&written(&file).await).await;
}

#[tokio::test]
async fn a_run_that_is_dropped_takes_its_processes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let text = format!(
        "trap '' TERM; (trap '' TERM; sleep 100) & echo $$ $! > {}; sleep 100",
        file.display()
    );
    // Longer than the policy's, so that the run is dropped first.
    let run = OneRun::of(any_script().grace(Duration::from_secs(100))).await;
    let script = json!({ "command": "sh", "arguments": [text] });
    run.save("t", script).await.unwrap();
    let pids = written(&file).await;
    drop(run.scheduler);
    for pid in pids.split(' ') {
        // The grace of its policy is ten seconds.
        for _ in 0..30 {
            if is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        assert!(!is_alive(pid), "{pid}");
    }
}

#[tokio::test]
async fn a_command_has_what_the_list_gives_it_and_codes_that_are_successes() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let dir = tempfile::tempdir().unwrap();
    let (one, more) = (dir.path().join("one"), dir.path().join("more"));
    std::fs::write(&one, "secret of a file\n").unwrap();
    std::fs::write(&more, "B=of the file\nC=of the file\n").unwrap();
    let script = "echo \"A=$A B=$B C=$C S=$S\"; cat; exit 3";
    let command = ShellCommand::new(["/bin/sh", "-c", script])
        .environment(["C"])
        .variable("A", "fixed")
        .variable("B", "fixed")
        .environment_file(&more)
        .variable_from_file("S", &one)
        .stdin("read me\n")
        .success([0, 3]);
    let run = OneRun::of(Shell::new().allow("all", command)).await;
    let parameters = json!({ "command": "all", "environment": { "C": "of the task" } });
    let ended = run.run("t", parameters.clone()).await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    lines.one(&["A=fixed B=of the file C=of the task S=secret of a file"]);
    lines.one(&["stdout", "read me"]);
    std::fs::remove_file(&one).unwrap();
    let (outcome, error) = run.run("u", parameters).await;
    assert_eq!(outcome, Outcome::Failure);
    assert!(
        error.contains("one cannot be used: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_does_not_read_what_it_is_given_ends_as_it_likes() {
    let text = "x".repeat(10_000_000);
    let deaf = ShellCommand::new(["/bin/sh", "-c", "exec 0<&-; echo done"]).stdin(text.clone());
    let count = ShellCommand::new(["/bin/sh", "-c", "test $(wc -c) = 10000000"]).stdin(text);
    let shell = Shell::new().allow("deaf", deaf).allow("count", count);
    let run = OneRun::of(shell).await;
    for command in ["deaf", "count"] {
        let ended = run.run(command, json!({ "command": command })).await;
        assert_eq!(ended, (Outcome::Success, String::new()), "{command}");
    }
}

#[tokio::test]
async fn of_its_output_as_much_is_kept_as_the_list_says() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let script = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done";
    let command = ShellCommand::new(["/bin/sh", "-c", script]).output_limit(100);
    let run = OneRun::of(Shell::new().allow("talks", command)).await;
    let ended = run.run("t", json!({ "command": "talks" })).await;
    assert_eq!(ended, (Outcome::Success, String::new()));
    lines.one(&["stdout", "line 3"]);
    lines.one(&["stdout", "line 999"]);
    let kept = lines.text().matches("tasklock::shell").count();
    assert!((20..50).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_command_runs_as_another_user_or_says_that_it_cannot() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let command = ShellCommand::new(["/usr/bin/id"])
        .user(65_534, 65_534)
        .directory("/");
    let run = OneRun::of(Shell::new().allow("id", command)).await;
    let (outcome, error) = run.run("t", json!({ "command": "id" })).await;
    match rustix::process::geteuid().is_root() {
        true => {
            assert_eq!((outcome, error.as_str()), (Outcome::Success, ""));
            // In no group of ours.
            let line = lines.one(&["stdout", "uid=65534"]);
            assert!(
                line.contains("groups=65534") && !line.contains("root"),
                "{line}"
            );
        }
        false => {
            assert_eq!(outcome, Outcome::Failure);
            assert!(error.contains("Operation not permitted"), "{error}");
        }
    }
}

#[tokio::test]
async fn programs_that_cannot_be_run_are_failures_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, broken) = (dir.path().join("plain"), dir.path().join("broken"));
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::write(&broken, "#!/nowhere/interpreter\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let word = |path: &Path| [path.to_str().unwrap().to_owned()];
    let shell = Shell::new()
        .allow("plain", word(&plain))
        .allow("directory", ["/"])
        .allow("broken", word(&broken))
        .allow(
            "nowhere",
            ShellCommand::new(["/bin/true"]).directory("/nowhere"),
        );
    let run = OneRun::of(shell).await;
    for (name, why) in [
        ("plain", "Permission denied"),
        ("directory", "Permission denied"),
        ("broken", "No such file"),
        ("nowhere", "No such file"),
    ] {
        let (outcome, error) = run.run(name, json!({ "command": name })).await;
        assert_eq!(outcome, Outcome::Failure, "{name}");
        assert!(
            error.contains("cannot be started") && error.contains(why),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn how_a_command_ended_and_what_it_said_is_in_the_history() {
    use tasklock::{
        MemoryFleet, MemoryHistory, MemoryLock, RunLogLayer, RunQuery, Scheduler, StoredTask,
    };
    use tracing_subscriber::layer::SubscriberExt;

    let layer = RunLogLayer::new();
    Lines::among_others();
    let subscriber = tracing_subscriber::registry().with(layer.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let scheduler = Scheduler::builder()
        .lock(MemoryLock::new())
        .fleet(MemoryFleet::new())
        .history(MemoryHistory::new())
        .run_logs(&layer)
        .build()
        .unwrap();
    scheduler.kind("shell", any_script()).unwrap();
    let store = scheduler.handle().task_store().unwrap();
    let text = "printf 'binary \\377\\000\\033[2J\\n'; head -c 3000000 /dev/zero | tr '\\0' y; echo; echo bad >&2; kill -TERM $$";
    let task = StoredTask::new("t", "shell", "@startup")
        .parameters(json!({ "command": "sh", "arguments": [text] }));
    store.save(&task).await.unwrap();
    scheduler.start().await.unwrap();
    let history = scheduler.handle().history().unwrap();
    let query = RunQuery::of("t".parse().unwrap());
    let mut found = None;
    for _ in 0..3_000 {
        let page = history.runs(&query).await.unwrap();
        found = page.runs.into_iter().find(|run| run.outcome.is_some());
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scheduler.stop().await;
    let record = found.unwrap();
    assert_eq!(record.outcome, Some(Outcome::Failure));
    let error = format!("{record:?}");
    assert!(
        error.contains("was ended by signal 15 (SIGTERM): bad"),
        "{error}"
    );
    let tail = history.log(record.run_id, 0).await.unwrap();
    let size: usize = tail.lines.iter().map(|line| line.text.len()).sum();
    assert!(size <= 64 << 10, "{size}");
    let all: String = tail
        .lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect();
    assert!(
        all.contains("bad") && all.contains("Output left out"),
        "{all}"
    );
    assert!(all.chars().all(|c| !c.is_control() || c == '\n'), "{all}");
}
