//! A service with five scheduled tasks, the page for people on call, its metrics and its health.
//!
//! ```text
//! cargo run --example tasks
//! ```
//!
//! It needs nothing: without `REDIS_URL` the lock is a directory, which replicas on this host share.
//! Start a second one and see the firings shared out between them. With `REDIS_URL` set, lock and
//! data are in Redis, for replicas on any number of hosts, and the page shows all of them. Without,
//! there are tasks of every health besides, so that the page has something to show.

mod cleanup_task;
mod data;
mod demo;
mod directory;
mod example_task;
mod options;
mod stats_task;

use std::error::Error;
use std::future::IntoFuture;
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Redirect;
use axum::routing::get;
use tasklock::Lock as _;
use tasklock::admin::{Access, EnvColor};
use tasklock::{
    BaseTask, FileLock, MemoryFleet, MemoryHistory, Metrics, RedisFleet, RedisHistory, RedisLock,
    Retention, Scheduler, SchedulerBuilder, TaskError, TaskResult, admin,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use cleanup_task::CleanupTask;
use data::{Data, FileData, RedisData};
use directory::Directory;
use example_task::ExampleTask;
use options::{Options, Wanted};
use stats_task::StatsTask;

/// How many ports to try when the first one is taken: enough for replicas on one host.
const PORTS: u16 = 50;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tasks: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let options = match Options::parse(std::env::args().skip(1))? {
        Wanted::Run(options) => options,
        Wanted::Help => {
            say(options::HELP);
            return Ok(());
        }
    };
    write_logs()?;
    let mut signals = Signals::listen()?;

    let directory = Directory::open(&options.data)?;
    // An empty variable is what deployment files have where no Redis is meant.
    let redis_url = std::env::var("REDIS_URL")
        .ok()
        .filter(|url| !url.is_empty());
    let is_demo = options.demo.unwrap_or(redis_url.is_none());
    let (builder, data) = stores(redis_url.as_deref(), &options, &directory)?;
    say(&format!("data: {}", data.describe()));

    let metrics = Metrics::new()?;
    let (first_run, first) = demo::FirstRun::new();
    let scheduler = builder
        .metrics(metrics.clone())
        .observer(first_run)
        .timezone(options.timezone)
        .application_version(env!("CARGO_PKG_VERSION"))
        .shutdown_grace(Duration::from_secs(20))
        .wait_for_lock(Duration::from_secs(30))
        .build()?;
    scheduler.register(ExampleTask::new(options.spec("example_task"), data.clone()))?;
    scheduler.register(CleanupTask::new(
        options.spec("cleanup_task"),
        data.clone(),
        directory.clone(),
    ))?;
    scheduler.register(StatsTask::new(options.spec("stats_task"), data.clone()))?;
    scheduler.register(simple_task(options.spec("simple_task"), data.clone()))?;
    scheduler.register(heartbeat(options.spec("heartbeat"), data.clone()))?;
    if is_demo {
        demo::register(&scheduler)?;
        if let Some(history) = scheduler.handle().history() {
            demo::prepare(&*history).await?;
        }
    }

    // The routes are served before the start, so that `/readyz` can say that it is under way.
    let (listener, address) = listen(&options.listen).await?;
    say(&format!("metrics: http://{address}/metrics"));
    say(&format!("health: http://{address}/readyz?verbose"));
    say(&format!("page: http://{address}/admin"));
    let page = scheduler
        .admin()
        .access(Access::localhost())
        .title("example")
        .environment("demo", EnvColor::Amber)
        .actions(true)
        .router();
    let app = admin::routes(scheduler.handle(), metrics)
        .route("/", get(|| async { Redirect::to("/admin") }))
        .nest_service("/admin", page)
        // The page lets those in who come from this machine: it has to know who they are.
        .into_make_service_with_connect_info::<SocketAddr>();
    let closing = CancellationToken::new();
    let serve =
        axum::serve(listener, app).with_graceful_shutdown(closing.clone().cancelled_owned());
    let server = tokio::spawn(serve.into_future());

    tokio::select! {
        started = scheduler.start() => started?,
        signal = signals.next() => {
            info!(signal, "Stopped before the start");
            return Ok(());
        }
    }
    if let Err(error) = seed(&directory, &*data).await {
        // Sample data is nothing that a service should fail for.
        warn!(%error, "There is no sample data");
    }
    say(&format!("tasks: {}", scheduler.list_tasks().join(", ")));
    if is_demo && let Some(history) = scheduler.handle().history() {
        let furnished = demo::furnish(&scheduler, history, first);
        let furnished = tokio::time::timeout(Duration::from_secs(10), furnished).await;
        if let Ok(Err(error)) = furnished {
            warn!(%error, "The demo has no past");
        }
    }

    let signal = signals.next().await;
    info!(signal, "Stopping; a second signal stops at once");
    tokio::select! {
        report = scheduler.stop() => say(&report.to_string()),
        _ = signals.next() => std::process::exit(130),
    }
    // Probes were answered until here. A client that keeps its connection busy is not waited for.
    closing.cancel();
    tokio::select! {
        _ = tokio::time::timeout(Duration::from_secs(5), server) => Ok(()),
        _ = signals.next() => std::process::exit(130),
    }
}

/// What the scheduler keeps its locks, its fleet and its history in, and the tasks' data.
fn stores(
    redis_url: Option<&str>,
    options: &Options,
    directory: &Directory,
) -> Result<(SchedulerBuilder, Arc<dyn Data>), Box<dyn Error>> {
    let builder = Scheduler::builder();
    let Some(url) = redis_url else {
        let lock = FileLock::open(options.data.join("locks"))?;
        say(&format!("lock: {}", lock.describe()));
        // Of half a year, for the demo's calendar.
        let half_a_year = Retention::default().age(Duration::from_secs(183 * 86_400));
        let builder = builder
            .lock(lock)
            .fleet(MemoryFleet::new())
            .history(MemoryHistory::new().with_retention(half_a_year));
        return Ok((builder, Arc::new(FileData::new(directory))));
    };
    let lock = RedisLock::builder(url).build()?;
    say(&format!("lock: {}", lock.describe()));
    let builder = builder
        .fleet(RedisFleet::beside(&lock))
        .history(RedisHistory::beside(&lock))
        .lock(lock);
    Ok((builder, Arc::new(RedisData::new(url)?)))
}

/// Every 10 minutes: a temporary entry, which the cleanup finds at night.
fn simple_task(spec: String, data: Arc<dyn Data>) -> BaseTask {
    BaseTask::new("simple_task", spec, Duration::from_secs(60), move |ctx| {
        let data = data.clone();
        async move {
            let name = data.add_temporary(&ctx.run_id().to_string()).await?;
            info!(name, "A temporary entry was left behind");
            Ok(())
        }
    })
}

/// Every few seconds: which run was the last one, so that there is something to see at once.
fn heartbeat(spec: String, data: Arc<dyn Data>) -> BaseTask {
    BaseTask::new("heartbeat", spec, Duration::from_secs(5), move |ctx| {
        let data = data.clone();
        async move {
            let fire_time = ctx.fire_time().to_rfc3339();
            let text = format!("fire_time: {fire_time}\nrun_id: {}\n", ctx.run_id());
            put_fenced(&*data, "heartbeat", &text, ctx.fencing_token().get()).await
        }
    })
}

/// Writes a document, and fails if a later run has written it before.
async fn put_fenced(data: &dyn Data, name: &str, text: &str, fence: u64) -> TaskResult {
    if data.put(name, text, fence).await? {
        return Ok(());
    }
    Err(TaskError::new(format!(
        "{name} was written by a later run: this one, with fencing token {fence}, is stale"
    )))
}

async fn seed(directory: &Directory, data: &dyn Data) -> TaskResult {
    let seeded = directory.clone();
    tokio::task::spawn_blocking(move || seeded.seed()).await??;
    data.seed().await
}

/// The address, or the next free port after it: a second replica on this host needs another one.
async fn listen(wanted: &str) -> Result<(TcpListener, SocketAddr), Box<dyn Error>> {
    let refuse = |error: io::Error| format!("cannot listen on {wanted}: {error}");
    let no_address = || format!("cannot listen on {wanted}: it names no address");
    let first = wanted.to_socket_addrs().map_err(refuse)?.next();
    let first = first.ok_or_else(no_address)?;
    let mut address = first;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                if address != first {
                    warn!(wanted = %first, instead = %address, "The port is taken");
                    say(&format!("{first} is taken: listening on {address} instead"));
                }
                let address = listener.local_addr()?;
                return Ok((listener, address));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let next = address.port().checked_add(1);
                match next.filter(|port| port - first.port() < PORTS) {
                    Some(port) => address.set_port(port),
                    None => {
                        let text = format!(
                            "cannot listen on {first}: it is taken, and so are the ports up to {}",
                            address.port()
                        );
                        return Err(text.into());
                    }
                }
            }
            Err(error) => return Err(refuse(error).into()),
        }
    }
}

/// Logs on standard output: `RUST_LOG` says what, information by default.
fn write_logs() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .map_err(|e| format!("RUST_LOG cannot be read: {e}"))?;
    // The spans of runs are for tracing systems: here they would repeat in each line what the line
    // says itself.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stdout().is_terminal())
        .with_filter(filter_fn(|what| what.is_event()));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    Ok(())
}

/// A line for whoever started the service. That nobody reads it is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

/// The signals that stop the service.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
