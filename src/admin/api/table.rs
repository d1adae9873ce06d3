//! All there is in the API.

use std::future::Future;
use std::pin::Pin;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::admin::access::Right;
use crate::admin::api::{
    begin, calendar, feed, fleet, holder, openapi, preview, rule, runs, stream, tasks, wish,
};
use crate::admin::call::Call;
use crate::admin::reply::Answer;
use crate::board::{Event, Fire, Instance, Lock, Run, Summary, Task, Timeline, Why};

type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an answer has in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// Nothing.
    None,
    /// One value.
    One(SchemaOf),
    /// A page of a list.
    List(SchemaOf),
    /// Text of these kinds.
    Text(&'static [&'static str]),
}

/// One thing that can be asked.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Its name in the document.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// What whoever asks has to be allowed; `None` for everybody.
    pub(super) right: Option<Right>,
    pub(super) query: Option<SchemaOf>,
    pub(super) body: Option<SchemaOf>,
    pub(super) statuses: &'static [u16],
    pub(super) content: Content,
    /// Why it may not be done, beside what may happen everywhere.
    pub(super) problems: &'static [&'static str],
    pub(super) handler: Handler,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    const fn new(
        (method, path): (&'static str, &'static str),
        (id, summary): (&'static str, &'static str),
        right: Right,
        handler: Handler,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            right: Some(right),
            query: None,
            body: None,
            statuses: &[200],
            content: Content::None,
            problems: &[],
            handler,
        }
    }

    const fn get(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self::new(("GET", path), (id, summary), Right::View, handler)
    }

    const fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(schema::<T>);
        self
    }

    const fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(schema::<T>);
        self
    }

    const fn one<T: JsonSchema>(mut self) -> Self {
        self.content = Content::One(schema::<T>);
        self
    }

    const fn list<T: JsonSchema>(mut self) -> Self {
        self.content = Content::List(schema::<T>);
        self
    }

    const fn text(mut self, kinds: &'static [&'static str]) -> Self {
        self.content = Content::Text(kinds);
        self
    }

    const fn status(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    const fn may_be(mut self, problems: &'static [&'static str]) -> Self {
        self.problems = problems;
        self
    }

    const fn for_all(mut self) -> Self {
        self.right = None;
        self
    }

    /// Whether it changes anything.
    pub(super) fn changes(&self) -> bool {
        !matches!(self.right, None | Some(Right::View))
    }

    /// Headers that it heeds.
    pub(super) fn headers(&self) -> &'static [&'static str] {
        match (self.method, self.id) {
            ("POST", "run_task") => &["Idempotency-Key"],
            (_, "follow_events") => &["Last-Event-ID"],
            ("GET", _) => &["If-None-Match"],
            (
                _,
                "preview_schedule" | "cancel_run" | "drain" | "undrain" | "pause_all"
                | "resume_all",
            ) => &[],
            _ => &["If-Match"],
        }
    }
}

const NO_TASK: &[&str] = &["task-not-found"];
const NO_RUN: &[&str] = &["run-not-found", "no-history"];
const RULE: &[&str] = &["task-not-found", "precondition-failed", "no-fleet"];
const ALL_RULE: &[&str] = &["no-fleet"];

/// All there is.
pub(super) const ROUTES: &[Route] = &[
    Route::get(
        "/summary",
        "get_summary",
        "All of it in a few numbers and two sentences",
        |c| Box::pin(fleet::summary(c)),
    )
    .one::<Summary>(),
    Route::get("/tasks", "list_tasks", "Tasks, worst first", |c| {
        Box::pin(tasks::list(c))
    })
    .query::<tasks::TasksQuery>()
    .list::<Task>(),
    Route::get("/tasks/{task}", "get_task", "One task", |c| {
        Box::pin(tasks::one(c))
    })
    .one::<Task>()
    .may_be(NO_TASK),
    Route::get(
        "/tasks/{task}/fires",
        "list_fires",
        "Fire times to come",
        |c| Box::pin(tasks::fires(c)),
    )
    .query::<tasks::FiresQuery>()
    .list::<Fire>()
    .may_be(NO_TASK),
    Route::get(
        "/tasks/{task}/runs",
        "list_runs_of_task",
        "Runs of a task, newest first",
        |c| Box::pin(runs::of_task(c)),
    )
    .query::<runs::TaskRunsQuery>()
    .list::<Run>()
    .may_be(&["task-not-found", "no-history"]),
    Route::get(
        "/tasks/{task}/why",
        "explain",
        "Why a task ran at an instant, or did not",
        |c| Box::pin(tasks::why(c)),
    )
    .query::<tasks::WhyQuery>()
    .one::<Why>()
    .may_be(&["task-not-found", "no-history", "not-possible"]),
    Route::new(
        ("POST", "/tasks/{task}/runs"),
        ("run_task", "Has a task run now"),
        Right::Run,
        |c| Box::pin(begin::run(c)),
    )
    .body::<begin::RunBody>()
    .one::<begin::Begun>()
    .status(&[202])
    .may_be(&[
        "task-not-found",
        "instance-not-found",
        "already-running",
        "task-paused",
        "too-many-triggers",
        "draining",
        "not-possible",
        "not-taken",
        "no-fleet",
    ]),
    Route::new(
        ("PUT", "/tasks/{task}/pause"),
        ("pause_task", "Pauses a task"),
        Right::Pause,
        |c| Box::pin(rule::pause(c)),
    )
    .body::<rule::PauseBody>()
    .one::<Task>()
    .may_be(RULE),
    Route::new(
        ("DELETE", "/tasks/{task}/pause"),
        ("resume_task", "Ends the pause of a task"),
        Right::Pause,
        |c| Box::pin(rule::resume(c)),
    )
    .body::<wish::ReasonBody>()
    .status(&[204])
    .may_be(RULE),
    Route::new(
        ("PUT", "/tasks/{task}/override"),
        ("override_task", "Gives a task another schedule for a while"),
        Right::Override,
        |c| Box::pin(rule::override_spec(c)),
    )
    .body::<rule::OverrideBody>()
    .one::<Task>()
    .may_be(&[
        "task-not-found",
        "precondition-failed",
        "invalid-schedule",
        "no-fleet",
    ]),
    Route::new(
        ("DELETE", "/tasks/{task}/override"),
        ("reset_task", "Gives a task its code's schedule back"),
        Right::Override,
        |c| Box::pin(rule::reset(c)),
    )
    .body::<wish::ReasonBody>()
    .status(&[204])
    .may_be(RULE),
    Route::new(
        ("POST", "/tasks/{task}/skips"),
        ("skip_fires", "Skips the next fire times of a task"),
        Right::Pause,
        |c| Box::pin(rule::skip(c)),
    )
    .body::<rule::SkipBody>()
    .one::<rule::Skipped>()
    .status(&[201])
    .may_be(&[
        "task-not-found",
        "precondition-failed",
        "not-possible",
        "draining",
        "not-taken",
        "no-fleet",
    ]),
    #[cfg(feature = "dynamic")]
    Route::new(
        ("PUT", "/tasks/{task}"),
        ("save_task", "Saves a task that is defined at run time"),
        Right::Dynamic,
        |c| Box::pin(crate::admin::api::stored::save(c)),
    )
    .body::<crate::admin::api::stored::TaskBody>()
    .one::<crate::admin::api::stored::Kept>()
    .status(&[200, 201])
    .may_be(&[
        "owned-by-code",
        "no-handler-here",
        "precondition-failed",
        "invalid-schedule",
        "invalid-task",
        "no-fleet",
    ]),
    #[cfg(feature = "dynamic")]
    Route::new(
        ("DELETE", "/tasks/{task}"),
        ("delete_task", "Deletes a task that is defined at run time"),
        Right::Dynamic,
        |c| Box::pin(crate::admin::api::stored::delete(c)),
    )
    .body::<wish::ReasonBody>()
    .status(&[204])
    .may_be(&[
        "task-not-found",
        "owned-by-code",
        "precondition-failed",
        "no-fleet",
    ]),
    Route::get(
        "/runs",
        "list_runs",
        "Runs of all tasks, newest first",
        |c| Box::pin(runs::all(c)),
    )
    .query::<runs::RunsQuery>()
    .list::<Run>()
    .may_be(&["no-history"]),
    Route::get("/runs/{id}", "get_run", "One run", |c| {
        Box::pin(runs::one(c))
    })
    .one::<Run>()
    .may_be(NO_RUN),
    Route::get(
        "/runs/{id}/logs",
        "read_log",
        "What a run has logged; as events it follows the run",
        |c| Box::pin(stream::log(c)),
    )
    .query::<stream::LogQuery>()
    .text(&["application/x-ndjson", "text/plain", "text/event-stream"])
    .may_be(&["run-not-found", "no-history", "too-many-triggers"]),
    Route::new(
        ("POST", "/runs/{id}/cancel"),
        ("cancel_run", "Asks a run to end"),
        Right::Cancel,
        |c| Box::pin(begin::cancel(c)),
    )
    .body::<begin::CancelBody>()
    .one::<begin::Begun>()
    .status(&[202])
    .may_be(&[
        "run-not-found",
        "run-finished",
        "not-possible",
        "not-taken",
        "no-fleet",
    ]),
    Route::get(
        "/timeline",
        "get_timeline",
        "What was run and what is to come, by time",
        |c| Box::pin(fleet::timeline(c)),
    )
    .query::<fleet::TimelineQuery>()
    .one::<Timeline>(),
    Route::get(
        "/instances",
        "list_instances",
        "The instances of the fleet",
        |c| Box::pin(fleet::instances(c)),
    )
    .list::<Instance>(),
    Route::new(
        ("PUT", "/instances/{id}/drain"),
        ("drain", "Has an instance take no new firings"),
        Right::Drain,
        |c| Box::pin(holder::drain(c)),
    )
    .body::<wish::ReasonBody>()
    .one::<begin::Begun>()
    .status(&[202])
    .may_be(&["instance-not-found", "no-fleet"]),
    Route::new(
        ("DELETE", "/instances/{id}/drain"),
        ("undrain", "Has an instance take firings again"),
        Right::Drain,
        |c| Box::pin(holder::undrain(c)),
    )
    .body::<wish::ReasonBody>()
    .status(&[204])
    .may_be(&["instance-not-found", "no-fleet"]),
    Route::get("/locks", "list_locks", "Locks that are held", |c| {
        Box::pin(fleet::locks(c))
    })
    .list::<Lock>(),
    Route::new(
        ("DELETE", "/locks/{task}"),
        (
            "release_lock",
            "Takes a lock from its owner; If-Match has its fencing token",
        ),
        Right::ReleaseLock,
        |c| Box::pin(holder::unlock(c)),
    )
    .body::<holder::UnlockBody>()
    .status(&[204])
    .may_be(&[
        "task-not-found",
        "not-locked",
        "holder-lives",
        "precondition-failed",
        "not-possible",
        "not-taken",
        "draining",
        "no-fleet",
    ]),
    Route::new(
        ("PUT", "/pause"),
        ("pause_all", "Pauses all tasks"),
        Right::Pause,
        |c| Box::pin(rule::pause_all(c)),
    )
    .body::<rule::PauseBody>()
    .one::<Summary>()
    .may_be(ALL_RULE),
    Route::new(
        ("DELETE", "/pause"),
        ("resume_all", "Ends the pause of all tasks"),
        Right::Pause,
        |c| Box::pin(rule::resume_all(c)),
    )
    .body::<wish::ReasonBody>()
    .status(&[204])
    .may_be(ALL_RULE),
    Route::new(
        ("POST", "/schedule/preview"),
        ("preview_schedule", "What a schedule means"),
        Right::View,
        |c| Box::pin(preview::preview(c)),
    )
    .body::<preview::PreviewBody>()
    .one::<preview::Preview>()
    .may_be(&["invalid-schedule", "too-many-triggers"]),
    Route::get(
        "/activity",
        "list_activity",
        "What happened, newest first",
        |c| Box::pin(feed::activity(c)),
    )
    .query::<feed::ActivityQuery>()
    .list::<Event>(),
    Route::get(
        "/events",
        "follow_events",
        "What changes, as it does",
        |c| Box::pin(stream::events(c)),
    )
    .text(&["text/event-stream"])
    .may_be(&["too-many-triggers"]),
    Route::get(
        "/calendar.ics",
        "get_calendar",
        "Fire times to come, for calendars",
        |c| Box::pin(calendar::calendar(c)),
    )
    .query::<calendar::CalendarQuery>()
    .text(&["text/calendar"])
    .may_be(NO_TASK),
    Route::get("/openapi.json", "get_openapi", "This document", |c| {
        Box::pin(openapi::document(c))
    })
    .text(&["application/json"]),
    Route::get(
        "/livez",
        "get_livez",
        "Whether the process should go on",
        |c| Box::pin(fleet::livez(c)),
    )
    .for_all()
    .query::<fleet::ProbeQuery>()
    .status(&[200, 503])
    .text(&["text/plain", "application/json"]),
    Route::get(
        "/readyz",
        "get_readyz",
        "Whether the instance does its part",
        |c| Box::pin(fleet::readyz(c)),
    )
    .for_all()
    .query::<fleet::ProbeQuery>()
    .status(&[200, 503])
    .text(&["text/plain", "application/json"]),
];
