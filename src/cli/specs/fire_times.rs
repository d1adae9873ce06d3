//! The fire times of a spec that nobody need have registered.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Value, json};

use crate::cli::format::Format;
use crate::cli::specs::answer::{fire_times, spec_error};
use crate::cli::specs::question::{self, Dst, Question};
use crate::cli::status::{Failure, Status};

/// The longest line that `--stdin` reads. A spec has at most 1 024 bytes.
const LONGEST_LINE: u64 = 64 * 1024;
/// The most fire times of one answer.
pub(crate) const MOST: i64 = 1_000_000;

/// What is asked of one spec, or of those on standard input.
#[derive(Debug, Clone)]
pub(crate) struct FireTimes {
    pub(crate) question: Question,
    pub(crate) count: usize,
    /// How the answer about one spec is written.
    pub(crate) format: Format,
}

impl FireTimes {
    /// Answers about one spec, or about a line of standard input after the other.
    pub(crate) fn run(&self, spec: Option<&str>) -> Result<Status, Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let answered = match spec {
            Some(spec) => self.answer(spec, &mut out),
            None => self.answer_lines(io::stdin().lock(), &mut out),
        };
        match answered.and_then(|status| out.flush().map(|()| status)) {
            Ok(status) => Ok(status),
            // Whoever read us has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Status::Done),
            Err(error) => Err(Failure::failed(error.to_string())),
        }
    }

    fn answer(&self, spec: &str, out: &mut impl Write) -> io::Result<Status> {
        if self.format.is_data() {
            let (answer, status) = told(spec, &self.question, self.count);
            let text = self.format.text(&answer);
            let text = text.map_err(|failure| io::Error::other(failure.text))?;
            writeln!(out, "{}", text.unwrap_or_default())?;
            return Ok(status);
        }
        let schedule = match self.question.read(spec) {
            Ok(schedule) => schedule,
            Err(error) => {
                eprintln!("{error}");
                return Ok(Status::Usage);
            }
        };
        let mut printed = 0;
        for at in fire_times(&schedule, self.question.after(), self.count) {
            writeln!(out, "{at}")?;
            printed += 1;
        }
        if schedule.delay().is_some() {
            eprintln!("note: as if each run took no time and the last one ended at --after");
        } else if schedule.is_startup() {
            eprintln!("note: fires at each start of an instance");
        }
        if printed < self.count {
            writeln!(out, "never")?;
            return Ok(Status::NotFound);
        }
        Ok(Status::Done)
    }

    fn answer_lines(&self, mut input: impl BufRead, out: &mut impl Write) -> io::Result<Status> {
        let mut line = Vec::new();
        while read_line(&mut input, &mut line)? {
            let answer = match std::str::from_utf8(&line) {
                _ if line.len() as u64 > LONGEST_LINE => {
                    refused(format!("the line is longer than {LONGEST_LINE} bytes"))
                }
                Err(error) => refused(format!("the line is not UTF-8: {error}")),
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => self.answer_line(text).unwrap_or_else(refused),
            };
            writeln!(out, "{answer}")?;
            out.flush()?;
        }
        Ok(Status::Done)
    }

    /// Answers one line; an error says what is wrong with it as a question.
    fn answer_line(&self, line: &str) -> Result<Value, String> {
        let mut question = self.question.clone();
        let mut count = self.count;
        let spec = if line.trim_start().starts_with('{') {
            let asked: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
            let text = |key: &str| match asked.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(_) => Err(format!("{key:?} is not a string")),
            };
            let of = |key: &'static str| move |why: String| format!("{key:?}: {why}");
            if let Some(after) = text("after")? {
                question.after = Some(question::instant(&after).map_err(of("after"))?);
            }
            if let Some(tz) = text("tz")? {
                question.tz = Some(question::zone(&tz).map_err(of("tz"))?);
            }
            if let Some(dst) = text("dst")? {
                question.dst = <Dst as clap::ValueEnum>::from_str(&dst, false)
                    .map_err(|_| "\"dst\": neither run-once nor robfig".to_owned())?;
            }
            if let Some(asked) = asked.get("count") {
                let asked = asked.as_i64().filter(|n| (1..=MOST).contains(n));
                let asked = asked.ok_or_else(|| format!("\"count\" is not 1 to {MOST}"))?;
                count = usize::try_from(asked).unwrap_or(usize::MAX);
            }
            text("spec")?.ok_or("\"spec\" is missing")?
        } else {
            line.to_owned()
        };
        Ok(told(&spec, &question, count).0)
    }
}

/// What is said of a spec to programs, and whether all that was asked for could be.
fn told(spec: &str, question: &Question, count: usize) -> (Value, Status) {
    match question.read(spec) {
        Ok(schedule) => {
            let next: Vec<String> = fire_times(&schedule, question.after(), count).collect();
            let never = next.len() < count;
            let zone = schedule.timezone().name();
            let answer = json!({ "spec": spec, "tz": zone, "next": next, "never": never });
            (
                answer,
                if never {
                    Status::NotFound
                } else {
                    Status::Done
                },
            )
        }
        Err(error) => {
            let answer = json!({ "spec": spec, "error": spec_error(&error) });
            (answer, Status::Usage)
        }
    }
}

fn refused(why: String) -> Value {
    json!({ "error": { "message": why, "kind": "Question" } })
}

/// Reads one line without its end, of a line that is too long one byte more than the limit. False
/// at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input
        .by_ref()
        .take(LONGEST_LINE + 1)
        .read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > LONGEST_LINE {
        // The rest of it.
        let mut rest = Vec::new();
        while !rest.ends_with(b"\n") {
            rest.clear();
            if input
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut rest)?
                == 0
            {
                break;
            }
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(read > 0)
}
