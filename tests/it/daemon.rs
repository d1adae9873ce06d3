//! `cron start|stop|restart|state|list`: a daemon as its operators meet it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// The example `cron`, built if it is not there yet.
pub fn program() -> PathBuf {
    static BUILT: Once = Once::new();
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().unwrap().parent().unwrap();
    BUILT.call_once(|| {
        let target = profile.parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--all-features", "--example", "cron"]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        cargo
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let built = cargo.arg("--target-dir").arg(target).status().unwrap();
        assert!(built.success());
    });
    profile.join("examples/cron")
}

/// A directory of its own, and whatever daemon is started in it, killed at the end.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("cron").args(arguments).current_dir(self.path());
        // Its locks are its own.
        command.env("TMPDIR", self.path()).stdin(Stdio::null());
        command
    }

    fn cron(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.path().join("cron.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("cron.log")).unwrap_or_default()
    }

    fn wait_for_log(&self, words: &str) {
        let give_up = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < give_up, "no {words:?} in {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let (status, ..) = self.cron(&["state"]);
        if status == 0 {
            self.signal(Signal::KILL);
        }
    }
}

/// Whether a process lives that is no zombie.
pub fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/stat")).exists()
        && !fs::read_to_string(format!("/proc/{pid}/stat"))
            .unwrap_or_default()
            .contains(") Z ")
}

#[test]
fn a_daemon_starts_says_how_it_is_and_stops() {
    let home = Home::new();
    assert_eq!(home.cron(&["state"]).0, 3);
    let (status, out, err) = home.cron(&["start", "-d"]);
    assert_eq!((status, err.as_str()), (0, ""), "{}", home.log());
    let pid = home.pid().unwrap();
    let expected =
        format!("cron serve started, pid: {pid}\nlog file: cron.log\npid file: cron.pid\n");
    assert_eq!(out, expected);
    home.wait_for_log("Hello at");
    // A session of its own: it outlives the terminal.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(fields[3], pid.to_string(), "its session");
    let (status, out, _) = home.cron(&["state"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with(&format!("running   pid {pid}   up ")),
        "{out}"
    );
    assert!(out.contains("instance "), "{out}");
    let (status, out, err) = home.cron(&["stop"]);
    assert_eq!(
        (status, out, err.as_str()),
        (0, format!("stop pid: {pid}\n"), "")
    );
    assert!(!is_alive(pid));
    assert!(home.log().contains("Task scheduler stopped"));
    let (status, out, _) = home.cron(&["state"]);
    assert_eq!(
        (status, out.as_str()),
        (3, "not running   pid file cron.pid: none\n")
    );
    let (status, _, err) = home.cron(&["stop"]);
    assert_eq!(
        (status, err.as_str()),
        (3, "not running   pid file cron.pid: none\n")
    );
}

#[test]
fn whoever_wants_a_daemon_in_a_container_is_warned() {
    let home = Home::new();
    // The first process of its own.
    let mut start = Command::new("unshare");
    start.args(["--pid", "--fork"]).arg(program());
    let started = start
        .args(["cron", "start", "-d"])
        .current_dir(home.path())
        .env("TMPDIR", home.path())
        .output();
    let Ok(started) = started else {
        return eprintln!("no unshare here");
    };
    let err = String::from_utf8(started.stderr).unwrap();
    if err.starts_with("unshare: ") {
        return eprintln!("{err}");
    }
    assert!(err.contains("run start there without -d"), "{err}");
}

#[test]
fn a_second_one_is_refused_in_the_background_and_in_the_foreground() {
    let home = Home::new();
    assert_eq!(home.cron(&["start", "-d"]).0, 0);
    let pid = home.pid().unwrap();
    for arguments in [&["start", "-d"][..], &["start"]] {
        let (status, out, err) = home.cron(arguments);
        assert_eq!((status, out.as_str()), (4, ""));
        assert_eq!(err, format!("it is running already, as process {pid}\n"));
    }
    assert!(is_alive(pid));
    assert_eq!(home.pid(), Some(pid));
}

#[test]
fn a_restart_never_has_two_and_starts_one_if_there_is_none() {
    let home = Home::new();
    let (status, out, _) = home.cron(&["restart"]);
    assert_eq!(status, 0, "{}", home.log());
    let first = home.pid().unwrap();
    assert!(
        out.starts_with(&format!("cron serve started, pid: {first}\n")),
        "{out}"
    );
    let (status, out, _) = home.cron(&["restart"]);
    let second = home.pid().unwrap();
    assert_eq!(status, 0);
    assert!(
        out.starts_with(&format!(
            "stop pid: {first}\ncron serve started, pid: {second}\n"
        )),
        "{out}"
    );
    assert!(!is_alive(first) && is_alive(second));
}

#[test]
fn a_pid_file_of_a_process_that_was_killed_is_stale_and_no_obstacle() {
    let home = Home::new();
    assert_eq!(home.cron(&["start", "-d"]).0, 0);
    let pid = home.pid().unwrap();
    home.signal(Signal::KILL);
    let give_up = Instant::now() + PATIENCE;
    while home.cron(&["state"]).0 == 0 {
        assert!(Instant::now() < give_up);
    }
    let (status, out, _) = home.cron(&["state"]);
    assert_eq!(status, 1);
    assert!(out.contains(&format!("process {pid}, started ")), "{out}");
    assert_eq!(home.cron(&["stop"]).0, 3);
    assert_eq!(home.cron(&["start", "-d"]).0, 0);
    assert_ne!(home.pid().unwrap(), pid);
}

#[test]
fn a_number_that_belongs_to_somebody_else_now_is_not_believed() {
    let home = Home::new();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let text = format!("{}\nhost:1:a\n2026-11-21T10:00:00Z\n", other.id());
    fs::write(home.path().join("cron.pid"), text).unwrap();
    assert_eq!(home.cron(&["state"]).0, 1);
    assert_eq!(home.cron(&["stop"]).0, 3);
    assert!(other.try_wait().unwrap().is_none(), "it was killed");
    assert_eq!(home.cron(&["start", "-d"]).0, 0);
    assert_eq!(home.cron(&["stop"]).0, 0);
    assert!(other.try_wait().unwrap().is_none(), "it was killed");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_file_that_is_no_pid_file_is_left_as_it_is() {
    let home = Home::new();
    let path = home.path().join("cron.pid");
    fs::write(&path, "my letters\n").unwrap();
    for arguments in [&["start", "-d"][..], &["start"], &["stop"], &["state"]] {
        let (status, _, err) = home.cron(arguments);
        assert_eq!(status, 1, "{arguments:?}");
        assert!(
            err.contains("cron.pid") && err.contains("no process id"),
            "{err}"
        );
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "my letters\n");
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let home = Home::new();
    let (status, _, err) = home.cron(&["start", "-d", "--log-file", "missing/cron.log"]);
    assert_eq!(status, 1);
    assert!(
        err.starts_with("cannot write the log file missing/cron.log: "),
        "{err}"
    );
    let (status, _, err) = home.cron(&["start", "-d", "--pid-file", "missing/cron.pid"]);
    assert_eq!(status, 1);
    // The daemon's own words, out of its log.
    assert!(err.contains("it did not come up (exit status: 1)"), "{err}");
    assert!(
        err.contains("cannot write the pid file missing/cron.pid: "),
        "{err}"
    );
}

#[test]
fn directories_and_places_where_nobody_may_write_are_named() {
    let home = Home::new();
    for (option, path, said) in [
        (
            "--log-file",
            ".",
            "cannot write the log file .: Is a directory",
        ),
        (
            "--log-file",
            "/proc/cron.log",
            "cannot write the log file /proc/cron.log: ",
        ),
        (
            "--pid-file",
            ".",
            "cannot read the pid file .: Is a directory",
        ),
        (
            "--pid-file",
            "/proc/cron.pid",
            "cannot write the pid file /proc/cron.pid: ",
        ),
    ] {
        let (status, out, err) = home.cron(&["start", "-d", option, path]);
        assert_eq!((status, out.as_str()), (1, ""), "{option} {path}");
        assert!(err.contains(said), "{err}");
    }
    assert_eq!(home.cron(&["state"]).0, 3);
}

#[test]
fn a_restart_that_cannot_end_the_old_one_starts_no_new_one() {
    let home = Home::new();
    let mut start = home.command(&["start", "-d"]);
    let started = start.env("SLOW_SECONDS", "15").output().unwrap();
    assert!(started.status.success());
    home.wait_for_log("Task started event=\"run.started\" task=slow");
    let pid = home.pid().unwrap();
    let (status, out, err) = home.cron(&["restart", "--timeout", "1"]);
    assert_eq!((status, out.as_str()), (124, ""));
    assert!(
        err.contains(&format!("process {pid} still drains after 1s")),
        "{err}"
    );
    assert_eq!(home.pid(), Some(pid));
    assert!(is_alive(pid));
    let (status, out, _) = home.cron(&["restart", "--timeout", "0", "--force"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with(&format!("stop pid: {pid}\ncron serve started")),
        "{out}"
    );
    assert!(!is_alive(pid));
}

#[test]
fn an_application_tells_systemd_too() {
    use std::os::unix::net::UnixDatagram;
    let home = Home::new();
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut start = home.command(&["start"]);
    start
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = start.spawn().unwrap();
    let hears = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(hears().trim(), "READY=1");
    home.signal(Signal::TERM);
    assert_eq!(hears().trim(), "STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_log_on_a_full_disk_stops_nothing() {
    let home = Home::new();
    let (status, out, err) = home.cron(&["start", "-d", "--log-file", "/dev/full"]);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("log file: /dev/full"), "{out}");
    let pid = home.pid().unwrap();
    assert!(is_alive(pid));
    assert_eq!(home.cron(&["stop"]).0, 0);
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_waits_for_runs_and_kills_only_if_it_is_told_to() {
    let home = Home::new();
    let mut start = home.command(&["start", "-d"]);
    assert!(
        start
            .env("SLOW_SECONDS", "15")
            .output()
            .unwrap()
            .status
            .success()
    );
    home.wait_for_log("Task started event=\"run.started\" task=slow");
    let pid = home.pid().unwrap();
    let (status, _, err) = home.cron(&["stop", "--timeout", "1s"]);
    assert_eq!(status, 124, "{err}");
    assert!(
        err.contains(&format!("process {pid} still drains after 1s")),
        "{err}"
    );
    assert!(is_alive(pid));
    let (status, out, _) = home.cron(&["stop", "--timeout", "0", "--force"]);
    assert_eq!((status, out), (0, format!("stop pid: {pid}\n")));
    assert!(!is_alive(pid));
}

#[test]
fn in_the_foreground_it_ends_with_a_signal_and_says_what_became_of_runs() {
    let home = Home::new();
    let mut start = home.command(&["start"]);
    let child = start
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let give_up = Instant::now() + PATIENCE;
    while !home.cron(&["state"]).1.contains("instance") {
        assert!(Instant::now() < give_up);
    }
    assert_eq!(home.pid(), Some(child.id()));
    home.signal(Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.starts_with(&format!("[PID] {}\n", home.pid().unwrap_or(0)))
            || out.starts_with("[PID] ")
    );
    assert!(out.contains("stopped in"), "{out}");
    assert_eq!(home.cron(&["state"]).0, 3);
}

#[test]
fn the_state_and_the_list_are_there_for_programs_too() {
    let home = Home::new();
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&home.cron(arguments).1).unwrap()
    };
    let state = json(&["state", "-o", "json"]);
    assert_eq!(state["state"], "not_running");
    assert_eq!(home.cron(&["start", "-d"]).0, 0);
    let state = json(&["state", "-o", "json"]);
    assert_eq!(state["state"], "running");
    assert_eq!(state["pid"], home.pid().unwrap());
    let list = json(&["list", "-o", "json"]);
    assert_eq!(list[0]["name"], "hello");
    assert_eq!(list[3]["schedule"]["cron"], "*/5 * * * * *");
    let (status, out, _) = home.cron(&["list"]);
    assert_eq!(status, 0);
    let words = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let lines: Vec<String> = out.lines().map(words).collect();
    assert_eq!(
        lines[..5],
        [
            "HEALTH NAME",
            "new hello",
            "new reindex",
            "new report",
            "new slow"
        ]
    );
}
