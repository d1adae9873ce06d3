//! Crontabs, read as tasks.
//!
//! What a line means is what Vixie's cron and its descendants make of it. What cannot be said as a task
//! is named with its line.

mod line;
mod write;

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::config::user::User;
use crate::schedule::Schedule;
use crate::text::contained_line;

use line::Line;

/// Words that begin commands and say nothing of what they do.
const SURROUNDINGS: [&str; 14] = [
    "[", "command", "env", "exec", "if", "ionice", "nice", "nohup", "sh", "sudo", "test", "then",
    "time", "while",
];

/// Which of the two formats a crontab has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Of the whole system: the sixth field is a user.
    System,
    /// Of one user.
    User,
}

/// A crontab, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct Crontab {
    jobs: Vec<Job>,
    /// Lines that could not be read, and why.
    pub(crate) faults: Vec<(usize, String)>,
    /// Lines that were read, and mean something else here.
    pub(crate) notes: Vec<(usize, String)>,
}

/// One line that runs something.
#[derive(Debug, PartialEq)]
struct Job {
    line: usize,
    name: String,
    spec: String,
    zone: Option<Tz>,
    user: Option<String>,
    /// In which it runs, if its user is in several.
    group: Option<String>,
    shell: String,
    command: String,
    stdin: Option<String>,
    directory: Option<String>,
    env: BTreeMap<String, String>,
}

impl Crontab {
    /// Reads all of it.
    pub(crate) fn read(text: &str, form: Form) -> Self {
        let mut crontab = Self::default();
        let mut env = BTreeMap::new();
        for (number, text) in (1..).zip(text.lines()) {
            match line::read(text, form) {
                Ok(Line::Empty) => {}
                Ok(Line::Variable(name, value)) => {
                    crontab.note_variable(number, &name);
                    env.insert(name, value);
                }
                Ok(Line::Job(job)) => match crontab.job(number, job, &env) {
                    Ok(job) => crontab.jobs.push(job),
                    Err(why) => crontab.refuse(number, &why),
                },
                Err(why) => crontab.refuse(number, &why),
            }
        }
        crontab
    }

    /// How many tasks it makes.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The tasks as a file of a cron of its own. Specs are about the clock of `zone`.
    pub(crate) fn write(&self, zone: Tz) -> String {
        write::file(self, zone)
    }

    fn refuse(&mut self, line: usize, why: &str) {
        self.faults.push((line, contained_line(why, 400)));
    }

    fn note_variable(&mut self, line: usize, name: &str) {
        let note = match name {
            "MAILTO" | "MAILFROM" => "nobody sends mail here: output is in the log and the history",
            "RANDOM_DELAY" => "it is left out: give the tasks a policy with jitter_s",
            _ => return,
        };
        self.notes.push((line, format!("{name}: {note}")));
    }

    fn job(
        &mut self,
        line: usize,
        job: line::Job,
        env: &BTreeMap<String, String>,
    ) -> Result<Job, String> {
        let mut env = env.clone();
        for name in ["MAILTO", "MAILFROM", "RANDOM_DELAY"] {
            env.remove(name);
        }
        let zone = env.remove("CRON_TZ");
        let zone = match zone.as_deref().map(str::parse) {
            None => None,
            Some(Ok(zone)) => Some(zone),
            Some(Err(_)) => return Err("its CRON_TZ is no time zone that is known".to_owned()),
        };
        let shell = env.remove("SHELL").unwrap_or_else(|| "/bin/sh".to_owned());
        env.entry("PATH".to_owned())
            .or_insert_with(|| "/usr/bin:/bin".to_owned());
        let spec = self.spec(line, &job.spec)?;
        let user = match &job.user {
            Some(name) => User::find(name).ok(),
            None => None,
        };
        if let (Some(name), None) = (&job.user, &user) {
            let note =
                format!("{name:?} is no user of this host: the task needs one where it runs");
            self.notes.push((line, contained_line(&note, 400)));
        }
        let others = user.as_ref().and_then(|user| user.others().ok());
        let others = others.filter(|others| !others.is_empty());
        if let (Some(name), Some(others)) = (&job.user, &others) {
            let note = format!(
                "{name} is in the groups {} too: the task runs in {name}'s own one",
                others.join(", ")
            );
            self.notes.push((line, contained_line(&note, 400)));
        }
        let group = user.as_ref().filter(|_| others.is_some());
        let group = group.map(|user| user.group.to_string());
        let home = user.map(|user| user.home.to_string_lossy().into_owned());
        Ok(Job {
            line,
            name: self.name(&job.command, line),
            spec,
            zone,
            user: job.user,
            group,
            shell,
            command: job.command,
            stdin: job.stdin,
            directory: env.get("HOME").cloned().or(home),
            env,
        })
    }

    fn spec(&mut self, line: usize, spec: &str) -> Result<String, String> {
        let spec = match spec {
            "@reboot" => {
                let note =
                    "@reboot is @startup here: at each start of an instance, not of the host";
                self.notes.push((line, note.to_owned()));
                "@startup".to_owned()
            }
            spec => of_cron(spec),
        };
        match spec.parse::<Schedule>() {
            Ok(_) => Ok(spec),
            Err(error) => {
                let first = error.to_string();
                Err(first.lines().next().unwrap_or_default().to_owned())
            }
        }
    }

    /// A name that nobody has yet: of the program and, if need be, of the line.
    fn name(&self, command: &str, line: usize) -> String {
        let mut words = command.split_whitespace();
        let mut program = None;
        while let (None, Some(word)) = (program, words.next()) {
            let name = word.rsplit('/').next().unwrap_or_default();
            let says = name.contains(|c: char| c.is_ascii_alphanumeric());
            match word {
                "cd" => drop(words.next()),
                _ if SURROUNDINGS.contains(&word) || word.starts_with('-') => {}
                _ if says && !word.contains('=') => program = Some(name),
                _ => {}
            }
        }
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || "_.-".contains(c) => c,
            _ => '_',
        };
        let name: String = program.unwrap_or("task").chars().map(plain).collect();
        let name = name.trim_matches(['_', '.', '-']);
        let name: String = name.chars().take(100).collect();
        let name = match name.is_empty() {
            true => "task".to_owned(),
            false => name,
        };
        match self.jobs.iter().any(|job| job.name == name) {
            true => format!("{name}_{line}"),
            false => name,
        }
    }
}

/// The spec that means what a cron makes of these five fields: if one of the two day fields begins with
/// a star, a day has to match both, also if the star has a step.
fn of_cron(spec: &str) -> String {
    let fields: Vec<&str> = spec.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return spec.to_owned();
    };
    let is_star = |field: &str| matches!(field, "*" | "*/1");
    let has_star = day.starts_with('*') || weekday.starts_with('*');
    match has_star && !is_star(day) && !is_star(weekday) {
        true => format!("{minute} {hour} {day} {month} +{weekday}"),
        false => fields.join(" "),
    }
}

#[cfg(test)]
mod tests;
