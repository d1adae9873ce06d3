//! `tasklock check`: what specs mean, and what is wrong with them.

use std::io::{self, BufRead, Write};

use clap::{Args, ValueEnum};
use serde_json::json;
use tasklock::{Lint, Schedule};

use super::FAILED;
use super::answer::{fire_times, shown, spec_error};
use super::question::Question;

/// Explain specs, and find those that are wrong, never fire, or meet a change of the clock
///
/// Exit status: 0 if there is no error, 1 if there is one; a spec that is refused and one that never
/// fires are errors. Made for CI: keep the specs of a service in a file and check them on each change.
#[derive(Debug, Args)]
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

    /// How to write the answer: for people, or a line of JSON for each spec
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Output,

    /// The specs, each in quotes; `-` reads one from each line of standard input, without those that
    /// are empty or start with `#`
    #[arg(required = true)]
    specs: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
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
    pub(crate) fn run(mut self) -> io::Result<u8> {
        // All specs are asked about from the same moment.
        self.question.after = Some(self.question.after());
        let mut out = io::BufWriter::new(io::stdout().lock());
        let (mut checked, mut errors, mut warnings) = (0, 0, 0);
        for spec in self.specs()? {
            checked += 1;
            match self.check(&spec, &mut out)? {
                Verdict::Ok => {}
                Verdict::Warning => warnings += 1,
                Verdict::Error => errors += 1,
            }
        }
        if matches!(self.output, Output::Text) {
            writeln!(
                out,
                "specs: {checked}, errors: {errors}, warnings: {warnings}"
            )?;
        }
        out.flush()?;
        let has_failed = errors > 0 || self.deny_warnings && warnings > 0;
        Ok(if has_failed { FAILED } else { 0 })
    }

    fn specs(&self) -> io::Result<Vec<String>> {
        let mut specs = Vec::new();
        for spec in &self.specs {
            if spec != "-" {
                specs.push(spec.clone());
                continue;
            }
            for line in io::stdin().lock().lines() {
                let line = line?;
                if !line.trim().is_empty() && !line.starts_with('#') {
                    specs.push(line);
                }
            }
        }
        Ok(specs)
    }

    fn check(&self, spec: &str, out: &mut impl Write) -> io::Result<Verdict> {
        let schedule = match self.question.read(spec) {
            Ok(schedule) => schedule,
            Err(error) => {
                match self.output {
                    Output::Text => {
                        writeln!(out, "error    {}", shown(spec))?;
                        for line in error.to_string().lines() {
                            writeln!(out, "         {line}")?;
                        }
                    }
                    Output::Json => {
                        let error = spec_error(&error);
                        let answer = json!({ "spec": spec, "verdict": "error", "error": error });
                        writeln!(out, "{answer}")?;
                    }
                }
                return Ok(Verdict::Error);
            }
        };
        let after = self.question.after();
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
        match self.output {
            Output::Text => {
                writeln!(out, "{:<8} {}", verdict.as_str(), shown(spec))?;
                for line in self.lines(&schedule, &lints, next) {
                    writeln!(out, "         {line}")?;
                }
            }
            Output::Json => {
                let lints: Vec<_> = lints
                    .iter()
                    .map(|lint| json!({ "lint": lint.as_str(), "message": lint.to_string() }))
                    .collect();
                let answer = json!({
                    "spec": spec,
                    "verdict": verdict.as_str(),
                    "explain": schedule.explain(),
                    "tz": schedule.timezone().name(),
                    "next": next,
                    "lints": lints,
                });
                writeln!(out, "{answer}")?;
            }
        }
        Ok(verdict)
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
