//! A task of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::config::fault::{Faults, Source};
use crate::config::file::{self, Command};
use crate::config::program::Program;
use crate::config::settings::NO_ZONE;
use crate::config::tag;
use crate::error::ErrorKind;
use crate::kinds::{Http, HttpParameters, Shell, ShellParameters};
use crate::schedule::SpecError;
use crate::store::{Kind, StoredTask};
use crate::task::seconds;

/// The kinds that a cron of its own has for the tasks of the store.
pub(super) const SHELL: &str = "shell";
pub(super) const HTTP: &str = "http";

/// How long a request may take that says nothing of it.
const REQUEST: Duration = Duration::from_secs(30);

/// A task as a file says it.
#[derive(Debug, Clone)]
pub(crate) struct TaskOfFile {
    /// When it is due and by which rules; as it would be in the store.
    pub(crate) plan: StoredTask,
    /// Words by which people find it.
    pub(crate) tags: Vec<&'static str>,
    pub(crate) work: Work,
    /// What does the work; made of it.
    pub(crate) doer: Doer,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    /// Runs a program that it names itself.
    Program(Box<Program>, Option<Duration>),
    /// Runs one of the listed commands.
    Listed(ShellParameters),
    /// Sends a request, with headers that files say.
    Request(Box<HttpParameters>, BTreeMap<String, PathBuf>),
    /// What code elsewhere makes of its kind and its parameters.
    Elsewhere,
}

/// What does the work.
#[derive(Debug, Clone)]
pub(crate) enum Doer {
    Shell(Arc<Shell>, ShellParameters),
    Http(Arc<Http>),
    Nobody,
}

impl PartialEq for TaskOfFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.plan, &self.tags, &self.work) == (&other.plan, &other.tags, &other.work)
    }
}

/// What tasks are made with.
pub(super) struct Surroundings<'a> {
    pub(super) source: &'a Source,
    pub(super) zone: Option<Tz>,
    pub(super) owner: Option<&'a str>,
    pub(super) groups: &'a BTreeMap<String, u32>,
    pub(super) shell: Option<&'a Arc<Shell>>,
    pub(super) requests: &'a Http,
    pub(super) now: DateTime<Utc>,
}

/// The one that says what the task does, and those that go with it.
const FORMS: [(&str, &[&str]); 4] = [
    (
        "command",
        &[
            "env",
            "env_file",
            "env_from_files",
            "directory",
            "user",
            "group",
            "stdin",
            "grace_s",
            "output_bytes",
            "expect",
        ],
    ),
    ("run", &["arguments", "env"]),
    (
        "url",
        &["method", "headers", "headers_from_files", "body", "expect"],
    ),
    ("kind", &["parameters"]),
];

impl file::Task {
    fn keys(&self) -> [(&'static str, bool); 20] {
        [
            ("command", self.command.is_some()),
            ("run", self.run.is_some()),
            ("url", self.url.is_some()),
            ("kind", self.kind.is_some()),
            ("env", self.env.is_some()),
            ("env_file", self.env_file.is_some()),
            ("env_from_files", self.env_from_files.is_some()),
            ("directory", self.directory.is_some()),
            ("user", self.user.is_some()),
            ("group", self.group.is_some()),
            ("stdin", self.stdin.is_some()),
            ("grace_s", self.grace_s.is_some()),
            ("output_bytes", self.output_bytes.is_some()),
            ("arguments", self.arguments.is_some()),
            ("method", self.method.is_some()),
            ("headers", self.headers.is_some()),
            ("headers_from_files", self.headers_from_files.is_some()),
            ("body", self.body.is_some()),
            ("expect", self.expect.is_some()),
            ("parameters", self.parameters.is_some()),
        ]
    }

    /// Which of the forms it has, if exactly one.
    fn form(&self) -> Result<&'static str, (String, String)> {
        let keys = self.keys();
        let has = |key: &str| keys.iter().any(|(k, is_there)| *k == key && *is_there);
        let mut forms = FORMS.iter().filter(|(form, _)| has(form));
        let (Some((form, with)), None) = (forms.next(), forms.next()) else {
            let text = "say what it does, in one way: command = [\"/usr/bin/backup\"] runs a program, \
                        run = \"backup\" one of [commands], url = \"https://…\" sends a request, \
                        kind = \"…\" is for tasks of the store";
            return Err((String::new(), text.to_owned()));
        };
        for (key, _) in keys.iter().filter(|(key, there)| *there && key != form) {
            if !with.contains(key) {
                let text = format!("it does not go with {form}: {form} goes with {with:?}");
                return Err(((*key).to_owned(), text));
            }
        }
        Ok(form)
    }
}

/// A task, or what is wrong with it, in `faults`.
pub(super) fn read(
    task: &toml::Spanned<file::Task>,
    around: &Surroundings<'_>,
    faults: &mut Faults,
) -> Option<TaskOfFile> {
    let Surroundings { source, .. } = around;
    let (span, task) = (task.span(), task.get_ref());
    let shown: String = task.name.get_ref().chars().take(128).collect();
    let of = |key: &str| match key {
        "" => format!("task {shown}"),
        key => format!("task {shown}: {key}"),
    };
    let (plan, work, doer) = match plan(task, around) {
        Ok(all) => all,
        Err((key, text)) => {
            let at = match key.as_str() {
                "timezone" => task.timezone.as_ref().map(toml::Spanned::span),
                "url" => task.url.as_ref().map(toml::Spanned::span),
                key => source.key(span.start, key),
            };
            faults.add(source, at.or(Some(span)), &of(&key), &text);
            return None;
        }
    };
    // That it fires no more is no fault of a file: the instant of an `@at` has come and gone.
    let checked = StoredTask {
        enabled: false,
        ..plan.clone()
    };
    if let Err(error) = checked.check(around.zone.unwrap_or(Tz::UTC), around.now) {
        let (at, key) = match error.kind() {
            ErrorKind::InvalidName => (task.name.span(), "name"),
            ErrorKind::InvalidSpec => (task.spec.span(), "spec"),
            _ => (span, ""),
        };
        // It begins with the task's name, as ours does; of a spec it draws a picture.
        let text = error.to_string();
        let text = text
            .strip_prefix(&format!("task {shown}: "))
            .unwrap_or(&text);
        let hint = error.spec_error().and_then(SpecError::hint);
        let text = match (key, hint) {
            ("spec", hint) => {
                let first = text.lines().next().unwrap_or_default();
                let hint = hint.map(|hint| format!("; {hint}"));
                format!("{first}{}", hint.unwrap_or_default())
            }
            _ => text.to_owned(),
        };
        faults.add(source, Some(at), &of(key), &text);
        return None;
    }
    if let Some(group) = plan.policy.group.as_deref()
        && !around.groups.contains_key(group)
        && !matches!(work, Work::Elsewhere)
    {
        let known: Vec<&String> = around.groups.keys().collect();
        let text =
            format!("there is no group {group:?}: name it under [groups]; there are {known:?}");
        let at = source.key(span.start, "policy").unwrap_or(span);
        faults.add(source, Some(at), &of("policy.group"), &text);
        return None;
    }
    let mut tags = Vec::new();
    for tag in &task.tags {
        match tag::of(tag) {
            Ok(tag) => tags.push(tag),
            Err(text) => {
                let at = source.key(span.start, "tags").unwrap_or(span);
                faults.add(source, Some(at), &of("tags"), &text);
                return None;
            }
        }
    }
    Some(TaskOfFile {
        plan,
        tags,
        work,
        doer,
    })
}

/// A key that is wrong, and why.
type Wrong = (String, String);

fn plan(task: &file::Task, around: &Surroundings<'_>) -> Result<(StoredTask, Work, Doer), Wrong> {
    let mut plan = StoredTask::new(task.name.get_ref(), SHELL, task.spec.get_ref())
        .policy(task.policy.clone())
        .description(&task.description)
        .enabled(task.enabled.unwrap_or(true));
    plan.owner = task.owner.clone().or(around.owner.map(str::to_owned));
    plan.timezone = match &task.timezone {
        Some(zone) => {
            let zone = zone.get_ref().parse();
            Some(zone.map_err(|_| ("timezone".to_owned(), NO_ZONE.to_owned()))?)
        }
        None => around.zone,
    };
    plan.timeout = match &task.timeout_s {
        Some(timeout) => timeout.0,
        None if task.url.is_some() => REQUEST,
        None => plan.timeout,
    };
    let (kind, parameters, work, doer) = match task.form()? {
        "command" => program(task, around)?,
        "run" => listed(task, around)?,
        "url" => request(task, around)?,
        _ => {
            let kind = task.kind.clone().unwrap_or_default();
            let parameters = task.parameters.clone().unwrap_or_else(|| json!({}));
            (kind, parameters, Work::Elsewhere, Doer::Nobody)
        }
    };
    plan.kind = kind;
    plan.parameters = parameters;
    Ok((plan, work, doer))
}

type Made = (String, Value, Work, Doer);

fn program(task: &file::Task, around: &Surroundings<'_>) -> Result<Made, Wrong> {
    let keys = Command {
        command: task.command.clone().unwrap_or_default(),
        env: task.env.clone().unwrap_or_default(),
        env_file: task.env_file.clone(),
        env_from_files: task.env_from_files.clone().unwrap_or_default(),
        directory: task.directory.clone(),
        user: task.user.clone(),
        group: task.group.clone(),
        stdin: task.stdin.clone(),
        expect: task.expect.clone().unwrap_or_default(),
        output_bytes: task.output_bytes,
        ..Command::default()
    };
    let program = Program::of(around.source, &keys);
    let program = program.map_err(|(key, text)| (key.to_owned(), text))?;
    let grace = task.grace_s.map(|s| s.0);
    let name = task.name.get_ref();
    let mut shell = Shell::new().allow(name, program.command());
    if let Some(grace) = grace {
        shell = shell.grace(grace);
    }
    let parameters = ShellParameters::of(name);
    let doer = Doer::Shell(Arc::new(shell), parameters);
    let work = Work::Program(Box::new(program), grace);
    Ok((SHELL.to_owned(), json!({}), work, doer))
}

fn listed(task: &file::Task, around: &Surroundings<'_>) -> Result<Made, Wrong> {
    let mut parameters = ShellParameters::of(task.run.as_deref().unwrap_or_default());
    parameters.arguments = task.arguments.clone().unwrap_or_default();
    parameters.environment = task.env.clone().unwrap_or_default();
    let value = json!({
        "command": parameters.command,
        "arguments": parameters.arguments,
        "environment": parameters.environment,
    });
    let doer = match around.shell {
        Some(shell) => {
            let checked = shell.check(&parameters);
            checked.map_err(|e| ("run".to_owned(), e.to_string()))?;
            Doer::Shell(shell.clone(), parameters.clone())
        }
        // The hosts that run it have the list.
        None => Doer::Nobody,
    };
    Ok((SHELL.to_owned(), value, Work::Listed(parameters), doer))
}

fn request(task: &file::Task, around: &Surroundings<'_>) -> Result<Made, Wrong> {
    let wrong = |key: &str, text: String| (key.to_owned(), text);
    let url = task.url.as_ref().map(|url| url.get_ref().clone());
    let url = url.unwrap_or_default();
    // A password may stand in it.
    let shown: String = url.chars().take(200).collect();
    let without = |text: String| text.replace(&format!("{shown:?}"), "it");
    let mut parameters = HttpParameters::get(&url);
    // The run's own timeout is the only one.
    parameters.timeout = task.timeout_s.map_or(REQUEST, |s| s.0);
    parameters.body = task.body.clone().unwrap_or_default();
    parameters.headers = task.headers.clone().unwrap_or_default();
    parameters.expect = task.expect.clone().unwrap_or_default();
    if let Some(method) = &task.method {
        parameters.method = method.clone();
    }
    let only = around.requests.only(&url);
    let only = only.map_err(|e| wrong("url", without(e.to_string())))?;
    let checked = only.check(&parameters);
    checked.map_err(|e| wrong("", without(e.to_string())))?;
    let files = task.headers_from_files.clone().unwrap_or_default();
    if let Some(name) = files.keys().find(|name| !Http::is_header(name)) {
        let shown: String = name.chars().take(80).collect();
        let text = format!("{shown:?} is no header that a task may set");
        return Err(wrong("headers_from_files", text));
    }
    let files: BTreeMap<String, PathBuf> = files
        .into_iter()
        .map(|(name, path)| (name, around.source.directory().join(path)))
        .collect();
    let value = json!({
        "url": parameters.url,
        "method": parameters.method,
        "headers": parameters.headers,
        "body": parameters.body,
        "expect": parameters.expect,
        "timeout_s": seconds::serialize(&parameters.timeout, serde_json::value::Serializer)
            .unwrap_or_default(),
    });
    let work = Work::Request(Box::new(parameters), files);
    Ok((HTTP.to_owned(), value, work, Doer::Http(Arc::new(only))))
}
