//! The tasks of a crontab, as the file of a cron of its own.

use std::fmt::Write;

use chrono_tz::Tz;

use crate::config::crontab::{Crontab, Job};

/// The file. Writing to a `String` cannot fail.
pub(super) fn file(crontab: &Crontab, zone: Tz) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "timezone = {}", quoted(zone.name()));
    text.push_str(
        "\n# Where the hosts meet that have this file: each instant is run by one of them.\n[lock]\n\
         redis_url = \"redis://127.0.0.1:6379\"\n",
    );
    for (line, why) in &crontab.faults {
        let _ = write!(text, "\n# line {line} could not be read: {why}");
    }
    if !crontab.faults.is_empty() {
        text.push('\n');
    }
    for job in &crontab.jobs {
        task(&mut text, job);
    }
    text
}

fn task(text: &mut String, job: &Job) {
    let _ = writeln!(text, "\n# line {}\n[[task]]", job.line);
    let mut key = |name: &str, value: String| {
        let _ = writeln!(text, "{name} = {value}");
    };
    key("name", quoted(&job.name));
    key("spec", quoted(&job.spec));
    if let Some(zone) = job.zone {
        key("timezone", quoted(zone.name()));
    }
    // A cron lets a command run as long as it likes.
    key("timeout_s", "86400".to_owned());
    let words = [job.shell.as_str(), "-c", &job.command].map(quoted);
    key("command", format!("[{}]", words.join(", ")));
    if let Some(stdin) = &job.stdin {
        key("stdin", quoted(stdin));
    }
    if let Some(directory) = &job.directory {
        key("directory", quoted(directory));
    }
    if let Some(user) = &job.user {
        key("user", quoted(user));
    }
    if let Some(group) = &job.group {
        key("group", quoted(group));
    }
    let pairs: Vec<String> = job
        .env
        .iter()
        .map(|(name, value)| format!("{name} = {}", quoted(value)))
        .collect();
    key("env", format!("{{ {} }}", pairs.join(", ")));
}

/// A string of TOML: that of JSON, which escapes what TOML wants escaped but for one character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
