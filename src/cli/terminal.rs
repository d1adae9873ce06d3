//! Where answers are shown: how wide it is, and whether it has colours.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::cli::when;
use crate::text::contained_line;
use crate::time::{Clock, SystemClock};

/// What a terminal is taken for that does not say how wide it is.
const USUAL_WIDTH: usize = 80;
/// What is narrower is taken for this.
const LEAST_WIDTH: usize = 40;

/// How text is shown on standard output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terminal {
    /// In columns; as wide as one likes if there is none.
    pub(crate) width: Option<usize>,
    pub(crate) has_colour: bool,
}

/// What is said by a colour beside a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    None,
    Good,
    Bad,
    Warning,
    Busy,
    Dim,
}

impl Terminal {
    /// Standard output: a file and a pipe have neither width nor colour.
    pub(crate) fn stdout() -> Self {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Self::default();
        }
        Self {
            width: Some(width(&out).unwrap_or(USUAL_WIDTH).max(LEAST_WIDTH)),
            has_colour: has_colour(),
        }
    }

    /// A text in a colour, if there are colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            _ if !self.has_colour || text.is_empty() => return text.to_owned(),
            Colour::None => return text.to_owned(),
            Colour::Good => "32",
            Colour::Bad => "31",
            Colour::Warning => "33",
            Colour::Busy => "36",
            Colour::Dim => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Colour {
    /// That of a word which says how something is.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "healthy" | "success" | "ok" | "ready" => Colour::Good,
            "failing" | "overdue" | "failure" | "failed" | "timeout" | "panicked" | "abandoned"
            | "lease_lost" | "error" | "lost" => Colour::Bad,
            "late" | "paused" | "warning" | "draining" | "stopping" | "cancelled" => {
                Colour::Warning
            }
            "running" => Colour::Busy,
            "disabled" | "new" => Colour::Dim,
            _ => Colour::None,
        }
    }
}

/// `NO_COLOR`, if it says anything at all: <https://no-color.org>.
fn has_colour() -> bool {
    let says = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    says("NO_COLOR").is_none() && says("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(unix)]
fn width(out: &std::io::Stdout) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn width(_: &std::io::Stdout) -> Option<usize> {
    None
}

/// A line on standard error that says what is waited for, and how long; on a terminal only, and gone
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    is_terminal: bool,
    is_shown: bool,
    since: Duration,
}

impl Waiting {
    pub(crate) fn begin() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            is_shown: false,
            since: SystemClock.monotonic(),
        }
    }

    /// How long it has been.
    pub(crate) fn waited(&self) -> Duration {
        SystemClock.monotonic().saturating_sub(self.since)
    }

    pub(crate) fn show(&mut self, what: &str) {
        if !self.is_terminal {
            return;
        }
        let what = contained_line(what, LEAST_WIDTH + 20);
        let line = format!("\r\u{1b}[K{what} {}", when::length(self.waited()));
        let mut err = std::io::stderr();
        let _ = err.write_all(line.as_bytes());
        let _ = err.flush();
        self.is_shown = true;
    }

    /// Takes it away, so that something else can be said.
    pub(crate) fn clear(&mut self) {
        if self.is_shown {
            let mut err = std::io::stderr();
            let _ = err.write_all(b"\r\x1b[K");
            let _ = err.flush();
            self.is_shown = false;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}
