//! What every request passes: who it is from, what it may carry, and what every answer says.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::admin::access::{Access, Right, peer};
use crate::admin::page;
use crate::admin::problem::Problem;
use crate::admin::state::AdminState;
use crate::random::random_bits;

/// Nothing but our own files, no inline script or style, in nobody's frame.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Facts on a request, found at the door.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The path under which visitors reach the page, without a slash at its end.
    pub(super) base: Arc<str>,
    pub(super) request_id: Arc<str>,
    /// The peer's address, if the server tells.
    pub(super) address: Option<std::net::IpAddr>,
}

/// The routes, behind the door.
pub(super) fn guard(routes: Router<AdminState>, access: Arc<Access>, state: AdminState) -> Router {
    let mut csrf = CsrfLayer::new();
    for origin in &state.settings.trusted_origins {
        csrf = match csrf.clone().add_trusted_origin(origin) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(target: "tasklock", event = "admin.origin", origin, error = %error,
                    "A trusted origin cannot be one, and is left out");
                csrf
            }
        };
    }
    let csrf = csrf.with_rejection_response(|_: ProtectionError| {
        let text = "changes are taken from pages of this site only: send no Origin of another";
        // The door fills in what it knows.
        let mut response = Response::new(Body::empty());
        response
            .extensions_mut()
            .insert(Problem::new("cross-site", text));
        response
    });
    let inner = routes.fallback(nowhere).layer(csrf);
    let door = (access, state.clone());
    inner
        .layer(middleware::from_fn_with_state(door, pass))
        .with_state(state)
}

async fn nowhere() -> Response {
    problem(Problem::new(
        "not-found",
        "there is nothing at this address",
    ))
}

/// An answer that the door makes of a problem, as it knows who asked what.
pub(super) fn problem(problem: Problem) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(problem);
    response
}

async fn pass(
    State((access, state)): State<(Arc<Access>, AdminState)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let original = parts
        .extensions
        .get::<OriginalUri>()
        .map(|uri| uri.0.path().to_owned());
    let original = original.unwrap_or_else(|| path.clone());
    let base = match &state.settings.base_path {
        Some(base) => base.clone(),
        None => base_of(&original, &path).to_owned(),
    };
    let request_id = id_of(&parts.headers);
    let arrival = Arrival {
        base: base.into(),
        request_id: request_id.into(),
        address: peer(&parts),
    };
    let visitor = access.decide(&parts);
    // Whoever looks at screens and sends forms is told in words.
    let accept = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok());
    let is_page = accept.is_some_and(|accept| accept.contains("text/html"))
        && (parts.method == axum::http::Method::POST || !path.starts_with("/api/"));
    let seen_by = visitor.clone();
    let is_probe = ["/api/v1/livez", "/api/v1/readyz"].contains(&path.as_str());
    let mut response = if is_probe || visitor.may(Right::View) {
        parts.extensions.insert(visitor);
        parts.extensions.insert(arrival.clone());
        next.run(Request::from_parts(parts, body)).await
    } else {
        let text = "nobody who may look here is known from this request";
        let denied = Problem::new("unauthenticated", text);
        problem(denied.with("required_right", Right::View.as_str()))
    };
    let allow = response.headers_mut().remove(header::ALLOW);
    if let Some(found) = response.extensions_mut().remove::<Problem>() {
        response = match is_page {
            true => page::problem(&found, &state, &seen_by, &arrival),
            false => found.answer(&original, &arrival.request_id),
        };
        if found.code() == "unauthenticated" {
            let value = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
    }
    let headers = response.headers_mut();
    if let Some(allow) = allow {
        headers.insert(header::ALLOW, allow);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&arrival.request_id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// The path before that of a route.
fn base_of<'a>(original: &'a str, path: &str) -> &'a str {
    original
        .strip_suffix(path)
        .unwrap_or(original)
        .trim_end_matches('/')
}

/// The id that a request brings, if it can be in logs; another one otherwise.
fn id_of(headers: &axum::http::HeaderMap) -> String {
    let brought = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_fit = |id: &&str| {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        (1..=64).contains(&id.len()) && id.bytes().all(is_fit)
    };
    match brought.filter(is_fit) {
        Some(id) => id.to_owned(),
        None => format!("{:016x}", random_bits().unwrap_or_default() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_path_before_that_of_the_route() {
        for (original, path, base) in [
            ("/", "/", ""),
            ("/tasks/a", "/tasks/a", ""),
            ("/admin/tasks", "/", "/admin/tasks"),
            ("/admin/tasks/", "/", "/admin/tasks"),
            ("/admin/tasks/tasks/a", "/tasks/a", "/admin/tasks"),
        ] {
            assert_eq!(base_of(original, path), base, "{original} {path}");
        }
    }
}
