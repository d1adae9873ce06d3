//! Why a request was not done: RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::control::{Refusal, Refused};
use crate::error::{Error, ErrorKind};
use crate::text::contained;

/// Where the kinds of problems are explained.
const TYPES: &str = "https://docs.rs/crate/tasklock/latest/source/docs/problems.md#";

/// Every problem there is: its code, its status, its title.
pub(super) const PROBLEMS: &[(&str, u16, &str)] = &[
    ("malformed-request", 400, "The request cannot be read"),
    ("unauthenticated", 401, "Who you are is not known"),
    ("forbidden", 403, "You may not do this"),
    ("cross-site", 403, "The request comes from another site"),
    ("not-found", 404, "There is no such address"),
    ("task-not-found", 404, "There is no such task"),
    ("run-not-found", 404, "There is no such run"),
    ("instance-not-found", 404, "There is no such instance"),
    ("not-locked", 404, "The task is not locked"),
    (
        "method-not-allowed",
        405,
        "This cannot be done at this address",
    ),
    ("already-running", 409, "The task is already running"),
    ("task-paused", 409, "The task is paused"),
    ("run-finished", 409, "The run has ended"),
    ("owned-by-code", 409, "The name belongs to code"),
    ("no-handler-here", 409, "No such kind of work is known"),
    ("holder-lives", 409, "Who has the lock lives"),
    ("not-possible", 409, "There is no such thing for this task"),
    (
        "precondition-failed",
        412,
        "It is not any more as you have seen it",
    ),
    ("too-large", 413, "The request is too large"),
    (
        "unsupported-media-type",
        415,
        "The request is in a form that is not read here",
    ),
    ("invalid-schedule", 422, "The schedule cannot be read"),
    ("invalid-task", 422, "The task cannot be as it is said"),
    ("too-many-triggers", 429, "Too many requests"),
    ("internal", 500, "Something broke"),
    ("no-fleet", 501, "The scheduler has no fleet"),
    ("no-history", 501, "The scheduler has no history"),
    ("backend-unavailable", 503, "A store does not answer"),
    ("draining", 503, "The instance takes nothing on"),
    ("not-taken", 503, "No instance took it in time"),
];

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    code: &'static str,
    detail: String,
    extra: Map<String, Value>,
    retry_after: Option<u32>,
}

impl Problem {
    /// One of the list, with what it is about.
    pub(super) fn new(code: &'static str, detail: impl AsRef<str>) -> Self {
        Self {
            code,
            detail: contained(detail.as_ref(), 2_000),
            extra: Map::new(),
            retry_after: None,
        }
    }

    /// With one more member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// With the place in the request that is wrong.
    pub(super) fn at(
        self,
        pointer: &str,
        detail: impl AsRef<str>,
        position: Option<usize>,
    ) -> Self {
        let mut error = json!({ "pointer": pointer, "detail": contained(detail.as_ref(), 500) });
        if let (Some(position), Some(error)) = (position, error.as_object_mut()) {
            error.insert("position".to_owned(), position.into());
        }
        self.with("errors", vec![error])
    }

    /// To be asked again after so many seconds.
    pub(super) fn again_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    fn facts(&self) -> (u16, &'static str) {
        let found = PROBLEMS.iter().find(|(code, ..)| *code == self.code);
        found.map_or((500, "Something broke"), |(_, status, title)| {
            (*status, title)
        })
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.facts().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    #[allow(dead_code)] // told by pages
    pub(super) fn title(&self) -> &'static str {
        self.facts().1
    }

    #[allow(dead_code)] // told by pages
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// What is not to be done, as an instance has refused it.
    pub(super) fn refused(refused: &Refused) -> Self {
        let (code, wait) = match refused.why {
            Refusal::AlreadyRunning => ("already-running", None),
            Refusal::Paused => ("task-paused", None),
            Refusal::NoSuchTask => ("task-not-found", None),
            Refusal::Draining => ("draining", Some(5)),
            Refusal::Limited => ("too-many-triggers", Some(5)),
            Refusal::StoreDown => ("backend-unavailable", Some(1)),
            Refusal::TokenMovedOn => ("precondition-failed", None),
            Refusal::NotLocked => ("not-locked", None),
            Refusal::HolderLives => ("holder-lives", None),
            Refusal::NotPossible => ("not-possible", None),
        };
        let mut problem =
            Self::new(code, &refused.text).with("instance_id", refused.instance.clone());
        problem.retry_after = wait;
        problem
    }

    /// The answer. `instance` is the path that was asked for.
    pub(super) fn answer(&self, instance: &str, request_id: &str) -> Response {
        let (status, title) = self.facts();
        let mut body = self.extra.clone();
        for (name, value) in [
            ("type", format!("{TYPES}{}", self.code).into()),
            ("title", title.into()),
            ("status", Value::from(status)),
            ("detail", self.detail.as_str().into()),
            ("instance", contained(instance, 500).into()),
            ("code", self.code.into()),
            ("request_id", request_id.into()),
        ] {
            body.insert(name.to_owned(), value);
        }
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status(), kind, Value::Object(body).to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Some(spec) = error.spec_error() {
            let problem = Self::new("invalid-schedule", spec.to_string());
            return problem.at("/cron", spec.reason(), Some(spec.column()));
        }
        match error.kind() {
            ErrorKind::InvalidSpec => Self::new("invalid-schedule", error.to_string()),
            ErrorKind::InvalidTask => Self::new("invalid-task", error.to_string()),
            ErrorKind::InvalidName | ErrorKind::InvalidConfig => {
                Self::new("malformed-request", error.to_string())
            }
            ErrorKind::DuplicateTask => Self::new("owned-by-code", error.to_string()),
            kind => {
                // What broke is for the log: it may name addresses.
                tracing::warn!(target: "tasklock", event = "admin.failed", error = %error,
                    "A request of the page or its API was not done");
                match error.is_transient() {
                    true => Self::new("backend-unavailable", "a store does not answer: try again")
                        .again_after(1),
                    false if kind == ErrorKind::StoreDenied => {
                        Self::new("backend-unavailable", "a store refuses us: see the log")
                            .again_after(30)
                    }
                    false => Self::new("internal", "something broke: see the log"),
                }
            }
        }
    }
}
