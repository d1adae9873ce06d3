//! The file as text: what keys there are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::config::fault::{Faults, Source};
use crate::task::{Policy, seconds};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a file of settings and tasks")]
pub(super) struct File {
    pub(super) timezone: Option<Spanned<String>>,
    pub(super) owner: Option<String>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) page: Option<Spanned<Page>>,
    pub(super) log: Option<Spanned<String>>,
    pub(super) max_concurrent: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Spanned<u32>>,
    pub(super) shutdown_grace_s: Option<Spanned<Seconds>>,
    pub(super) lock: Option<Spanned<Lock>>,
    #[serde(default)]
    pub(super) commands: BTreeMap<String, Spanned<Command>>,
    #[serde(default)]
    pub(super) http: Http,
    #[serde(default)]
    pub(super) task: Vec<Spanned<Task>>,
}

/// The page, and who may see it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of the page's settings")]
pub(super) struct Page {
    pub(super) localhost: Option<bool>,
    pub(super) user_header: Option<String>,
    #[serde(default)]
    pub(super) proxies: Vec<String>,
    pub(super) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) actions: bool,
    pub(super) title: Option<String>,
}

/// Where it meets the others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of the lock's settings")]
pub(super) struct Lock {
    pub(super) redis_url: Option<String>,
    pub(super) redis_url_file: Option<PathBuf>,
    pub(super) redis_url_env: Option<String>,
    pub(super) redis_prefix: Option<String>,
    pub(super) redis_ca_file: Option<PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) memory: Option<bool>,
    pub(super) wait_s: Option<Seconds>,
}

/// A command that tasks may name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of a command's settings")]
pub(super) struct Command {
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) arguments: usize,
    #[serde(default)]
    pub(super) environment: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) env_from_files: BTreeMap<String, PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) stdin: Option<String>,
    #[serde(default)]
    pub(super) expect: Vec<u16>,
    pub(super) output_bytes: Option<usize>,
}

/// Addresses that tasks of the store may ask.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of what is allowed")]
pub(super) struct Http {
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
}

/// A task, of whichever form: which keys go together is checked later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of a task's settings")]
pub(super) struct Task {
    pub(super) name: Spanned<String>,
    pub(super) spec: Spanned<String>,
    pub(super) timezone: Option<Spanned<String>>,
    pub(super) timeout_s: Option<Seconds>,
    #[serde(default)]
    pub(super) policy: Policy,
    pub(super) owner: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) enabled: Option<bool>,
    #[serde(default)]
    pub(super) tags: Vec<String>,

    pub(super) command: Option<Vec<String>>,
    pub(super) env: Option<BTreeMap<String, String>>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) env_from_files: Option<BTreeMap<String, PathBuf>>,
    pub(super) directory: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) stdin: Option<String>,
    pub(super) grace_s: Option<Seconds>,
    pub(super) output_bytes: Option<usize>,

    pub(super) run: Option<String>,
    pub(super) arguments: Option<Vec<String>>,

    pub(super) url: Option<Spanned<String>>,
    pub(super) method: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) headers_from_files: Option<BTreeMap<String, PathBuf>>,
    pub(super) body: Option<String>,

    /// Exit codes of a command, statuses of a request.
    pub(super) expect: Option<Vec<u16>>,

    pub(super) kind: Option<String>,
    pub(super) parameters: Option<Value>,
}

/// A duration: seconds, as a number.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Seconds(#[serde(with = "seconds")] pub(super) Duration);

/// Reads the text.
pub(super) fn read(source: &Source) -> Result<File, Faults> {
    toml::from_str(&source.text).map_err(|mut error| {
        let span = error.span();
        // Without the text, so that it names the key and shows no line, in which there may be a secret.
        error.set_input(None);
        let shown = error.to_string();
        let key = shown.lines().find_map(|line| {
            let key = line.strip_prefix("in `")?;
            key.strip_suffix('`')
        });
        let mut faults = source.none();
        let mut key = key.unwrap_or_default().to_owned();
        let text = without_value(error.message());
        if let Some(rest) = text.strip_prefix("unknown field `")
            && let Some((unknown, _)) = rest.split_once('`')
        {
            // The reader names the table only.
            let dot = if key.is_empty() { "" } else { "." };
            key = format!("{key}{dot}{unknown}");
        }
        faults.add(source, span, &key, &text);
        faults
    })
}

/// A message of the reader without the value that was there: `invalid type: string "x", expected …`.
fn without_value(message: &str) -> String {
    for start in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = message.strip_prefix(start)
            && let Some(at) = rest.rfind(", expected ")
        {
            let (found, expected) = rest.split_at(at);
            let word = found.split([' ', '`', '"']).next().unwrap_or_default();
            let expected = match expected.strip_prefix(", expected ").unwrap_or_default() {
                "f64" => "a number",
                "u16" | "u32" | "usize" => "a whole number",
                other => other,
            };
            return format!("{start}{word}, expected {expected}");
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_what_was_expected_and_not_what_was_there() {
        for (message, kept) in [
            (
                r#"invalid type: string "hunter2, expected x", expected f64"#,
                "invalid type: string, expected a number",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "invalid value: integer, expected a whole number",
            ),
            ("unknown field `nmae`", "unknown field `nmae`"),
        ] {
            assert_eq!(without_value(message), kept);
        }
    }
}
