//! A process that is measured.
//!
//! It says a line of JSON when its tasks are registered and it fires. When its standard input ends,
//! it stops, writes its starts down, says another line, and exits.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::starts::{self, Start};
use crate::usage::Usage;

/// Longer than any registration and any stop takes.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    /// Its next lines, read by a thread, so that waiting for them can end.
    lines: Receiver<String>,
    file: PathBuf,
    pub ready: Value,
}

/// What is left of a process.
#[derive(Debug)]
pub struct Ended {
    pub starts: Vec<Start>,
    pub said: Value,
}

impl Child {
    /// Starts `command`, which was told to write its starts to `file`, and waits until it fires.
    pub fn start(name: &str, mut command: Command, file: &Path) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started: {command:?}"))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut this = Self {
            name: name.to_owned(),
            process,
            lines: lines(stdout),
            file: file.to_owned(),
            ready: Value::Null,
        };
        this.ready = this.said().context("before it was ready")?;
        Ok(this)
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id()).with_context(|| self.name.clone())
    }

    /// Asks it to end, and reads what it has written.
    pub fn end(mut self) -> Result<Ended> {
        drop(self.process.stdin.take());
        let said = self.said().context("at its end")?;
        self.exit()?;
        let starts = starts::read(&self.file).with_context(|| self.name.clone())?;
        Ok(Ended { starts, said })
    }

    /// Its next line.
    fn said(&mut self) -> Result<Value> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("{}: not a word in {PATIENCE:?}", self.name),
            // Its output has ended, so that it is about to.
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.exit()?;
                bail!("{} ended ({status}) without a word", self.name);
            }
        };
        serde_json::from_str(&line).with_context(|| format!("{}: {line:?}", self.name))
    }

    fn exit(&mut self) -> Result<ExitStatus> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > give_up {
                bail!("{} closed its output and did not exit", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A measurement that fails half way leaves nothing behind.
impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // What is no JSON is somebody's log.
            if line.starts_with('{') && sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Blocks until the harness wants an end. For a thread of the child's own.
pub fn wait_for_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
