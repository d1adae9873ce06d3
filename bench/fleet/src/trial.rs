//! One measurement of tasks that come due: processes on one store, watched for some rounds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tasklock_fleet::account::Account;
use tasklock_fleet::child::{Child, Ended};
use tasklock_fleet::clock::until;
use tasklock_fleet::lateness::round;
use tasklock_fleet::redis_server::{Info, RedisServer};
use tasklock_fleet::rounds::{Rounds, spec};
use tasklock_fleet::starts;
use tasklock_fleet::usage::{Usage, machine_cpu_s};

use crate::instance::Waking;
use crate::{instance, limit};

/// What is to be measured.
#[derive(Clone)]
pub struct Trial {
    /// Where the processes look for the store.
    pub url: String,
    pub tasks: usize,
    pub replicas: usize,
    /// Seconds between two rounds; must divide a minute, and be at least 2 with a limit.
    pub period: u32,
    pub rounds: u32,
    /// Whether the limit has a round between any two of ours.
    pub with_limit: bool,
    pub waking: Waking,
}

/// What was seen. Usage is that of the time of the rounds.
pub struct Seen {
    pub ours: Account,
    pub limit: Option<Limit>,
    pub seconds: f64,
    /// Of all instances.
    pub cpu_s: f64,
    /// Of all processes of the machine, in cores: what is not ours or the store's is noise.
    pub busy_cores: f64,
    /// Of the largest instance.
    pub peak_mb: f64,
    /// Of the first instance, each second.
    pub memory_mb: Vec<f64>,
    pub before: Info,
    pub after: Info,
    pub longest_script_us: i64,
    pub instances: Vec<Ended>,
}

pub struct Limit {
    pub starts: Account,
    /// When the replies were in.
    pub replies: Account,
}

impl Trial {
    pub fn run(&self, server: &RedisServer) -> Result<Seen> {
        let failed = || format!("{} tasks on {} instances", self.tasks, self.replicas);
        self.measure(server).with_context(failed)
    }

    fn measure(&self, server: &RedisServer) -> Result<Seen> {
        server.clear()?;
        let dir = tempfile::tempdir()?;
        let mut instances = Vec::new();
        for number in 0..self.replicas {
            let file = dir.path().join(format!("instance{number}"));
            instances.push(self.instance(&file)?);
        }
        let limit_file = dir.path().join("limit");
        let limit = match self.with_limit {
            true => Some(self.limit(&limit_file)?),
            false => None,
        };

        let rounds = Rounds::soon(self.rounds, self.period, 0)?;
        let window = rounds.window_us();
        std::thread::sleep(until(window.start));
        let busy = machine_cpu_s();
        let used = usages(&instances)?;
        let before = server.info("everything")?;
        let mut memory_mb = Vec::new();
        while until(window.end) > Duration::from_secs(1) {
            std::thread::sleep(Duration::from_secs(1));
            memory_mb.extend(instances.first().map(Child::usage).transpose()?);
        }
        std::thread::sleep(until(window.end));
        let after = server.info("everything")?;
        let used_then = usages(&instances)?;
        let busy = machine_cpu_s() - busy;
        let longest_script_us = server.longest_script_us()?;

        let ended: Result<Vec<Ended>> = instances.into_iter().map(Child::end).collect();
        let ended = ended?;
        let ours: Vec<_> = ended.iter().map(|e| e.starts.clone()).collect();
        let limit = match limit {
            Some(child) => Some(self.account_limit(child, &limit_file, rounds)?),
            None => None,
        };
        let seconds = (window.end - window.start) as f64 / 1e6;
        let cpu = |all: &[Usage]| all.iter().map(|u| u.cpu_s).sum::<f64>();
        Ok(Seen {
            ours: Account::of(&ours, &rounds, self.tasks),
            limit,
            seconds,
            cpu_s: cpu(&used_then) - cpu(&used),
            busy_cores: busy / seconds,
            peak_mb: used_then.iter().map(|u| u.peak_mb).fold(0.0, f64::max),
            memory_mb: memory_mb.iter().map(|u| u.memory_mb).collect(),
            before,
            after,
            longest_script_us,
            instances: ended,
        })
    }

    fn room(&self) -> usize {
        // Rounds of warm-up come before those that count, one or two.
        self.tasks * (self.rounds as usize + 4)
    }

    fn instance(&self, file: &Path) -> Result<Child> {
        let settings = instance::Settings {
            redis: self.url.clone(),
            tasks: self.tasks,
            spec: spec(self.period, 0)?,
            room: self.room(),
            metrics: None,
            waking: self.waking,
            file: file.to_owned(),
        };
        let child = start_self("instance", settings.words(), file)?;
        if let Some(error) = child.ready.get("start_error").and_then(Value::as_str) {
            bail!("{error}");
        }
        Ok(child)
    }

    /// The limit is due in the middle between two of our rounds.
    fn limit(&self, file: &Path) -> Result<Child> {
        let settings = limit::Settings {
            redis: self.url.clone(),
            tasks: u32::try_from(self.tasks)?,
            period: self.period,
            offset: self.period / 2,
            room: self.room(),
            file: file.to_owned(),
        };
        start_self("limit", settings.words(), file)
    }

    fn account_limit(&self, child: Child, file: &Path, rounds: Rounds) -> Result<Limit> {
        let rounds = rounds.shifted(i64::from(self.period / 2));
        let starts = child.end()?.starts;
        let replies = starts::read(&limit::replies_file(file))?;
        Ok(Limit {
            starts: Account::of(&[starts], &rounds, self.tasks),
            replies: Account::of(&[replies], &rounds, self.tasks),
        })
    }
}

/// Starts this program again, to be measured.
pub fn start_self(name: &str, words: Vec<String>, file: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe().context("who am I?")?);
    command.args(words);
    Child::start(name, command, file)
}

fn usages(instances: &[Child]) -> Result<Vec<Usage>> {
    instances.iter().map(Child::usage).collect()
}

impl Seen {
    /// What each line has that tells of a trial.
    pub fn line(&self, work: &str, trial: &Trial) -> Map<String, Value> {
        let mut line = Map::new();
        let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
        put("work", work.into());
        put("tasks", trial.tasks.into());
        put("replicas", trial.replicas.into());
        put("rounds", trial.rounds.into());
        for part in [self.ours.lateness.json(), self.ours.faults()] {
            for (key, value) in part.as_object().into_iter().flatten() {
                put(key, value.clone());
            }
        }
        let of_rounds = self.ours.of_rounds.iter().map(|r| round(r.p99()));
        put("p99_of_rounds_ms", of_rounds.collect::<Vec<_>>().into());
        put(
            "cpu_us_per_firing",
            self.per_firing(self.cpu_s * 1e6).into(),
        );
        for word in ["acquire", "release"] {
            let waited_ms = self.sum("waited_us", word) / self.sum("requests", word) / 1000.0;
            put(&format!("{word}_ms"), round(waited_ms).into());
        }
        put("peak_mb", round(self.peak_mb).into());
        put("busy_cores", round(self.busy_cores).into());
        if let Some(limit) = &self.limit {
            put("limit", limit.starts.lateness.json());
            put("limit_reply", limit.replies.lateness.json());
            put("limit_lost", limit.starts.lost.into());
            put(
                "ratio_p50",
                round(self.ours.ratio(&limit.starts, 50.0)).into(),
            );
            put(
                "ratio_p99",
                round(self.ours.ratio(&limit.starts, 99.0)).into(),
            );
        }
        // Why something did not start is worth a word only then.
        if self.ours.lost > 0 {
            put("decisions", self.said("decisions"));
        }
        line
    }

    /// A part of what each instance said at its end.
    pub fn said(&self, key: &str) -> Value {
        let of_instance = |ended: &Ended| ended.said.get(key).cloned().unwrap_or_default();
        json!(self.instances.iter().map(of_instance).collect::<Vec<_>>())
    }

    /// A number that each instance said, summed; rounds of warm-up are in it.
    pub fn sum(&self, part: &str, word: &str) -> f64 {
        let of = |said: &Value| said.get(word).and_then(Value::as_f64).unwrap_or(0.0);
        self.said(part)
            .as_array()
            .into_iter()
            .flatten()
            .map(of)
            .sum()
    }

    pub fn per_firing(&self, total: f64) -> f64 {
        round(total / self.ours.started.max(1) as f64)
    }

    /// By how much a number of the store's grew.
    pub fn grown(&self, field: &str) -> f64 {
        let of = |info: &Info| info.number(field).unwrap_or(0.0);
        of(&self.after) - of(&self.before)
    }

    pub fn redis_cpu_s(&self) -> f64 {
        self.grown("used_cpu_user") + self.grown("used_cpu_sys")
    }

    /// How often the store ran each command for a firing, those of scripts included.
    pub fn commands_per_firing(&self) -> Map<String, Value> {
        let before = self.before.calls();
        let mut commands = Map::new();
        for (command, calls) in self.after.calls() {
            let calls = calls - before.get(&command).copied().unwrap_or(0.0);
            // The harness asks for INFO.
            if calls > 0.0 && command != "info" {
                commands.insert(command, self.per_firing(calls).into());
            }
        }
        commands
    }
}
