//! Settings of the page and its API.

use std::sync::Arc;

use axum::Router;

use crate::admin::access::Access;
use crate::admin::state::{AdminState, Settings};
use crate::admin::{api, door, page};
use crate::scheduler::{Scheduler, SchedulerHandle};

/// A page and an HTTP API for people on call: what there is, what is wrong, and what can be done.
///
/// ```
/// use axum::Router;
/// use tasklock::admin::{Access, EnvColor};
/// # use tasklock::{MemoryLock, Scheduler};
/// # let scheduler = Scheduler::builder().lock(MemoryLock::new()).build()?;
/// let admin = scheduler
///     .admin()
///     .access(Access::localhost())
///     .title("billing-api")
///     .environment("production", EnvColor::Red)
///     .router();
/// let app: Router = Router::new().nest_service("/admin/tasks", admin);
/// # Ok::<(), tasklock::Error>(())
/// ```
///
/// Who may come is not guessed: without [`access`](Self::access) there is no router.
///
/// ```compile_fail,E0599
/// # use tasklock::{MemoryLock, Scheduler};
/// # let scheduler = Scheduler::builder().lock(MemoryLock::new()).build().unwrap();
/// let admin = scheduler.admin().title("billing-api").router();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until `router`"]
pub struct Admin<A = ()> {
    handle: SchedulerHandle,
    access: A,
    settings: Settings,
}

/// The colour of an environment's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvColor {
    /// For places where nothing breaks.
    #[default]
    Gray,
    /// For tests.
    Green,
    /// For trials.
    Amber,
    /// For production.
    Red,
}

impl EnvColor {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            EnvColor::Gray => "gray",
            EnvColor::Green => "green",
            EnvColor::Amber => "amber",
            EnvColor::Red => "red",
        }
    }
}

impl Scheduler {
    /// A page and an HTTP API for people on call.
    pub fn admin(&self) -> Admin {
        self.handle().admin()
    }
}

impl SchedulerHandle {
    /// A page and an HTTP API for people on call.
    pub fn admin(&self) -> Admin {
        Admin {
            handle: self.clone(),
            access: (),
            settings: Settings::default(),
        }
    }
}

impl<A> Admin<A> {
    /// Who may come, and do what. Required.
    pub fn access(self, access: impl Into<Access>) -> Admin<Access> {
        Admin {
            handle: self.handle,
            access: access.into(),
            settings: self.settings,
        }
    }

    /// The name of the service. Default: `tasklock`.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.settings.title = title.into();
        self
    }

    /// Which of its environments it is, so that nobody takes one for another. Default: not said.
    pub fn environment(mut self, name: impl Into<String>, color: EnvColor) -> Self {
        self.settings.environment = Some((name.into(), color));
        self
    }

    /// Where traces are: an address with `{trace_id}` in it. Default: no links to traces.
    pub fn trace_url(mut self, address: impl Into<String>) -> Self {
        self.settings.trace_url = Some(address.into());
        self
    }

    /// The path under which visitors reach it, for a proxy that strips a part of it. Default: the one
    /// that it is nested under.
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        let path: String = path.into();
        self.settings.base_path = Some(path.trim_end_matches('/').to_owned());
        self
    }

    /// Whether anything can be changed. Default: no, and the routes that change something are not
    /// there at all.
    pub fn actions(mut self, are_allowed: bool) -> Self {
        self.settings.actions = are_allowed;
        self
    }

    /// An origin such as `https://ops.example` that pages may send changes from, beside this one: for a
    /// proxy that changes the `Host`. One that is no origin is left out, with a warning in the log.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.settings.trusted_origins.push(origin.into());
        self
    }
}

impl Admin<Access> {
    /// The routes, for [`Router::nest_service`], which also answers the path with a slash at its end.
    pub fn router(self) -> Router {
        let state = AdminState::new(self.handle, self.settings);
        let routes = page::routes().merge(api::routes(&state));
        door::guard(routes, Arc::new(self.access), state)
    }
}
