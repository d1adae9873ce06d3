//! The HTTP API, below `/api/v1`: one table says what there is, who may do it, and how it is read and
//! answered. It mounts the routes and writes their OpenAPI document.

mod begin;
mod calendar;
mod feed;
mod fleet;
mod holder;
mod openapi;
mod preview;
mod rule;
mod runs;
#[cfg(feature = "dynamic")]
mod stored;
mod stream;
mod table;
mod tasks;
mod wish;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use tracing::Instrument;

use crate::admin::access::Visitor;
use crate::admin::call::Call;
use crate::admin::door::{self, Arrival};
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::state::AdminState;
use crate::event::Event;

#[cfg(feature = "cli")]
pub(crate) use openapi::openapi;
use table::{ROUTES, Route};

/// The longest body, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// The routes; without those that change something if that is not allowed.
pub(super) fn routes(state: &AdminState) -> Router<AdminState> {
    let mut paths: BTreeMap<&str, Vec<&'static Route>> = BTreeMap::new();
    for route in ROUTES
        .iter()
        .filter(|route| state.settings.actions || !route.changes())
    {
        paths.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        let routes: Arc<[&'static Route]> = routes.into();
        let serve =
            move |State(state): State<AdminState>, params: RawPathParams, request: Request| {
                serve(state, routes.clone(), params, request)
            };
        router = router.route(&format!("/api/v1{path}"), any(serve));
    }
    router
}

async fn serve(
    state: AdminState,
    routes: Arc<[&'static Route]>,
    params: RawPathParams,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let visitor = parts.extensions.get::<Visitor>().cloned();
    let Some(arrival) = parts.extensions.get::<Arrival>().cloned() else {
        return door::problem(Problem::new("internal", "the request came by no door"));
    };
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let kind = header(header::CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let wants_page = header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
    let body = match to_bytes(body, LONGEST_BODY).await {
        Ok(body) => body.to_vec(),
        Err(_) => {
            let text = format!("a request has {LONGEST_BODY} bytes at the most");
            return door::problem(Problem::new("too-large", text));
        }
    };
    let method = method_of(&parts.method, is_form, &body);
    let Some(route) = routes.iter().find(|route| route.method == method) else {
        return not_allowed(&routes);
    };
    let call = Call {
        visitor: visitor.unwrap_or_else(Visitor::denied),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        arrival,
        path,
        body,
        is_form,
        wants_page,
        state,
    };
    answer(route, call).await
}

/// The method; forms, which know two, say others in their field `_method`.
fn method_of(method: &Method, is_form: bool, body: &[u8]) -> String {
    if *method == Method::HEAD {
        return "GET".to_owned();
    }
    if *method == Method::POST && is_form {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap_or_default();
        let said = pairs.into_iter().find(|(name, _)| name == "_method");
        if let Some((_, said)) = said.filter(|(_, m)| ["PUT", "DELETE"].contains(&m.as_str())) {
            return said;
        }
    }
    method.as_str().to_owned()
}

async fn answer(route: &Route, call: Call) -> Response {
    if let Some(right) = route.right
        && let Err(problem) = call.check(right)
    {
        tracing::warn!(target: "tasklock", event = "admin.denied", action = route.id,
            actor = call.visitor.actor(), request_id = &*call.arrival.request_id,
            addr = call.arrival.address.map(tracing::field::display),
            "Somebody was not allowed to act");
        let denied = Event::ActDenied { action: route.id };
        call.state.handle.engine().announce(&denied);
        return door::problem(problem);
    }
    let (headers, wants_page) = (call.headers.clone(), call.wants_page);
    let (base, state) = (call.arrival.base.clone(), call.state.clone());
    // What is done in it is told with these: `admin.action`.
    let span = tracing::info_span!(target: "tasklock", "admin_request", action = route.id,
        request_id = &*call.arrival.request_id,
        addr = call.arrival.address.map(tracing::field::display));
    let done = (route.handler)(call).instrument(span).await;
    if route.changes() {
        state.board.forget().await;
    }
    match done {
        Ok(reply) if route.changes() && wants_page => see(&format!("{base}{}", reply.page)),
        Ok(reply) if route.method == "GET" => reply.unless_known(&headers).response,
        Ok(Reply { response, .. }) => response,
        Err(problem) => door::problem(problem),
    }
}

/// Sends a browser to the page that shows what was done.
fn see(page: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(value) = HeaderValue::from_str(page) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn not_allowed(routes: &[&Route]) -> Response {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    let methods = methods.join(", ");
    let text = format!("here can be done: {methods}");
    let mut response = door::problem(Problem::new("method-not-allowed", text));
    if let Ok(value) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}
