//! What a cron of its own logs, and where: standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::history::RunLogLayer;

/// The environment's name for what is logged; it goes before the file.
const VARIABLE: &str = "TASKLOCK_LOG";

/// Begins to log, by what the environment or the file says. The layer hears what runs log.
pub(super) fn begin(wanted: Option<&str>, runs: &RunLogLayer) -> Result<(), String> {
    let asked = std::env::var(VARIABLE).ok();
    let (filter, key) = match (&asked, wanted) {
        (Some(asked), _) => (asked.as_str(), VARIABLE),
        (None, Some(wanted)) => (wanted, "log"),
        (None, None) => ("info", "log"),
    };
    let filter = read(filter).ok_or_else(|| {
        format!("{key}: it is no filter: write info, or info,tasklock=debug")
    })?;
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        // A log that cannot be written is no reason to stop: its own complaint could not be either.
        .log_internal_errors(false)
        .with_filter(filter);
    let begun = tracing_subscriber::registry()
        .with(lines)
        .with(runs.clone())
        .try_init();
    // Somebody else may log in this process: then his log is ours.
    drop(begun);
    Ok(())
}

/// A filter, if the text is one.
fn read(text: &str) -> Option<Targets> {
    text.parse().ok()
}
