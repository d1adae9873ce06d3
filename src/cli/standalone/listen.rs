//! What is served by HTTP: metrics and health.

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::admin;
use crate::cli::status::Failure;
use crate::metrics::Metrics;
use crate::scheduler::SchedulerHandle;

/// A listener, from before the scheduler's start until after its end, so that probes hear of both.
#[derive(Debug)]
pub(super) struct Listener {
    close: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// All that is served. What people look at belongs here too.
fn routes(handle: SchedulerHandle, metrics: Metrics) -> Router {
    admin::routes(handle, metrics)
}

impl Listener {
    /// Begins to serve.
    pub(super) async fn begin(
        address: &str,
        handle: SchedulerHandle,
        metrics: Metrics,
    ) -> Result<Self, Failure> {
        let refuse = |e: std::io::Error| {
            let text = format!("listen: {address} cannot be listened at: {e}");
            Failure::failed(text)
        };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        info!(target: "tasklock", event = "listening", address = %address,
            "Serving /metrics, /livez and /readyz");
        let (close, closed) = oneshot::channel::<()>();
        let serve = axum::serve(listener, routes(handle, metrics));
        let serving = tokio::spawn(async move {
            let asked = async {
                let _ = closed.await;
            };
            if let Err(e) = serve.with_graceful_shutdown(asked).await {
                error!(target: "tasklock", event = "listening.failed", error = %e,
                    "Metrics and health are not served any more");
            }
        });
        Ok(Self { close, serving })
    }

    /// Ends. Whoever has not got his answer by then does not get it.
    pub(super) async fn close(self) {
        let Self { close, mut serving } = self;
        let _ = close.send(());
        let patience = std::time::Duration::from_secs(2);
        if tokio::time::timeout(patience, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}
