//! Three processes of the example `cron` on one Redis, and the two programs that ask them.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::daemon::program;
use crate::support::RedisServer;

const PATIENCE: Duration = Duration::from_secs(60);

/// A fleet of three. Its processes are killed when it is dropped.
pub struct Fleet {
    pub redis: RedisServer,
    members: Vec<Child>,
    home: tempfile::TempDir,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.done();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// That it ended so, and said these words on standard error.
    #[track_caller]
    pub fn refuses(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
    }
}

impl Fleet {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With names and values for the processes' environment.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let mut fleet = Self {
            redis: RedisServer::start(),
            members: Vec::new(),
            home: tempfile::tempdir().unwrap(),
        };
        for _ in 0..3 {
            fleet.join(environment);
        }
        fleet.wait_for(&["instances", "-o", "json"], |found| {
            let all = found.as_array().unwrap();
            all.len() == 3 && all.iter().all(|i| i["state"] == "ready")
        });
        fleet
    }

    fn join(&mut self, environment: &[(&str, &str)]) {
        let pid_file = self.home.path().join(format!("{}.pid", self.members.len()));
        let log = std::fs::File::create(pid_file.with_extension("log")).unwrap();
        let mut command = self.own(&["start", "--pid-file", pid_file.to_str().unwrap()]);
        command.envs(environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.members.push(command.spawn().unwrap());
    }

    /// `cron` and these words: the application itself, as another process.
    pub fn own(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("cron")
            .args(words)
            .current_dir(self.home.path());
        command
            .env("REDIS_URL", self.redis.url())
            .env_remove("NO_COLOR");
        command.env("USER", "ana");
        command
    }

    /// `tasklock` and these words, told where the fleet is.
    pub fn remote(&self, words: &[&str]) -> Command {
        let mut command = tasklock(words);
        command.env("TASKLOCK_REDIS", self.redis.url());
        command
    }

    /// What the application answers.
    pub fn ask_own(&self, words: &[&str]) -> Said {
        said(self.own(words))
    }

    /// What `tasklock` answers.
    pub fn ask(&self, words: &[&str]) -> Said {
        said(self.remote(words))
    }

    /// What both of them answer in JSON, which is the same but for what changes with time.
    #[track_caller]
    pub fn both(&self, words: &[&str]) -> [Value; 2] {
        let words = [words, &["-o", "json"]].concat();
        [self.ask(&words).json(), self.ask_own(&words).json()]
    }

    /// Asks until the answer fits.
    #[track_caller]
    pub fn wait_for(&self, words: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let said = self.ask(words);
            let found = serde_json::from_str(&said.out).unwrap_or(Value::Null);
            if said.status == 0 && fits(&found) {
                return found;
            }
            assert!(Instant::now() < give_up, "{words:?}: {said:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The lock of a task, once it is held.
    #[track_caller]
    pub fn held(&self, task: &str) -> Value {
        let is_it = |lock: &&Value| lock["task"] == task;
        let locks = self.wait_for(&["locks", "-o", "json"], |locks| {
            locks.as_array().unwrap().iter().any(|lock| is_it(&lock))
        });
        let held = locks.as_array().unwrap().iter().find(is_it);
        held.unwrap().clone()
    }

    /// A task, once it is as it should be.
    #[track_caller]
    pub fn task(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(&["describe", name, "-o", "json"], fits)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// `tasklock` and these words, told nothing by the environment.
pub fn tasklock(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasklock"));
    command.args(words).env("USER", "ana");
    for name in ["REDIS", "URL", "TOKEN", "PREFIX", "CA_FILE", "ACTOR"] {
        command.env_remove(format!("TASKLOCK_{name}"));
    }
    command.env_remove("NO_COLOR");
    command
}

pub fn said(command: Command) -> Said {
    said_to(command, "")
}

/// What it answers to `input`.
pub fn said_to(mut command: Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not read its input at all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        status: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Stops a process for good, as Ctrl-C does.
pub fn interrupt(mut child: Child) -> String {
    let pid = Pid::from_child(&child);
    // Not the interrupt itself: whoever runs the tests in the background may have it ignored.
    let _ = kill_process(pid, Signal::TERM);
    let mut out = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = std::io::Read::read_to_string(&mut stdout, &mut out);
    }
    let _ = child.wait();
    out
}

/// The cells of the first row that begins with these words.
#[track_caller]
pub fn row<'a>(table: &'a str, contains: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.contains(contains));
    let line = line.unwrap_or_else(|| panic!("no {contains} in\n{table}"));
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}
