//! The log of a daemon: moved away, cut short, and as programs read it.

use rustix::process::Signal;

use super::host::{Host, signal, wait};

const TASKS: &str = "lock.memory = true
[[task]]
name = \"says\"
spec = \"@every 100ms\"
command = [\"/bin/sh\", \"-c\", \"echo 'a \\\"quoted\\\" word'\"]
";

#[test]
fn a_log_that_was_moved_away_is_begun_anew_when_it_is_said() {
    let host = Host::with(TASKS);
    assert_eq!(host.run(&["start", "-d"]).0, 0);
    host.wait_for("cron.log", "quoted");
    std::fs::rename(host.file("cron.log"), host.file("cron.log.1")).unwrap();
    // Until then it goes on where it was.
    let before = host.read("cron.log.1").len();
    wait(
        || host.read("cron.log.1").len() > before,
        || host.read("cron.log.1"),
    );
    signal(host.pid().unwrap(), Signal::USR1);
    host.wait_for("cron.log", "quoted");
    let moved = host.read("cron.log.1");
    host.wait_for("cron.log", "Task completed");
    assert_eq!(host.read("cron.log.1"), moved);
    // A directory that is gone: it goes on in the file that it has, and says so there.
    std::fs::rename(host.file("cron.log"), host.file("cron.log.2")).unwrap();
    std::fs::create_dir(host.file("cron.log")).unwrap();
    signal(host.pid().unwrap(), Signal::USR1);
    host.wait_for(
        "cron.log.2",
        "cannot write the log file cron.log: Is a directory",
    );
    let (status, out, _) = host.run(&["stop"]);
    assert_eq!(status, 0, "{out}");
    assert!(host.read("cron.log.2").contains("stopped in"));
}

#[test]
fn a_log_that_was_copied_and_cut_is_written_from_its_beginning() {
    let host = Host::with(TASKS);
    assert_eq!(host.run(&["start", "-d"]).0, 0);
    host.wait_for("cron.log", "quoted");
    let log = std::fs::File::options()
        .write(true)
        .open(host.file("cron.log"))
        .unwrap();
    log.set_len(0).unwrap();
    host.wait_for("cron.log", "quoted");
    assert_eq!(host.run(&["stop"]).0, 0);
    // No hole where it had been.
    assert!(!std::fs::read(host.file("cron.log")).unwrap().contains(&0));
}

#[test]
fn as_json_each_line_is_an_object_with_the_task_and_its_run() {
    let host = Host::with(TASKS);
    let (status, _, err) = host.run(&["start", "-d", "--log-format", "json"]);
    assert_eq!(status, 0, "{err}");
    host.wait_for("cron.log", "Task completed");
    assert_eq!(host.run(&["stop"]).0, 0);
    let log = host.read("cron.log");
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let said = lines
        .iter()
        .find(|line| line["message"] == "a \"quoted\" word")
        .unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        (&said["level"], &said["stream"]),
        (&"INFO".into(), &"stdout".into())
    );
    let run = &said["spans"][0];
    assert_eq!(run["task.name"], "says", "{said}");
    assert_eq!(run["task.run_id"].as_str().unwrap().len(), 26, "{said}");
    let completed = lines
        .iter()
        .find(|line| line["message"] == "Task completed")
        .unwrap();
    assert_eq!(completed["task"], "says");
    assert!(completed["timestamp"].as_str().unwrap().ends_with('Z'));
    // By the environment as well.
    let running = host.start_with(|command| {
        command.env("TASKLOCK_LOG_FORMAT", "json");
    });
    host.wait_for("log", "{\"timestamp\"");
    assert_eq!(running.stop(), 0);
    let (status, _, err) = host.run(&["start", "--log-format", "xml"]);
    assert_eq!(status, 2);
    assert!(err.contains("[possible values: text, json]"), "{err}");
}
