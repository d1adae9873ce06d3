//! A cron of its own, from its file to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use crate::cli::service::{Only, Served};
use crate::cli::standalone::doing::{Changing, Doing};
use crate::cli::standalone::listen::Listener;
use crate::cli::standalone::log::{self, LogFormat};
use crate::cli::status::Failure;
use crate::config::{Config, Place, TaskOfFile, Work};
use crate::error::Error;
use crate::fleet::{MemoryFleet, RedisFleet};
use crate::history::{MemoryHistory, RedisHistory, RunLogLayer};
use crate::kinds::{Http, Shell};
use crate::lock::{FileLock, MemoryLock, RedisLock};
use crate::metrics::Metrics;
use crate::scheduler::{Scheduler, SchedulerBuilder};

/// The kinds of the store's tasks that it knows.
const SHELL: &str = "shell";
const HTTP: &str = "http";

/// A scheduler with the tasks of a file, and what is beside it.
#[derive(Debug)]
pub(super) struct Cron {
    pub(super) scheduler: Scheduler,
    pub(super) path: PathBuf,
    /// As it was read last; its settings as it was started with.
    pub(super) config: Config,
    pub(super) shell: Option<Changing<Shell>>,
    pub(super) http: Option<Changing<Http>>,
    /// Whether there is a store whose tasks it follows.
    pub(super) has_store: bool,
    /// Which of its tasks it fires.
    pub(super) only: Only,
    metrics: Metrics,
    listener: Option<Listener>,
}

impl Cron {
    /// Makes it, not started.
    pub(super) async fn build(
        path: PathBuf,
        config: Config,
        (format, only): (LogFormat, Only),
    ) -> Result<Self, Failure> {
        let logs = RunLogLayer::new();
        let at = |text: String| Failure::failed(format!("{}: {text}", path.display()));
        log::begin(config.settings.log.as_deref(), format, &logs).map_err(at)?;
        for warning in &config.warnings {
            warn!(target: "tasklock", event = "config.warning", file = %path.display(), "{warning}");
        }
        let failed = |e: Error| at(e.to_string());
        let metrics = Metrics::new().map_err(failed)?;
        let settings = &config.settings;
        let mut builder = Scheduler::builder()
            .wait_for_lock(settings.wait)
            .metrics(metrics.clone())
            .run_logs(&logs);
        if let Some(zone) = settings.zone {
            builder = builder.timezone(zone);
        }
        if let Some(most) = settings.max_concurrent {
            builder = builder.max_concurrent(most);
        }
        if let Some(grace) = settings.shutdown_grace {
            builder = builder.shutdown_grace(grace);
        }
        for (name, runs) in &settings.groups {
            builder = builder.group(name.as_str(), *runs);
        }
        let builder = meet(builder, settings.place.as_ref()).map_err(at)?;
        let scheduler = builder.build().map_err(failed)?;
        let mut cron = Self {
            scheduler,
            has_store: !matches!(settings.place, Some(Place::Directory(_))),
            path: path.clone(),
            config,
            shell: None,
            http: None,
            only,
            metrics,
            listener: None,
        };
        cron.list().map_err(failed)?;
        for task in &cron.config.tasks {
            if task.plan.enabled {
                let doing = Doing(Arc::new(task.clone()));
                cron.scheduler.register(doing).map_err(failed)?;
            }
        }
        cron.only.narrow(&cron.scheduler)?;
        Ok(cron)
    }

    /// The same with metrics and health served, from before its start.
    pub(super) async fn listening(mut self) -> Result<Self, Failure> {
        if let Some(address) = &self.config.settings.listen {
            let (handle, metrics) = (self.scheduler.handle(), self.metrics.clone());
            let page = self.config.settings.page.as_ref();
            self.listener = Some(Listener::begin(address, handle, metrics, page).await?);
        }
        Ok(self)
    }

    /// Has the store's tasks run what the file lists, from now on.
    pub(super) fn list(&mut self) -> Result<(), Error> {
        if !self.has_store {
            return Ok(());
        }
        let Config { shell, http, .. } = &self.config;
        match (&self.shell, shell) {
            (Some(now), shell) => now.set(shell.clone().unwrap_or_default()),
            (None, Some(shell)) => {
                let kind = Changing::new(shell.clone());
                self.scheduler.kind(SHELL, kind.clone())?;
                self.shell = Some(kind);
            }
            (None, None) => {}
        }
        match (&self.http, http) {
            (Some(now), Some(http)) => now.set(http.clone()),
            (Some(now), None) => now.set(Arc::new(Http::new()?)),
            (None, Some(http)) => {
                let kind = Changing::new(http.clone());
                self.scheduler.kind(HTTP, kind.clone())?;
                self.http = Some(kind);
            }
            (None, None) => {}
        }
        Ok(())
    }
}

impl Served for Cron {
    const RELOADS: bool = true;

    fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    async fn reload(&mut self) {
        self.read_again();
    }

    async fn close(self) {
        if let Some(listener) = self.listener {
            listener.close().await;
        }
    }
}

/// Gives it the place where it meets the others.
fn meet(builder: SchedulerBuilder, place: Option<&Place>) -> Result<SchedulerBuilder, String> {
    let failed = |e: Error| format!("lock: {e}");
    Ok(match place {
        None => return Err(NO_LOCK.to_owned()),
        Some(redis @ Place::Redis { .. }) => {
            let lock = redis_lock(redis)?;
            let (fleet, history) = (RedisFleet::beside(&lock), RedisHistory::beside(&lock));
            builder.lock(lock).fleet(fleet).history(history)
        }
        Some(Place::Directory(directory)) => {
            let lock = FileLock::open(directory).map_err(failed)?;
            builder.lock(lock).history(MemoryHistory::new())
        }
        Some(Place::Memory) => builder
            .lock(MemoryLock::new())
            .fleet(MemoryFleet::new())
            .history(MemoryHistory::new()),
    })
}

const NO_LOCK: &str = "there is no [lock]: say where its instances meet, such as \
                       redis_url_file = \"/run/secrets/redis-url\", or memory = true if there is only one";

/// The lock in a Redis.
pub(super) fn redis_lock(place: &Place) -> Result<RedisLock, String> {
    let Place::Redis {
        url,
        prefix,
        ca_file,
    } = place
    else {
        return Err("lock: it is no Redis".to_owned());
    };
    let url = url.read().map_err(|why| format!("lock: {why}"))?;
    let mut builder = RedisLock::builder(&url).prefix(prefix);
    if let Some(path) = ca_file {
        let pem = std::fs::read(path);
        let pem = pem.map_err(|e| format!("lock: redis_ca_file: {}: {e}", path.display()))?;
        builder = builder.ca_certificate(pem);
    }
    builder.build().map_err(|e| format!("lock: {e}"))
}

/// Refuses a file that can be applied, and not run.
pub(super) fn refuse_without_place(path: &Path, config: &Config) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::failed(format!("{}: {text}", path.display())));
    if config.settings.place.is_none() {
        return refuse(NO_LOCK);
    }
    match config.tasks.iter().find_map(elsewhere) {
        Some(text) => refuse(&text),
        None => Ok(()),
    }
}

/// Why a task cannot be run out of a file.
fn elsewhere(task: &TaskOfFile) -> Option<String> {
    let name = &task.plan.name;
    match task.work {
        Work::Elsewhere => Some(format!(
            "task {name}: a task with a kind is for the store: save it with `tasklock apply`"
        )),
        _ => None,
    }
}

/// What is in a file that nothing is wrong with.
pub(super) fn summary(path: &Path, config: &Config) -> Result<String, Failure> {
    let mut lines = vec![format!("{}: {} tasks", path.display(), config.tasks.len())];
    for task in &config.tasks {
        let plan = &task.plan;
        let zone = plan.timezone.map_or("UTC", |zone| zone.name());
        let off = if plan.enabled { "" } else { "  (disabled)" };
        lines.push(format!("  {}  {}  {zone}{off}", plan.name, plan.spec));
    }
    let warnings = config.warnings.iter();
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    if let Err(failure) = refuse_without_place(path, config) {
        lines.push(format!(
            "warning: it can be applied, not started: {failure}"
        ));
    }
    Ok(lines.join("\n"))
}
