//! One line of a crontab.

use crate::config::crontab::Form;

/// The longest line, in bytes: crons take about 1 000.
const LONGEST: usize = 16 * 1024;

#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// Nothing, or a comment.
    Empty,
    /// A value for the environment of the lines below.
    Variable(String, String),
    Job(Job),
}

#[derive(Debug, PartialEq)]
pub(super) struct Job {
    /// As it stands there.
    pub(super) spec: String,
    pub(super) user: Option<String>,
    pub(super) command: String,
    pub(super) stdin: Option<String>,
}

/// What a line says, or why it says nothing.
pub(super) fn read(line: &str, form: Form) -> Result<Line, String> {
    if line.len() > LONGEST {
        return Err(format!("it has {} bytes", line.len()));
    }
    let line = line.trim_start_matches([' ', '\t']).trim_end_matches('\r');
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(Line::Empty);
    }
    if line.contains('\0') {
        return Err("it has a zero byte".to_owned());
    }
    if let Some((name, value)) = variable(line) {
        return Ok(Line::Variable(name, value));
    }
    if line.starts_with('-') {
        return Err("a line that starts with - is of one cron only: take it away".to_owned());
    }
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let (spec, rest) = split(line, fields).ok_or("it has fewer fields than a schedule")?;
    let (user, rest) = match form {
        Form::User => (None, rest),
        Form::System => {
            let (user, rest) = split(rest, 1).ok_or("it has no user before the command")?;
            (Some(user.to_owned()), rest)
        }
    };
    if let Some(user) = &user {
        let is_fit = |c: char| c.is_alphanumeric() || "_.-$@".contains(c);
        if !user.chars().all(is_fit) {
            return Err(format!(
                "{:?} is no user: is it the crontab of one user?",
                user.chars().take(40).collect::<String>()
            ));
        }
    }
    let (command, stdin) = parts(rest.trim_end());
    if command.trim().is_empty() {
        return Err("it has no command".to_owned());
    }
    Ok(Line::Job(Job {
        spec: spec.to_owned(),
        user,
        command,
        stdin,
    }))
}

/// `NAME = value`, both perhaps in quotes.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let name = unquoted(name.trim());
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = !name.is_empty() && name.chars().all(is_fit);
    let starts = name.starts_with(|c: char| c.is_ascii_digit());
    (is_name && !starts).then(|| (name.to_owned(), unquoted(value.trim()).to_owned()))
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// The first fields, and what follows them.
fn split(line: &str, fields: usize) -> Option<(&str, &str)> {
    let is_blank = |c: char| c == ' ' || c == '\t';
    let mut at = 0;
    for _ in 0..fields {
        let rest = line.get(at..)?;
        at += rest.len() - rest.trim_start_matches(is_blank).len();
        let rest = line.get(at..)?;
        at += rest.find(is_blank)?;
    }
    let rest = line.get(at..)?.trim_start_matches(is_blank);
    Some((line.get(..at)?.trim_start_matches(is_blank), rest))
}

/// The command, and what it reads: what stands behind the first `%`, in which the others are ends of
/// lines. `\%` is a plain one.
fn parts(text: &str) -> (String, Option<String>) {
    let (mut parts, mut chars) = (vec![String::new()], text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'%') => {
                chars.next();
                parts.last_mut().into_iter().for_each(|p| p.push('%'));
            }
            '%' => parts.push(String::new()),
            c => parts.last_mut().into_iter().for_each(|p| p.push(c)),
        }
    }
    let mut parts = parts.into_iter();
    let command = parts.next().unwrap_or_default();
    let lines: Vec<String> = parts.collect();
    // A cron ends what it gives with the end of a line.
    let stdin = (!lines.is_empty()).then(|| format!("{}\n", lines.join("\n")));
    (command.trim_end().to_owned(), stdin)
}
