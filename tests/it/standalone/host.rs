//! A host: a directory, and the program in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of its own, whose daemon, if there is one, is killed at the end.
pub(super) struct Host(tempfile::TempDir);

impl Host {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One with a file of tasks.
    pub(super) fn with(tasks: &str) -> Self {
        let host = Self::new();
        host.write("tasks.toml", tasks);
        host
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tasklock"));
        command.args(arguments).current_dir(self.path());
        command.stdin(Stdio::null());
        for name in [
            "TASKLOCK_LOG",
            "TASKLOCK_CONFIG",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// What a command answers: its status, its output, its complaints.
    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// The cron in the foreground, what it says in the file `log`, its pid in `cron.pid`.
    pub(super) fn start(&self) -> Running {
        self.start_with(|_| {})
    }

    pub(super) fn start_with(&self, change: impl FnOnce(&mut Command)) -> Running {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        let mut command = self.command(&["start"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        change(&mut command);
        let child = command.spawn().unwrap();
        Running(child)
    }

    /// Waits until a file says that.
    pub(super) fn wait_for(&self, name: &str, words: &str) {
        wait(
            || self.read(name).contains(words),
            || format!("no {words:?} in {name}:\n{}", self.read(name)),
        );
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.read("cron.pid").lines().next()?.parse().ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.run(&["state"]).0 == 0
            && let Some(pid) = self.pid()
        {
            signal(pid, Signal::KILL);
        }
    }
}

/// A process in the foreground, killed if nobody has ended it.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn hang_up(&self) {
        signal(self.pid(), Signal::HUP);
    }

    /// Asks it to end and waits; its exit status.
    pub(super) fn stop(mut self) -> i32 {
        signal(self.pid(), Signal::TERM);
        self.0.wait().unwrap().code().unwrap()
    }

    pub(super) fn end(mut self) -> i32 {
        self.0.wait().unwrap().code().unwrap()
    }

    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until something is so.
pub(super) fn wait(is_so: impl Fn() -> bool, why: impl Fn() -> String) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{}", why());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A task that writes the instant it is run for and who runs it, one line each, to a file.
pub(super) fn writes(name: &str, spec: &str, file: &Path, more: &str) -> String {
    let script = format!("echo $TASKLOCK_FIRE_TIME $PPID >> {}", file.display());
    format!(
        "[[task]]\nname = {name:?}\nspec = {spec:?}\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n{more}\n"
    )
}

/// The instants in such a file, in seconds and thousandths, as they were run.
pub(super) fn instants(path: &Path) -> Vec<i64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let instant = |line: &str| -> i64 {
        let at = line.split(' ').next().unwrap();
        let at: tasklock::chrono::DateTime<tasklock::chrono::Utc> = at.parse().unwrap();
        at.timestamp_millis()
    };
    text.lines().map(instant).collect()
}

/// Fails if an instant is there twice; those that are missing in between, of a task of every `period`.
pub(super) fn missing(path: &Path, period: i64) -> Vec<i64> {
    let mut ran = instants(path);
    ran.sort_unstable();
    for pair in ran.windows(2) {
        assert_ne!(pair[0], pair[1], "twice in {}", path.display());
    }
    let (first, last) = (ran[0], ran[ran.len() - 1]);
    let all = (0..)
        .map(|n| first + n * period)
        .take_while(|at| *at < last);
    all.filter(|at| ran.binary_search(at).is_err()).collect()
}
