//! HTTP for operators: a page with its API, metrics and health.
//!
//! [`Scheduler::admin`](crate::Scheduler::admin) makes the page and its API, for those whom its
//! [`Access`] lets in. [`routes`] are for machines: `/metrics`, `/livez`, `/readyz`.
//!
//! ```no_run
//! # async fn f(scheduler: tasklock::Scheduler, metrics: tasklock::Metrics) -> std::io::Result<()> {
//! let app = axum::Router::new().merge(tasklock::admin::routes(scheduler.handle(), metrics));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of [`routes`] changes anything, and nothing asks who is calling: metrics name your tasks and
//! their schedules, so serve them where only those may come who may know.

mod access;
mod api;
mod builder;
mod call;
mod door;
mod health;
mod page;
mod problem;
mod reply;
mod state;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::{Error, ErrorKind};
use crate::metrics::Metrics;
use crate::scheduler::SchedulerHandle;

pub use access::{Access, Right, Visitor};
#[cfg(feature = "cli")]
pub(crate) use api::openapi;
pub use builder::{Admin, EnvColor};
use health::Health;

/// The routes, to be merged or nested into the service's own.
///
/// | route | answer |
/// |---|---|
/// | `GET /metrics` | everything in the metrics' registry, text format 0.0.4 |
/// | `GET /livez` | 503 when the scheduler's timer has not looked at the clock for 60 s, or has ended |
/// | `GET /readyz` | 503 unless the scheduler fires: while it starts, drains, or has stopped |
///
/// Health answers one word, and with `?verbose` a JSON object. Neither asks the lock's store, so
/// that an outage of the store does not restart the fleet: it shows as `degraded`, with 200; with
/// `/readyz?store_required` with 503, for services that are of no use then.
/// `HEAD` works as `GET` without a body; other methods are answered 405.
pub fn routes(handle: SchedulerHandle, metrics: Metrics) -> Router {
    let health = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(handle);
    Router::new()
        .route("/metrics", get(text))
        .with_state(metrics)
        .merge(health)
}

async fn text(State(metrics): State<Metrics>) -> Response {
    // That of thousands of tasks takes a part of a second: not on a thread that starts tasks.
    let encoded = tokio::task::spawn_blocking(move || metrics.encode()).await;
    let failed = |e| Error::new(ErrorKind::Metrics, "their text was not finished").with_source(e);
    match encoded.unwrap_or_else(|e| Err(failed(e))) {
        Ok(text) => ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(target: "tasklock", event = "metrics.failed", error = %error,
                "Task metrics cannot be written");
            let text = "the metrics cannot be written: see the log\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

async fn livez(State(handle): State<SchedulerHandle>, RawQuery(query): RawQuery) -> Response {
    let health = Health::of(&handle);
    answer(&health, health.live(), query)
}

async fn readyz(State(handle): State<SchedulerHandle>, RawQuery(query): RawQuery) -> Response {
    let health = Health::of(&handle);
    answer(&health, health.ready(), query)
}

fn answer(health: &Health, status: health::Status, query: Option<String>) -> Response {
    let has = |name: &str| names(query.as_deref()).any(|there| there == name);
    let code = match status {
        health::Status::Fail => StatusCode::SERVICE_UNAVAILABLE,
        health::Status::Degraded if has("store_required") => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    // The answer is about now.
    let fresh = (CACHE_CONTROL, "no-store");
    if has("verbose") {
        let kind = (CONTENT_TYPE, "application/json");
        return (code, [kind, fresh], health.json(status)).into_response();
    }
    let kind = (CONTENT_TYPE, "text/plain; charset=utf-8");
    (code, [kind, fresh], format!("{}\n", status.as_str())).into_response()
}

/// The names in a query, with or without a value.
fn names(query: Option<&str>) -> impl Iterator<Item = &str> {
    let pairs = query.unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
}
