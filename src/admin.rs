//! HTTP routes for those who watch a service: `/metrics`, `/livez`, `/readyz` (feature `admin`).

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::Metrics;
use crate::scheduler::{SchedulerHandle, SchedulerState};

/// How long the timer may be silent before the scheduler counts as dead. It looks every second.
const SILENCE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// Routes to serve, or to merge into the application's own router:
///
/// - `GET /metrics`: all series, in Prometheus' text format 0.0.4;
/// - `GET /livez`: 200 unless the scheduler's timer has been silent for a minute. It never looks at
///   the lock's store: an outage there must not restart the fleet;
/// - `GET /readyz`: 200 while the scheduler fires; 503 before, while it drains, and after. A store
///   that does not answer shows as `degraded`, with 200, as the service around usually serves
///   other things too.
///
/// Both health routes answer one word, or JSON with its reasons for `?verbose`. They tell nothing
/// secret, and are meant to be reached without a login; `/metrics` shows the names and schedules of
/// tasks.
///
/// ```no_run
/// # async fn f(scheduler: tasklock::Scheduler, metrics: tasklock::Metrics) -> std::io::Result<()> {
/// let routes = tasklock::admin::routes(scheduler.handle(), metrics);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, routes).await
/// # }
/// ```
pub fn routes(handle: SchedulerHandle, metrics: Metrics) -> Router {
    let health = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(handle);
    Router::new()
        .route("/metrics", get(encode))
        .with_state(metrics)
        .merge(health)
}

async fn encode(State(metrics): State<Metrics>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        metrics.encode(),
    )
        .into_response()
}

async fn livez(State(handle): State<SchedulerHandle>, RawQuery(query): RawQuery) -> Response {
    let is_alive = match (handle.state(), handle.last_wake()) {
        (SchedulerState::Running, Some(wake)) => handle.now() - wake < SILENCE,
        // Before its start and after its end there is no loop that could be dead.
        _ => true,
    };
    report(&handle, is_alive, query)
}

async fn readyz(State(handle): State<SchedulerHandle>, RawQuery(query): RawQuery) -> Response {
    report(&handle, handle.state() == SchedulerState::Running, query)
}

fn report(handle: &SchedulerHandle, is_fine: bool, query: Option<String>) -> Response {
    let is_degraded = handle.store_down_since().is_some();
    let word = match (is_fine, is_degraded) {
        (false, _) => "fail",
        (true, true) => "degraded",
        (true, false) => "pass",
    };
    let status = if is_fine {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let no_store = (header::CACHE_CONTROL, "no-store");
    let is_verbose = query.is_some_and(|q| q.split('&').any(|part| part.starts_with("verbose")));
    if !is_verbose {
        return (status, [no_store], format!("{word}\n")).into_response();
    }
    let time = |t: Option<chrono::DateTime<chrono::Utc>>| {
        // Times and the words beside them have no character that JSON escapes; an instance's id is
        // of visible ASCII characters, of which it escapes two.
        t.map_or("null".to_owned(), |t| format!("\"{}\"", t.to_rfc3339()))
    };
    let instance = handle.instance().replace('\\', "\\\\").replace('"', "\\\"");
    let body = format!(
        "{{\"status\":\"{word}\",\"instance\":\"{instance}\",\"checks\":{{\
         \"scheduler\":{{\"state\":\"{}\",\"last_wake\":{}}},\
         \"store\":{{\"status\":\"{}\",\"down_since\":{}}}}}}}\n",
        handle.state(),
        time(handle.last_wake()),
        if is_degraded { "degraded" } else { "pass" },
        time(handle.store_down_since()),
    );
    (
        status,
        [no_store, (header::CONTENT_TYPE, "application/json")],
        body,
    )
        .into_response()
}
