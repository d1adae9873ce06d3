//! `check`: what specs mean, and what is wrong with them.

use std::io::{self, BufRead, Write};

use chrono_tz::Tz;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::format::Format;
use crate::cli::specs::answer::{fire_times, shown, spec_error};
use crate::cli::specs::question::Question;
use crate::cli::status::{Failure, Status};
use crate::schedule::{Lint, Schedule};

/// Explain specs, and find those that are wrong, never fire, or meet a change of the clock
///
/// Exit status: 0 if there is no error, 1 if there is one; a spec that is refused and one that never
/// fires are errors. Made for CI: keep the specs of a service in a file and check them on each change.
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    question: Question,

    /// How many fire times to show
    #[arg(long, short = 'n', value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(0..=1000))]
    count: u16,

    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,

    /// How to write the answer: for people, or a line of JSON or a document of YAML for each spec
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// The specs, each in quotes; `-` reads one from each line of standard input, without those that
    /// are empty or start with `#`. Default: those of the tasks
    specs: Vec<String>,
}

/// A spec, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) task: Option<String>,
    pub(crate) spec: String,
    /// The zone it is read in, if that is not the one that was asked for.
    pub(crate) zone: Option<Tz>,
}

/// How a spec fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Error,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Error => "error",
        }
    }

    fn of(lint: &Lint) -> Self {
        match lint {
            Lint::NeverFires => Verdict::Error,
            _ => Verdict::Warning,
        }
    }

    fn worse(self, other: Self) -> Self {
        if self as u8 >= other as u8 {
            self
        } else {
            other
        }
    }
}

impl Check {
    /// Whether it is about specs that were given, and not about those of tasks.
    pub(crate) fn has_specs(&self) -> bool {
        !self.specs.is_empty()
    }

    /// Checks those that were given, and `tasks`.
    pub(crate) fn run(mut self, tasks: Vec<Asked>) -> Result<Status, Failure> {
        // All specs are asked about from the same moment.
        self.question.after = Some(self.question.after());
        let mut asked = tasks;
        asked.extend(self.specs().map_err(cannot_read)?);
        match self.check_all(&asked) {
            Ok(status) => Ok(status),
            // Whoever read us has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Status::Done),
            Err(error) => Err(Failure::failed(format!("cannot write the answer: {error}"))),
        }
    }

    fn check_all(&self, asked: &[Asked]) -> io::Result<Status> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let (mut checked, mut errors, mut warnings) = (0, 0, 0);
        for asked in asked {
            checked += 1;
            match self.check(asked, &mut out)? {
                Verdict::Ok => {}
                Verdict::Warning => warnings += 1,
                Verdict::Error => errors += 1,
            }
        }
        if self.output == Format::Text {
            writeln!(
                out,
                "specs: {checked}, errors: {errors}, warnings: {warnings}"
            )?;
        }
        out.flush()?;
        let has_failed = errors > 0 || self.deny_warnings && warnings > 0;
        Ok(match has_failed {
            true => Status::Failed,
            false => Status::Done,
        })
    }

    fn specs(&self) -> io::Result<Vec<Asked>> {
        let asked = |spec: String| Asked {
            task: None,
            spec,
            zone: None,
        };
        let mut specs = Vec::new();
        for spec in &self.specs {
            if spec != "-" {
                specs.push(asked(spec.clone()));
                continue;
            }
            for line in io::stdin().lock().lines() {
                let line = line?;
                if !line.trim().is_empty() && !line.starts_with('#') {
                    specs.push(asked(line));
                }
            }
        }
        Ok(specs)
    }

    fn check(&self, asked: &Asked, out: &mut impl Write) -> io::Result<Verdict> {
        let Asked { task, spec, zone } = asked;
        let question = match zone {
            Some(zone) => &Question {
                tz: Some(*zone),
                ..self.question.clone()
            },
            None => &self.question,
        };
        let of = match task {
            Some(task) => format!("  {task}"),
            None => String::new(),
        };
        let schedule = match question.read(spec) {
            Ok(schedule) => schedule,
            Err(error) => {
                let why = spec_error(&error);
                let answer = json!({ "spec": spec, "verdict": "error", "error": why });
                if !self.wrote(with_task(answer, task), out)? {
                    writeln!(out, "error    {}{of}", shown(spec))?;
                    for line in error.to_string().lines() {
                        writeln!(out, "         {line}")?;
                    }
                }
                return Ok(Verdict::Error);
            }
        };
        let after = question.after();
        let lints = schedule.lint(after);
        let verdict = lints
            .iter()
            .fold(Verdict::Ok, |worst, lint| worst.worse(Verdict::of(lint)));
        // Nobody knows here when the last run will have ended.
        let count = match schedule.delay() {
            Some(_) => 0,
            None => usize::from(self.count),
        };
        let next: Vec<String> = fire_times(&schedule, after, count).collect();
        let said = lints
            .iter()
            .map(|lint| json!({ "lint": lint.as_str(), "message": lint.to_string() }));
        let answer = json!({
            "spec": spec,
            "verdict": verdict.as_str(),
            "explain": schedule.explain(),
            "tz": schedule.timezone().name(),
            "next": next,
            "lints": said.collect::<Vec<_>>(),
        });
        if !self.wrote(with_task(answer, task), out)? {
            writeln!(out, "{:<8} {}{of}", verdict.as_str(), shown(spec))?;
            for line in self.lines(&schedule, &lints, next) {
                writeln!(out, "         {line}")?;
            }
        }
        Ok(verdict)
    }

    /// Writes an answer for programs. False if it is for people.
    fn wrote(&self, answer: Value, out: &mut impl Write) -> io::Result<bool> {
        let text = self.output.text(&answer);
        match text.map_err(|failure| io::Error::other(failure.text))? {
            Some(text) => writeln!(out, "{text}").map(|()| true),
            None => Ok(false),
        }
    }

    fn lines(&self, schedule: &Schedule, lints: &[Lint], next: Vec<String>) -> Vec<String> {
        let mut lines = vec![schedule.explain()];
        lines.extend(next.into_iter().map(|at| format!("next {at}")));
        lines.extend(lints.iter().map(|lint| {
            let verdict = Verdict::of(lint).as_str();
            format!("{verdict}: {lint}")
        }));
        lines
    }
}

/// An answer about a task's spec names the task.
fn with_task(mut answer: Value, task: &Option<String>) -> Value {
    if let (Some(answer), Some(task)) = (answer.as_object_mut(), task) {
        answer.insert("task".to_owned(), task.clone().into());
    }
    answer
}

fn cannot_read(error: io::Error) -> Failure {
    Failure::failed(format!("cannot read standard input: {error}"))
}
