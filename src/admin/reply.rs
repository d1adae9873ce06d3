//! What a handler answers.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::admin::problem::Problem;
use crate::board::Task;

/// What a handler answers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Response,
    /// The page that shows what was done, as a path below the base.
    pub(super) page: String,
}

/// What a handler answers, or why not.
pub(super) type Answer = Result<Reply, Problem>;

/// Items of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// For the query parameter `cursor` of the next page; `null` on the last one.
    pub(super) next_cursor: Option<String>,
    /// Since when this is old; `null` if it is not.
    pub(super) stale_since: Option<crate::board::Stamp>,
}

impl Reply {
    pub(super) fn of(response: impl IntoResponse) -> Self {
        Self {
            response: response.into_response(),
            page: "/".to_owned(),
        }
    }

    /// JSON, with a tag that tells whether it has changed.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
        Self::tagged(status, body, "0")
    }

    /// The same; `settings` is a tag of what people can change of it.
    pub(super) fn tagged(status: StatusCode, body: &impl Serialize, settings: &str) -> Answer {
        let text = serde_json::to_string(body).map_err(|e| {
            tracing::error!(target: "tasklock", event = "admin.failed", error = %e,
                "An answer could not be written");
            Problem::new("internal", "something broke: see the log")
        })?;
        let tag = format!("\"{settings}-{:016x}\"", hash(&text));
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut reply = Self::of((status, kind, text));
        reply.set(header::ETAG, &tag);
        reply.set(header::CACHE_CONTROL, "no-store");
        Ok(reply)
    }

    pub(super) fn ok(body: &impl Serialize) -> Answer {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn none() -> Answer {
        Ok(Self::of(StatusCode::NO_CONTENT))
    }

    /// With the page that shows it.
    pub(super) fn shown_at(mut self, page: impl Into<String>) -> Self {
        self.page = page.into();
        self
    }

    pub(super) fn set(&mut self, name: header::HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().insert(name, value);
        }
    }

    /// Nothing, if whoever asks has it already.
    pub(super) fn unless_known(mut self, request: &HeaderMap) -> Self {
        let known = request
            .get(header::IF_NONE_MATCH)
            .and_then(|tag| tag.to_str().ok());
        let tag = self
            .response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok());
        let is_known = known.zip(tag).is_some_and(|(known, tag)| {
            known
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/") == tag)
        });
        if is_known && self.response.status() == StatusCode::OK {
            *self.response.status_mut() = StatusCode::NOT_MODIFIED;
            *self.response.body_mut() = Body::empty();
            self.response.headers_mut().remove(header::CONTENT_TYPE);
            self.response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        self
    }
}

/// A tag of what people can change of a task: its schedule, policy, override, pause and skips.
pub(super) fn settings_of(task: &Task, version: Option<u64>) -> String {
    let parts = (
        &task.schedule,
        &task.policy,
        &task.pause,
        &task.skips,
        &task.kind,
        version,
    );
    let text = serde_json::to_string(&parts).unwrap_or_default();
    format!("{:016x}", hash(&text))
}

/// Whether `tag`, of an answer or the first part of it alone, is about these settings.
pub(super) fn is_about(tag: &str, settings: &str) -> bool {
    tag.split('-').next() == Some(settings)
}

/// The same on all instances of one build.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
