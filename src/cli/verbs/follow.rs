//! A run as it goes on: what it logs, and how it ends.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::board::Run;
use crate::cli::fleet::{Fleet, Line};
use crate::cli::format::{Format, say};
use crate::cli::status::{Failure, Status};
use crate::cli::terminal::{Colour, Terminal, Waiting};
use crate::cli::when;
use crate::event::Outcome;
use crate::task::RunId;
use crate::text::contained_line;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a run may take to be known that was asked for.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// How long what it logged last may take to be written.
const LINES_WITHIN: Duration = Duration::from_millis(1_500);
/// The longest line, in bytes.
const LONGEST: usize = 8 * 1024;

/// How a run is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Follow {
    /// For how long at the most.
    pub(crate) timeout: Option<Duration>,
    /// It may wait for another run to end first.
    pub(crate) may_wait: bool,
    /// How lines are written.
    pub(crate) format: Format,
    /// Lines are not written.
    pub(crate) is_silent: bool,
    /// Only those that were logged since then are.
    pub(crate) since: Option<DateTime<Utc>>,
}

impl Follow {
    /// Shows what a run logs until it has ended.
    pub(crate) async fn run(&self, fleet: &dyn Fleet, id: RunId) -> Result<Run, Failure> {
        let mut waiting = Waiting::begin();
        let mut last = 0;
        loop {
            let run = fleet.run(id).await?;
            if run.is_some() && !self.is_silent {
                let mut lines = fleet.lines(id, last).await?;
                if let Some(line) = lines.last() {
                    last = line.number;
                    waiting.clear();
                }
                lines.retain(|line| self.since.is_none_or(|since| line.at.0 >= since));
                show(&lines, self.format)?;
            }
            let text = match run {
                Some(run) if run.outcome.is_some() => {
                    if !self.is_silent {
                        self.rest(fleet, id, last).await?;
                    }
                    return Ok(run);
                }
                Some(run) => how_far(&run),
                None if !self.may_wait && waiting.waited() > KNOWN_WITHIN => {
                    let text = format!(
                        "nothing is known of run {id} after {}: the instance may have died, or the fleet keeps no history",
                        when::length(KNOWN_WITHIN)
                    );
                    return Err(Failure::new(Status::TimedOut, text));
                }
                None => "waits to start".to_owned(),
            };
            if self
                .timeout
                .is_some_and(|timeout| waiting.waited() >= timeout)
            {
                let text = format!("run {id} goes on after {}", when::length(waiting.waited()));
                return Err(Failure::new(Status::TimedOut, text));
            }
            waiting.show(&text);
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Follow {
    /// What it logged at its end: instances write such lines a moment after they have written how it ended.
    async fn rest(&self, fleet: &dyn Fleet, id: RunId, last: u64) -> Result<(), Failure> {
        let waiting = Waiting::begin();
        loop {
            let lines = fleet.lines(id, last).await?;
            show(&lines, self.format)?;
            if !lines.is_empty() || waiting.waited() > LINES_WITHIN {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What it says of itself.
fn how_far(run: &Run) -> String {
    let progress = run
        .progress
        .as_ref()
        .map(|progress| format!(" {}/{}", progress.done, progress.total));
    let status = run.status.as_ref().map(|status| format!(" {status}"));
    format!(
        "running{}{}",
        progress.unwrap_or_default(),
        status.unwrap_or_default()
    )
}

/// How it ended, in a sentence.
pub(crate) fn ended(run: &Run) -> String {
    let terminal = Terminal::stdout();
    let word = run.outcome.map_or("running", Outcome::as_str);
    let took = run
        .duration_s
        .map(|s| format!(" in {}", when::took(s)))
        .unwrap_or_default();
    let error = run
        .error
        .as_ref()
        .map(|error| format!(": {}", contained_line(&error.message, LONGEST)));
    let word = terminal.paint(Colour::of(word), word);
    format!("{word}{took}{}", error.unwrap_or_default())
}

/// Lines, as people or programs read them.
pub(crate) fn show(lines: &[Line], format: Format) -> Result<(), Failure> {
    let terminal = Terminal::stdout();
    for line in lines {
        if format.wrote(line)? {
            continue;
        }
        let colour = match line.level.as_str() {
            "ERROR" => Colour::Bad,
            "WARN" => Colour::Warning,
            "INFO" => Colour::Good,
            _ => Colour::Dim,
        };
        let level = format!("{:<5}", contained_line(&line.level, 8));
        say(format_args!(
            "{}  {}  {}",
            line.at.0.format("%H:%M:%S%.3f"),
            terminal.paint(colour, &level),
            contained_line(&line.text, LONGEST)
        ));
    }
    Ok(())
}
