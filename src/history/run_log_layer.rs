//! From events of `tracing` to lines of runs: [`RunLogLayer`].

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::history::RunLogs;
use crate::history::log_buffer::{Line, RunLog};
use crate::history::redact::{REDACTED, is_secret};
use crate::task::{RunId, TaskName};
use crate::text::{contained, contained_line};

/// The longest line, in bytes.
const LONGEST_LINE: usize = 8 << 10;

/// Keeps what runs log by `tracing` in the [history](crate::History), beside their records: the last
/// 200 lines of each, at most 64 KiB.
///
/// Make it part of the subscriber, and give a clone to the scheduler:
///
/// ```
/// use tasklock::{MemoryHistory, MemoryLock, RunLogLayer, Scheduler};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let logs = RunLogLayer::new();
/// let subscriber = tracing_subscriber::registry().with(logs.clone());
/// // … tracing::subscriber::set_global_default(subscriber) …
/// let scheduler = Scheduler::builder()
///     .lock(MemoryLock::new())
///     .history(MemoryHistory::new())
///     .run_logs(&logs)
///     .build()?;
/// # drop(subscriber);
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// A line belongs to a run if its event is within the run's span: what the task's own future logs, and
/// what it spawns with its span (`.instrument(Span::current())`). Values of fields that by their names
/// are secrets (`password`, `token`, `api_key`, …) are `•••`; what stands in a message is kept as it is.
#[derive(Clone)]
pub struct RunLogLayer {
    logs: RunLogs,
    level: Level,
    without: Arc<HashSet<String>>,
    secrets: Arc<HashSet<String>>,
}

impl Default for RunLogLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl RunLogLayer {
    /// A layer that keeps lines of the levels `INFO`, `WARN` and `ERROR` of all tasks.
    pub fn new() -> Self {
        Self {
            logs: RunLogs::default(),
            level: Level::INFO,
            without: Arc::default(),
            secrets: Arc::default(),
        }
    }

    /// Keeps lines of this level and those above it. Default: `INFO`.
    #[must_use]
    pub fn level(mut self, least: Level) -> Self {
        self.level = least;
        self
    }

    /// Keeps nothing of a task.
    #[must_use]
    pub fn without(mut self, task: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.without).insert(task.into());
        self
    }

    /// One more name of fields that are secrets.
    #[must_use]
    pub fn secret(mut self, field: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.secrets).insert(field.into());
        self
    }

    pub(crate) fn logs(&self) -> &RunLogs {
        &self.logs
    }
}

impl<S> Layer<S> for RunLogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.name() != "task_run" || metadata.target() != "tasklock" {
            return;
        }
        let mut names = Names::default();
        attributes.record(&mut names);
        let (Some(task), Some(run_id)) = (names.task, names.run_id) else {
            return;
        };
        if self.without.contains(task.as_str()) {
            return;
        }
        if let Some(log) = self.logs.begin(run_id, task)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(log);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        // What the engine says of a run is in its record.
        if *metadata.level() > self.level || metadata.target() == "tasklock" {
            return;
        }
        let scope = context.event_scope(event).into_iter().flatten();
        let log = scope
            .filter_map(|span| span.extensions().get::<Arc<RunLog>>().cloned())
            .next();
        let Some(log) = log else {
            return;
        };
        let mut text = Text {
            secrets: &self.secrets,
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut text);
        let line = Line {
            level: metadata.level().as_str(),
            target: contained_line(metadata.target(), 256),
            text: text.joined(),
        };
        self.logs.add(&log, line);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(log) = span.extensions().get::<Arc<RunLog>>()
        {
            self.logs.end(log);
        }
    }
}

/// Which run a span is about.
#[derive(Default)]
struct Names {
    task: Option<TaskName>,
    run_id: Option<RunId>,
}

impl Visit for Names {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "task.name" => self.task = format!("{value:?}").parse().ok(),
            "task.run_id" => self.run_id = format!("{value:?}").parse().ok(),
            _ => {}
        }
    }
}

/// An event as text.
struct Text<'a> {
    secrets: &'a HashSet<String>,
    message: String,
    fields: String,
}

impl Text<'_> {
    fn add(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if name == "message" {
            self.message = bounded(value);
        } else if self.fields.len() < LONGEST_LINE {
            let is_secret = is_secret(name) || self.secrets.contains(name);
            let value = match is_secret {
                true => REDACTED.to_owned(),
                false => bounded(value),
            };
            let _ = write!(self.fields, " {name}={value}");
        }
    }

    fn joined(self) -> String {
        contained((self.message + &self.fields).trim_start(), LONGEST_LINE)
    }
}

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &format_args!("{value}"));
    }
}

/// A value's text, of which no more is made than is kept.
fn bounded(value: &dyn fmt::Debug) -> String {
    struct Most(String);
    impl Write for Most {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(&contained(text, LONGEST_LINE));
            match self.0.len() > LONGEST_LINE {
                // Whoever writes hears that there is no use in more.
                true => Err(fmt::Error),
                false => Ok(()),
            }
        }
    }
    let mut kept = Most(String::new());
    let _ = write!(kept, "{value:?}");
    kept.0
}

impl fmt::Debug for RunLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLogLayer")
            .field("level", &self.level)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}
