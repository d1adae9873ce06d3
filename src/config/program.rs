//! From the keys of a command to one that can be run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::fault::Source;
use crate::config::file::Command;
use crate::config::user::User;
use crate::kinds::ShellCommand;

/// A program with all that it runs with. Two that are equal run the same.
#[derive(Clone, PartialEq)]
pub(crate) struct Program {
    words: Vec<String>,
    arguments: usize,
    environment: Vec<String>,
    env: BTreeMap<String, String>,
    env_file: Option<PathBuf>,
    env_from_files: BTreeMap<String, PathBuf>,
    directory: Option<PathBuf>,
    user: Option<User>,
    stdin: Option<Arc<str>>,
    success: Vec<i32>,
    output_bytes: Option<usize>,
}

impl Program {
    /// What the keys say, or which of them is wrong, and why.
    pub(super) fn of(source: &Source, keys: &Command) -> Result<Self, (&'static str, String)> {
        let relative = |path: &PathBuf| source.directory().join(path);
        if keys.command.first().is_none_or(String::is_empty) {
            let text =
                r#"it names no program: give it words, such as ["/usr/bin/backup", "--all"]"#;
            return Err(("command", text.to_owned()));
        }
        if keys.command.iter().any(|word| word.contains('\0')) {
            return Err(("command", "a word of it has a zero byte".to_owned()));
        }
        for (key, names) in [
            ("env", keys.env.keys().collect::<Vec<_>>()),
            ("env_from_files", keys.env_from_files.keys().collect()),
            ("environment", keys.environment.iter().collect()),
        ] {
            if let Some(name) = names.into_iter().find(|name| !is_variable(name)) {
                let shown: String = name.chars().take(40).collect();
                return Err((key, format!("{shown:?} is no name of a variable")));
            }
        }
        if keys.env.values().any(|value| value.contains('\0')) {
            return Err(("env", "a value of it has a zero byte".to_owned()));
        }
        if keys.expect.iter().any(|code| *code > 255) {
            let text = "exit codes are 0 to 255".to_owned();
            return Err(("expect", text));
        }
        let most = 1 << 20;
        if keys.output_bytes.is_some_and(|bytes| bytes > most) {
            let text = format!("it is more than {most}, of each end of each output");
            return Err(("output_bytes", text));
        }
        if keys.group.is_some() && keys.user.is_none() {
            let text = "it goes with user".to_owned();
            return Err(("group", text));
        }
        let named = |name: &str| User::named(name, keys.group.as_deref());
        let user = keys.user.as_deref().map(named).transpose()?;
        Ok(Self {
            words: keys.command.clone(),
            arguments: keys.arguments,
            environment: keys.environment.clone(),
            env: keys.env.clone(),
            env_file: keys.env_file.as_ref().map(relative),
            env_from_files: keys
                .env_from_files
                .iter()
                .map(|(name, path)| (name.clone(), relative(path)))
                .collect(),
            directory: keys.directory.as_ref().map(relative),
            user,
            stdin: keys.stdin.as_deref().map(Into::into),
            success: keys.expect.iter().map(|code| i32::from(*code)).collect(),
            output_bytes: keys.output_bytes,
        })
    }

    /// The command for the list of a shell.
    pub(super) fn command(&self) -> ShellCommand {
        let mut command = ShellCommand::new(self.words.clone())
            .arguments(self.arguments)
            .environment(self.environment.clone());
        if let Some(user) = &self.user {
            let home = user.home.to_string_lossy();
            command = command
                .user(user.id, user.group)
                .variable("HOME", home)
                .variable("USER", &user.name)
                .variable("LOGNAME", &user.name);
        }
        for (name, value) in &self.env {
            command = command.variable(name, value);
        }
        if let Some(path) = &self.env_file {
            command = command.environment_file(path);
        }
        for (name, path) in &self.env_from_files {
            command = command.variable_from_file(name, path);
        }
        if let Some(directory) = &self.directory {
            command = command.directory(directory);
        }
        if let Some(text) = &self.stdin {
            command = command.stdin(text.clone());
        }
        if !self.success.is_empty() {
            command = command.success(self.success.clone());
        }
        match self.output_bytes {
            Some(bytes) => command.output_limit(bytes),
            None => command,
        }
    }
}

fn is_variable(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_fit) && !name.starts_with(|c: char| c.is_ascii_digit())
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_struct("Program")
            .field("words", &self.words)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
