//! One command of the list, and what a task may add to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::kinds::secret_file;
use crate::kinds::shell::ShellParameters;
use crate::kinds::shell::output::KEPT;
use crate::task::RunContext;

/// What of our environment a command sees.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// The longest word and the longest value, in bytes.
const LONGEST_WORD: usize = 8 * 1024;
/// The most that may be kept of an output's beginning, and of its end.
const MOST_KEPT: usize = 1024 * 1024;

type Rule = dyn Fn(&str) -> bool + Send + Sync;

/// A command that tasks of the kind [`Shell`](crate::Shell) may run: a program, its first words, and
/// what a task may add.
#[derive(Clone)]
pub struct ShellCommand {
    words: Vec<String>,
    most_arguments: usize,
    rule: Arc<Rule>,
    environment: BTreeSet<String>,
    inherited: Vec<String>,
    variables: BTreeMap<String, String>,
    variable_files: BTreeMap<String, PathBuf>,
    environment_file: Option<PathBuf>,
    directory: Option<PathBuf>,
    user: Option<(u32, u32)>,
    stdin: Option<Arc<str>>,
    success: BTreeSet<i32>,
    output_limit: usize,
}

impl ShellCommand {
    /// A program, by its path or its name in `PATH`, and its first words. A task can add nothing.
    pub fn new<I>(words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            most_arguments: 0,
            rule: Arc::new(|word| !word.starts_with('-')),
            environment: BTreeSet::new(),
            inherited: INHERITED.map(Into::into).into(),
            variables: BTreeMap::new(),
            variable_files: BTreeMap::new(),
            environment_file: None,
            directory: None,
            user: None,
            stdin: None,
            success: BTreeSet::from([0]),
            output_limit: KEPT,
        }
    }

    /// A task may add so many words, none of which starts with `-`, as options do.
    #[must_use]
    pub fn arguments(mut self, most: usize) -> Self {
        self.most_arguments = most;
        self
    }

    /// A task may add so many words for which `rule` says yes.
    #[must_use]
    pub fn arguments_if(
        mut self,
        most: usize,
        rule: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.most_arguments = most;
        self.rule = Arc::new(rule);
        self
    }

    /// A task may set these names in its environment.
    #[must_use]
    pub fn environment<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.environment.extend(names.into_iter().map(Into::into));
        self
    }

    /// It sees these names of our environment too.
    #[must_use]
    pub fn inherit<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.inherited.extend(names.into_iter().map(Into::into));
        self
    }

    /// It has this value in its environment. What a task sets goes before it.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// It has in its environment what this file says when it is started, without the end of its last
    /// line: for secrets. A run whose file cannot be read fails.
    #[must_use]
    pub fn variable_from_file(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.variable_files.insert(name.into(), path.into());
        self
    }

    /// It has in its environment what this file of lines `NAME=value` says when it is started. Empty
    /// lines and those that start with `#` are left out; quotes around a value are taken off. A run whose
    /// file cannot be read fails.
    #[must_use]
    pub fn environment_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.environment_file = Some(path.into());
        self
    }

    /// It runs there. Default: where we do.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// It runs as this user and this group, by their numbers, and in no other group. Default: as who we
    /// are; another one needs the right to become it.
    #[must_use]
    pub fn user(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }

    /// It reads this. Default: nothing.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Arc<str>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// The exit codes that are successes. Default: 0.
    #[must_use]
    pub fn success(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.success = codes.into_iter().collect();
        self
    }

    /// So much is kept of the beginning of each of its two outputs, and so much of the end. Default:
    /// 16 KiB; at most 1 MiB.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes.min(MOST_KEPT);
        self
    }

    pub(super) fn is_success(&self, code: Option<i32>) -> bool {
        code.is_some_and(|code| self.success.contains(&code))
    }

    pub(super) fn kept(&self) -> usize {
        self.output_limit
    }

    pub(super) fn input(&self) -> Option<Arc<str>> {
        self.stdin.clone()
    }

    /// Says what a task must not add.
    pub(super) fn check(&self, parameters: &ShellParameters) -> Result<(), String> {
        let name: String = parameters.command.chars().take(80).collect();
        let shown = |word: &str| word.chars().take(80).collect::<String>();
        if self.words.first().is_none_or(String::is_empty) {
            return Err(format!("the command {name:?} names no program"));
        }
        let (count, most) = (parameters.arguments.len(), self.most_arguments);
        if count > most {
            return Err(format!(
                "the command {name:?} has {count} arguments: a task may give it {most}"
            ));
        }
        let is_fit = |word: &str| word.len() <= LONGEST_WORD && !word.contains('\0');
        for word in &parameters.arguments {
            if !is_fit(word) || !(self.rule)(word) {
                return Err(format!(
                    "the argument {:?} is not allowed for the command {name:?}",
                    shown(word)
                ));
            }
        }
        for (key, value) in &parameters.environment {
            if !self.environment.contains(key) || !is_fit(value) {
                return Err(format!(
                    "the environment's {:?} cannot be set for the command {name:?}: a task may set {:?}",
                    shown(key),
                    self.environment
                ));
            }
        }
        Ok(())
    }

    /// The command, ready to be started. What a task adds was checked.
    pub(super) fn prepare(
        &self,
        parameters: &ShellParameters,
        ctx: &RunContext,
    ) -> Result<Command, String> {
        let program = self.words.first().map(String::as_str).unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(self.words.iter().skip(1))
            .args(&parameters.arguments)
            .env_clear()
            .stdin(match self.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in &self.inherited {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.variables);
        if let Some(path) = &self.environment_file {
            command.envs(secret_file::variables(path)?);
        }
        for (name, path) in &self.variable_files {
            command.env(name, secret_file::value(path)?);
        }
        command
            .envs(&parameters.environment)
            .env("TASKLOCK_TASK", ctx.task_name())
            .env("TASKLOCK_RUN_ID", ctx.run_id().to_string())
            .env("TASKLOCK_FIRE_TIME", ctx.fire_time().to_rfc3339())
            .env(
                "TASKLOCK_FENCING_TOKEN",
                ctx.fencing_token().get().to_string(),
            );
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some((user, group)) = self.user
            && user != rustix::process::geteuid().as_raw()
        {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for ShellCommand {
    fn from(words: [S; N]) -> Self {
        Self::new(words)
    }
}

impl<S: Into<String>> From<Vec<S>> for ShellCommand {
    fn from(words: Vec<S>) -> Self {
        Self::new(words)
    }
}

impl fmt::Debug for ShellCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShellCommand")
            .field("words", &self.words)
            .field("most_arguments", &self.most_arguments)
            .field("environment", &self.environment)
            .field("directory", &self.directory)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
