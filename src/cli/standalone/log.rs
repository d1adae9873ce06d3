//! What a cron of its own logs, and where: standard error.

use std::fmt::{self, Debug};
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::history::RunLogLayer;
use crate::text::contained_line;

/// The environment's name for what is logged; it goes before the file.
const VARIABLE: &str = "TASKLOCK_LOG";

/// The longest value in a line, in bytes.
const LONGEST: usize = 16 << 10;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// For programs: an object of JSON on each line
    Json,
}

/// Begins to log, by what the environment or the file says. The layer hears what runs log.
pub(super) fn begin(
    wanted: Option<&str>,
    format: LogFormat,
    runs: &RunLogLayer,
) -> Result<(), String> {
    let asked = std::env::var(VARIABLE).ok();
    let (filter, key) = match (&asked, wanted) {
        (Some(asked), _) => (asked.as_str(), VARIABLE),
        (None, Some(wanted)) => (wanted, "log"),
        (None, None) => ("info", "log"),
    };
    let filter = read(filter)
        .ok_or_else(|| format!("{key}: it is no filter: write info, or info,tasklock=debug"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A log that cannot be written is no reason to stop: its own complaint could not be either.
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => {
            let is_coloured =
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.fmt_fields(Short).with_ansi(is_coloured).boxed()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines.with_current_span(false).boxed()
        }
    };
    let lines = lines.with_filter(filter);
    let begun = tracing_subscriber::registry()
        .with(lines)
        .with(runs.clone())
        .try_init();
    // Somebody else may log in this process: then his log is ours.
    drop(begun);
    Ok(())
}

/// Of a run's span the task and the run, which tell whose output a line is; what else it has is for
/// traces.
struct Short;

impl<'w> FormatFields<'w> for Short {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            is_begun: false,
            written: Ok(()),
        };
        fields.record(&mut line);
        line.written
    }

    fn add_fields(&self, _: &'w mut FormattedFields<Self>, _: &Record<'_>) -> fmt::Result {
        // What becomes known of a run is in its events.
        Ok(())
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_begun: bool,
    written: fmt::Result,
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        let is_of_span = name.contains('.') && !matches!(name, "task.name" | "task.run_id");
        if is_of_span || self.written.is_err() {
            return;
        }
        let value = contained_line(&format!("{value:?}"), LONGEST);
        let blank = if self.is_begun { " " } else { "" };
        self.is_begun = true;
        self.written = match name {
            "message" => write!(self.writer, "{blank}{value}"),
            name => write!(self.writer, "{blank}{name}={value}"),
        };
    }
}

/// A filter, if the text is one.
fn read(text: &str) -> Option<Targets> {
    text.parse().ok()
}
