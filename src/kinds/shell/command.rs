//! One command of the list, and what a task may add to it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::kinds::shell::ShellParameters;
use crate::task::RunContext;

/// What of our environment a command sees.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// The longest word and the longest value, in bytes.
const LONGEST_WORD: usize = 8 * 1024;

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
    directory: Option<PathBuf>,
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
            directory: None,
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

    /// It runs there. Default: where we do.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
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
    pub(super) fn prepare(&self, parameters: &ShellParameters, ctx: &RunContext) -> Command {
        let program = self.words.first().map(String::as_str).unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(self.words.iter().skip(1))
            .args(&parameters.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in &self.inherited {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
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
        command
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
            .finish_non_exhaustive()
    }
}
