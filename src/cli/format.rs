//! How answers are written.

use std::io::Write;

use serde::Serialize;

use crate::cli::status::Failure;

/// For people, or for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs; its shape stays
    Json,
}

/// An answer for people, or for programs.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

impl Output {
    pub(crate) fn is_json(self) -> bool {
        self.output == Format::Json
    }
}

/// A line for whoever called. That nobody reads it is no reason to stop.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Text that has its ends of lines already.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A line for people, beside the answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A value as JSON: on one line of its own.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|e| Failure::failed(format!("the answer is no JSON: {e}")))?;
    say(text);
    Ok(())
}
