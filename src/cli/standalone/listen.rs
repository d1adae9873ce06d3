//! What is served by HTTP: metrics, health, and the page.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::admin::{self, Access, Visitor};
use crate::cli::status::Failure;
use crate::config::{Page, SecretFrom, Visitors};
use crate::metrics::Metrics;
use crate::scheduler::SchedulerHandle;

/// A listener, from before the scheduler's start until after its end, so that probes hear of both.
#[derive(Debug)]
pub(super) struct Listener {
    close: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// All that is served.
fn routes(
    handle: SchedulerHandle,
    metrics: Metrics,
    page: Option<&Page>,
) -> Result<Router, Failure> {
    let routes = admin::routes(handle.clone(), metrics);
    let Some(page) = page else {
        return Ok(routes);
    };
    let admin = handle
        .admin()
        .access(access(&page.visitors)?)
        .actions(page.actions)
        .title(page.title.as_deref().unwrap_or("tasklock"));
    Ok(routes.nest_service("/admin", admin.router()))
}

/// Who may see the page.
fn access(visitors: &Visitors) -> Result<Access, Failure> {
    Ok(match visitors {
        Visitors::Localhost => Access::localhost(),
        Visitors::Header { name, proxies } => {
            Access::trusted_header(name.as_str(), proxies.iter().copied())
        }
        Visitors::Token(path) => {
            let token = SecretFrom::File(path.clone()).read();
            let token = token.map_err(|e| Failure::failed(format!("page.token_file: {e}")))?;
            // One that is shorter lets nobody in.
            if token.len() < 16 {
                let text = format!(
                    "page.token_file: {}: give the token 16 characters or more",
                    path.display()
                );
                return Err(Failure::failed(text));
            }
            Access::bearer_tokens([(token, Visitor::admin("token"))])
        }
    })
}

impl Listener {
    /// Begins to serve.
    pub(super) async fn begin(
        address: &str,
        handle: SchedulerHandle,
        metrics: Metrics,
        page: Option<&Page>,
    ) -> Result<Self, Failure> {
        let refuse = |e: std::io::Error| {
            let text = format!("listen: {address} cannot be listened at: {e}");
            Failure::failed(text)
        };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let has_page = page.is_some();
        let routes = routes(handle, metrics, page)?;
        info!(target: "tasklock", event = "listening", address = %address, page = has_page,
            "Serving /metrics, /livez and /readyz");
        let (close, closed) = oneshot::channel::<()>();
        // Who may see the page is a question of where they come from.
        let serve = axum::serve(
            listener,
            routes.into_make_service_with_connect_info::<SocketAddr>(),
        );
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
