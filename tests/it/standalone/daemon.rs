//! The daemon of a cron of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use super::host::{Host, instants, missing, signal, wait, writes};
use crate::support::redis_server::free_port;

#[test]
fn it_starts_says_how_it_is_refuses_a_second_one_restarts_and_stops() {
    let host = Host::new();
    let ran = host.file("ran");
    let text = format!(
        "lock.memory = true\n{}",
        writes("t", "* * * * * *", &ran, "")
    );
    host.write("tasks.toml", &text);
    assert_eq!(host.run(&["state"]).0, 3);
    let (status, out, err) = host.run(&["start", "-d"]);
    assert_eq!((status, err.as_str()), (0, ""), "{}", host.read("cron.log"));
    let pid = host.pid().unwrap();
    assert_eq!(
        out,
        format!("cron serve started, pid: {pid}\nlog file: cron.log\npid file: cron.pid\n")
    );
    wait(|| !instants(&ran).is_empty(), || host.read("cron.log"));
    let (status, out, _) = host.run(&["state"]);
    assert!(
        status == 0 && out.starts_with(&format!("running   pid {pid}   up ")),
        "{out}"
    );
    let (status, _, err) = host.run(&["start"]);
    assert_eq!(
        (status, err),
        (4, format!("it is running already, as process {pid}\n"))
    );

    // A mistake stops nothing.
    host.write("tasks.toml", "[[task]]\n");
    let (status, _, err) = host.run(&["restart"]);
    assert_eq!(status, 1);
    assert!(
        err.contains("tasks.toml:1:1: task: missing field `name`"),
        "{err}"
    );
    assert_eq!(host.pid(), Some(pid));
    host.write("tasks.toml", &text);
    let (status, out, _) = host.run(&["restart"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with(&format!("stop pid: {pid}\ncron serve started")),
        "{out}"
    );
    let pid = host.pid().unwrap();
    let (status, out, _) = host.run(&["stop"]);
    assert_eq!((status, out), (0, format!("stop pid: {pid}\n")));
    assert!(host.read("cron.log").contains("Task scheduler stopped"));
}

#[test]
fn one_that_was_killed_is_stale_and_its_successor_goes_on() {
    let host = Host::new();
    let ran = host.file("ran");
    host.write(
        "tasks.toml",
        format!(
            "lock.directory = \"locks\"\n{}",
            writes("t", "@every 250ms", &ran, "policy = { lease_ttl_s = 1 }")
        ),
    );
    assert_eq!(host.run(&["start", "-d"]).0, 0);
    wait(|| instants(&ran).len() >= 4, || host.read("cron.log"));
    let pid = host.pid().unwrap();
    signal(pid, Signal::KILL);
    wait(|| host.run(&["state"]).0 == 1, || host.run(&["state"]).1);
    assert_eq!(host.run(&["stop"]).0, 3);
    assert_eq!(host.run(&["start", "-d"]).0, 0);
    let before = instants(&ran).len();
    wait(
        || instants(&ran).len() >= before + 8,
        || host.read("cron.log"),
    );
    assert_eq!(host.run(&["stop"]).0, 0);
    // None twice, and none is missing but those of the time between the two.
    let gone = missing(&ran, 250);
    let long = gone
        .last()
        .zip(gone.first())
        .map_or(0, |(last, first)| last - first);
    assert!(long < 5_000, "{gone:?}");
}

#[test]
fn it_comes_up_or_says_why_it_does_not() {
    let host = Host::with(&format!(
        "lock.redis_url = \"redis://127.0.0.1:{}\"\nlock.wait_s = 0\n",
        free_port()
    ));
    let (status, _, err) = host.run(&["start"]);
    assert_eq!(status, 5);
    assert!(err.contains("redis at 127.0.0.1:"), "{err}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    host.write(
        "tasks.toml",
        format!("lock.memory = true\nlisten = \"127.0.0.1:{port}\"\n"),
    );
    let (status, _, err) = host.run(&["start"]);
    assert_eq!(status, 1);
    assert!(
        err.contains(&format!(
            "listen: 127.0.0.1:{port} cannot be listened at: Address"
        )),
        "{err}"
    );
    for (arguments, said) in [
        (
            ["start", "-d", "--log-file", "."],
            "cannot write the log file .: Is a directory",
        ),
        (
            ["start", "-d", "--log-file", "/proc/x/log"],
            "cannot write the log file /proc/x/log: ",
        ),
        (
            ["start", "-d", "--pid-file", "/proc/pid"],
            "cannot write the pid file /proc/pid: ",
        ),
    ] {
        host.write("tasks.toml", "lock.memory = true\n");
        let (status, _, err) = host.run(&arguments);
        assert_eq!(status, 1, "{arguments:?}");
        assert!(err.contains(said), "{err}");
    }
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn metrics_and_health_are_served_before_the_start_and_while_it_drains() {
    let port = free_port();
    let host = Host::new();
    // Nobody answers there.
    host.write(
        "tasks.toml",
        format!(
            "listen = \"127.0.0.1:{port}\"\nlock.redis_url = \"redis://127.0.0.1:{}\"\n",
            free_port()
        ),
    );
    let running = host.start();
    host.wait_for("log", "Serving /metrics, /livez and /readyz");
    assert!(get(port, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 503"));
    assert_eq!(running.stop(), 0);

    let script = "echo begun >> said; trap '' TERM; sleep 2; echo ended >> said";
    host.write(
        "tasks.toml",
        format!(
            "listen = \"127.0.0.1:{port}\"\nlock.memory = true\n[[task]]\nname = \"t\"\nspec = \"@startup\"\n\
             command = [\"/bin/sh\", \"-c\", {script:?}]\n"
        ),
    );
    let running = host.start();
    host.wait_for("said", "begun");
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/metrics").contains("task_running{task_name=\"t\"} 1"));
    signal(running.pid(), Signal::TERM);
    host.wait_for("log", "Task scheduler draining");
    assert!(get(port, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 503"));
    assert_eq!(running.end(), 0);
    assert_eq!(host.read("said"), "begun\nended\n");
}

#[test]
fn the_page_is_served_to_whom_the_file_lets_in() {
    let port = free_port();
    let host = Host::new();
    let file =
        |page: &str| format!("listen = \"127.0.0.1:{port}\"\nlock.memory = true\n[page]\n{page}\n");
    let tasks = "[[task]]\nname = \"t\"\nspec = \"@daily\"\ncommand = [\"/bin/true\"]\n";
    host.write("tasks.toml", file("localhost = true") + tasks);
    let running = host.start();
    host.wait_for("log", "Serving /metrics, /livez and /readyz");
    let page = get(port, "/admin/");
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains(">t</a>"),
        "{page}"
    );
    assert!(get(port, "/admin/api/v1/tasks").contains("\"name\":\"t\""));
    assert!(get(port, "/metrics").starts_with("HTTP/1.1 200"));
    assert_eq!(running.stop(), 0);

    // With a token, those who have none are not let in.
    host.write("token", "0123456789abcdef0123\n");
    host.write("log", "");
    host.write("tasks.toml", file("token_file = \"token\"") + tasks);
    let running = host.start();
    host.wait_for("log", "Task scheduler started");
    assert!(get(port, "/admin/").starts_with("HTTP/1.1 401"));
    assert_eq!(running.stop(), 0);

    // One that is too short would let nobody in.
    host.write("token", "short\n");
    let (status, _, err) = host.run(&["start"]);
    assert_eq!(status, 1);
    assert!(
        err.contains("16 characters or more") && !err.contains("short"),
        "{err}"
    );
}

/// On a disk of 32 KiB that is full.
#[test]
fn a_log_on_a_disk_that_is_full_for_a_while_loses_lines_and_nothing_else() {
    let host = Host::new();
    let ran = host.file("ran");
    host.write(
        "tasks.toml",
        format!(
            "lock.memory = true\n{}",
            writes("t", "@every 250ms", &ran, "")
        ),
    );
    let script = "mkdir disk && mount -t tmpfs -o size=32k none disk || exit 77
        head -c 100000 /dev/zero > disk/fill 2>/dev/null
        \"$0\" start -d --log-file disk/log || exit 1
        sleep 2; wc -c < disk/log; rm disk/fill; sleep 2
        \"$0\" stop && cat disk/log";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_tasklock")])
        .current_dir(host.path())
        .output();
    let output = match output {
        Ok(output) if !matches!(output.status.code(), Some(77)) => output,
        // Who may not mount has /dev/full, in the tests of `cron start`.
        _ => return eprintln!("no disk of one's own here"),
    };
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("unshare") {
        return eprintln!("no disk of one's own here");
    }
    assert!(
        output.status.success(),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(out.contains("\n0\n"), "there was room: {out}");
    // There is room again: it is used.
    assert!(out.contains("Task scheduler stopped"), "{out}");
    assert!(instants(&ran).len() >= 12, "{}", instants(&ran).len());
    assert_eq!(missing(&ran, 250), [0; 0]);
}

#[test]
fn the_log_says_whose_output_a_line_is() {
    let host = Host::with(
        "lock.memory = true\n[[task]]\nname = \"greets\"\nspec = \"@startup\"\n\
         command = [\"/bin/sh\", \"-c\", \"printf 'hello \\\\033[2J\\\\n'\"]\n",
    );
    let running = host.start();
    host.wait_for("log", "Task completed");
    assert_eq!(running.stop(), 0);
    let log = host.read("log");
    let line = log.lines().find(|l| l.contains("hello")).unwrap();
    let (_, line) = line.split_once("INFO ").unwrap();
    let line = line.trim_start();
    assert!(
        line.starts_with("task_run{task.name=greets task.run_id="),
        "{line}"
    );
    assert!(
        line.ends_with("}:attempt: tasklock::shell: hello \\u{1b}[2J stream=\"stdout\""),
        "{line}"
    );
    assert!(!log.contains("otel."), "{log}");
}
