//! The page and its API, asked without a connection; and a fleet that it shows.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tasklock::admin::{Access, Right, Visitor};
use tasklock::testing::TestClock;
use tasklock::{MemoryFleet, MemoryHistory, MemoryLock};
use tower::ServiceExt;

use crate::support::{Bench, clock_and_lock};

/// A request.
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub peer: Option<SocketAddr>,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
            peer: None,
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As somebody of this level: see [`levels`].
    pub fn by(self, level: &str) -> Self {
        self.header("x-level", level)
    }

    pub fn json(mut self, body: Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    pub fn form(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "text/html")
    }

    pub fn peer(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().unwrap());
        self
    }

    pub async fn of(self, router: &Router) -> Got {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(self.body)).unwrap();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Whoever says so in a header: `viewer`, `operator`, `admin`, or a right.
pub fn levels() -> Access {
    Access::from(|request: &Parts| {
        let level = request
            .headers
            .get("x-level")
            .map(|level| level.to_str().unwrap());
        match level {
            None => Visitor::denied(),
            Some("viewer") => Visitor::viewer(),
            Some("operator") => Visitor::operator("olga"),
            Some("admin") => Visitor::admin("ana"),
            Some("run") => Visitor::with_rights("rita", [Right::Run]),
            Some(other) => panic!("{other}"),
        }
    })
}

/// Instances that share a lock, a fleet's store and a history in memory.
pub struct Shop {
    pub clock: Arc<TestClock>,
    pub lock: MemoryLock,
    pub store: MemoryFleet,
    pub history: MemoryHistory,
}

impl Shop {
    pub fn new() -> Self {
        let (clock, lock) = clock_and_lock();
        Self {
            store: MemoryFleet::with_clock(clock.clone()),
            history: MemoryHistory::with_clock(clock.clone()),
            clock,
            lock,
        }
    }

    /// An instance that is not started yet.
    pub fn instance(&self, id: &str) -> Bench {
        let (store, history, id) = (self.store.clone(), self.history.clone(), id.to_owned());
        Bench::on(self.clock.clone(), self.lock.clone(), |builder| {
            builder.fleet(store).history(history).instance_id(id)
        })
    }
}

/// The page and API of an instance, with actions.
pub fn open(bench: &Bench) -> Router {
    bench
        .scheduler
        .admin()
        .access(levels())
        .actions(true)
        .router()
}
